"""A change to an open order: checked when it is asked for, worked out when it takes effect."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account
from services.venue.answers import Item, Refusal
from services.venue.bracket import PARTIAL, Leg
from services.venue.bracket_request import STOP, TARGET, check_limits_are_partial, check_side, read_leg, read_mode
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.order_checks import check_amended_funds, check_trigger_side, limited_tick
from services.venue.order_states import Status
from services.venue.orders import PARTIAL_STOPS, SYSTEM_STOPS, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What changes; None stays, and so does an empty `mode` or `trigger_by`."""

    lots: int | None = None
    tick: int | None = None
    trigger: Decimal | None = None
    trigger_by: str = ""
    target: Leg | None = None
    stop: Leg | None = None
    mode: str = ""

    @property
    def changes_bracket(self) -> bool:
        """True when target, stop or their mode change."""
        return self.target is not None or self.stop is not None or bool(self.mode)

    def is_overtaken(self, order: Order) -> bool:
        """Tell whether the order has filled past it: its quantity, or at all when the bracket changes."""
        return (self.lots is not None and self.lots <= order.filled) or (self.changes_bracket and bool(order.filled))

    def lots_of(self, order: Order) -> int:
        """Give the order's quantity after it."""
        return order.lots if self.lots is None else self.lots

    def tick_of(self, order: Order) -> int:
        """Give the order's price after it."""
        return order.tick if self.tick is None else self.tick

    def apply(self, order: Order) -> bool:
        """Change the order; True when it keeps its place in the queue: no new price and no larger quantity."""
        keeps_place = self.tick_of(order) == order.tick and self.lots_of(order) <= order.lots
        order.tick, order.lots = self.tick_of(order), self.lots_of(order)
        order.trigger = order.trigger if self.trigger is None else self.trigger
        order.trigger_by = self.trigger_by or order.trigger_by
        order.bracket = order.bracket.changed(target=self.target, stop=self.stop, mode=self.mode)
        return keeps_place


def read_amendment(account: Account, market: Market, order: Order, body: Item, now_ns: int) -> Amendment:
    """Check a request to amend an open order.

    Raises:
        Refusal: with the code of the first breach; 10001 when it changes nothing.
    """
    change = _read(account, market, order, body, now_ns)
    if change.lots is not None and change.lots <= order.filled:
        raise Refusal(code.AMEND_BELOW_FILLED, "The number of contracts after the change is not above the filled one")
    if change.changes_bracket and order.filled:
        raise Refusal(code.PROTECTION_OF_PART_FILLED, "Cannot modify TP/SL of a partly filled order")
    _check_system_order(account.holding(market, order.index), order, change)
    if not _differs(order, change):
        raise Refusal(code.PARAMETER, "order not modified")
    level, by = change.trigger or order.trigger, change.trigger_by or order.trigger_by
    if change.trigger is not None or change.trigger_by:
        check_trigger_side(market, level, by, order.trigger_direction)
    tick, lots = change.tick_of(order), change.lots_of(order)
    if tick and lots:
        requests.check_notional(market, tick, lots, reduce_only=order.reduce_only)
    bracket = order.bracket.changed(target=change.target, stop=change.stop, mode=change.mode)
    check_limits_are_partial(bracket.mode, bracket.target, bracket.stop)
    entry = market.scale.price(tick) or order.trigger
    for name, leg in ((TARGET, change.target), (STOP, change.stop)):
        if leg:
            check_side(name, leg, order.side, entry or market.price_of(leg.by))
    check_amended_funds(account, market, order, tick, lots, now_ns)
    return change


def _read(account: Account, market: Market, order: Order, body: Item, now_ns: int) -> Amendment:
    is_market, waits = order.order_type == "Market", order.waits
    qty, price, trigger = (requests.number(body, key) for key in ("qty", "price", "triggerPrice"))
    if trigger is not None:
        requests.check_price(market, trigger, "triggerPrice")
    by = requests.one_of(body, "triggerBy", requests.TRIGGERS, "")
    if (trigger is not None or by) and not waits:
        raise Refusal(
            code.PARAMETER, "params error: triggerPrice and triggerBy belong to orders that wait for a trigger"
        )
    tick = None if price is None or is_market else requests.check_price(market, price)
    if tick is not None and not waits:
        tick = limited_tick(account, market, order.side, tick, now_ns)
    return Amendment(
        lots=None if qty is None else requests.check_qty(market, qty, is_market=is_market),
        tick=tick,
        trigger=trigger,
        trigger_by=by,
        target=read_leg(body, market, TARGET, order.bracket.target),
        stop=read_leg(body, market, STOP, order.bracket.stop),
        mode=read_mode(body),
    )


def _differs(order: Order, change: Amendment) -> bool:
    bracket = order.bracket.changed(target=change.target, stop=change.stop, mode=change.mode)
    return (
        change.lots_of(order) != order.lots
        or change.tick_of(order) != order.tick
        or change.trigger not in {None, order.trigger}
        or change.trigger_by not in {"", order.trigger_by}
        or bracket != order.bracket
    )


def _check_system_order(holding: Holding, order: Order, change: Amendment) -> None:
    if order.stop_order_type not in SYSTEM_STOPS or order.status is not Status.UNTRIGGERED:
        return
    if order.trail or change.changes_bracket:
        raise Refusal(code.PARAMETER, "params error: use position/trading-stop to change this")
    if change.lots is None:
        return
    if order.stop_order_type not in PARTIAL_STOPS:
        raise Refusal(code.PARAMETER, f"params error: only a {PARTIAL} stop has a qty of its own")
    if holding.guards.covered(order.stop_order_type) - order.lots + change.lots > abs(holding.lots):
        raise Refusal(code.PROTECTION_TOO_LARGE, "The size of the stop is beyond what the position has left")
