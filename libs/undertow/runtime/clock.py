"""Market time: the venue's own clock in paper mode, the wall clock elsewhere. Wall time itself only measures latency.

In paper mode the market stands at `origin_ns` until it starts at the wall time `wall_origin_ns`; from then on
`now = origin_ns + (wall - wall_origin_ns) * rate`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

SECOND_NS: Final = 1_000_000_000
POLL_BEFORE_START_S: Final = 0.2
POLL_AFTER_START_S: Final = 3.0
ANSWER_TIMEOUT_S: Final = 1.0
LONGEST_NAP_S: Final = 1.0


def wall_ns() -> int:
    """Give the wall clock, for latency only."""
    return time.time_ns()


def steady_ns() -> int:
    """Give a clock that never jumps, for rates."""
    return time.monotonic_ns()


class Clock(Protocol):
    """Market time."""

    @property
    def rate(self) -> float:
        """Market seconds per wall second."""
        ...

    def now_ns(self) -> int:
        """Give market time, UTC ns."""
        ...

    async def sleep(self, market_seconds: float) -> None:
        """Return when this much market time has passed."""
        ...


class WallClock:
    """Market time where the market is the real one."""

    rate: float = 1.0

    def now_ns(self) -> int:
        """Give the wall clock."""
        return wall_ns()

    async def sleep(self, market_seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(market_seconds)


class ClockReading(msgspec.Struct, frozen=True):
    """What the venue's `GET /control/clock` answers; `wall_origin_ns` is None until the market starts."""

    origin_ns: int
    wall_origin_ns: int | None
    rate: float


class MarketClock:
    """The market time of a venue that owns it, at any rate.

    Args:
        reading: where the market starts, and when.
        wall: the wall clock, ns.
    """

    def __init__(self, reading: ClockReading, wall: Callable[[], int] = wall_ns) -> None:
        self._wall = wall
        self._reading = reading
        self.rate = reading.rate

    @property
    def started(self) -> bool:
        """Whether the market has a start time; until then time stands still."""
        return self._reading.wall_origin_ns is not None

    def set(self, reading: ClockReading) -> None:
        """Follow a new reading."""
        self._reading = reading
        self.rate = reading.rate

    def now_ns(self) -> int:
        """Give market time, UTC ns."""
        return self.at_ns(self._wall())

    def at_ns(self, wall_ns: int) -> int:
        """Give the market time at a moment of the wall clock."""
        reading = self._reading
        if reading.wall_origin_ns is None:
            return reading.origin_ns
        return reading.origin_ns + int(max(0, wall_ns - reading.wall_origin_ns) * reading.rate)

    async def sleep(self, market_seconds: float) -> None:
        """Return when this much market time has passed; while the market stands still that is never."""
        until = self.now_ns() + int(market_seconds * SECOND_NS)
        while True:
            left = until - self.now_ns()
            if left <= 0:
                break
            nap = left / SECOND_NS / self.rate
            if not self.started:
                nap = POLL_BEFORE_START_S
            await asyncio.sleep(min(nap, LONGEST_NAP_S))


class ManualClock:
    """Time that moves when it is told to: for tests and simulation."""

    def __init__(self, now_ns: int = 0, rate: float = 1.0) -> None:
        self.rate = rate
        self._now_ns = now_ns
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        """Give the time it was moved to."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move forward and wake those whose time has come."""
        self.set(self._now_ns + int(seconds * SECOND_NS))

    def set(self, now_ns: int) -> None:
        """Move to a time and wake those whose time has come, earliest first."""
        self._now_ns = now_ns
        while self._sleepers and self._sleepers[0][0] <= now_ns:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, market_seconds: float) -> None:
        """Return when the time has been moved this far."""
        if market_seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until = self._now_ns + int(market_seconds * SECOND_NS)
        heapq.heappush(self._sleepers, (until, next(self._order), sleeper))
        await sleeper


class ClockFollower:
    """Keeps a `MarketClock` on the venue's reading.

    Args:
        url: the venue's `/control/clock`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._decoder = msgspec.json.Decoder(ClockReading)

    async def read(self) -> ClockReading | None:
        """Ask once; None when the venue does not answer or answers something else."""
        return await asyncio.to_thread(self._ask)

    async def acquire(self) -> MarketClock:
        """Ask until the venue answers."""
        while True:
            reading = await self.read()
            if reading is not None:
                return MarketClock(reading)
            await asyncio.sleep(POLL_BEFORE_START_S)

    async def follow(self, clock: MarketClock) -> None:
        """Keep the clock right until cancelled: often before the market starts, seldom after."""
        while True:
            await asyncio.sleep(POLL_AFTER_START_S if clock.started else POLL_BEFORE_START_S)
            reading = await self.read()
            if reading is not None:
                clock.set(reading)

    def _ask(self) -> ClockReading | None:
        try:
            with self._opener.open(self._url, timeout=ANSWER_TIMEOUT_S) as answer:
                return self._decoder.decode(answer.read())
        except (OSError, urllib.error.URLError, msgspec.MsgspecError):
            return None
