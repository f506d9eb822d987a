"""Run the admin service."""

from __future__ import annotations

from services.admin.app import build
from services.admin.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("admin", Settings, build)
