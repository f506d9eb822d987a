"""The status socket, `/v5/public/misc/status`: maintenance as it is planned, begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from services.venue.clock import VenueClock
from services.venue.faults.catalogue import EVENT
from services.venue.mischief import Mischief
from services.venue.public_socket import PublicSession

TOPIC: Final = "system.status"
_ENCODE: Final = msgspec.json.encode


class StatusHub:
    """All clients of the status socket; they speak as those of the public one do.

    Args:
        clock: market time.
        mischief: what goes wrong.
    """

    def __init__(self, clock: VenueClock, mischief: Mischief) -> None:
        self.mischief = mischief
        self._clock = clock
        self._subscribers: dict[PublicSession, None] = {}
        self.sessions: dict[PublicSession, None] = {}

    most_arguments: int | None = None

    def publish(self, notices: Sequence[dict[str, Any]]) -> None:
        """Push notices to all subscribers."""
        raw = _ENCODE({"topic": TOPIC, "ts": self._clock.now_ms(), "data": notices})
        for session in self._subscribers:
            session.pass_on(TOPIC, raw, EVENT)

    def why_not(self, topic: str) -> str | None:
        """Say why a topic cannot be had, or None."""
        return None if topic == TOPIC else f"error:handler not found,topic:{topic} (this socket offers {TOPIC})"

    def add(self, session: PublicSession, _topics: Iterable[str]) -> None:
        """Subscribe."""
        self._subscribers[session] = None

    def remove(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Unsubscribe."""
        if TOPIC in topics:
            self._subscribers.pop(session, None)

    def join(self, address: str) -> PublicSession:
        """Open a session for a client of that address."""
        session = PublicSession(self, address)
        self.sessions[session] = None
        return session
