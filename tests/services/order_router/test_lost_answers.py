"""Every answer to an order request is lost after its acceptance, and the order surfaces late: the router on the real paper venue's core,
in virtual time.

The venue takes a request's order within its receive window, so an entry surfaces within a second of its signature and an exit within
4.9 s. The harsher case lets entries surface as late as exits, which the venue promises not to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.order_router import events
from services.order_router.settings import Settings
from services.venue.answers import AccountSpec, PrivateEvent
from services.venue.board import Board
from services.venue.core import VenueCore
from services.venue.faults.core import Faults
from services.venue.faults.fault import Request
from services.venue.faults.specs import Spec
from services.venue.faults.verdicts import Performed
from services.venue.pages import MarketPages
from tests.fleet.shells import Ground, RouterShell
from tests.fleet.virtual import MS, SECOND, DirectHttp, Streams, Timeline, finished
from tests.services.order_router.rig import permit, signal
from undertow.contracts.messages.trading import TradeClosed
from undertow.domain.order import Side
from undertow.domain.time import NS_PER_MS
from undertow.exchange.bybit import parse
from undertow.exchange.bybit.http import ENTRY_WINDOW_MS, WINDOW_MS
from undertow.exchange.errors import OutcomeUnknownError
from undertow.exchange.models import OrderRequest
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.trading import effects as fx

UID = "u1"
MIDS = {"BTCUSDT": Decimal("60000.05"), "ETHUSDT": Decimal("3000.005")}
URL = "http://127.0.0.1:1"
TIME_OUT_NS = 3 * SECOND
ORIGIN_NS = 1_786_310_820 * SECOND
LOST = Spec("accept_silently", endpoint="order/create", values={"surface_ms": (0, 4_900)})


class Permits:
    """A guardian that permits."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def beat(self, _heartbeat: Any, then: Any) -> None:
        then(permit(self._timeline.now_ns()))


class DeafRouter(RouterShell):
    """A router that hears nothing of its order requests: the line is cut, or it waits until the time-out."""

    def __init__(self, ground: Ground, settings: Settings, faults: Faults, venue: LateVenue) -> None:
        super().__init__(ground, Permits(ground.timeline), settings)  # type: ignore[arg-type]
        self._faults, self._venue = faults, venue

    def _send(self, effect: fx.Send) -> None:
        request, ground = effect.request, self.ground
        self.sent.append(request.order_id)
        fault = self._faults.on_request(Request("rest", "order/create", uid=UID), ground.now_ns)
        assert fault is not None
        assert fault.performed is Performed.LATE
        self._venue.accept(request, fault.late_ns)
        self.perform(self.core.on_written(request.order_id, ground.now_ns, ground.now_ns))
        answer = events.answer_of(OutcomeUnknownError(0, "order.create was not answered"))
        wait_ns = TIME_OUT_NS if len(self.sent) % 2 else 2 * ground.latencies.answer_ns
        ground.timeline.after(
            wait_ns, lambda: self.perform(self.core.on_answer(request.order_id, answer, ground.now_ns))
        )


@dataclass
class LateVenue:
    """The venue's core, at which orders take effect late; `keeps_windows` False: also after their receive window."""

    core: VenueCore
    timeline: Timeline
    keeps_windows: bool
    tell: Any = None

    def accept(self, request: OrderRequest, late_ns: int) -> None:
        window_ms = WINDOW_MS if request.reduce_only else ENTRY_WINDOW_MS
        wait_ns = min(late_ns, window_ms * NS_PER_MS) if self.keeps_windows else late_ns
        self.timeline.after(wait_ns, lambda: self._surface(request))

    def _surface(self, request: OrderRequest) -> None:
        answer = self.core.post(UID, "/v5/order/create", parse.order_body(request), self.timeline.now_ns())
        self.tell(answer.events)


HURRIED = {"max_entries_per_symbol": 10_000, "max_entries_per_cascade": 10_000, "max_losses_in_row": 1_000}


class Story:
    """A router, a venue that answers no order, and a signal whenever a symbol is free."""

    def __init__(self, seed: int, *, keeps_windows: bool) -> None:
        symbols = tuple(MIDS)
        instruments, tiers = instruments_for(symbols), risk_tiers_for(symbols)
        self.timeline = timeline = Timeline(ORIGIN_NS)
        self.streams = Streams(timeline, MS)
        self.venue = VenueCore(instruments, tiers, [AccountSpec(UID, Decimal(100_000))], opened_ns=ORIGIN_NS)
        self.faults = Faults(seed)
        self.faults.add([LOST], ORIGIN_NS)
        late = LateVenue(self.venue, timeline, keeps_windows, self._tell)
        self.board = Board(symbols, 200)
        pages = MarketPages(self.board, instruments, tiers, self.venue.price_limits)
        http = DirectHttp(self.venue, pages, UID, timeline, self._tell)
        ground = Ground(timeline, self.streams, http, symbols)
        settings = Settings(
            bus={"url": "redis://127.0.0.1:1/0"}, guardian={"url": URL}, venue={"rest_url": URL}, risk=HURRIED
        )
        self.router = DeafRouter(ground, settings, self.faults, late)
        self.wants = True
        self.signals = 0
        self._updates = 0
        for symbol in symbols:
            self._show(symbol)
        self.router.start()
        timeline.every(100 * MS, self._trade)
        wallet = lambda: self.router.core.on_wallet(finished(http.wallet()), timeline.now_ns())  # noqa: E731 - there is no position_manager here
        timeline.every(10 * SECOND, wallet)
        timeline.every(20 * MS, lambda: self._tell(self.venue.on_time(timeline.now_ns())))

    def run(self, orders: int) -> None:
        """Let market time pass until so many orders were sent and all came to an end."""
        while len(self.router.sent) < orders or self.router.core.desk.live_trades():
            self.timeline.run(self.timeline.now_ns() + SECOND)
            self.wants = len(self.router.sent) < orders

    def _trade(self) -> None:
        core, now_ns = self.router.core, self.timeline.now_ns()
        for symbol, mid in MIDS.items():
            trade = core.desk.live_trade(symbol)
            if trade is None and self.wants and not core.why_not_able():
                self.signals += 1
                side = Side.BUY if self.signals % 3 else Side.SELL
                wish = signal(now_ns, signal_id=f"s{self.signals}", symbol=symbol, mid=mid, side=side, rest_ns=SECOND)
                self.router.perform(core.on_signal(wish, now_ns))
            elif trade is not None and core.desk.orders[trade.entry_id].open_qty and int(trade.plan.signal_id[1:]) % 4:
                price = core.desk.orders[trade.entry_id].request.price
                self._print(symbol, trade.side.opposite, price * (1 - trade.side.sign * Decimal("0.0002")))

    def _print(self, symbol: str, side: Side, price: Decimal) -> None:
        at_ms = self.timeline.now_ns() // MS
        one = {"T": at_ms, "s": symbol, "S": side, "v": "90.000", "p": f"{price:.1f}0", "i": str(at_ms)}
        self._frame(f"publicTrade.{symbol}", [one], "snapshot")
        self._show(symbol)

    def _show(self, symbol: str) -> None:
        self._updates += 1
        mid, half = MIDS[symbol], MIDS[symbol] % Decimal("0.1")
        levels = {"b": [[f"{mid - half:.2f}", "90.000"]], "a": [[f"{mid + half:.2f}", "90.000"]]}
        data = {"s": symbol, **levels, "u": self._updates + 1, "seq": self._updates * 10}
        self._frame(f"orderbook.200.{symbol}", data, "snapshot")
        prices = dict.fromkeys(("lastPrice", "markPrice", "indexPrice"), f"{mid - half:.2f}")
        self._frame(f"tickers.{symbol}", {"symbol": symbol, **prices}, "snapshot")

    def _frame(self, topic: str, data: Any, kind: str) -> None:
        now_ns = self.timeline.now_ns()
        raw = msgspec.json.encode({"topic": topic, "type": kind, "ts": now_ns // MS, "data": data, "cts": now_ns // MS})
        self.board.saw(raw)
        self._tell(self.venue.on_frame(raw, now_ns))

    def _tell(self, told: list[PrivateEvent]) -> None:
        for event in told:
            raw = msgspec.json.encode({"topic": event.topic, "data": event.data})
            self.timeline.after(MS, lambda raw=raw: self.router.on_private(raw))


@pytest.mark.parametrize("keeps_windows", [True, False])
@pytest.mark.parametrize("orders", [100, pytest.param(1_000, marks=pytest.mark.long)])
def test_every_order_whose_answer_was_lost_is_one_order(orders: int, keeps_windows: bool):
    story = Story(7, keeps_windows=keeps_windows)
    story.run(orders)
    sent = story.router.sent
    exits = sum(order_id.startswith("ex-") for order_id in sent)
    assert len(sent) >= orders
    assert exits > orders // 5
    assert story.faults.hits == {"accept_silently": len(sent)}
    assert len(set(sent)) == len(sent)
    assert story.venue.orders_accepted == len(sent)
    assert story.venue.duplicate_link_ids_refused == 0
    assert set(story.venue.ledger(UID)["positions"].values()) <= {"0", "0.000"}
    assert len(story.streams.messages(TradeClosed)) >= exits // 2
    assert {anomaly.kind for anomaly in story.router.anomalies} <= {"exit_refused", "impossible_transition"}
