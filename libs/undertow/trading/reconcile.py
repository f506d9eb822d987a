"""Ours against the venue's: a pure comparison that gives differences, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from undertow.domain.order import OrderRole
from undertow.exchange.models import VenueOrder, VenuePosition
from undertow.trading.desk import Desk
from undertow.trading.orders import OwnOrder

_ZERO: Final = Decimal(0)


class Action(StrEnum):
    """What to do about a difference."""

    ADOPT = "adopt"  # take the venue's word for the order
    LOOK_UP = "look_up"  # ask for this order and its executions
    REFRESH = "refresh"  # ask for the position and all executions of the symbol
    REPORT = "report"  # not ours: tell a person, touch nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One disagreement; `fact` is there when the action is ADOPT."""

    action: Action
    symbol: str
    order_id: str
    detail: str
    fact: VenueOrder | None = None


def compare_orders(desk: Desk, venue: Iterable[VenueOrder]) -> list[Difference]:
    """Compare our working orders with the venue's open orders."""
    differences: list[Difference] = []
    seen: set[str] = set()
    for fact in venue:
        owner = desk.owner_of_order(fact)
        seen.add(owner.order_id)
        if not desk.is_news(fact):
            continue
        action = Action.ADOPT
        detail = f"the venue has it as {fact.status} with {fact.filled_qty} filled"
        if owner.role is OrderRole.FOREIGN:
            action, detail = Action.REPORT, f"an open order that is not ours: {fact.side} {fact.qty} at {fact.price}"
        differences.append(
            Difference(action=action, symbol=fact.symbol, order_id=owner.order_id, detail=detail, fact=fact)
        )
    missing = (order for order in desk.working_orders() if order.order_id not in seen)
    differences += [_look_up(order, f"we have it as {order.status}, the venue not as open") for order in missing]
    differences += [_look_up(order, "filled further than its executions say") for order in _lacking(desk)]
    return differences


def compare_positions(desk: Desk, venue: Sequence[VenuePosition]) -> list[Difference]:
    """Compare what our trades hold with the venue's positions, by symbol."""
    theirs = {position.symbol: position.qty for position in venue}
    ours = held_by_symbol(desk)
    differences = []
    for symbol in sorted({*theirs, *ours}):
        we, they = ours.get(symbol, _ZERO), theirs.get(symbol, _ZERO)
        if we == they:
            continue
        action = Action.REFRESH if desk.live_trade(symbol) is not None else Action.REPORT
        differences.append(
            Difference(action=action, symbol=symbol, order_id="", detail=f"we hold {we}, the venue says {they}")
        )
    return differences


def held_by_symbol(desk: Desk) -> Mapping[str, Decimal]:
    """Give what our live trades hold, signed; flat symbols are left out."""
    held: dict[str, Decimal] = {}
    for trade in desk.live_trades():
        held[trade.plan.symbol] = held.get(trade.plan.symbol, _ZERO) + desk.held_qty(trade)
    return {symbol: qty for symbol, qty in held.items() if qty}


def _lacking(desk: Desk) -> Iterable[OwnOrder]:
    for trade in desk.live_trades():
        yield from (order for order in desk.orders_of(trade) if order.status.is_terminal and not order.is_settled)


def _look_up(order: OwnOrder, detail: str) -> Difference:
    return Difference(action=Action.LOOK_UP, symbol=order.request.symbol, order_id=order.order_id, detail=detail)
