"""The market's own time. It stands at the origin until the market starts and then runs at `rate`.

Where the origin is the wall clock it becomes the wall time of the start, so that at rate 1 market time is wall time from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from undertow.domain.time import NS_PER_MS
from undertow.runtime.clock import ClockReading, MarketClock, steady_ns, wall_ns

START_DELAY_NS: Final = 500_000_000
"""Between the command and the start, so that every follower knows of it in time (they ask five times a second)."""


class VenueClock(MarketClock):
    """The clock that all others follow.

    Args:
        origin_ns: market time of the first frame; None for the wall time of the start.
        rate: market seconds per wall second.
        wall: the wall clock, ns.
        steady: a clock that never jumps, ns.

    Attributes:
        skew_ns: by how much what the venue states as its time differs from market time; a fault sets it.
    """

    def __init__(
        self,
        origin_ns: int | None,
        rate: float,
        wall: Callable[[], int] = wall_ns,
        steady: Callable[[], int] = steady_ns,
    ) -> None:
        self._wall_now = wall
        self._steady = steady
        self._starts_at_wall = origin_ns is None
        self.reading = ClockReading(wall() if origin_ns is None else origin_ns, None, rate)
        self.skew_ns = 0
        super().__init__(self.reading, wall)

    def start(self) -> ClockReading:
        """Schedule the start, once; the second call changes nothing."""
        if self.reading.wall_origin_ns is None:
            start_ns = self._wall_now() + START_DELAY_NS
            origin_ns = start_ns if self._starts_at_wall else self.reading.origin_ns
            self.reading = ClockReading(origin_ns, start_ns, self.reading.rate)
            self.set(self.reading)
        return self.reading

    @property
    def is_open(self) -> bool:
        """Whether the market has started and its time runs."""
        started = self.reading.wall_origin_ns
        return started is not None and self._wall_now() >= started

    def now_ms(self) -> int:
        """Give market time in ms, as envelopes carry it."""
        return self.now_ns() // NS_PER_MS

    def stated_ns(self) -> int:
        """Give what the venue says when it is asked for its time, and what it measures requests against."""
        return self.now_ns() + self.skew_ns

    def stated_ms(self) -> int:
        """Give the same in ms."""
        return self.stated_ns() // NS_PER_MS

    def pace_ns(self) -> int:
        """Give a time that runs at the market's rate but never stands still, for limits per second."""
        return int(self._steady() * self.rate)

    def wall_seconds_until(self, at_ns: int) -> float:
        """Give wall seconds until a market time; infinite while the market has no start."""
        reading = self.reading
        if reading.wall_origin_ns is None:
            return float("inf")
        due_wall_ns = reading.wall_origin_ns + (at_ns - reading.origin_ns) / reading.rate
        return (due_wall_ns - self._wall_now()) / 1e9
