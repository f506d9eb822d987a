"""The budget of one process that shares with nobody, or for the time being cannot ask the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from undertow.exchange.budget.bucket import Allowance, Bucket
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.limits import ADDRESS, ALONE_ENDPOINT_SHARE, ALONE_SHARE, ENDPOINT_WINDOW_S
from undertow.exchange.budget.ports import Priority
from undertow.runtime.clock import Clock


class LocalBudget(Circuit):
    """See `Budget`.

    Args:
        clock: whose rate makes market seconds of wall seconds.
        priority: how much of the address's part is kept back.
        share: of the address's limit.
        endpoint_share: of each endpoint's limit.
        steady: a clock that never jumps, s.
    """

    def __init__(
        self,
        clock: Clock,
        priority: Priority = Priority.ORDERS,
        *,
        share: float = ALONE_SHARE,
        endpoint_share: float = ALONE_ENDPOINT_SHARE,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock, steady)
        self._priority = priority
        self._endpoint_share = endpoint_share
        self._address = Bucket.full(ADDRESS.part(share), self._market_s())
        self._endpoints: dict[str, Bucket] = {}
        self._paused: dict[str, float] = {}

    async def acquire(self, endpoint: str) -> None:
        """See `Budget.acquire`."""
        while True:
            self.refuse_while_open()
            wait_s = self.take(endpoint)
            if not wait_s:
                return
            await asyncio.sleep(wait_s)

    def take(self, endpoint: str) -> float:
        """Take one request; give 0, or the wall seconds until there may be one."""
        wait_s = self.paused_for_s(endpoint)
        if wait_s:
            return wait_s
        now_s, bucket = self._market_s(), self._endpoints.get(endpoint)
        if bucket is not None:
            wait_s = bucket.take(now_s)
        if not wait_s:
            wait_s = self._address.take(now_s, kept=self._priority.value)
            if wait_s and bucket is not None:
                bucket.level += 1.0  # not used after all
        return wait_s / self._clock.rate

    def paused_for_s(self, endpoint: str) -> float:
        """Give the wall seconds for which the venue takes no more there."""
        return max(0.0, self._paused.get(endpoint, 0.0) - self._steady())

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """See `Budget.learn`."""
        if pause_s:
            self._paused[endpoint] = max(self._paused.get(endpoint, 0.0), self._steady() + pause_s)
        if not limit:
            return
        allowance = Allowance(limit * self._endpoint_share, ENDPOINT_WINDOW_S)
        known = self._endpoints.get(endpoint)
        if known is None or known.allowance != allowance:
            self._endpoints[endpoint] = Bucket.full(allowance, self._market_s())

    def _market_s(self) -> float:
        return self._steady() * self._clock.rate
