"""Run the guardian."""

from __future__ import annotations

from services.guardian.app import build
from services.guardian.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("guardian", Settings, build)
