"""One order of ours, and how the venue's facts about it fold in: in any order, repeated, late.

Rules: the highest cumulated quantity holds, the table in `undertow.domain.order` decides the status (terminal is final but for the
fill that crossed a cancel), an older fact never undoes a newer one. What the table does not allow is adopted, because the venue is
the truth, and reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from typing import Final

from undertow.contracts.messages.trading import OrderChanged
from undertow.domain.order import (
    ImpossibleTransition,
    OrderRole,
    OrderSignal,
    OrderStatus,
    OrderType,
    TimeInForce,
    next_status,
)
from undertow.exchange.models import OrderRequest, VenueExecution, VenueOrder
from undertow.trading.records import Outcome

_ZERO: Final = Decimal(0)

_SIGNAL_OF_STATUS: Final = {
    OrderStatus.SUBMITTED: OrderSignal.ACCEPTED,  # the venue's Created: taken, not yet in the book
    OrderStatus.NEW: OrderSignal.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: OrderSignal.PART_FILLED,
    OrderStatus.FILLED: OrderSignal.FILLED,
    OrderStatus.CANCELLED: OrderSignal.CANCELLED,
    OrderStatus.REJECTED: OrderSignal.REJECTED,
}

_SIGNAL_OF_OUTCOME: Final = {
    Outcome.ACCEPTED: OrderSignal.ACCEPTED,
    Outcome.REFUSED: OrderSignal.REJECTED,
    Outcome.NEVER_ARRIVED: OrderSignal.NEVER_ARRIVED,
    Outcome.GONE: OrderSignal.CANCELLED,
    Outcome.NEVER_SENT: OrderSignal.NEVER_ARRIVED,
}


def trade_id_for(signal_id: str) -> str:
    """Give the trade that a signal makes: the same signal, the same trade."""
    return f"t-{sha256(f'{signal_id}|trade'.encode()).hexdigest()[:30]}"


def order_id_for(signal_id: str, role: OrderRole, number: int = 1) -> str:
    """Give our `orderLinkId` (at most 36 characters) as a hash of the signal, the role and the attempt.

    A redelivered signal is the same order; the n-th exit of a trade always has the same id.
    """
    digest = sha256(f"{signal_id}|{role}|{number}".encode()).hexdigest()[:30]
    return f"{role.value[:2]}-{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order as our books have it.

    Attributes:
        order_id: our id, or the venue's for orders that the venue or somebody else made.
        filled_qty: highest cumulated quantity that the venue has named.
        executed_qty: sum of the executions booked.
        executed_value: sum of quantity times price of these.
        unlisted_qty: filled by the venue's word and given up: no list has its executions.
        updated_ns: the venue's time of its latest fact; 0 while it has said nothing.
    """

    order_id: str
    trade_id: str
    role: OrderRole
    request: OrderRequest
    submitted_ns: int
    status: OrderStatus = OrderStatus.SUBMITTED
    venue_order_id: str = ""
    filled_qty: Decimal = _ZERO
    executed_qty: Decimal = _ZERO
    executed_value: Decimal = _ZERO
    unlisted_qty: Decimal = _ZERO
    reason: str = ""
    updated_ns: int = 0

    @property
    def known_qty(self) -> Decimal:
        """What has certainly filled, by whichever of the two streams says more."""
        return max(self.filled_qty, self.executed_qty)

    @property
    def open_qty(self) -> Decimal:
        """What may still fill."""
        return _ZERO if self.status.is_terminal else self.request.qty - self.known_qty

    @property
    def is_settled(self) -> bool:
        """True when it is over and every fill has been booked with its price, or given up."""
        return self.status.is_terminal and self.lacks_no_execution

    @property
    def lacks_no_execution(self) -> bool:
        """True when every quantity that the venue named has its execution, or none will come."""
        return self.executed_qty + self.unlisted_qty >= self.filled_qty

    @property
    def average_price(self) -> Decimal:
        """Of the executions booked; 0 when there are none."""
        return self.executed_value / self.executed_qty if self.executed_qty else _ZERO


def with_fact(order: OwnOrder, fact: VenueOrder) -> tuple[OwnOrder, str]:
    """Fold the venue's word in; give the order (the same one when nothing is new) and an anomaly in words, or ""."""
    status, anomaly = _followed(order.status, _SIGNAL_OF_STATUS[fact.status], fact.status)
    reason = order.reason
    if fact.status is OrderStatus.REJECTED or (fact.status is OrderStatus.CANCELLED and not reason):
        reason = fact.reject_reason or fact.cancel_type
    folded = replace(
        order,
        status=status,
        venue_order_id=fact.venue_order_id or order.venue_order_id,
        filled_qty=max(order.filled_qty, fact.filled_qty),
        request=_amended(order, fact),
        reason=reason,
        updated_ns=max(order.updated_ns, fact.updated_ns),
    )
    if folded.filled_qty > order.request.qty:
        anomaly = anomaly or f"filled {folded.filled_qty} of {order.request.qty}"
    if replace(folded, updated_ns=order.updated_ns) == order and order.updated_ns:
        return order, anomaly
    return folded, anomaly


def with_execution(order: OwnOrder, fact: VenueExecution) -> tuple[OwnOrder, str]:
    """Book a fill that has not been booked before; give the order and an anomaly in words, or ""."""
    executed = order.executed_qty + fact.qty
    whole = executed >= order.request.qty
    signal = OrderSignal.FILLED if whole else OrderSignal.PART_FILLED
    adopted = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
    status, anomaly = _followed(order.status, signal, adopted)
    if executed > order.request.qty:
        anomaly = anomaly or f"executed {executed} of {order.request.qty}"
    return (
        replace(
            order,
            status=status,
            venue_order_id=fact.venue_order_id or order.venue_order_id,
            executed_qty=executed,
            executed_value=order.executed_value + fact.qty * fact.price,
            updated_ns=max(order.updated_ns, fact.executed_ns),
        ),
        anomaly,
    )


def with_outcome(order: OwnOrder, outcome: Outcome, reason: str, venue_order_id: str) -> tuple[OwnOrder, str]:
    """Fold in the answer to our own request; give the order and an anomaly in words, or ""."""
    if outcome is Outcome.UNLISTED:
        return replace(order, unlisted_qty=max(_ZERO, order.filled_qty - order.executed_qty)), ""
    signal = _SIGNAL_OF_OUTCOME[outcome]
    try:
        status, anomaly = next_status(order.status, signal), ""
    except ImpossibleTransition as error:
        status, anomaly = order.status, str(error)
    return (
        replace(
            order,
            status=status,
            venue_order_id=venue_order_id or order.venue_order_id,
            reason=reason or order.reason,
        ),
        anomaly,
    )


def request_of(fact: VenueOrder) -> OrderRequest:
    """Describe an order that we did not make as if it had been requested."""
    return OrderRequest(
        order_id=fact.order_id,
        symbol=fact.symbol,
        side=fact.side,
        order_type=fact.order_type,
        qty=fact.qty,
        price=fact.price,
        time_in_force=fact.time_in_force,
        reduce_only=fact.reduce_only,
        stop_loss=fact.trigger_price,  # what a waiting stop waits for
    )


def order_changed(order: OwnOrder, now_ns: int, cause: tuple[str, ...], written_wall_ns: int = 0) -> OrderChanged:
    """Give the message that tells the fleet of the order as it now is."""
    request = order.request
    return OrderChanged(
        ts_event=order.updated_ns or now_ns,
        ts_recv=now_ns,
        cause=cause,
        order_id=order.order_id,
        venue_order_id=order.venue_order_id,
        trade_id=order.trade_id,
        symbol=request.symbol,
        side=request.side,
        role=order.role,
        order_type=request.order_type,
        time_in_force=TimeInForce(request.time_in_force),
        price=request.price,
        qty=request.qty,
        filled_qty=order.known_qty,
        average_price=order.average_price,
        status=order.status,
        reason=order.reason,
        reduce_only=request.reduce_only,
        stop_loss=request.stop_loss,
        written_wall_ns=written_wall_ns,
    )


def _amended(order: OwnOrder, fact: VenueOrder) -> OrderRequest:
    request = order.request
    is_news = fact.updated_ns >= order.updated_ns and fact.price not in (_ZERO, request.price)
    # the price of a market order is the venue's own protection
    return replace(request, price=fact.price) if is_news and request.order_type is OrderType.LIMIT else request


def _followed(status: OrderStatus, signal: OrderSignal, adopted: OrderStatus) -> tuple[OrderStatus, str]:
    try:
        return next_status(status, signal), ""
    except ImpossibleTransition as error:
        return adopted, str(error)
