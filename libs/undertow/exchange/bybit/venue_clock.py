"""The venue's clock as a signer sees it: ours plus an offset, learnt from `market/time`."""

from __future__ import annotations

from undertow.runtime.clock import Clock


class VenueClock:
    """Market time by the venue's clock; without an estimate it is ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ns = 0
        self.uncertainty_ns = 0
        self.is_known = False

    def learn(self, sent_ns: int, received_ns: int, venue_ns: int) -> None:
        """Take an answer of the venue: its clock is assumed to have been read half-way (Cristian's algorithm)."""
        self.offset_ns = venue_ns - (sent_ns + received_ns) // 2
        self.uncertainty_ns = (received_ns - sent_ns) // 2
        self.is_known = True

    def doubt(self) -> None:
        """The venue has refused one of our time stamps: whoever signs next by HTTP asks for the time first."""
        self.is_known = False

    def now_ns(self) -> int:
        """Give the venue's time, ns."""
        return self._clock.now_ns() + self.offset_ns

    def now_ms(self) -> int:
        """Give the venue's time, ms."""
        return self.now_ns() // 1_000_000
