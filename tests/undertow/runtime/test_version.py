from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from undertow.runtime import version
from undertow.runtime.version import config_hash, git_sha

SHA = "0123456789abcdef0123456789abcdef01234567"


class Config(BaseModel):
    rate: float
    secret: SecretStr


def test_the_hash_changes_with_a_setting_but_not_with_a_secret() -> None:
    first = config_hash(Config(rate=1, secret=SecretStr("a")))
    assert len(first) == 16
    assert first == config_hash(Config(rate=1, secret=SecretStr("b")))
    assert first != config_hash(Config(rate=2, secret=SecretStr("a")))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("UNDERTOW_GIT_SHA", raising=False)
    monkeypatch.setattr(version, "__file__", str(tmp_path / "libs" / "version.py"))
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    return git


def test_the_commit_is_read_from_head_whatever_its_form(checkout: Path) -> None:
    assert git_sha() == "unknown"
    (checkout / "HEAD").write_text(f"{SHA}\n")
    assert git_sha() == SHA
    (checkout / "HEAD").write_text("ref: refs/heads/main\n")
    assert git_sha() == "unknown"
    (checkout / "packed-refs").write_text(f"# pack-refs\n{SHA} refs/heads/main\n")
    assert git_sha() == SHA
    (checkout / "refs" / "heads" / "main").write_text(SHA[::-1])
    assert git_sha() == SHA[::-1]


def test_an_image_says_its_commit_itself(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTOW_GIT_SHA", SHA)
    assert git_sha() == SHA
