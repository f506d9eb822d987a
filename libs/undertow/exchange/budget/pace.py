"""How fast one process may write to the trade socket: our share of each endpoint's limit in any second, counted here.

Only one router of an account sends, so nobody needs to be asked, and an order that is within the limit waits for nothing: not for Redis,
and not for a bucket to fill. What the venue's answers say of the limits is learnt; an endpoint of which it has said nothing is free.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from undertow.exchange.budget.limits import ENDPOINT_WINDOW_S, SHARE


class Pace:
    """Requests of the last second, by endpoint.

    Args:
        rate: market seconds per wall second; the venue counts in its own.
        share: our part of each limit.
        steady: a clock that never jumps, s.
    """

    def __init__(
        self, rate: float = 1.0, *, share: float = SHARE, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._share = share
        self._window_s = ENDPOINT_WINDOW_S / rate
        self._steady = steady
        self._most: dict[str, int] = {}
        self._sent: dict[str, deque[float]] = {}
        self._paused: dict[str, float] = {}

    async def acquire(self, endpoint: str) -> None:
        """Return when a request to an endpoint (its path without `/v5/`) may be written."""
        while True:
            wait_s = self.take(endpoint)
            if not wait_s:
                return
            await asyncio.sleep(wait_s)  # until the oldest of the last second is older than that

    def take(self, endpoint: str) -> float:
        """Take one request; give 0, or the wall seconds until there may be one."""
        now_s = self._steady()
        if (paused_s := self._paused.get(endpoint, 0.0) - now_s) > 0.0:
            return paused_s
        most = self._most.get(endpoint)
        if most is None:
            return 0.0
        sent = self._sent.setdefault(endpoint, deque())
        while sent and sent[0] <= now_s - self._window_s:
            sent.popleft()
        if len(sent) >= most:
            return sent[0] + self._window_s - now_s
        sent.append(now_s)
        return 0.0

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """Take what the venue said of an endpoint: requests a second (0: nothing), wall seconds for which it takes no more."""
        if pause_s:
            self._paused[endpoint] = max(self._paused.get(endpoint, 0.0), self._steady() + pause_s)
        if limit:
            self._most[endpoint] = max(1, int(limit * self._share))
