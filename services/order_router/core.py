"""What the order router decides: typed events in, effects out; no clock, no network, no journal.

Signals are sized, asked past the risk checks and handed to the keeper, which drives the trade to flat. The core adds what only the
router knows: permit, commands, account, readiness, and the audit of each decision. Its state is the fold over its journal plus what
the venue, the guardian and the bus say now.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.order_router.restraint import Restraint, funds_of
from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.messages.decision import Signal, Verdict
from undertow.contracts.messages.heartbeat import Permit
from undertow.contracts.messages.reference import InstrumentChanged, VenueStatus
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, TradeClosed
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderRole, OrderStatus, OrderType, TimeInForce
from undertow.domain.state import TradingState, most_severe
from undertow.exchange.models import (
    OrderRequest,
    Touch,
    VenueExecution,
    VenueOrder,
    VenuePosition,
    Wallet,
)
from undertow.trading.breaker import BreakerRules
from undertow.trading.desk import Desk
from undertow.trading.effects import Anomaly, Decide, Effect, Journal, Publish, Recover, Send
from undertow.trading.exit_plan import ExitRules
from undertow.trading.keeper import Answer, Keeper, Timing
from undertow.trading.limits import LimitError, Limits
from undertow.trading.orders import OwnOrder, order_changed, order_id_for, trade_id_for
from undertow.trading.reconcile import held_by_symbol
from undertow.trading.records import (
    AnyRecord,
    CapsCarried,
    Carried,
    CommandTaken,
    EntrySubmitted,
    ExecutionSeen,
    ExitAsked,
    ExitSubmitted,
    OrderSeen,
    OrderSettled,
    Plan,
    Published,
    TradeEnded,
    Tripped,
)
from undertow.trading.risk import AFTER_SIZING, BEFORE_SIZING, EntryWish, Refusal, first_refusal
from undertow.trading.sizing import Size, SizingRules, size_entry
from undertow.trading.sweep import Sweeps

_SECOND: Final = 1_000_000_000
_ZERO: Final = Decimal(0)
REMEMBERED_SIGNALS: Final = 5_000
REMEMBERED_COMMANDS: Final = 1_000
LONGEST_PERMIT_NS: Final = 2 * _SECOND
OLDEST_STATE_NS: Final = 10 * _SECOND
STATE_VERBS: Final = {
    Verb.REDUCE: TradingState.REDUCING,
    Verb.HALT: TradingState.HALTED,
}


class RouterCore:
    """The decisions of one router.

    Args:
        boot_id: of this process: a permit names it.
    """

    def __init__(
        self,
        boot_id: str,
        limits: Limits,
        sizing: SizingRules,
        breaker: BreakerRules,
        timing: Timing | None = None,
        exits: ExitRules | None = None,
    ) -> None:
        self.desk = Desk()
        self.keeper = Keeper(self.desk, timing or Timing(), exits or ExitRules())
        self._boot_id = boot_id
        self.restraint = Restraint(self.desk, limits, sizing, breaker)
        self._now_ns = 0
        self._instruments: dict[str, Instrument] = {}
        self._permit: Permit | None = None
        self._account_state = self._guardian_state = self._commanded = TradingState.ACTIVE
        self._paused: dict[str, str] = {}
        self._commands: OrderedDict[str, CommandTaken] = OrderedDict()
        self._denied: OrderedDict[str, None] = OrderedDict()
        self._sent_ns: deque[int] = deque()
        self._is_recovered = False
        self._sweeps = Sweeps()
        self._feed_is_up = False
        self._bus_is_up = True
        self._maintenance = ""

    # start

    def replay(self, record: AnyRecord) -> list[OrderChanged | Execution | TradeClosed]:
        """Fold one record of the journal; give the messages that it led to, to be published again."""
        if isinstance(record, CommandTaken):
            self._take(record)
            return []
        messages = self.desk.fold(record).messages
        self.restraint.replay(record, messages)
        return messages

    def compacted(self, records: Sequence[AnyRecord], now_ns: int, told_until: int = 0) -> list[AnyRecord]:
        """Give a shorter journal with the same state, for a core that has replayed `records`.

        Args:
            records: the whole journal.
            now_ns: market time.
            told_until: index before which everything has surely reached the bus; later trades are kept whole too.
        """
        kept_trades = {trade.plan.trade_id for trade in self.desk.live_trades()}
        kept_trades |= {self._trade_of(record) for record in records[told_until:]}
        changes = (taken for taken in self.restraint.changes() if taken.command_id not in self._commands)
        kept: list[AnyRecord] = [self.desk.carried(now_ns), *changes, *self._commands.values()]
        for index, record in enumerate(records):
            if isinstance(record, Carried | CommandTaken | Published | Tripped | CapsCarried):
                continue
            trade_id = self._trade_of(record)
            if (trade_id in kept_trades) if trade_id else index >= told_until:
                kept.append(record)
        return kept + self.restraint.compacted(now_ns)

    def restarted(self, now_ns: int) -> list[Effect]:
        """The journal has been folded."""
        return self.keeper.restarted(now_ns)

    # facts of the venue

    def on_feed_up(self, now_ns: int) -> list[Effect]:
        """The private stream is subscribed: fetch what happened meanwhile."""
        self._feed_is_up = True
        self._is_recovered = False
        return [Recover(self.recover_since_ns(now_ns))]

    def on_feed_down(self, reason: str) -> list[Effect]:
        """The private stream is gone: no entries until it is back and its gap is filled."""
        self._feed_is_up = self._is_recovered = False
        self.keeper.is_deaf = True
        return [Anomaly("feed_down", "", reason)]

    def recover_since_ns(self, now_ns: int) -> int:
        """Give the time from which executions may be unknown to us."""
        lookback = 60 * _SECOND
        known = self.desk.last_execution_ns or now_ns
        oldest = min((trade.opened_ns for trade in self.desk.live_trades()), default=now_ns)
        return min(known, oldest) - lookback

    def on_recovered(
        self,
        orders: Sequence[VenueOrder],
        executions: Sequence[VenueExecution],
        positions: Sequence[VenuePosition],
        wallet: Wallet,
        now_ns: int,
    ) -> list[Effect]:
        """Two passes over the venue agreed."""
        self._is_recovered = self._feed_is_up
        self.keeper.is_deaf = not self._feed_is_up
        self._sweeps.on_recovered(now_ns)
        effects: list[Effect] = [Anomaly("limit_not_restored", "", words) for words in self.restraint.unrestored]
        self.restraint.unrestored.clear()
        self.restraint.on_wallet(wallet, now_ns)
        effects += self.keeper.recovered(orders, executions, positions, now_ns)
        self.restraint.strangers.on_recovered(orders, positions)
        return self._counted(effects, now_ns)

    def strangers(
        self, orders: Sequence[VenueOrder], positions: Sequence[VenuePosition], executions: Sequence[VenueExecution]
    ) -> list[str]:
        """Name the orders and positions that are not ours, for a start that refuses them."""
        return self.restraint.strangers.found(orders, positions, executions)

    def on_order(self, fact: VenueOrder, now_ns: int) -> list[Effect]:
        """The venue's word about an order."""
        effects = self.keeper.on_order(fact, now_ns)
        self.restraint.strangers.on_order(fact)
        return self._counted(effects, now_ns)

    def on_execution(self, fact: VenueExecution, now_ns: int) -> list[Effect]:
        """A fill or a cash event."""
        return self._counted(self.keeper.on_execution(fact, now_ns), now_ns)

    def on_position(self, fact: VenuePosition, now_ns: int) -> list[Effect]:
        """The venue's word about a position."""
        self.restraint.strangers.on_position(fact.symbol, fact.qty)
        return self._counted(self.keeper.on_position(fact, now_ns), now_ns)

    def on_wallet(self, fact: Wallet, now_ns: int) -> list[Effect]:
        """The venue's word about money: it stands until position_manager speaks."""
        self.restraint.on_wallet(fact, now_ns)
        return []

    def on_written(self, order_id: str, now_ns: int, wall_ns: int) -> list[Effect]:
        """An order's bytes were handed to the socket."""
        return self.keeper.on_written(order_id, now_ns, wall_ns)

    def on_answer(self, order_id: str, answer: Answer, now_ns: int) -> list[Effect]:
        """An order request was answered, or will not be."""
        return self._counted(self.keeper.on_answer(order_id, answer, now_ns), now_ns)

    def on_cancel_answer(self, order_id: str, now_ns: int, *, is_gone: bool) -> list[Effect]:
        """A cancel was answered."""
        return self.keeper.on_cancel_answer(order_id, now_ns, is_gone=is_gone)

    def on_lookup(
        self,
        order_id: str,
        found: VenueOrder | None,
        executions: Sequence[VenueExecution],
        asked_ns: int,
        now_ns: int,
    ) -> list[Effect]:
        """A look-up was answered."""
        return self._counted(self.keeper.on_lookup(order_id, found, executions, asked_ns, now_ns), now_ns)

    def on_lookup_failed(self, order_id: str, now_ns: int) -> list[Effect]:
        """A look-up could not be answered."""
        return self.keeper.on_lookup_failed(order_id, now_ns)

    def on_refreshed(
        self, symbol: str, position: VenuePosition | None, executions: Sequence[VenueExecution], now_ns: int
    ) -> list[Effect]:
        """A symbol's position and executions arrived."""
        effects = self._counted(self.keeper.on_refreshed(symbol, position, executions, now_ns), now_ns)
        qty = position.qty if position is not None else _ZERO
        return effects + self.restraint.strangers.on_refreshed(symbol, qty, now_ns)

    def on_refresh_failed(self, symbol: str, now_ns: int) -> list[Effect]:
        """They did not."""
        return self.keeper.on_refresh_failed(symbol, now_ns)

    def on_swept(self, executions: Sequence[VenueExecution] | None, now_ns: int) -> list[Effect]:
        """The account's executions arrived, or did not (None): what no frame has told is booked."""
        self._sweeps.on_answered(now_ns, is_told=executions is not None)
        effects: list[Effect] = []
        for execution in executions or ():
            effects += self.on_execution(execution, now_ns)
        return effects

    def on_stop_set(self, symbol: str, now_ns: int) -> list[Effect]:
        """The venue took the stop that was missing."""
        return self.keeper.on_stop_set(symbol, now_ns)

    # facts of the fleet

    def on_touch(self, symbol: str, touch: Touch | None, now_ns: int) -> list[Effect]:
        """A symbol's best prices, or None where they could not be had."""
        return self._counted(self.keeper.on_touch(symbol, touch, now_ns), now_ns)

    def on_instrument(self, fact: InstrumentChanged | Instrument, now_ns: int) -> list[Effect]:
        """The filters of a contract, at start and at every change; one that is no longer traded is left."""
        if isinstance(fact, InstrumentChanged):
            fields = msgspec.structs.asdict(fact)
            fact = Instrument(**{name: fields[name] for name in Instrument.__dataclass_fields__})
        self._instruments[fact.symbol] = fact
        return self._counted(self.keeper.set_instrument(fact, now_ns), now_ns)

    def on_account(self, fact: Account, now_ns: int) -> list[Effect]:
        """Equity, free margin, drawdown and state as position_manager has them."""
        self._account_state = fact.state
        return self.restraint.on_account(fact, now_ns)

    def on_mark(self, symbol: str, price: Decimal, asked_ns: int, now_ns: int) -> list[Effect]:
        """The venue's mark price, asked for at `asked_ns`."""
        return self.restraint.on_mark(symbol, price, asked_ns, now_ns)

    def on_permit(self, permit: Permit, now_ns: int) -> list[Effect]:
        """The guardian's answer; HALTED cancels and flattens here too (what is reduce-only cannot do harm twice).

        A permit ends two seconds from now at the latest: the guardian's clock may be another machine's.
        """
        self._now_ns = now_ns
        if permit.boot_id != self._boot_id:
            return []
        valid_until_ns = min(permit.valid_until_ns, now_ns + LONGEST_PERMIT_NS)
        self._permit = msgspec.structs.replace(permit, valid_until_ns=valid_until_ns)
        self._guardian_state = permit.state
        if permit.state is TradingState.HALTED:
            return self._counted(self.keeper.ask_exit("the guardian has halted trading", now_ns), now_ns)
        return []

    def on_guardian_state(self, fact: GuardianState, now_ns: int) -> list[Effect]:
        """The guardian's state as admin copied it; only ever makes ours more severe until the next permit.

        One from a backlog says nothing of now: a permit does, within its time.
        """
        if now_ns - fact.ts_event > OLDEST_STATE_NS:
            return []
        self._guardian_state = most_severe(self._guardian_state, fact.state)
        if fact.state is TradingState.HALTED:
            return self._counted(self.keeper.ask_exit("the guardian has halted trading", now_ns), now_ns)
        return []

    def on_venue_status(self, fact: VenueStatus) -> list[Effect]:
        """Whether the venue works: no entries during maintenance."""
        self._maintenance = "" if fact.operational else fact.maintenance or "the venue is not operational"
        return []

    def on_bus(self, *, is_up: bool) -> list[Effect]:
        """Whether the bus answers: entries need it, exits do not."""
        self._bus_is_up = is_up
        return []

    def on_command(self, command: Command, now_ns: int) -> list[Effect]:
        """A person or a watch asks for something; idempotent by its id."""
        if command.command_id in self._commands or command.command_id in self._denied or command.verb is Verb.PROMOTE:
            return []
        taken = CommandTaken(
            at_ns=now_ns,
            command_id=command.command_id,
            verb=command.verb,
            symbol=command.symbol,
            who=command.who,
            why=command.why,
            limit=command.limit,
            value=command.value,
            base=self.restraint.base_of(command.limit),
        )
        if command.verb is Verb.LIMIT:
            return self._change_limit(taken)
        self._take(taken)
        effects: list[Effect] = [Journal(taken)]
        if command.verb in (Verb.FLATTEN, Verb.HALT):
            why = f"{command.verb} by {command.who}: {command.why}"
            effects += self._counted(self.keeper.ask_exit(why, now_ns, command.symbol), now_ns)
        return effects

    def on_signal(self, signal: Signal, now_ns: int, cause: tuple[str, ...] = ()) -> list[Effect]:
        """A wish to trade: one order at most, however often it is delivered."""
        order_id = order_id_for(signal.signal_id, OrderRole.ENTRY)
        if signal.shadow or self.desk.knows_order(order_id) or signal.signal_id in self._denied:
            return []
        instrument = self._instruments.get(signal.symbol)
        if instrument is None:
            refusal = Refusal(check="instrument_is_known", reason=f"{signal.symbol} has no filters yet", numbers={})
            return self._deny(signal, refusal, None, now_ns)
        wish = self._wish(signal, instrument, now_ns)
        refusal_or_none = first_refusal(wish, self.restraint.limits, BEFORE_SIZING)
        if refusal_or_none is not None:
            return self._deny(signal, refusal_or_none, None, now_ns)
        size = size_entry(
            self.restraint.sizing,
            instrument,
            funds_of(wish),
            side=signal.side,
            mid=signal.mid,
            delta_bps=signal.delta_bps,
            size_hint=signal.size_hint,
            mark=wish.mark,
            volatility_bps=self.restraint.volatility_bps(signal),
        )
        if size.reason:
            numbers = {"equity": str(wish.equity), "available": str(wish.available), "bound": size.bound}
            return self._deny(signal, Refusal(check="sizing", reason=size.reason, numbers=numbers), size, now_ns)
        wish = replace(wish, price=size.price, qty=size.qty)
        refusal_or_none = first_refusal(wish, self.restraint.limits, AFTER_SIZING)
        if refusal_or_none is not None:
            return self._deny(signal, refusal_or_none, size, now_ns)
        return self._submit(signal, size, order_id, wish, now_ns, cause)

    def on_time(self, now_ns: int) -> list[Effect]:
        """Do whatever is due."""
        return [*self._counted(self.keeper.on_time(now_ns), now_ns), *self._sweeps.on_time(now_ns)]

    # what others ask

    def next_due_ns(self) -> int | None:
        """Give the time at which `on_time` may have something to do, or None."""
        due = (self.keeper.next_due_ns(), self.restraint.strangers.next_due_ns(), self._sweeps.due_ns)
        return min((at_ns for at_ns in due if at_ns is not None), default=None)

    @property
    def state(self) -> TradingState:
        """The most severe of the guardian's, the account's, the commanded state and our own."""
        own = TradingState.REDUCING if self.restraint.why(self._now_ns) else TradingState.ACTIVE
        return most_severe(self._guardian_state, self._account_state, self._commanded, own)

    @property
    def is_recovered(self) -> bool:
        """True once the venue's and our books agreed since the stream last came up."""
        return self._is_recovered

    def why_not_able(self) -> str:
        """Say why no entry can be taken at all, or ""."""
        if not self._feed_is_up:
            return "the private stream is down"
        if not self._is_recovered:
            return "orders and positions are being reconciled with the venue"
        if self._maintenance:
            return f"maintenance: {self._maintenance}"
        return "" if self._bus_is_up else "the bus is away"

    def open_order_ids(self) -> tuple[str, ...]:
        """Give our orders that may rest at the venue."""
        return tuple(order.order_id for order in self.desk.working_orders())

    def held(self) -> dict[str, Decimal]:
        """Give what our trades hold, signed, flat symbols left out."""
        return dict(held_by_symbol(self.desk))

    def picture(self, now_ns: int) -> dict[str, Any]:
        """Give the state for people and for admin, ready for JSON."""
        desk, marks = self.desk, self.restraint.marks.prices
        return {
            "state": self.state,
            "able": self.why_not_able() or "yes",
            "paused": dict(self._paused),
            "permit": self._why_no_permit(now_ns) or "valid",
            **self.restraint.picture(now_ns),
            "exposure": {symbol: str(desk.exposure(symbol, marks)) for symbol in self._instruments},
            "gross_exposure": str(desk.exposure(marks=marks)),
            "trades": [
                {
                    "trade_id": trade.plan.trade_id,
                    "symbol": trade.plan.symbol,
                    "side": trade.side,
                    "stage": trade.stage.name,
                    "held": str(desk.held_qty(trade)),
                    "orders": list(trade.order_ids),
                    "opened_ns": trade.opened_ns,
                }
                for trade in desk.live_trades()
            ],
            "orders": [_order_picture(order) for order in desk.working_orders()],
        }

    def _submit(
        self, signal: Signal, size: Size, order_id: str, wish: EntryWish, now_ns: int, cause: tuple[str, ...]
    ) -> list[Effect]:
        plan = Plan(
            trade_id=trade_id_for(signal.signal_id),
            signal_id=signal.signal_id,
            symbol=signal.symbol,
            source=signal.source,
            side=signal.side,
            delta_bps=signal.delta_bps,
            hold_ns=signal.hold_ns,
            rest_ns=signal.rest_ns,
            model_hash=signal.model_hash,
            expected_bps=signal.expected_bps,
            cause=cause,
            quote_coin=wish.instrument.quote_coin,
        )
        numbers = {
            "order_id": order_id,
            "qty": str(size.qty),
            "price": str(size.price),
            "stop_loss": str(size.stop_loss),
            "bound": size.bound,
            "equity": str(wish.equity),
            "gross_exposure": str(wish.gross_exposure + wish.notional),
            "symbol_exposure": str(wish.symbol_exposure + wish.notional),
        }
        not_after_ns = signal.valid_until_ns
        if self._permit is not None:  # there is one: the checks have asked
            not_after_ns = min(not_after_ns, self._permit.valid_until_ns)
        effects = self.keeper.open_trade(plan, _entry_request(signal, size, order_id), now_ns, not_after_ns)
        return self._counted([*effects, Decide(Verdict.SUBMITTED, signal.symbol, signal.signal_id, numbers)], now_ns)

    def _deny(self, signal: Signal, refusal: Refusal, size: Size | None, now_ns: int) -> list[Effect]:
        self._denied[signal.signal_id] = None
        _bound(self._denied, REMEMBERED_SIGNALS)
        numbers = {"check": refusal.check, "reason": refusal.reason, **refusal.numbers}
        effects: list[Effect] = [Decide(refusal.verdict, signal.symbol, signal.signal_id, numbers)]
        if refusal.verdict is Verdict.DENIED and size is not None:
            order_id = order_id_for(signal.signal_id, OrderRole.ENTRY)
            denied = OwnOrder(
                order_id=order_id,
                trade_id=trade_id_for(signal.signal_id),
                role=OrderRole.ENTRY,
                request=_entry_request(signal, size, order_id),
                submitted_ns=now_ns,
                status=OrderStatus.DENIED,
                reason=refusal.reason,
            )
            effects.append(Publish(order_changed(denied, now_ns, signal.cause)))
        return effects

    def _wish(self, signal: Signal, instrument: Instrument, now_ns: int) -> EntryWish:
        self._now_ns = now_ns
        live = self.desk.live_trade(signal.symbol)
        self._forget_sent(now_ns)
        return EntryWish(
            now_ns=now_ns,
            symbol=signal.symbol,
            side=signal.side,
            price=_ZERO,
            qty=_ZERO,
            mid=signal.mid,
            leverage=self.restraint.sizing.leverage,
            signal_ns=signal.ts_recv,
            event_ns=signal.ts_event,
            valid_until_ns=signal.valid_until_ns,
            instrument=instrument,
            open_orders=len(self.desk.working_orders()),
            orders_last_second=len(self._sent_ns),
            live_trade=live.plan.trade_id if live else "",
            state=self.state,
            blocked=self.why_not_able(),
            paused=self._paused.get(signal.symbol) or self._paused.get("", ""),
            permit=self._why_no_permit(now_ns),
            **self.restraint.looked_at(signal, now_ns),
        )

    def _change_limit(self, taken: CommandTaken) -> list[Effect]:
        numbers = {"value": taken.value, "who": taken.who, "why": taken.why}
        try:
            self.restraint.change(taken)
        except LimitError as error:
            self._denied[taken.command_id] = None
            return [Decide(Verdict.LIMIT_REFUSED, "", taken.limit, {**numbers, "reason": str(error)})]
        self._remember(taken)
        return [Journal(taken), Decide(Verdict.LIMIT_CHANGED, "", taken.limit, {**numbers, "settings": taken.base})]

    def _remember(self, record: CommandTaken) -> None:
        self._commands[record.command_id] = record
        _bound(self._commands, REMEMBERED_COMMANDS)

    def _why_no_permit(self, now_ns: int) -> str:
        permit = self._permit
        if permit is None:
            return "the guardian has given no permit"
        if now_ns > permit.valid_until_ns:
            return f"the permit ended {(now_ns - permit.valid_until_ns) / 1e9:.3f} s ago"
        return "" if permit.entries_permitted else f"the guardian permits no entries: {permit.reason}"

    def _take(self, record: CommandTaken) -> None:
        self._remember(record)
        why = f"{record.verb} by {record.who}: {record.why}"
        match record.verb:
            case Verb.PAUSE | Verb.FLATTEN:
                self._paused[record.symbol] = why
            case Verb.RESUME:
                self._paused.pop(record.symbol, None)
                if not record.symbol:
                    self.restraint.rearm()
                    self._paused.clear()
                    if self._commanded is TradingState.REDUCING:
                        self._commanded = TradingState.ACTIVE
            case Verb.REDUCE | Verb.HALT:
                self._commanded = most_severe(self._commanded, STATE_VERBS[record.verb])
            case Verb.REARM:
                self.restraint.rearm()
                self._commanded = TradingState.ACTIVE
            case Verb.LIMIT:
                try:
                    self.restraint.change(record)
                except LimitError as error:  # the settings have moved on since: theirs hold, and it is told
                    self.restraint.unrestored.append(str(error))
            case _:
                pass

    def _counted(self, effects: list[Effect], now_ns: int) -> list[Effect]:
        self._now_ns = max(self._now_ns, now_ns)
        self._sent_ns.extend(now_ns for effect in effects if isinstance(effect, Send))
        return effects + self.restraint.observe(effects, now_ns)

    def _forget_sent(self, now_ns: int) -> None:
        while self._sent_ns and self._sent_ns[0] <= now_ns - _SECOND:
            self._sent_ns.popleft()

    def _trade_of(self, record: AnyRecord) -> str:
        match record:
            case EntrySubmitted(plan=plan):
                return plan.trade_id
            case OrderSettled(order_id=order_id):
                order = self.desk.orders.get(order_id)
                return order.trade_id if order else ""
            case ExitSubmitted() | ExitAsked() | TradeEnded() | OrderSeen() | ExecutionSeen():
                return record.trade_id
            case _:
                return ""


def _entry_request(signal: Signal, size: Size, order_id: str) -> OrderRequest:
    return OrderRequest(
        order_id=order_id,
        symbol=signal.symbol,
        side=signal.side,
        order_type=OrderType.LIMIT,
        qty=size.qty,
        price=size.price,
        time_in_force=TimeInForce.POST_ONLY,
        reduce_only=False,
        stop_loss=size.stop_loss,
    )


def _order_picture(order: OwnOrder) -> dict[str, Any]:
    request = order.request
    return {
        "order_id": order.order_id,
        "venue_order_id": order.venue_order_id,
        "trade_id": order.trade_id,
        "symbol": request.symbol,
        "side": request.side,
        "role": order.role,
        "type": request.order_type,
        "price": str(request.price),
        "qty": str(request.qty),
        "filled": str(order.known_qty),
        "status": order.status,
        "submitted_ns": order.submitted_ns,
    }


def _bound(known: OrderedDict[str, Any], most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
