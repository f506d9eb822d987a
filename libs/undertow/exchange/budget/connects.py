"""How often a process may open sockets to the venue, which counts those of an address over five minutes (§2.5 of the protocol)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from undertow.contracts.metrics import CONNECTS_HELD_BACK, CONNECTS_IN_WINDOW, CONNECTS_LIMIT
from undertow.runtime.clock import Clock
from undertow.runtime.metrics import Metrics

WINDOW_S: Final = 300.0
"""Market seconds: the paper venue counts in its own."""


class ConnectBudget:
    """Lets so many connections begin within any `WINDOW_S`; others wait for their turn, in the order in which they came.

    It belongs to the loop in which it was made, whose time it counts in.

    Args:
        most: connections.
        clock: whose rate makes market seconds of wall seconds.
        metrics: of the service, which show it.
    """

    def __init__(self, most: int, clock: Clock, metrics: Metrics) -> None:
        self._most = most
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._turns: deque[float] = deque()  # loop times; of those that wait, in the future
        self._held_back = metrics.counter(CONNECTS_HELD_BACK)
        metrics.gauge(CONNECTS_LIMIT).set(most)
        metrics.gauge(CONNECTS_IN_WINDOW).set_function(lambda: self.begun)

    @property
    def begun(self) -> int:
        """How many connections have begun within the last window."""
        now_s = self._loop.time()
        return sum(now_s - self._window_s < turn_s <= now_s for turn_s in self._turns)

    async def take(self) -> None:
        """Return as soon as one more connection may be begun, which it counts as."""
        now_s = self._loop.time()
        while self._turns and self._turns[0] <= now_s - self._window_s:
            self._turns.popleft()
        turn_s = now_s if len(self._turns) < self._most else self._turns[-self._most] + self._window_s
        self._turns.append(turn_s)
        if turn_s > now_s:
            self._held_back.inc()
            await asyncio.sleep(turn_s - now_s)

    @property
    def _window_s(self) -> float:
        return WINDOW_S / self._clock.rate
