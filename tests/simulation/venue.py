"""The paper venue without its server: core, desk, sockets, faults and front are the real ones, reached through the simulated network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

from services.venue.answers import AccountSpec, Answer, Item, PrivateEvent
from services.venue.board import Board
from services.venue.clock import VenueClock
from services.venue.core import VenueCore
from services.venue.desk import Desk
from services.venue.faults.catalogue import ACTIONS, CONNECT, PRIVATE, PUBLIC, TRADE
from services.venue.faults.core import Faults
from services.venue.faults.fault import Fault
from services.venue.faults.renumber import Renumbering
from services.venue.faults.specs import Spec
from services.venue.front import Front, Sockets
from services.venue.keys import ACCOUNT_UID, PAPER_KEYS, KeyRing
from services.venue.limits import EndpointLimits
from services.venue.mischief import Mischief
from services.venue.offer import linear_offer
from services.venue.pages import MarketPages
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.refusals import HttpRefusal
from services.venue.status_socket import StatusHub
from services.venue.trade_socket import TradeHub
from services.venue.upheaval import Upheaval
from tests.simulation import network
from tests.simulation.market import STEP_S, Walk
from tests.virtual.loop import ORIGIN_NS, VirtualLoop
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.runtime.clock import ClockReading
from undertow.runtime.metrics import Metrics

PULSE_S: Final = 0.01
OPENING_BALANCE: Final = Decimal(10_000)
CREATE: Final = "/v5/order/create"
ADDRESS: Final = "127.0.0.1"


class Watcher(Protocol):
    """Told what happens at the venue."""

    def order_arrives(self, body: Item, now_ns: int) -> None: ...
    def order_answered(self, body: Item, answer: Answer, now_ns: int) -> None: ...
    def venue_changed(self, events: Sequence[PrivateEvent], now_ns: int) -> None: ...
    def fault_struck(self, name: str) -> None: ...


class WatchedCore(VenueCore):
    """The venue's core, which tells somebody of each change."""

    watcher: Watcher

    def post(self, uid: str, path: str, body: Item, now_ns: int) -> Answer:
        if path != CREATE:
            return super().post(uid, path, body, now_ns)
        self.watcher.order_arrives(body, now_ns)
        answer = super().post(uid, path, body, now_ns)
        self.watcher.order_answered(body, answer, now_ns)
        return answer

    def _drained(self, now_ns: int) -> list[PrivateEvent]:
        events = super()._drained(now_ns)
        self.watcher.venue_changed(events, now_ns)
        return events

    @property
    def account(self) -> Any:
        """The one account."""
        return self._accounts[ACCOUNT_UID]


class WatchedFaults(Faults):
    """The venue's faults, which tell somebody of each hit."""

    watcher: Watcher

    def _count(self, fault: Fault) -> None:
        super()._count(fault)
        self.watcher.fault_struck(fault.name)


class SimulatedVenue:
    """The venue and its market.

    Args:
        loop: virtual time.
        watcher: told of what happens.
        symbols: contracts.
        chances: gives the chance of a channel.
        survived: takes errors of the venue's own.
        latency_ns: between an order's arrival and its effect.
        funding_s: after so many seconds funding is paid; 0 for never.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        watcher: Watcher,
        symbols: Sequence[str],
        chances: Callable[[str], random.Random],
        survived: Callable[..., None],
        latency_ns: int,
        funding_s: float,
    ) -> None:
        self.loop = loop
        self.clock = VenueClock(ORIGIN_NS, 1.0, loop.wall_ns, loop.wall_ns)
        self.clock.reading = ClockReading(ORIGIN_NS, ORIGIN_NS, 1.0)
        self.clock.set(self.clock.reading)
        instruments, tiers = instruments_for(symbols), risk_tiers_for(symbols)
        spec = AccountSpec(uid=ACCOUNT_UID, opening_balance=OPENING_BALANCE)
        self.core = WatchedCore(instruments, tiers, [spec], order_latency_ns=latency_ns, opened_ns=ORIGIN_NS)
        self.core.watcher = watcher
        self.faults = WatchedFaults()
        self.faults.watcher = watcher
        ring = KeyRing(PAPER_KEYS)
        self.mischief = Mischief(self.faults, self.clock, ring, Metrics("venue", "paper"), survived)
        self._board = board = Board(symbols, 200)
        public = PublicHub(board, linear_offer(200, ("1",), self.core.price_limits), self.mischief)
        self.private = PrivateHub(ring, self.clock, self.mischief)
        desk = Desk(self.core, self.clock, EndpointLimits({}), self.private.publish)
        self.trade = TradeHub(desk, ring, self.clock, None, self.mischief, survived)
        status = StatusHub(self.clock, self.mischief)
        hubs = {PUBLIC: (public,), PRIVATE: (self.private,), TRADE: (self.trade,)}
        self._upheaval = Upheaval(self.mischief, self.clock, self.core, board, Renumbering(), hubs, public, status)
        pages = MarketPages(board, instruments, tiers, self.core.price_limits)
        sockets = Sockets(public, public, self.private, self.trade, status)
        self._front = Front(self.clock, pages, desk, ring, sockets, None, self.mischief, survived)
        funding_ms = ORIGIN_NS // 1_000_000 + round(funding_s * 1000) if funding_s else 0
        self.walks = {symbol: Walk(symbol, chances(f"market {symbol}"), funding_ms) for symbol in symbols}
        self._frames_at_s = 0.0

    async def run(self) -> None:
        """Let the market go on and time pass."""
        while True:
            now_ns = self.clock.now_ns()
            self._upheaval.tick(now_ns)
            if self.loop.time() >= self._frames_at_s:
                self._frames_at_s = self.loop.time() + STEP_S
                for walk in self.walks.values():
                    frames = walk.frames(now_ns // 1_000_000)
                    self._board.saw(frames[-1])  # the mark, all that is asked of the pages
                    for raw in frames:
                        self.tell(self.core.on_frame(raw, now_ns))
            else:
                self.tell(self.core.on_time(now_ns))
            await asyncio.sleep(PULSE_S)

    def tell(self, events: Sequence[PrivateEvent]) -> None:
        """Push to the private sockets."""
        if events:
            self.private.publish(events)

    async def answer(self, request: network.Sent) -> network.Answer:
        """Answer a REST request."""
        response = await self._front.rest(request)  # type: ignore[arg-type]  # it asks no more of it than this
        return network.Answer(response.status, response.body or b"", response.headers)  # type: ignore[arg-type]

    async def join(self, path: str, transport: network.Transport) -> Any:
        """Open a session, unless a fault has it otherwise.

        Raises:
            ConnectionError: it was refused.
        """
        where, hub = (PRIVATE, self.private) if path.endswith("private") else (TRADE, self.trade)
        fault = self.mischief.on_request(where, CONNECT, address=ADDRESS)
        try:
            if fault is not None:
                await self.mischief.serve(fault, transport, _admitted, int)  # type: ignore[arg-type]
        except HttpRefusal as refusal:
            raise ConnectionError(refusal.text) from None
        return hub.join(ADDRESS)

    def misbehave(self, action: str, **given: Any) -> str:
        """Add a fault from now on; give its name."""
        values = {name: given.pop(name, kind.default) for name, kind in ACTIONS[action].values.items()}
        (fault,) = self.faults.add([Spec(action=action, values=values, **given)], self.clock.now_ns())
        return fault.name


async def _admitted() -> Callable[[], None]:
    return lambda: None
