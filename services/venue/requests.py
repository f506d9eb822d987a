"""Read the fields of request bodies: types first, then the instrument's filters, each breach with the venue's own code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue.answers import Refusal
from services.venue.holdings import HEDGE_INDEXES, ONE_WAY
from services.venue.market import Market
from undertow.matching.scale import LARGEST_VALUE, OffGridError

_NUMBER: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
TRIGGERS: Final = frozenset({"LastPrice", "IndexPrice", "MarkPrice"})
ORDER_TYPES: Final = frozenset({"Limit", "Market"})


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


def flag(body: Mapping[str, object], key: str) -> bool:
    """Read a boolean, False when absent.

    Raises:
        Refusal: 10001.
    """
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refusal(code.PARAMETER, f"params error: {key} must be a boolean")
    return value


def integer(body: Mapping[str, object], key: str, default: int | None = None) -> int:
    """Read a whole JSON number; without a default it must be there.

    Raises:
        Refusal: 10001.
    """
    value = body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(code.PARAMETER, f"params error: {key} must be an integer")
    return value


def number(body: Mapping[str, object], key: str) -> Decimal | None:
    """Read a non-negative decimal string, of at most 18 digits on either side of the point; None when absent or empty.

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


def check_price(market: Market, price: Decimal | None, name: str = "price") -> int:
    """Give a price in ticks; `name` is the field it came from.

    Raises:
        Refusal: 10001 absent or off the grid, 110003 outside the filter.
    """
    if price is None:
        raise Refusal(code.PARAMETER, f"params error: {name} is required")
    if not market.min_price <= price <= market.max_price:
        raise Refusal(code.PRICE_OUT_OF_RANGE, "Order price exceeds the allowable range.")
    try:
        return market.scale.ticks(price)
    except OffGridError:
        raise Refusal(code.PARAMETER, f"params error: {name} invalid, not a multiple of the tick size") from None


def check_qty(
    market: Market,
    qty: Decimal | None,
    *,
    is_market: bool,
    closes_all: bool = False,
    is_split: bool = False,
    name: str = "qty",
) -> int:
    """Give a quantity in lots; 0 only to close everything; one that the venue splits may be beyond the largest order.

    Raises:
        Refusal: 10001.
    """
    if qty is None:
        raise Refusal(code.PARAMETER, f"params error: {name} is required")
    if closes_all and not qty:
        return 0
    if qty < market.min_qty:
        raise Refusal(code.PARAMETER, "The number of contracts is below the minimum limit allowed")
    if not is_split and qty > largest_qty(market, is_market=is_market):
        raise Refusal(code.PARAMETER, "The number of contracts exceeds maximum limit allowed: too large")
    try:
        return market.scale.lots(qty)
    except OffGridError:
        raise Refusal(code.PARAMETER, "Qty invalid") from None


def largest_qty(market: Market, *, is_market: bool) -> Decimal:
    """Give the largest quantity of one order."""
    return market.max_market_qty if is_market else market.max_limit_qty


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
