"""A venue in virtual time that refuses or loses a part of its answers, and counts what reaches it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.services.guardian.test_app import ENTRY
from tests.services.position_manager.facts import position, wallet
from undertow.exchange.errors import (
    BannedError,
    OrderGoneError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
)
from undertow.exchange.models import OrderRequest

LIMIT = 10
"""Of creates, and of cancels, in any second."""
ANSWER_TIMEOUT_S = 1.5
LARGEST = Decimal(4)


class RoughVenue:
    """One account; each way to it meets the faults by itself.

    Args:
        trouble: the part of all requests that is refused with 10006, lost on its way, or answered in vain, a third each.
        now_s: virtual time.
    """

    def __init__(self, seed: int, trouble: float, now_s: Callable[[], float]) -> None:
        self.random = random.Random(seed)
        self.trouble = trouble
        self.now_s = now_s
        self.held = {"BTCUSDT": Decimal(3), "ETHUSDT": Decimal(-9)}
        self.resting = {f"entry-{n}": replace(ENTRY, order_id=f"entry-{n}") for n in range(3)}
        self.resting["stop"] = replace(ENTRY, order_id="stop", is_conditional=True)
        self.banned = False
        self.ids: set[str] = set()
        self.seen: dict[str, list[float]] = {"create": [], "cancel": [], "query": []}
        self.overshot = False
        self.flat_at: float | None = None

    async def met(self, kind: str, act: Callable[[], Any]) -> Any:
        """Let a request go there, and its answer come back."""
        fault = self.random.choice(("10006", "lost", "silent")) if self.random.random() < self.trouble else ""
        if fault != "lost":
            await asyncio.sleep(self.random.uniform(0.002, 0.03))
            self.seen[kind].append(self.now_s())
            if fault == "10006":
                reset_ns = int((self.now_s() + self.random.random()) * 1e9)
                raise RateLimitedError(10006, "Too many visits", reset_ns)
            answer = act()
            self._look_whether_flat()
        if fault:
            await asyncio.sleep(ANSWER_TIMEOUT_S)
            raise OutcomeUnknownError(0, "not answered")
        await asyncio.sleep(self.random.uniform(0.002, 0.03))
        return answer

    @property
    def is_bare(self) -> bool:
        """True when nothing is held and at most stops rest."""
        return not any(self.held.values()) and all(order.is_conditional for order in self.resting.values())

    def busiest(self, kind: str, window_s: float = 1.0) -> int:
        """Give the most requests of a kind in any window."""
        times = self.seen[kind]
        return max((sum(start <= each < start + window_s for each in times) for start in times), default=0)

    def create(self, request: OrderRequest) -> str:
        """Fill a reduce-only market order, or refuse it."""
        if request.order_id in self.ids:
            raise OutcomeUnknownError(110072, "OrderLinkedID is duplicate")
        if request.qty > LARGEST:
            raise OrderRefusedError(10001, "qty exceeds the largest market order")
        held = self.held[request.symbol]
        if not held or (held > 0) == (request.side.sign > 0):
            raise OrderRefusedError(110017, "Reduce-only rule not satisfied")
        self.ids.add(request.order_id)
        self.held[request.symbol] = held + min(abs(held), request.qty) * request.side.sign
        return "v"

    def cancel_all(self, *, stops_too: bool) -> int:
        """Cancel; a position's stop that goes before the position is noted."""
        self.overshot = self.overshot or (stops_too and any(self.held.values()))
        for order_id, order in list(self.resting.items()):
            if stops_too or not order.is_conditional:
                del self.resting[order_id]
        return 1

    def cancel(self, order_id: str) -> None:
        """Cancel one."""
        if self.resting.pop(order_id, None) is None:
            raise OrderGoneError(110001, "order not exists or too late to cancel")

    def _look_whether_flat(self) -> None:
        if self.flat_at is None and self.is_bare:
            self.flat_at = self.now_s()


class Http:
    """The guardian's HTTP connection."""

    def __init__(self, venue: RoughVenue) -> None:
        self.venue = venue

    async def _met(self, kind: str, act: Callable[[], Any]) -> Any:
        if self.venue.banned:
            raise BannedError(403, "access too frequent")
        return await self.venue.met(kind, act)

    async def positions(self):
        return await self._met(
            "query", lambda: [position(str(qty), symbol=each) for each, qty in self.venue.held.items() if qty]
        )

    async def open_orders(self):
        return await self._met("query", lambda: list(self.venue.resting.values()))

    async def wallet(self):
        return await self._met("query", lambda: wallet("10000"))

    async def ledger(self, *, since_ns):
        return await self._met("query", list)

    async def cancel_all(self, *, stops_too=True):
        return await self._met("cancel", lambda: self.venue.cancel_all(stops_too=stops_too))

    async def create_order(self, request):
        return await self._met("create", lambda: self.venue.create(request))

    async def cancel_order(self, _symbol, order_id):
        return await self._met("cancel", lambda: self.venue.cancel(order_id))


class Socket:
    """The guardian's trade socket: no ban reaches it."""

    def __init__(self, venue: RoughVenue) -> None:
        self.venue = venue

    async def create_order(self, request):
        return await self.venue.met("create", lambda: self.venue.create(request))

    async def cancel_order(self, _symbol, order_id):
        return await self.venue.met("cancel", lambda: self.venue.cancel(order_id))
