"""Which code and which settings are running."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel


def git_sha() -> str:
    """Give the commit: from `UNDERTOW_GIT_SHA` in images, else from the checkout; "unknown" outside both."""
    baked = os.environ.get("UNDERTOW_GIT_SHA", "")
    if baked:
        return baked
    for folder in Path(__file__).resolve().parents:
        head = folder / ".git" / "HEAD"
        if head.is_file():
            return _resolved(folder / ".git", head.read_text(encoding="ascii").strip())
    return "unknown"


def config_hash(settings: BaseModel) -> str:
    """Give 16 hex digits over all settings; secrets do not enter."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def _resolved(git: Path, head: str) -> str:
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    loose = git / name
    if loose.is_file():
        return loose.read_text(encoding="ascii").strip()
    packed = git / "packed-refs"
    lines = packed.read_text(encoding="ascii").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "unknown")
