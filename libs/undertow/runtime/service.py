"""How every service lives: settings, logging, metrics, health endpoints, clock, signals, one task that is its work.

A service's `app.py` exports a class that satisfies `Application`; its `__main__.py` calls `run(Settings, build)`.
"""

from __future__ import annotations

from typing import Protocol


class Application(Protocol):
    """The thin shell of one service."""

    async def run(self) -> None:
        """Work until cancelled; on cancellation finish what is in hand (acks, journal) and return."""
        ...

    def unready_reason(self) -> str | None:
        """Say in words why the service cannot do its job now, or None when it can."""
        ...
