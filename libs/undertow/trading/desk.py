"""The desk: every order and trade of ours as a fold over journal records, and what they reserve.

`fold` is the only way its state changes, live and in replay alike; it gives the messages that the fleet is told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.domain.execution import FORCED
from undertow.domain.order import OrderRole, OrderType, Side, TimeInForce
from undertow.exchange.models import OrderRequest, VenueExecution, VenueOrder
from undertow.trading.orders import OwnOrder, order_changed, request_of, with_execution, with_fact, with_outcome
from undertow.trading.records import (
    AnyRecord,
    Carried,
    EntrySubmitted,
    ExecutionSeen,
    ExitAsked,
    ExitSubmitted,
    OrderSeen,
    OrderSettled,
    TradeEnded,
)
from undertow.trading.trade import Entering, Trade

REMEMBERED: Final = 20_000
"""Executions and finished orders whose ids are kept, so that what comes twice is known."""
FINISHED_KEPT: Final = 500
"""Closed trades kept whole, for the fill that comes after the end."""

_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Folded:
    """What a record changed: messages for the fleet, and surprises in words."""

    messages: list[OrderChanged | Execution | TradeClosed] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom a venue fact belongs; `order_id` is the key in our books, `trade_id` "" when it is no trade's."""

    order_id: str
    trade_id: str
    role: OrderRole


class Desk:
    """All orders and trades of one account."""

    def __init__(self) -> None:
        self.orders: dict[str, OwnOrder] = {}
        self.trades: dict[str, Trade] = {}
        self.last_execution_ns = 0
        self._by_venue_id: dict[str, str] = {}
        self._live: dict[str, Trade] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._strays: OrderedDict[str, None] = OrderedDict()
        self._exec_ids: OrderedDict[str, None] = OrderedDict()
        self._past_order_ids: OrderedDict[str, None] = OrderedDict()

    def knows_order(self, order_id: str) -> bool:
        """Answer whether this order was ever submitted by us, also before the last compaction."""
        return order_id in self.orders or order_id in self._past_order_ids

    def was_ours(self, order_id: str) -> bool:
        """Answer whether this order was of a trade that is over and forgotten."""
        return order_id in self._past_order_ids

    def surfaced_orders(self) -> list[OwnOrder]:
        """Give orders that were ours, whose trade is over and forgotten, and which rest after all."""
        return [
            order
            for stray in self._strays
            if stray in self._past_order_ids and (order := self.orders[stray]).open_qty and not order.trade_id
        ]

    def knows_execution(self, exec_id: str) -> bool:
        """Answer whether this execution has been booked."""
        return exec_id in self._exec_ids

    def live_trades(self) -> tuple[Trade, ...]:
        """Give the trades that are not closed, oldest first."""
        return tuple(self._live.values())

    def live_trade(self, symbol: str) -> Trade | None:
        """Give the symbol's live trade; one that holds something first."""
        found = None
        for trade in self._live.values():
            if trade.plan.symbol == symbol:
                if self.held_qty(trade):
                    return trade
                found = found or trade
        return found

    def orders_of(self, trade: Trade) -> Iterator[OwnOrder]:
        """Yield the orders of a trade, the entry first."""
        return (self.orders[order_id] for order_id in trade.order_ids)

    def held_qty(self, trade: Trade) -> Decimal:
        """Give the signed quantity that the trade certainly holds, by orders and executions alike."""
        return sum((order.known_qty * order.request.side.sign for order in self.orders_of(trade)), _ZERO)

    def exposures(self, marks: Mapping[str, Decimal]) -> dict[tuple[str, Side], Decimal]:
        """Give the notional by symbol and side of what is unknown, resting and held: at the entry price or the mark, whichever is more."""
        reserved: dict[tuple[str, Side], Decimal] = {}
        for trade in self._live.values():
            entry, key = self.orders[trade.entry_id], (trade.plan.symbol, trade.side)
            notional = (abs(self.held_qty(trade)) + entry.open_qty) * _dearer(entry, marks)
            reserved[key] = reserved.get(key, _ZERO) + notional
        return reserved

    def exposure(self, symbol: str = "", marks: Mapping[str, Decimal] = MappingProxyType({})) -> Decimal:
        """Give the notional of one symbol, or of all."""
        return sum((each for (of, _), each in self.exposures(marks).items() if symbol in ("", of)), _ZERO)

    def unsettled_exposure(self, since_ns: int, marks: Mapping[str, Decimal]) -> Decimal:
        """Give the notional that a word of that time about free margin may not know: what may fill, and what filled since."""
        total = _ZERO
        for trade in self._live.values():
            entry = self.orders[trade.entry_id]
            filled = abs(self.held_qty(trade)) if entry.updated_ns > since_ns else _ZERO
            total += (entry.open_qty + filled) * _dearer(entry, marks)
        return total

    def working_orders(self) -> list[OwnOrder]:
        """Give our entries and exits that may still fill: unknown or resting."""
        return [
            order
            for trade in self._live.values()
            for order in self.orders_of(trade)
            if order.role in (OrderRole.ENTRY, OrderRole.EXIT) and not order.status.is_terminal
        ]

    def is_over(self, trade: Trade) -> bool:
        """Answer whether nothing is held, nothing may fill and every fill is booked with its price."""
        return not self.held_qty(trade) and all(
            order.is_settled if order.role in (OrderRole.ENTRY, OrderRole.EXIT) else order.lacks_no_execution
            for order in self.orders_of(trade)
        )

    def owner_of_order(self, fact: VenueOrder) -> Owner:
        """Say whose order this is: ours by its id, the live trade's when it is the venue's stop, else foreign."""
        key = self._key(fact.order_id, fact.venue_order_id)
        known = self.orders.get(key)
        if known is not None:
            return Owner(key, known.trade_id, known.role)
        trade = self.live_trade(fact.symbol)
        is_stop = bool(fact.stop_order_type) and not fact.order_id
        if is_stop and trade is not None:
            return Owner(key, trade.plan.trade_id, OrderRole.STOP)
        return Owner(key, "", OrderRole.STOP if is_stop else OrderRole.FOREIGN)

    def owner_of_execution(self, fact: VenueExecution) -> Owner:
        """Say whose fill this is; what reduces the position of a live trade is that trade's, whoever sent it."""
        key = self._key(fact.order_id, fact.venue_order_id)
        known = self.orders.get(key)
        if known is not None and known.trade_id:
            return Owner(key, known.trade_id, known.role)
        trade = self.live_trade(fact.symbol)
        if trade is None:
            return Owner(key, "", OrderRole.FOREIGN)
        if not fact.moves_position:
            return Owner(key, trade.plan.trade_id, OrderRole.FOREIGN)
        held = self.held_qty(trade)
        if held and (held > 0) == (fact.side is Side.SELL):
            is_stop = not fact.order_id and fact.exec_type not in FORCED
            role = known.role if known is not None else OrderRole.STOP if is_stop else OrderRole.FOREIGN
            return Owner(key, trade.plan.trade_id, role)
        return Owner(key, "", OrderRole.FOREIGN)

    def is_news(self, fact: VenueOrder) -> bool:
        """Answer whether an order fact would change our books."""
        known = self.orders.get(self._key(fact.order_id, fact.venue_order_id))
        return known is None or with_fact(known, fact)[0] is not known

    def fold(self, record: AnyRecord) -> Folded:
        """Apply one record."""
        folded = Folded()
        match record:
            case EntrySubmitted():
                trade = Trade.opened(record.plan, record.request.order_id, record.at_ns)
                order = OwnOrder(
                    order_id=record.request.order_id,
                    trade_id=trade.plan.trade_id,
                    role=OrderRole.ENTRY,
                    request=record.request,
                    submitted_ns=record.at_ns,
                )
                self._put_order(order)
                self._put_trade(trade)
                self._tell(folded, order, record.at_ns)
            case ExitSubmitted():
                trade = self.trades[record.trade_id]
                order = OwnOrder(
                    order_id=record.request.order_id,
                    trade_id=record.trade_id,
                    role=OrderRole.EXIT,
                    request=record.request,
                    submitted_ns=record.at_ns,
                )
                self._put_order(order)
                self._put_trade(trade.with_order(order.order_id, is_exit=True))
                self._tell(folded, order, record.at_ns)
            case OrderSettled():
                settled, anomaly = with_outcome(
                    self.orders[record.order_id], record.outcome, record.reason, record.venue_order_id
                )
                self._changed(folded, settled, anomaly, record.at_ns)
            case OrderSeen():
                self._fold_order(folded, record)
            case ExecutionSeen():
                self._fold_execution(folded, record)
            case ExitAsked():
                asked = self.trades[record.trade_id].exit_asked(record.at_ns, record.why, is_patient=record.is_patient)
                self._put_trade(asked)
            case TradeEnded():
                trade = self.trades[record.trade_id].flat(record.at_ns, record.why)
                self._put_trade(trade)
                closed = trade.result(record.at_ns)
                if closed is not None:
                    folded.messages.append(closed)
            case Carried():
                self._exec_ids.update(dict.fromkeys(record.exec_ids))
                self._past_order_ids.update(dict.fromkeys(record.order_ids))
                self.last_execution_ns = max(self.last_execution_ns, record.last_execution_ns)
            case _:
                pass  # commands and marks are the router's
        return folded

    def carried(self, at_ns: int) -> Carried:
        """Give the record that stands for everything but the live trades after a compaction."""
        live = {order_id for trade in self._live.values() for order_id in trade.order_ids}
        over = (key for key, order in self.orders.items() if order.role is not OrderRole.FOREIGN and key not in live)
        order_ids = [*self._past_order_ids, *over]
        return Carried(
            at_ns=at_ns,
            exec_ids=tuple(self._exec_ids),
            order_ids=tuple(order_ids[-REMEMBERED:]),
            last_execution_ns=self.last_execution_ns,
        )

    def _fold_order(self, folded: Folded, record: OrderSeen) -> None:
        fact = record.fact
        known = self.orders.get(record.order_id)
        if known is None:
            known = OwnOrder(
                order_id=record.order_id,
                trade_id=record.trade_id,
                role=record.role,
                request=request_of(fact),
                submitted_ns=fact.created_ns or record.at_ns,
            )
            self._adopt(known)
        order, anomaly = with_fact(_sized(known, max(fact.qty, fact.filled_qty)), fact)
        self._changed(folded, order, anomaly, record.at_ns)
        self._mark_surfaced(order, record.at_ns)
        self._mark_first_fill(order, min(fact.updated_ns or record.at_ns, record.at_ns))

    def _fold_execution(self, folded: Folded, record: ExecutionSeen) -> None:
        fact = record.fact
        self._exec_ids[fact.exec_id] = None
        _trim(self._exec_ids, REMEMBERED)
        self.last_execution_ns = max(self.last_execution_ns, fact.executed_ns)
        trade = self.trades.get(record.trade_id)
        folded.messages.append(
            Execution(
                ts_event=fact.executed_ns,
                ts_recv=record.at_ns,
                cause=trade.plan.cause if trade else (),
                exec_id=fact.exec_id,
                order_id=record.order_id,
                venue_order_id=fact.venue_order_id,
                trade_id=record.trade_id,
                symbol=fact.symbol,
                side=fact.side,
                exec_type=fact.exec_type,
                price=fact.price,
                qty=fact.qty,
                fee=fact.fee,
                fee_coin=fact.fee_coin,
                is_maker=fact.is_maker,
            )
        )
        if not fact.moves_position:
            if trade is not None and fact.exec_type == "Funding":
                self._put_trade(trade.funded(fact.fee))
            return
        known = self.orders.get(record.order_id)
        if trade is None:
            return
        if known is None or not known.trade_id:
            known = _made_by_others(record) if known is None else _given_to(known, record)
            self._adopt(known)
            trade = self.trades[record.trade_id]
        order, anomaly = with_execution(_sized(known, known.executed_qty + fact.qty), fact)
        self._put_trade(trade.executed(fact, record.role))
        self._changed(folded, order, anomaly, record.at_ns)
        self._mark_first_fill(order, min(fact.executed_ns, record.at_ns))  # a venue clock ahead of ours delays no exit

    def _mark_surfaced(self, order: OwnOrder, at_ns: int) -> None:
        trade = self.trades.get(order.trade_id)
        if trade is not None and not trade.is_live and order.role is OrderRole.ENTRY and not order.status.is_terminal:
            self._put_trade(trade.entry_surfaced(at_ns))

    def _mark_first_fill(self, order: OwnOrder, at_ns: int) -> None:
        trade = self.trades.get(order.trade_id)
        if trade is None or order.role is not OrderRole.ENTRY or not order.known_qty:
            return
        if isinstance(trade.stage, Entering) or (not trade.is_live and not self.is_over(trade)):
            self._put_trade(trade.entry_filled(at_ns))

    def _changed(self, folded: Folded, order: OwnOrder, anomaly: str, at_ns: int) -> None:
        if anomaly:
            folded.anomalies.append(f"{order.order_id}: {anomaly}")
        if order != self.orders.get(order.order_id):
            self._put_order(order)
            self._tell(folded, order, at_ns)

    def _tell(self, folded: Folded, order: OwnOrder, at_ns: int) -> None:
        trade = self.trades.get(order.trade_id)
        folded.messages.append(order_changed(order, at_ns, trade.plan.cause if trade else ()))

    def _adopt(self, order: OwnOrder) -> None:
        self._put_order(order)
        trade = self.trades.get(order.trade_id)
        if trade is not None:
            self._put_trade(trade.with_order(order.order_id, is_exit=False))
        elif not order.trade_id:
            self._strays[order.order_id] = None
            for stray in _trim(self._strays, FINISHED_KEPT):
                known = self.orders.get(stray)
                if known is not None and not known.trade_id:
                    self._forget_order(stray)

    def _put_order(self, order: OwnOrder) -> None:
        self.orders[order.order_id] = order
        if order.venue_order_id:
            self._by_venue_id[order.venue_order_id] = order.order_id

    def _put_trade(self, trade: Trade) -> None:
        trade_id = trade.plan.trade_id
        self.trades[trade_id] = trade
        if trade.is_live:
            self._live[trade_id] = trade
            self._finished.pop(trade_id, None)
            return
        self._live.pop(trade_id, None)
        self._finished[trade_id] = None
        for forgotten in _trim(self._finished, FINISHED_KEPT):
            for order_id in self.trades.pop(forgotten).order_ids:
                self._forget_order(order_id)

    def _forget_order(self, order_id: str) -> None:
        order = self.orders.pop(order_id)
        self._by_venue_id.pop(order.venue_order_id, None)
        self._past_order_ids[order_id] = None
        _trim(self._past_order_ids, REMEMBERED)

    def _key(self, order_id: str, venue_order_id: str) -> str:
        return order_id or self._by_venue_id.get(venue_order_id, venue_order_id)


def _dearer(entry: OwnOrder, marks: Mapping[str, Decimal]) -> Decimal:
    return max(entry.request.price, marks.get(entry.request.symbol, _ZERO))


def _made_by_others(record: ExecutionSeen) -> OwnOrder:
    fact = record.fact
    request = OrderRequest(
        order_id=fact.order_id,
        symbol=fact.symbol,
        side=fact.side,
        order_type=OrderType.MARKET,
        qty=fact.qty,
        price=fact.price,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
    )
    return OwnOrder(
        order_id=record.order_id,
        trade_id=record.trade_id,
        role=record.role,
        request=request,
        submitted_ns=fact.executed_ns,
        venue_order_id=fact.venue_order_id,
    )


def _sized(order: OwnOrder, qty: Decimal) -> OwnOrder:
    # the venue's own orders tell their size late, or as 0 for "the whole position"
    if order.role in (OrderRole.ENTRY, OrderRole.EXIT) or order.request.qty >= qty:
        return order
    return replace(order, request=replace(order.request, qty=qty))


def _given_to(order: OwnOrder, record: ExecutionSeen) -> OwnOrder:
    return replace(order, trade_id=record.trade_id)


def _trim(known: OrderedDict[str, None], most: int) -> list[str]:
    return [known.popitem(last=False)[0] for _ in range(max(0, len(known) - most))]
