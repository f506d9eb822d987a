"""When the feed pauses for the venue's maintenance, and until when. Pure.

It pauses when the last status says that the venue does not work. It goes on when a status says that it does, when the announced end has
passed, or when nobody has repeated the bad news for five minutes: whoever fetches the status may be dead, and then silence must not keep us
away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from undertow.contracts.messages.reference import VenueStatus

HOLDS_NS: Final = 300 * 1_000_000_000


@dataclass(slots=True)
class Maintenance:
    """What the venue said last of its own condition."""

    _status: VenueStatus | None = None

    def on_status(self, status: VenueStatus) -> None:
        """Take a status; an older one than the last changes nothing."""
        if self._status is None or status.ts_event >= self._status.ts_event:
            self._status = status

    def reason(self, now_ns: int) -> str | None:
        """Say why the feed pauses now, or None."""
        status = self._status
        if status is None or status.operational or now_ns - status.ts_event >= HOLDS_NS:
            return None
        if status.end_ns and now_ns >= status.end_ns:
            return None
        return status.maintenance or "maintenance"
