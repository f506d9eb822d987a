"""The keeper drives every live trade to flat: cancels, exits, look-ups, the stop's confirmation. Pure: events in, effects out.

The rule for an unknown outcome: never send again. Look the id up until it is found, or until a look-up that began after the
signature's end (signed + recv_window + 1 s) found it in no list; until then its full quantity counts as exposure.
An exit gets a new number only after the one before is over. Timers live here, not in the journal: after a restart every working
order is looked up, and what was due is due at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from undertow.domain.execution import FORCED
from undertow.domain.instrument import TRADING, Instrument
from undertow.domain.order import OrderRole, OrderStatus, Side
from undertow.domain.time import NS_PER_MS
from undertow.exchange.models import OrderRequest, Touch, VenueExecution, VenueOrder, VenuePosition
from undertow.trading.desk import Desk
from undertow.trading.effects import (
    Amend,
    Anomaly,
    Cancel,
    Effect,
    Journal,
    LookAtTouch,
    Lookup,
    Publish,
    Refresh,
    Send,
    SetStop,
)
from undertow.trading.exit_plan import ExitRules, Improve, Leg, Look, Place, Situation, Step, Withdraw, next_step
from undertow.trading.orders import OwnOrder, order_changed, order_id_for
from undertow.trading.reconcile import Action, compare_orders, compare_positions
from undertow.trading.records import (
    AnyRecord,
    EntrySubmitted,
    ExecutionSeen,
    ExitAsked,
    ExitSubmitted,
    OrderSeen,
    OrderSettled,
    Outcome,
    Plan,
    TradeEnded,
)
from undertow.trading.stop_watch import StopWatch
from undertow.trading.trade import Entering, Exiting, Holding, Trade

_SECOND: Final = 1_000_000_000
_ZERO: Final = Decimal(0)
_NEVER: Final = 2**63

DUPLICATE_ORDER_ID: Final = 110072
REDUCE_ONLY_IMPOSSIBLE: Final = 110017


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient the keeper is; market ns."""

    entry_recv_window_ns: int = 1 * _SECOND
    exit_recv_window_ns: int = 5 * _SECOND
    signature_slack_ns: int = 1 * _SECOND
    lookup_every_ns: int = 250 * NS_PER_MS
    silence_ns: int = 2 * _SECOND  # an order of which nothing is heard for so long is looked up
    cancel_every_ns: int = 1 * _SECOND
    cancel_grace_ns: int = 500 * NS_PER_MS  # the exit waits so long for the entry's cancel
    exit_retry_ns: int = 250 * NS_PER_MS  # doubles with each refused exit
    exit_retry_most_ns: int = 5 * _SECOND
    touch_fresh_ns: int = 250 * NS_PER_MS  # best prices older than this are asked for again
    refresh_every_ns: int = 500 * NS_PER_MS
    refreshes_before_gone: int = 8
    disagreement_ns: int = 2 * _SECOND  # positions that differ for so long are refreshed
    stop_wait_ns: int = 500 * NS_PER_MS  # a fill whose stop is not confirmed gets one set; again after as long
    stop_missing_ns: int = 2 * _SECOND  # a position whose stop is missing for so long is closed
    position_silence_ns: int = 5 * _SECOND  # a held position of which nothing is heard for so long is asked for
    deaf_silence_ns: int = 250 * NS_PER_MS  # the same while the private stream is down
    unlisted_ns: int = 30 * _SECOND  # a fill whose execution no list has for so long is given up
    lookback_ns: int = 10 * _SECOND  # clocks differ: executions are asked for from so long before


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue took the request."""

    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue, or our own transport before anything was written, said no."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or one that says nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeverSent:
    """Its deadline passed before anything was written."""

    reason: str


Answer = Accepted | Refused | Unknown | NeverSent


@dataclass(slots=True)
class _OrderWatch:
    signed_ns: int | None = None  # latest time at which it can have been signed; None while it is not known
    look_at_ns: int = 0
    is_looked_up: bool = False
    cancel_at_ns: int = 0
    cancel_first_ns: int = 0
    lacks_since_ns: int = 0  # over by the venue's word, and a fill of it is in no list


@dataclass(slots=True)
class _TradeWatch:
    stop: StopWatch = field(default_factory=StopWatch)
    heard_ns: int = 0  # of the position
    exit_at_ns: int = 0
    exit_is_blocked: bool = False  # the venue says there is nothing to reduce: find out first
    refused_exits: int = 0
    touch: Touch | None = None
    touch_ns: int = 0
    touch_at_ns: int = 0  # not asked for before
    touch_is_asked: bool = False
    step_at_ns: int = 0  # of the exit: when time alone changes what is to be done; 0: at once
    refresh_at_ns: int = 0
    is_refreshed: bool = False
    refreshes_flat: int = 0
    venue_qty: Decimal | None = None
    differs_since_ns: int = 0


class Keeper:
    """Drives the trades of a `Desk`.

    Attributes:
        is_deaf: True while the private stream is down, and positions must be asked for.
    """

    def __init__(self, desk: Desk, timing: Timing, exits: ExitRules) -> None:
        self.desk = desk
        self.is_deaf = False
        self._timing = timing
        self._exits = exits
        self._orders: dict[str, _OrderWatch] = {}
        self._trades: dict[str, _TradeWatch] = {}
        self._surfaced: dict[str, int] = {}  # orders of forgotten trades that rest after all: when to cancel next
        self._instruments: dict[str, Instrument] = {}

    def set_instrument(self, instrument: Instrument, now_ns: int) -> list[Effect]:
        """Use these filters for exits from now on; what is no longer traded is left while that can be done."""
        self._instruments[instrument.symbol] = instrument
        if instrument.status == TRADING:
            return []
        return self.ask_exit(f"{instrument.symbol} is {instrument.status}", now_ns, instrument.symbol)

    def open_trade(self, plan: Plan, request: OrderRequest, now_ns: int, not_after_ns: int) -> list[Effect]:
        """Submit an entry: the fact first, then the wire, and that no later than `not_after_ns`."""
        effects = self._record(EntrySubmitted(at_ns=now_ns, plan=plan, request=request))
        self._watch_sent(request.order_id, now_ns)
        return [*effects, Send(request, not_after_ns)]

    def on_written(self, order_id: str, now_ns: int, wall_ns: int) -> list[Effect]:
        """The request's bytes were handed to the socket: its signature is not younger than this."""
        order = self.desk.orders.get(order_id)
        if order is None:
            return []
        self._event_watch(order_id).signed_ns = now_ns
        trade = self.desk.trades[order.trade_id]
        return [Publish(order_changed(order, now_ns, trade.plan.cause, wall_ns))]

    def on_answer(self, order_id: str, answer: Answer, now_ns: int) -> list[Effect]:
        """The request was answered, or will not be."""
        order = self.desk.orders.get(order_id)
        if order is None:
            return [Anomaly("answer_to_nothing", "", order_id)]
        watch = self._event_watch(order_id)
        watch.signed_ns = watch.signed_ns if watch.signed_ns is not None else now_ns
        if isinstance(answer, Accepted):
            watch.look_at_ns = now_ns + self._timing.silence_ns
        match answer:
            case Accepted(venue_order_id) if order.status is OrderStatus.SUBMITTED:
                return self._record(
                    OrderSettled(
                        at_ns=now_ns, order_id=order_id, outcome=Outcome.ACCEPTED, venue_order_id=venue_order_id
                    )
                )
            case Refused(code, reason) if code != DUPLICATE_ORDER_ID and order.status is OrderStatus.SUBMITTED:
                return self._refused(order, code, reason, now_ns)
            case NeverSent(reason) if order.status is OrderStatus.SUBMITTED:
                return self._never_sent(order, reason, now_ns)
            case Refused() | Unknown() if not order.is_settled:
                return self._look_up(order, now_ns)
            case _:
                return []

    def on_cancel_answer(self, order_id: str, now_ns: int, *, is_gone: bool) -> list[Effect]:
        """A cancel was answered; `is_gone`: the venue has no such open order, so find out what became of it."""
        order = self.desk.orders.get(order_id)
        if order is None or order.is_settled or not is_gone:
            return []
        if order_id in self._surfaced:
            del self._surfaced[order_id]
            return []
        return self._look_up(order, now_ns)

    def on_order(self, fact: VenueOrder, now_ns: int) -> list[Effect]:
        """The venue's word about an order, by stream or by look-up."""
        if fact.stop_order_type and (guarded := self.desk.live_trade(fact.symbol)) is not None:
            self._trade_watch(guarded).stop.on_order(fact)
        if not self.desk.is_news(fact):
            return []
        owner = self.desk.owner_of_order(fact)
        if owner.role is OrderRole.STOP and not owner.trade_id:
            return []  # the venue clears away the stop of a trade that is over
        effects: list[Effect] = []
        if owner.role is OrderRole.FOREIGN and owner.order_id not in self.desk.orders:
            words = f"{fact.side} {fact.qty} {fact.status}, id {owner.order_id}"
            kind = "surfaced_order" if self.desk.knows_order(owner.order_id) else "foreign_order"
            effects.append(Anomaly(kind, fact.symbol, words))
        effects += self._record(
            OrderSeen(at_ns=now_ns, order_id=owner.order_id, trade_id=owner.trade_id, role=owner.role, fact=fact)
        )
        self._heard_of(owner.order_id, now_ns)
        if owner.role is OrderRole.FOREIGN:
            effects += self._cancel_surfaced(now_ns)
        return [*effects, *self._advance(owner.trade_id, now_ns)]

    def on_execution(self, fact: VenueExecution, now_ns: int) -> list[Effect]:
        """A fill or a cash event, once per `exec_id`."""
        if self.desk.knows_execution(fact.exec_id):
            return []
        owner = self.desk.owner_of_execution(fact)
        effects: list[Effect] = []
        if fact.moves_position and owner.role is OrderRole.FOREIGN:
            words = f"{fact.exec_type} {fact.side} {fact.qty} at {fact.price}, order {owner.order_id}"
            kind = "forced_execution" if fact.exec_type in FORCED else "foreign_execution"
            effects.append(Anomaly(kind, fact.symbol, words))
        effects += self._record(
            ExecutionSeen(at_ns=now_ns, order_id=owner.order_id, trade_id=owner.trade_id, role=owner.role, fact=fact)
        )
        if fact.moves_position:
            self._heard_of(owner.order_id, now_ns)
        return [*effects, *self._advance(owner.trade_id, now_ns)]

    def on_position(self, fact: VenuePosition, now_ns: int) -> list[Effect]:
        """The venue's word about a position: is its stop there, does its size agree."""
        trade = self.desk.live_trade(fact.symbol)
        if trade is None:
            return []
        self._heard_position(trade, fact, now_ns)
        return self._advance(trade.plan.trade_id, now_ns)

    def on_stop_set(self, symbol: str, now_ns: int) -> list[Effect]:
        """The venue accepted the stop that was missing: see whether the position has it."""
        trade = self.desk.live_trade(symbol)
        if trade is None or not self._trade_watch(trade).stop.missing_since_ns:
            return []
        self._trade_watch(trade).refresh_at_ns = now_ns  # also when one is under way: it may have been asked before
        return self._refresh(trade, now_ns)

    def on_touch(self, symbol: str, touch: Touch | None, now_ns: int) -> list[Effect]:
        """The best prices that were asked for; None: they could not be had."""
        trade = self.desk.live_trade(symbol)
        if trade is None:
            return []
        watch = self._trade_watch(trade)
        watch.touch_is_asked, watch.touch = False, touch
        watch.touch_ns = now_ns if touch is not None else 0
        watch.touch_at_ns = now_ns if touch is not None else now_ns + self._timing.exit_retry_ns
        return self._advance(trade.plan.trade_id, now_ns)

    def on_lookup(
        self,
        order_id: str,
        found: VenueOrder | None,
        executions: Sequence[VenueExecution],
        asked_ns: int,
        now_ns: int,
    ) -> list[Effect]:
        """A look-up that began at `asked_ns` was answered."""
        watch = self._event_watch(order_id)
        watch.is_looked_up = False
        watch.look_at_ns = now_ns + self._timing.lookup_every_ns
        effects: list[Effect] = []
        for execution in executions:
            effects += self.on_execution(execution, now_ns)
        if found is not None:
            effects += self.on_order(found, now_ns)
        order = self.desk.orders.get(order_id)
        if order is None:
            return effects
        if order.status.is_terminal:
            return [*effects, *self._give_up_unlisted(order, asked_ns, now_ns)]
        if found is not None:
            watch.look_at_ns = now_ns + self._timing.silence_ns
            return effects
        end = self._signature_end_ns(order)
        if executions or end is None or asked_ns <= end:
            return effects
        outcome = Outcome.NEVER_ARRIVED if order.status is OrderStatus.SUBMITTED else Outcome.GONE
        if outcome is Outcome.GONE:
            effects.append(Anomaly("order_gone", order.request.symbol, f"{order_id} was {order.status}"))
        effects += self._record(
            OrderSettled(at_ns=now_ns, order_id=order_id, outcome=outcome, reason=f"{outcome} by look-up")
        )
        return [*effects, *self._advance(order.trade_id, now_ns)]

    def on_lookup_failed(self, order_id: str, now_ns: int) -> list[Effect]:
        """A look-up could not be answered; try again later."""
        watch = self._event_watch(order_id)
        watch.is_looked_up = False
        watch.look_at_ns = now_ns + self._timing.lookup_every_ns
        return []

    def on_refreshed(
        self, symbol: str, position: VenuePosition | None, executions: Sequence[VenueExecution], now_ns: int
    ) -> list[Effect]:
        """The venue's position (None when flat) and executions arrived; what it has closed and cannot explain is given up."""
        effects: list[Effect] = []
        for execution in executions:
            effects += self.on_execution(execution, now_ns)
        for order in [each for live in self.desk.live_trades() for each in self._venue_orders(live)]:
            if order.request.symbol == symbol:
                effects += self._give_up_unlisted(order, now_ns, now_ns)
        trade = self.desk.live_trade(symbol)
        if trade is None:
            return effects
        watch = self._trade_watch(trade)
        watch.is_refreshed = False
        self._heard_position(trade, position, now_ns)
        held, qty = self.desk.held_qty(trade), position.qty if position is not None else _ZERO
        watch.exit_is_blocked = watch.exit_is_blocked and qty == 0 and bool(held)
        if held == qty:
            watch.differs_since_ns = watch.refresh_at_ns = watch.refreshes_flat = 0
            return [*effects, *self._advance(trade.plan.trade_id, now_ns)]
        watch.refresh_at_ns = now_ns + self._timing.refresh_every_ns
        working = any(not order.status.is_terminal for order in self._own_orders(trade))
        watch.refreshes_flat = watch.refreshes_flat + 1 if qty == 0 and held and not working else 0
        if watch.refreshes_flat < self._timing.refreshes_before_gone:
            return [*effects, *self._advance(trade.plan.trade_id, now_ns)]
        words = f"we hold {held} and no execution says where it went; the venue is flat"
        effects.append(Anomaly("position_gone", symbol, words))
        return [*effects, *self._end(trade, now_ns, "position gone")]

    def on_refresh_failed(self, symbol: str, now_ns: int) -> list[Effect]:
        """The venue did not say; try again later."""
        trade = self.desk.live_trade(symbol)
        if trade is not None:
            watch = self._trade_watch(trade)
            watch.is_refreshed = watch.exit_is_blocked = False
            watch.step_at_ns = 0
            watch.refresh_at_ns = now_ns + self._timing.refresh_every_ns
        return []

    def ask_exit(self, why: str, now_ns: int, symbol: str = "") -> list[Effect]:
        """Every live trade (of one symbol, or all) wants to be flat now."""
        effects: list[Effect] = []
        for trade in self.desk.live_trades():
            is_hurried = isinstance(trade.stage, Exiting) and not trade.stage.is_patient
            if symbol in ("", trade.plan.symbol) and not is_hurried:
                effects += self._record(ExitAsked(at_ns=now_ns, trade_id=trade.plan.trade_id, why=why))
                effects += self._advance(trade.plan.trade_id, now_ns)
        return effects

    def restarted(self, now_ns: int) -> list[Effect]:
        """The journal has been folded: whatever was signed was signed before now."""
        for order in self.desk.working_orders():
            self._order_watch(order.order_id).signed_ns = now_ns
        return self._cancel_surfaced(now_ns)

    def recovered(
        self,
        orders: Sequence[VenueOrder],
        executions: Sequence[VenueExecution],
        positions: Sequence[VenuePosition],
        now_ns: int,
    ) -> list[Effect]:
        """Two passes over the venue agreed: fold them in, then act on what still differs."""
        effects: list[Effect] = []
        for execution in executions:
            effects += self.on_execution(execution, now_ns)
        for difference in compare_orders(self.desk, orders):
            if difference.fact is not None:
                effects += self.on_order(difference.fact, now_ns)
            elif difference.action is Action.LOOK_UP:
                effects += self._look_up(self.desk.orders[difference.order_id], now_ns)
        for position in positions:
            effects += self.on_position(position, now_ns)
        for difference in compare_positions(self.desk, positions):
            trade = self.desk.live_trade(difference.symbol)
            if difference.action is Action.REFRESH and trade is not None:
                effects += self._refresh(trade, now_ns)
            else:
                effects.append(Anomaly("position_residual", difference.symbol, difference.detail))
        return [*effects, *self.on_time(now_ns)]

    def on_time(self, now_ns: int) -> list[Effect]:
        """Do whatever is due."""
        effects: list[Effect] = []
        for trade in self.desk.live_trades():
            effects += self._advance(trade.plan.trade_id, now_ns)
        return effects + self._cancel_surfaced(now_ns) if self._surfaced else effects

    def next_due_ns(self) -> int | None:
        """Give the earliest time at which `on_time` may have something to do; None when nothing is live."""
        due = [at_ns for trade in self.desk.live_trades() if (at_ns := self._trade_due_ns(trade)) is not None]
        return min((*due, *self._surfaced.values()), default=None)

    def _advance(self, trade_id: str, now_ns: int) -> list[Effect]:
        trade = self.desk.trades.get(trade_id)
        if trade is None or not trade.is_live:
            return []
        if self.desk.is_over(trade):
            return self._end(trade, now_ns, "")
        effects = self._watch_orders(trade, now_ns)
        effects += self._watch_position(trade, now_ns)
        match trade.stage:
            case Entering(cancel_at_ns) if now_ns >= cancel_at_ns:
                effects += self._cancel_entry(trade, now_ns)
            case Holding(exit_at_ns=exit_at_ns):
                effects += self._watch_stop(trade, now_ns)
                if why := self._why_leave(trade, exit_at_ns, now_ns):
                    is_patient = now_ns >= exit_at_ns
                    effects += self._record(ExitAsked(at_ns=now_ns, trade_id=trade_id, why=why, is_patient=is_patient))
                    effects += self._exit(self.desk.trades[trade_id], now_ns)
                elif now_ns >= trade.opened_ns + trade.plan.rest_ns:
                    effects += self._cancel_entry(trade, now_ns)
            case Exiting():
                effects += self._watch_stop(trade, now_ns)
                effects += self._exit(trade, now_ns)
            case _:
                pass
        return effects

    def _exit(self, trade: Trade, now_ns: int) -> list[Effect]:
        effects = self._cancel_entry(trade, now_ns) + self._step_exit(trade, now_ns)
        self._trade_watch(trade).step_at_ns = min(
            (at_ns for at_ns in self._exit_times(trade, now_ns) if at_ns > now_ns), default=_NEVER
        )
        return effects

    def _exit_times(self, trade: Trade, now_ns: int) -> Iterator[int]:
        # the times that matter to the exit; those that have passed have been seen to
        watch, stage, begin_ns = self._trade_watch(trade), trade.stage, self._exit_begin_ns(trade)
        if begin_ns is None or not isinstance(stage, Exiting):
            return
        yield from (begin_ns, watch.touch_at_ns, watch.stop.missing_since_ns + self._timing.stop_missing_ns)
        if stage.is_patient:
            yield from self._exits.turns_ns(stage.asked_ns, now_ns)
        if not watch.touch_is_asked:
            yield watch.touch_ns + self._timing.touch_fresh_ns
        for order in self._own_orders(self.desk.trades[trade.plan.trade_id]):
            asked = self._order_watch(order.order_id)
            if order.role is OrderRole.EXIT and order.open_qty and asked.cancel_first_ns:
                yield from (asked.cancel_at_ns, asked.cancel_first_ns + self._timing.cancel_grace_ns)

    def _step_exit(self, trade: Trade, now_ns: int) -> list[Effect]:
        working = self._working_exit(trade, now_ns)
        begin_ns = self._exit_begin_ns(trade)
        if begin_ns is None or (working is None and now_ns < begin_ns):
            return []
        watch, held = self._trade_watch(trade), self.desk.held_qty(trade)
        is_fresh = watch.touch_ns and now_ns < watch.touch_ns + self._timing.touch_fresh_ns
        situation = Situation(
            leg=self._leg(trade, now_ns),
            side=Side.SELL if held > 0 else Side.BUY,
            qty=abs(held),
            working=working.request if working is not None else None,
            touch=watch.touch if is_fresh else None,
            instrument=self._instruments.get(trade.plan.symbol),
        )
        return self._take_step(trade, next_step(self._exits, situation), working, situation.side, now_ns)

    def _take_step(self, trade: Trade, step: Step, working: OwnOrder | None, side: Side, now_ns: int) -> list[Effect]:
        watch, symbol = self._trade_watch(trade), trade.plan.symbol
        match step:
            case Place():
                return self._place_exit(trade, step, side, now_ns)
            case Withdraw() if working is not None:
                return self._cancel_order(working, now_ns)
            case Improve(price) if working is not None:
                watch.touch_ns = 0  # seen; the next word of the venue names the new price
                watch.touch_at_ns = now_ns + self._timing.touch_fresh_ns
                return [Amend(symbol, working.order_id, price)]
            case Look() if not watch.touch_is_asked and now_ns >= watch.touch_at_ns:
                watch.touch_is_asked = True
                return [LookAtTouch(symbol)]
            case _:
                return []

    def _place_exit(self, trade: Trade, step: Place, side: Side, now_ns: int) -> list[Effect]:
        self._trade_watch(trade).exit_at_ns = now_ns + self._timing.exit_retry_ns
        request = OrderRequest(
            order_id=order_id_for(trade.plan.signal_id, OrderRole.EXIT, trade.exits + 1),
            symbol=trade.plan.symbol,
            side=side,
            order_type=step.order_type,
            qty=step.qty,
            price=step.price,
            time_in_force=step.time_in_force,
            reduce_only=True,
            closes_all=step.closes_all,
        )
        effects = self._record(ExitSubmitted(at_ns=now_ns, trade_id=trade.plan.trade_id, request=request))
        self._watch_sent(request.order_id, now_ns)
        return [*effects, Send(request)]

    def _leg(self, trade: Trade, now_ns: int) -> Leg:
        stage, stop = trade.stage, self._trade_watch(trade).stop
        is_patient = isinstance(stage, Exiting) and stage.is_patient
        if not is_patient or (stop.missing_since_ns and now_ns >= stop.missing_since_ns + self._timing.stop_missing_ns):
            return Leg.MARKET
        return self._exits.leg(stage.asked_ns, now_ns) if isinstance(stage, Exiting) else Leg.MARKET

    def _exit_begin_ns(self, trade: Trade) -> int | None:
        # None: there is nothing to leave, or the venue says so and it is being found out
        entry, watch, stage = self.desk.orders[trade.entry_id], self._trade_watch(trade), trade.stage
        if not isinstance(stage, Exiting) or watch.exit_is_blocked or not self.desk.held_qty(trade):
            return None
        entry_ns = 0 if entry.status.is_terminal else stage.asked_ns + self._timing.cancel_grace_ns
        return max(entry_ns, watch.exit_at_ns)

    def _working_exit(self, trade: Trade, now_ns: int) -> OwnOrder | None:
        for order in self._own_orders(trade):
            if order.role is not OrderRole.EXIT or not order.open_qty:
                continue
            # both are reduce-only: a resting exit that does not go away holds no harder one back
            asked_ns = self._order_watch(order.order_id).cancel_first_ns
            if not asked_ns or now_ns < asked_ns + self._timing.cancel_grace_ns:
                return order
        return None

    def _cancel_entry(self, trade: Trade, now_ns: int) -> list[Effect]:
        return self._cancel_order(self.desk.orders[trade.entry_id], now_ns)

    def _cancel_order(self, order: OwnOrder, now_ns: int) -> list[Effect]:
        watch = self._order_watch(order.order_id)
        if order.status.is_terminal or now_ns < watch.cancel_at_ns:
            return []
        watch.cancel_first_ns = watch.cancel_first_ns or now_ns
        watch.cancel_at_ns = now_ns + self._timing.cancel_every_ns
        watch.look_at_ns = min(watch.look_at_ns, now_ns + self._timing.cancel_grace_ns)
        return [Cancel(order.request.symbol, order.order_id)]

    def _refused(self, order: OwnOrder, code: int, reason: str, now_ns: int) -> list[Effect]:
        words = f"{code}: {reason}"
        effects = self._record(
            OrderSettled(at_ns=now_ns, order_id=order.order_id, outcome=Outcome.REFUSED, reason=words)
        )
        trade = self.desk.trades[order.trade_id]
        if order.role is OrderRole.EXIT and trade.is_live:
            watch = self._trade_watch(trade)
            wait = min(self._timing.exit_retry_ns << min(watch.refused_exits, 10), self._timing.exit_retry_most_ns)
            watch.refused_exits += 1
            watch.exit_at_ns = now_ns + wait
            effects.append(Anomaly("exit_refused", order.request.symbol, words))
            if code == REDUCE_ONLY_IMPOSSIBLE:
                watch.exit_is_blocked = True
                effects += self._refresh(trade, now_ns)
        return [*effects, *self._advance(order.trade_id, now_ns)]

    def _never_sent(self, order: OwnOrder, reason: str, now_ns: int) -> list[Effect]:
        effects = self._record(
            OrderSettled(at_ns=now_ns, order_id=order.order_id, outcome=Outcome.NEVER_SENT, reason=reason)
        )
        effects.append(Anomaly("entry_too_late", order.request.symbol, f"{order.order_id}: {reason}"))
        return [*effects, *self._advance(order.trade_id, now_ns)]

    def _watch_orders(self, trade: Trade, now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        for order in self.desk.orders_of(trade):
            if order.role not in (OrderRole.ENTRY, OrderRole.EXIT) or order.is_settled:
                continue
            if order.order_id not in self._orders:  # of a trade that was over: signed long ago
                self._order_watch(order.order_id).signed_ns = now_ns
            watch = self._order_watch(order.order_id)
            if order.status.is_terminal:  # a fill is known whose execution is not
                watch.look_at_ns = min(watch.look_at_ns, now_ns + self._pause_ns(watch, now_ns))
            if now_ns >= watch.look_at_ns:
                effects += self._look_up(order, now_ns)
        return effects

    def _watch_position(self, trade: Trade, now_ns: int) -> list[Effect]:
        watch = self._trade_watch(trade)
        if watch.venue_qty is None or watch.venue_qty == self.desk.held_qty(trade):
            watch.differs_since_ns = 0
        elif not watch.differs_since_ns:
            watch.differs_since_ns = now_ns
        lacking = [order for order in self._venue_orders(trade) if not order.lacks_no_execution]
        for order in lacking:
            self._pause_ns(self._order_watch(order.order_id), now_ns)
        if lacking and not watch.refresh_at_ns:
            watch.refresh_at_ns = now_ns + self._timing.refresh_every_ns
        due_ns = self._refresh_due_ns(trade, watch)
        return self._refresh(trade, now_ns) if due_ns and now_ns >= due_ns else []

    def _refresh_due_ns(self, trade: Trade, watch: _TradeWatch) -> int:
        if watch.refresh_at_ns:
            return watch.refresh_at_ns
        due = []
        if watch.differs_since_ns:
            due.append(watch.differs_since_ns + self._timing.disagreement_ns)
        silence_ns = self._timing.deaf_silence_ns if self.is_deaf else self._timing.position_silence_ns
        match trade.stage:
            case Holding(first_fill_ns=begun_ns) | Exiting(asked_ns=begun_ns) if self.desk.held_qty(trade):
                due.append(max(watch.heard_ns, begun_ns) + silence_ns)
            case _:
                pass
        return min(due, default=0)

    def _heard_position(self, trade: Trade, fact: VenuePosition | None, now_ns: int) -> None:
        watch = self._trade_watch(trade)
        watch.heard_ns, watch.venue_qty = now_ns, fact.qty if fact is not None else _ZERO
        if fact is not None and fact.qty:
            watch.stop.on_position(fact)

    def _watch_stop(self, trade: Trade, now_ns: int) -> list[Effect]:
        stop, wanted = self._trade_watch(trade).stop, self.desk.orders[trade.entry_id].request.stop_loss
        if not wanted or not self.desk.held_qty(trade):
            return []
        wrong = stop.what_is_wrong(trade.side, wanted)
        is_news = bool(wrong) and stop.was_right and not stop.missing_since_ns
        stop.looked(now_ns, is_right=not wrong)
        if not wrong or now_ns < stop.ask_at_ns(self._timing.stop_wait_ns):
            return []
        stop.asked_ns = now_ns
        instrument = self._instruments.get(trade.plan.symbol)
        price = wanted if instrument is None else instrument.round_price(wanted, trade.side.opposite)
        asked: list[Effect] = [SetStop(trade.plan.symbol, price)]
        return [Anomaly("stop_missing", trade.plan.symbol, wrong), *asked] if is_news else asked

    def _why_leave(self, trade: Trade, exit_at_ns: int, now_ns: int) -> str:
        if now_ns >= exit_at_ns:
            return f"held {trade.plan.hold_ns / _SECOND:g} s"
        missing_ns = self._trade_watch(trade).stop.missing_since_ns
        is_bare = bool(missing_ns) and now_ns >= missing_ns + self._timing.stop_missing_ns
        return "the venue-side stop is not confirmed" if is_bare else ""

    def _refresh(self, trade: Trade, now_ns: int) -> list[Effect]:
        watch = self._trade_watch(trade)
        if watch.is_refreshed:
            return []
        watch.is_refreshed = True
        watch.refresh_at_ns = now_ns
        return [Refresh(trade.plan.symbol, trade.opened_ns - self._timing.lookback_ns)]

    def _look_up(self, order: OwnOrder, now_ns: int) -> list[Effect]:
        watch = self._order_watch(order.order_id)
        if watch.is_looked_up:
            return []
        watch.is_looked_up = True
        watch.look_at_ns = now_ns + self._timing.silence_ns
        return [Lookup(order.request.symbol, order.order_id, order.submitted_ns - self._timing.lookback_ns)]

    def _pause_ns(self, watch: _OrderWatch, now_ns: int) -> int:
        # lists lag behind the stream by moments: patience grows after that
        watch.lacks_since_ns = watch.lacks_since_ns or now_ns
        is_fresh = now_ns < watch.lacks_since_ns + self._timing.silence_ns
        return self._timing.lookup_every_ns if is_fresh else self._timing.silence_ns

    def _give_up_unlisted(self, order: OwnOrder, asked_ns: int, now_ns: int) -> list[Effect]:
        trade, watch = self.desk.trades.get(order.trade_id), self._event_watch(order.order_id)
        if trade is None or not trade.is_live or order.lacks_no_execution:
            return []
        watch.look_at_ns = now_ns + self._pause_ns(watch, now_ns)
        if asked_ns < watch.lacks_since_ns + self._timing.unlisted_ns:
            return []
        words = f"{order.order_id} filled {order.filled_qty}, and the lists have executions of {order.executed_qty}"
        effects: list[Effect] = [Anomaly("execution_unlisted", order.request.symbol, words)]
        effects += self._record(
            OrderSettled(at_ns=now_ns, order_id=order.order_id, outcome=Outcome.UNLISTED, reason="unlisted")
        )
        return [*effects, *self._advance(order.trade_id, now_ns)]

    def _cancel_surfaced(self, now_ns: int) -> list[Effect]:
        # only a venue that breaks its own receive window shows one; what it fills has no trade: the guardian's to close
        effects: list[Effect] = []
        resting = self.desk.surfaced_orders()
        self._surfaced = {order.order_id: self._surfaced.get(order.order_id, now_ns) for order in resting}
        for order in resting:
            if now_ns >= self._surfaced[order.order_id]:
                self._surfaced[order.order_id] = now_ns + self._timing.cancel_every_ns
                effects.append(Cancel(order.request.symbol, order.order_id))
        return effects

    def _end(self, trade: Trade, now_ns: int, why: str) -> list[Effect]:
        effects = self._record(TradeEnded(at_ns=now_ns, trade_id=trade.plan.trade_id, why=why))
        self._trades.pop(trade.plan.trade_id, None)
        for order_id in trade.order_ids:
            self._orders.pop(order_id, None)
        return effects

    def _record(self, record: AnyRecord) -> list[Effect]:
        folded = self.desk.fold(record)
        effects: list[Effect] = [Journal(record)]
        quiet = isinstance(record, EntrySubmitted | ExitSubmitted)  # told when it is written
        if not quiet:
            effects += [Publish(message) for message in folded.messages]
        symbol = self._symbol_of(record)
        return effects + [Anomaly("impossible_transition", symbol, words) for words in folded.anomalies]

    def _symbol_of(self, record: AnyRecord) -> str:
        if isinstance(record, OrderSeen | ExecutionSeen):
            return record.fact.symbol
        if isinstance(record, OrderSettled):
            return self.desk.orders[record.order_id].request.symbol
        return ""

    def _own_orders(self, trade: Trade) -> list[OwnOrder]:
        return [order for order in self.desk.orders_of(trade) if order.role in (OrderRole.ENTRY, OrderRole.EXIT)]

    def _venue_orders(self, trade: Trade) -> list[OwnOrder]:
        return [order for order in self.desk.orders_of(trade) if order.role not in (OrderRole.ENTRY, OrderRole.EXIT)]

    def _signature_end_ns(self, order: OwnOrder) -> int | None:
        signed_ns = self._order_watch(order.order_id).signed_ns
        if signed_ns is None:
            return None
        is_exit = order.request.reduce_only
        window = self._timing.exit_recv_window_ns if is_exit else self._timing.entry_recv_window_ns
        return signed_ns + window + self._timing.signature_slack_ns

    def _watch_sent(self, order_id: str, now_ns: int) -> None:
        self._order_watch(order_id).look_at_ns = now_ns + self._timing.silence_ns

    def _heard_of(self, order_id: str, now_ns: int) -> None:
        self._event_watch(order_id).look_at_ns = now_ns + self._timing.silence_ns

    def _order_watch(self, order_id: str) -> _OrderWatch:
        return self._orders.setdefault(order_id, _OrderWatch())

    def _event_watch(self, order_id: str) -> _OrderWatch:
        # an event about a trade that is over must not leave a watch behind
        return self._orders.get(order_id) or _OrderWatch()

    def _trade_watch(self, trade: Trade) -> _TradeWatch:
        return self._trades.setdefault(trade.plan.trade_id, _TradeWatch())

    def _trade_due_ns(self, trade: Trade) -> int | None:
        watch = self._trade_watch(trade)
        watches = [self._order_watch(order.order_id) for order in self._own_orders(trade) if not order.is_settled]
        due = [each.look_at_ns for each in watches if not each.is_looked_up]
        due += self._stage_due_ns(trade, watch)
        if (refresh_due_ns := self._refresh_due_ns(trade, watch)) and not watch.is_refreshed:
            due.append(refresh_due_ns)
        return min(due, default=None)

    def _stage_due_ns(self, trade: Trade, watch: _TradeWatch) -> list[int]:
        entry = self.desk.orders[trade.entry_id]
        cancel_at_ns = self._order_watch(trade.entry_id).cancel_at_ns
        may_fill = not entry.status.is_terminal
        due: list[int] = []
        match trade.stage:
            case Entering(cancel_at_ns=due_ns):
                due.append(max(due_ns, cancel_at_ns))
            case Holding(exit_at_ns=exit_at_ns):
                due.append(exit_at_ns)
                due += self._stop_due_ns(watch)
                if may_fill:
                    due.append(max(trade.opened_ns + trade.plan.rest_ns, cancel_at_ns))
            case Exiting():
                due += [*self._stop_due_ns(watch)[:1], watch.step_at_ns]
                if may_fill:
                    due.append(cancel_at_ns)
            case _:
                pass
        return due

    def _stop_due_ns(self, watch: _TradeWatch) -> list[int]:
        stop = watch.stop
        if not stop.missing_since_ns:
            return []
        return [stop.ask_at_ns(self._timing.stop_wait_ns), stop.missing_since_ns + self._timing.stop_missing_ns]
