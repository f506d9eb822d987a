"""Read request bodies: types first, then the instrument's filters, each breach with the venue's own code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue.answers import Item, Refusal
from services.venue.holdings import HEDGE_INDEXES, ONE_WAY
from services.venue.market import SIDES, Market
from undertow.matching.ladder import BUY
from undertow.matching.scale import LARGEST_VALUE, OffGridError

_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TRIGGERS: Final = frozenset({"LastPrice", "IndexPrice", "MarkPrice"})
_TIMES_IN_FORCE: Final = frozenset({"GTC", "IOC", "FOK", "PostOnly"})
_SMP_TYPES: Final = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
RISES, FALLS = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A create request that passed the filters; `tick` 0 for market orders, lots 0 for "close all"."""

    index: int
    side: int
    order_type: str
    time_in_force: str
    tick: int
    lots: int
    link_id: str
    reduce_only: bool
    close_on_trigger: bool
    trigger: Decimal
    trigger_by: str
    trigger_direction: int
    take_profit: Decimal
    stop_loss: Decimal
    tp_trigger_by: str
    sl_trigger_by: str
    smp_type: str


def text(body: Mapping[str, object], key: str, default: str | None = None) -> str:
    """Read a string; without a default it must be there.

    Raises:
        Refusal: 10001.
    """
    value = body.get(key, default)
    if value is None or (value == "" and default is None):
        raise Refusal(code.PARAMETER, f"params error: {key} is required")
    if not isinstance(value, str):
        raise Refusal(code.PARAMETER, f"params error: {key} must be a string")
    return value


def one_of(body: Mapping[str, object], key: str, allowed: frozenset[str], default: str | None = None) -> str:
    """Read one of several words.

    Raises:
        Refusal: 10001.
    """
    value = text(body, key, default) or default or ""
    if value and value not in allowed:
        raise Refusal(code.PARAMETER, f"params error: {key} invalid")
    return value


def trigger_word(body: Mapping[str, object], key: str) -> str:
    """Read which price triggers, the last traded one by default.

    Raises:
        Refusal: 10001.
    """
    return one_of(body, key, _TRIGGERS, "LastPrice")


def flag(body: Mapping[str, object], key: str) -> bool:
    """Read a boolean, False when absent.

    Raises:
        Refusal: 10001.
    """
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refusal(code.PARAMETER, f"params error: {key} must be a boolean")
    return value


def number(body: Mapping[str, object], key: str) -> Decimal | None:
    """Read a non-negative decimal string; None when absent or empty.

    Raises:
        Refusal: 10001.
    """
    value = text(body, key, "")
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        raise Refusal(code.PARAMETER, f"params error: {key} invalid")
    return Decimal(value)


def check_category(body: Mapping[str, object]) -> None:
    """Accept the linear category only.

    Raises:
        Refusal: 10001.
    """
    if body.get("category") != "linear":
        raise Refusal(code.PARAMETER, "params error: Category is invalid")


def position_index(body: Mapping[str, object], *, hedged: bool) -> int:
    """Read which of a market's positions is meant: 0 in one-way mode, 1 (long) or 2 (short) in hedge mode.

    Raises:
        Refusal: 10001.
    """
    index = body.get("positionIdx", ONE_WAY)
    if type(index) is not int or index not in (HEDGE_INDEXES if hedged else (ONE_WAY,)):
        raise Refusal(code.PARAMETER, "position idx not match position mode")
    return index


def read_create(body: Item, market: Market, *, hedged: bool) -> Wanted:
    """Check a create request against types and filters.

    In hedge mode an order on the closing side of its index is reduce-only, whether it says so or not (our inference).

    Raises:
        Refusal: with the code of the first breach.
    """
    index = position_index(body, hedged=hedged)
    side = SIDES[one_of(body, "side", frozenset(SIDES))]
    order_type = one_of(body, "orderType", frozenset({"Limit", "Market"}))
    time_in_force = "IOC" if order_type == "Market" else one_of(body, "timeInForce", _TIMES_IN_FORCE, "GTC")
    link_id = text(body, "orderLinkId", "")
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise Refusal(code.PARAMETER, "params error: orderLinkId invalid")
    if market.status != "Trading":
        raise Refusal(code.NOT_LIVE, "This contract is not live")
    reduce_only, close_on_trigger = flag(body, "reduceOnly"), flag(body, "closeOnTrigger")
    closes = hedged and HEDGE_INDEXES[index] != side
    tick = 0 if order_type == "Market" else check_price(market, number(body, "price"))
    trigger = number(body, "triggerPrice") or Decimal(0)
    direction = body.get("triggerDirection", 0)
    if trigger and direction not in {RISES, FALLS}:
        raise Refusal(code.PARAMETER, "params error: triggerDirection invalid")
    take_profit, stop_loss = number(body, "takeProfit") or Decimal(0), number(body, "stopLoss") or Decimal(0)
    if (reduce_only or closes) and (take_profit or stop_loss):
        raise Refusal(code.PARAMETER, "reduce-only order cannot have takeProfit or stopLoss")
    if text(body, "tpslMode", "Full") not in {"", "Full"}:
        raise Refusal(code.PARAMETER, "params error: tpslMode Partial is not offered here")
    for price in (trigger, take_profit, stop_loss):
        if price:
            check_price(market, price)
    wanted = Wanted(
        index=index,
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        tick=tick,
        lots=check_qty(
            market, number(body, "qty"), is_market=order_type == "Market", closes_all=reduce_only and close_on_trigger
        ),
        link_id=link_id,
        reduce_only=reduce_only or close_on_trigger or closes,
        close_on_trigger=close_on_trigger,
        trigger=trigger,
        trigger_by=one_of(body, "triggerBy", _TRIGGERS, "LastPrice") if trigger else "",
        trigger_direction=int(direction) if trigger else 0,
        take_profit=take_profit,
        stop_loss=stop_loss,
        tp_trigger_by=one_of(body, "tpTriggerBy", _TRIGGERS, "LastPrice") if take_profit else "",
        sl_trigger_by=one_of(body, "slTriggerBy", _TRIGGERS, "LastPrice") if stop_loss else "",
        smp_type=one_of(body, "smpType", _SMP_TYPES, "None"),
    )
    reference = market.scale.price(tick) if tick else market.mark
    check_protection(side, reference, take_profit=take_profit, stop_loss=stop_loss)
    if wanted.lots:
        check_notional(market, tick, wanted.lots, reduce_only=wanted.reduce_only)
    return wanted


def check_price(market: Market, price: Decimal | None) -> int:
    """Give a price in ticks.

    Raises:
        Refusal: 10001 absent or off the grid, 110003 outside the filter.
    """
    if price is None:
        raise Refusal(code.PARAMETER, "params error: price is required")
    if not market.min_price <= price <= market.max_price:
        raise Refusal(code.PRICE_OUT_OF_RANGE, "Order price exceeds the allowable range.")
    try:
        return market.scale.ticks(price)
    except OffGridError:
        raise Refusal(code.PARAMETER, "params error: price invalid, not a multiple of the tick size") from None


def check_qty(market: Market, qty: Decimal | None, *, is_market: bool, closes_all: bool = False) -> int:
    """Give a quantity in lots; 0 only to close everything.

    Raises:
        Refusal: 10001.
    """
    if qty is None:
        raise Refusal(code.PARAMETER, "params error: qty is required")
    if closes_all and not qty:
        return 0
    if qty < market.min_qty:
        raise Refusal(code.PARAMETER, "The number of contracts is below the minimum limit allowed")
    if qty > (market.max_market_qty if is_market else market.max_limit_qty):
        raise Refusal(code.PARAMETER, "The number of contracts exceeds maximum limit allowed: too large")
    try:
        return market.scale.lots(qty)
    except OffGridError:
        raise Refusal(code.PARAMETER, "Qty invalid") from None


def check_notional(market: Market, tick: int, lots: int, *, reduce_only: bool) -> None:
    """Check the order's value at its price, for a market order at the mark.

    Raises:
        Refusal: 110094, 110090.
    """
    price = market.scale.price(tick) if tick else market.mark
    if not reduce_only and price and market.scale.qty(lots) * price < market.min_notional:
        raise Refusal(
            code.NOTIONAL_BELOW_MINIMUM,
            f"Order does not meet minimum order value {market.min_notional}{market.settle_coin}",
        )
    if lots * market.lot_value > LARGEST_VALUE:
        raise Refusal(code.POSITION_LIMIT, "Order value exceeds the position limit")


def check_protection(side: int, reference: Decimal, *, take_profit: Decimal, stop_loss: Decimal) -> None:
    """Check that stop and target stand on their side of the price.

    Raises:
        Refusal: 10001.
    """
    name = "Buy" if side == BUY else "Sell"
    if stop_loss and reference and (stop_loss >= reference) == (side == BUY):
        where = "lower" if side == BUY else "higher"
        raise Refusal(
            code.PARAMETER, f"StopLoss:{stop_loss} set for {name} position should {where} than base_price:{reference}"
        )
    if take_profit and reference and (take_profit <= reference) == (side == BUY):
        where = "higher" if side == BUY else "lower"
        raise Refusal(
            code.PARAMETER,
            f"TakeProfit:{take_profit} set for {name} position should {where} than base_price:{reference}",
        )
