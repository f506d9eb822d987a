"""A tiny venue and a rig that runs a `RouterCore` against it in virtual time, with crashes between any two effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from services.order_router.core import RouterCore
from services.order_router.journal import MAGIC, frame, parse
from undertow.contracts.messages.decision import Signal
from undertow.contracts.messages.heartbeat import Permit
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderStatus, OrderType, Side, TimeInForce
from undertow.domain.state import TradingState
from undertow.exchange.models import OrderRequest, Touch, VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.trading.breaker import BreakerRules
from undertow.trading.effects import (
    Amend,
    Anomaly,
    Cancel,
    Decide,
    Effect,
    Journal,
    LookAtTouch,
    Lookup,
    Publish,
    Recover,
    Refresh,
    Send,
    SetStop,
    Sweep,
)
from undertow.trading.exit_plan import ExitRules
from undertow.trading.keeper import Accepted, Refused, Unknown
from undertow.trading.limits import Limits
from undertow.trading.records import AnyRecord
from undertow.trading.sizing import SizingRules

MS = 1_000_000
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ZERO = Decimal(0)
MARK = Decimal(50_000)
ENCODER = msgspec.msgpack.Encoder()

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base_coin="BTC",
    quote_coin="USDT",
    status="Trading",
    tick_size=Decimal("0.1"),
    min_price=Decimal("0.1"),
    max_price=Decimal(2_000_000),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_limit_qty=Decimal(1_000),
    max_market_qty=Decimal(100),
    min_notional=Decimal(5),
    max_leverage=Decimal(100),
    funding_interval_minutes=480,
    price_limit_ratio_x=Decimal("0.02"),
    price_limit_ratio_y=Decimal("0.04"),
)
LIMITS = Limits(
    max_symbol_fraction=Decimal("0.1"),
    max_gross_fraction=Decimal("0.4"),
    max_correlated_fraction=Decimal("0.3"),
    hard_notional=None,
    max_open_orders=10,
    max_orders_per_second=7,
    max_distance_bps=Decimal(50),
    max_mid_distance_bps=Decimal(100),
    max_signal_age_ns=250 * MS,
    max_event_age_ns=2 * SECOND,
    max_mark_age_ns=10 * SECOND,
    max_account_age_ns=30 * SECOND,
    account_lag_ns=10 * SECOND,
    max_margin_fraction=Decimal("0.8"),
    min_liquidation_buffer=Decimal("0.2"),
    max_drawdown=Decimal("0.1"),
    warn_drawdown=Decimal("0.05"),
    reduces_at_warning=False,
    max_losses_in_row=5,
    loss_pause_ns=60 * SECOND,
    cascade_ns=60 * SECOND,
    max_entries_per_cascade=60,
    max_entries_per_symbol=20,
    sessions=(),
)
BREAKER = BreakerRules(
    max_rejections=3,
    max_jump_bps=Decimal(300),
    residual_looks=3,
    money_epsilon=Decimal("0.001"),
    foreign_fills=True,
    window_ns=30 * SECOND,
    pause_ns=60 * SECOND,
)
SIZING = SizingRules(
    risk_per_trade=Decimal("0.001"),
    stop_bps=Decimal(150),
    symbol_fraction=Decimal("0.1"),
    gross_fraction=Decimal("0.4"),
    margin_fraction=Decimal("0.8"),
    leverage=Decimal(10),
    correlated_fraction=Decimal("0.3"),
)
WALLET = Wallet(
    coin="USDT", equity=Decimal(100_000), wallet=Decimal(100_000), available=Decimal(100_000), unrealised=ZERO
)


def signal(now_ns: int = START, *, signal_id: str = "s1", **changes: object) -> Signal:
    base = Signal(
        ts_event=now_ns,
        ts_recv=now_ns,
        signal_id=signal_id,
        symbol="BTCUSDT",
        source="model_server",
        side=Side.BUY,
        mid=Decimal(50_000),
        delta_bps=4.0,
        hold_ns=2 * SECOND,
        rest_ns=3 * SECOND,
        valid_until_ns=now_ns + 250 * MS,
        expected_bps=3.0,
        drawn_bps=2.0,
        fill_probability=0.5,
        size_hint=1.0,
        model_hash="m",
    )
    return msgspec.structs.replace(base, **changes)


def permit(now_ns: int, **changes: object) -> Permit:
    base = Permit(
        state=TradingState.ACTIVE, reason="", boot_id="boot", entries_permitted=True, valid_until_ns=now_ns + 2 * SECOND
    )
    return msgspec.structs.replace(base, **changes)


class FakeVenue:
    """Orders, one position, a stop; answers and events like the real one, fills when told to."""

    def __init__(self) -> None:
        self.now = START
        self.price = Decimal(49_990)
        self.orders: dict[str, VenueOrder] = {}
        self.by_link: dict[str, str] = {}
        self.executions: list[VenueExecution] = []
        self.unlisted = False
        self.qty = ZERO
        self.stop_loss = ZERO
        self.stop_order = ""
        self.takes_stops = True
        self.touch = Touch(Decimal("49989.9"), Decimal("49990.1"))
        self.created: list[str] = []
        self.duplicates = 0
        self.outbox: list[VenueOrder | VenueExecution | VenuePosition] = []
        self._ids = 0

    def create(self, request: OrderRequest) -> Accepted | Refused:
        if request.order_id in self.by_link:
            self.duplicates += 1
            return Refused(110072, "orderLinkId duplicate")
        if request.reduce_only and (self.qty == 0 or (self.qty > 0) == (request.side is Side.BUY)):
            return Refused(110017, "current position is zero, cannot fix reduce-only order qty")
        self.created.append(request.order_id)
        order = self._new(request)
        self._tell(order)
        takes = request.order_type is OrderType.MARKET or self._crosses(request)
        if takes and request.time_in_force is TimeInForce.POST_ONLY:
            self._end(order.venue_order_id, OrderStatus.CANCELLED, "EC_PostOnlyWillTakeLiquidity")
        elif takes or request.time_in_force is TimeInForce.IOC:
            qty = min(request.qty, abs(self.qty)) if request.reduce_only else request.qty
            if takes:
                self.fill(order.venue_order_id, qty, self.price)
            left = self.orders[order.venue_order_id]
            if left.status is not OrderStatus.FILLED:
                self._end(left.venue_order_id, OrderStatus.CANCELLED, "EC_NoImmediateQtyToFill")
        elif request.stop_loss:
            self.stop_loss = request.stop_loss
        return Accepted(order.venue_order_id)

    def _crosses(self, request: OrderRequest) -> bool:
        if request.order_type is OrderType.MARKET or not request.reduce_only:
            return False
        far = self.touch.bid if request.side is Side.SELL else self.touch.ask
        return (request.price - far) * request.side.sign >= 0

    def amend(self, order_id: str, price: Decimal) -> bool:
        order = self.find(order_id)
        if order is None or order.status.is_terminal:
            return False
        self._put(replace(order, price=price, updated_ns=self.now))
        return True

    def cancel(self, order_id: str) -> bool:
        order = self.find(order_id)
        if order is None or order.status.is_terminal:
            return False
        self._end(order.venue_order_id, OrderStatus.CANCELLED, "CancelByUser")
        return True

    def fill(self, venue_order_id: str, qty: Decimal, price: Decimal, *, link: bool = True) -> None:
        order = self.orders[venue_order_id]
        filled = order.filled_qty + qty
        status = OrderStatus.FILLED if filled == order.qty else OrderStatus.PARTIALLY_FILLED
        self.qty += qty * order.side.sign
        execution = VenueExecution(
            exec_id=f"x{len(self.executions) + 1}",
            order_id=order.order_id if link else "",
            venue_order_id=venue_order_id,
            symbol=order.symbol,
            side=order.side,
            exec_type="Trade",
            price=price,
            qty=qty,
            fee=qty * price * Decimal("0.0002"),
            fee_coin="USDT",
            is_maker=order.order_type is OrderType.LIMIT,
            executed_ns=self.now,
        )
        self.executions.append(execution)
        self.outbox.append(execution)
        self._put(replace(order, filled_qty=filled, status=status, updated_ns=self.now))
        if self.qty and not self.stop_order and self.stop_loss:
            self._rest_stop()
        if not self.qty and self.stop_order:
            stop, self.stop_order = self.stop_order, ""
            if not self.orders[stop].status.is_terminal:
                self._end(stop, OrderStatus.CANCELLED, "CancelByTpSlTsClear")
        self.outbox.append(self.position())

    def hit_stop(self) -> None:
        if self.stop_order and self.qty:
            self.orders[self.stop_order] = replace(self.orders[self.stop_order], qty=abs(self.qty))
            self.fill(self.stop_order, abs(self.qty), self.stop_loss)

    def set_stop(self, price: Decimal, trigger_by: str = "MarkPrice", *, by_hand: bool = False) -> None:
        """Set, move or (0) remove the position's stop; `takes_stops` False: our own requests change nothing."""
        if not self.qty or not (by_hand or self.takes_stops):
            return
        self.stop_loss = price
        if not price and self.stop_order:
            stop, self.stop_order = self.stop_order, ""
            self._end(stop, OrderStatus.CANCELLED, "CancelByUser")
        elif price and not self.stop_order:
            self._rest_stop()
        if price:
            moved = replace(self.orders[self.stop_order], trigger_price=price, trigger_by=trigger_by)
            self._put(replace(moved, updated_ns=self.now))
        self.outbox.append(self.position())

    def find(self, order_id: str) -> VenueOrder | None:
        return self.orders.get(self.by_link.get(order_id, ""))

    def open_orders(self) -> list[VenueOrder]:
        return [order for order in self.orders.values() if not order.status.is_terminal]

    def executions_of(self, order_id: str) -> list[VenueExecution]:
        return [execution for execution in self.listed() if execution.order_id == order_id]

    def listed(self) -> list[VenueExecution]:
        """Give what `execution/list` shows."""
        return [] if self.unlisted else list(self.executions)

    def position(self) -> VenuePosition:
        return VenuePosition(
            symbol="BTCUSDT",
            position_idx=0,
            qty=self.qty,
            entry_price=self.price,
            mark_price=self.price,
            liquidation_price=ZERO,
            unrealised=ZERO,
            stop_loss=self.stop_loss if self.qty else ZERO,
            leverage=Decimal(10),
            updated_ns=self.now,
        )

    def place_by_hand(self, side: Side, qty: Decimal, link: str = "hand-1") -> str:
        request = OrderRequest(
            order_id=link,
            symbol="BTCUSDT",
            side=side,
            order_type=OrderType.LIMIT,
            qty=qty,
            price=self.price,
            time_in_force=TimeInForce.GTC,
            reduce_only=False,
        )
        order = self._new(request)
        self._tell(order)
        return order.venue_order_id

    def _rest_stop(self) -> None:
        request = OrderRequest(
            order_id="",
            symbol="BTCUSDT",
            side=Side.SELL if self.qty > 0 else Side.BUY,
            order_type=OrderType.MARKET,
            qty=abs(self.qty),
            price=ZERO,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
        )
        order = replace(
            self._new(request), is_conditional=True, stop_order_type="StopLoss", trigger_price=self.stop_loss
        )
        order = replace(order, trigger_by="MarkPrice")
        self.stop_order = order.venue_order_id
        self._put(order)

    def _new(self, request: OrderRequest) -> VenueOrder:
        self._ids += 1
        order = VenueOrder(
            order_id=request.order_id,
            venue_order_id=f"v{self._ids}",
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            price=request.price,
            qty=request.qty,
            filled_qty=ZERO,
            average_price=ZERO,
            status=OrderStatus.NEW,
            is_conditional=False,
            trigger_price=ZERO,
            stop_order_type="",
            reduce_only=request.reduce_only,
            reject_reason="",
            cancel_type="",
            create_type="CreateByUser",
            created_ns=self.now,
            updated_ns=self.now,
        )
        self.orders[order.venue_order_id] = order
        if request.order_id:
            self.by_link[request.order_id] = order.venue_order_id
        return order

    def _end(self, venue_order_id: str, status: OrderStatus, reason: str) -> None:
        order = self.orders[venue_order_id]
        self._put(replace(order, status=status, updated_ns=self.now, cancel_type=reason))

    def _put(self, order: VenueOrder) -> None:
        self.orders[order.venue_order_id] = order
        self._tell(order)

    def _tell(self, order: VenueOrder) -> None:
        self.outbox.append(order)


class Crash(Exception):  # noqa: N818 - what it is
    """The process is gone."""


@dataclass
class Script:
    """What the market and the network do.

    Attributes:
        each_step: called before each step with the rig: fills, stops, losses.
        lose_answers: answers to order requests never come; the outcome is unknown.
        lose_requests: requests never reach the venue, and nobody knows.
        lose_events: this share of stream events is lost: every n-th.
        lose_executions: no execution comes by the stream.
        twice: every stream event comes twice.
        backwards: stream events of a step come in reverse.
    """

    each_step: Callable[[Rig], None] = lambda _rig: None
    lose_answers: bool = False
    lose_requests: bool = False
    lose_events: int = 0
    lose_executions: bool = False
    twice: bool = False
    backwards: bool = False


class Rig:
    """One router process after another, one disk, one venue, virtual time."""

    STEP = 50 * MS

    def __init__(
        self, script: Script | None = None, crash_at: frozenset[int] = frozenset(), exits: ExitRules | None = None
    ) -> None:
        self.script = script or Script()
        self.exits = exits
        self.venue = FakeVenue()
        self.disk = bytearray(MAGIC)
        self.now = START
        self.crash_at = crash_at
        self.performed = 0
        self.crashes = 0
        self.published: list[OrderChanged | Execution | TradeClosed] = []
        self.decided: list[Decide] = []
        self.anomalies: list[Anomaly] = []
        self.effects: list[Effect] = []
        self._events: list[Callable[[RouterCore], list[Effect]]] = []
        self._seen_events = 0
        self.core = self.new_core()

    def boot(self) -> None:
        """Start the process: replay, recover."""
        records, whole = parse(bytes(self.disk))
        del self.disk[whole:]
        self.core = self.new_core()
        self._events = []
        self.venue.outbox.clear()
        for record in records:
            self.published += self.core.replay(record)
        self.core.on_instrument(INSTRUMENT, self.now)
        self.perform(self.core.restarted(self.now))
        self.perform(self.core.on_feed_up(self.now))
        self.core.on_permit(permit(self.now), self.now)
        self.perform(self.core.on_mark("BTCUSDT", MARK, self.now, self.now))

    def new_core(self) -> RouterCore:
        return RouterCore("boot", LIMITS, SIZING, BREAKER, exits=self.exits)

    def records(self) -> list[AnyRecord]:
        return parse(bytes(self.disk))[0]

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._maybe_crash()
            self.effects.append(effect)
            match effect:
                case Journal(record):
                    self.disk += frame(ENCODER.encode(record))
                case Send(request):
                    assert request.order_id.encode() in self.disk, "sent before it was journalled"
                    self._send(request)
                case Cancel(_, order_id):
                    is_gone = not self.venue.cancel(order_id)
                    self._later(lambda core, o=order_id, g=is_gone: core.on_cancel_answer(o, self.now, is_gone=g))
                case Amend(_, order_id, price):
                    if not self.venue.amend(order_id, price):
                        self._later(lambda core, o=order_id: core.on_cancel_answer(o, self.now, is_gone=True))
                case LookAtTouch(symbol):
                    self._later(lambda core, s=symbol: core.on_touch(s, self.venue.touch, self.now))
                case Lookup(_, order_id, _):
                    self._look_up(order_id)
                case Refresh(symbol, _):
                    self._later(
                        lambda core, s=symbol: core.on_refreshed(
                            s,
                            self.venue.position() if self.venue.qty else None,
                            self.venue.listed(),
                            self.now,
                        )
                    )
                case Sweep(_):
                    self._later(lambda core: core.on_swept(self.venue.listed(), self.now))
                case Recover(_):
                    self._later(self._recover)
                case SetStop(symbol, stop_loss):
                    self.venue.set_stop(stop_loss)
                    self._later(lambda core, s=symbol: core.on_stop_set(s, self.now))
                case Publish(message):
                    self.published.append(message)
                case Decide():
                    self.decided.append(effect)
                case Anomaly():
                    self.anomalies.append(effect)
        self._maybe_crash()

    def step(self) -> None:
        """50 ms of market time, in which the process may die and come back."""
        self.now += self.STEP
        self.venue.now = self.now
        self.script.each_step(self)
        try:
            self._deliver()
            due = self.core.next_due_ns()
            if due is not None and due <= self.now:
                self.perform(self.core.on_time(self.now))
            self.core.on_permit(permit(self.now), self.now)
            self.perform(self.core.on_mark("BTCUSDT", MARK, self.now, self.now))
        except Crash:
            self.restart()

    def restart(self) -> None:
        """Die and boot until a boot survives."""
        self.crashes += 1
        while True:
            try:
                self.boot()
            except Crash:
                self.crashes += 1
            else:
                return

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * SECOND) // self.STEP):
            self.step()

    def signal(self, wish: Signal) -> None:
        try:
            self.perform(self.core.on_signal(wish, self.now, cause=("signals:1",)))
        except Crash:
            self.restart()

    def do(self, effects: list[Effect]) -> None:
        try:
            self.perform(effects)
        except Crash:
            self.restart()

    def _send(self, request: OrderRequest) -> None:
        self._later(lambda core: core.on_written(request.order_id, self.now, 123))
        if self.script.lose_requests:
            self._later(lambda core: core.on_answer(request.order_id, Unknown("time-out"), self.now))
            return
        answer = self.venue.create(request)
        known = Unknown("time-out") if self.script.lose_answers else answer
        self._later(lambda core: core.on_answer(request.order_id, known, self.now))

    def _look_up(self, order_id: str) -> None:
        asked = self.now
        self._later(
            lambda core: core.on_lookup(
                order_id, self.venue.find(order_id), self.venue.executions_of(order_id), asked, self.now
            )
        )

    def _recover(self, core: RouterCore) -> list[Effect]:
        positions = [self.venue.position()] if self.venue.qty else []
        return core.on_recovered(self.venue.open_orders(), list(self.venue.executions), positions, WALLET, self.now)

    def _later(self, event: Callable[[RouterCore], list[Effect]]) -> None:
        self._events.append(event)

    def _deliver(self) -> None:
        facts, self.venue.outbox = self.venue.outbox, []
        if self.script.backwards:
            facts.reverse()
        events, self._events = self._events, []
        for fact in facts:
            self._seen_events += 1
            if self.script.lose_events and self._seen_events % self.script.lose_events == 0:
                continue
            if self.script.lose_executions and isinstance(fact, VenueExecution):
                continue
            for _ in range(1 + self.script.twice):
                self.perform(self._fold(fact))
        for event in events:
            self.perform(event(self.core))

    def _fold(self, fact: VenueOrder | VenueExecution | VenuePosition) -> list[Effect]:
        match fact:
            case VenueOrder():
                return self.core.on_order(fact, self.now)
            case VenueExecution():
                return self.core.on_execution(fact, self.now)
            case VenuePosition():
                return self.core.on_position(fact, self.now)

    def _maybe_crash(self) -> None:
        self.performed += 1
        if self.performed in self.crash_at:
            raise Crash
