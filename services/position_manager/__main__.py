"""Run the position manager."""

from __future__ import annotations

from services.position_manager.app import build
from services.position_manager.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("position_manager", Settings, build)
