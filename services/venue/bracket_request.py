"""Read what a request says about targets and stops: of an entry, of its amendment, of a position."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.answers import Refusal
from services.venue.bracket import FULL, NO_LEG, PARTIAL, Leg
from services.venue.market import SIDE_NAMES, Market
from undertow.matching.ladder import BUY

TARGET, STOP = "takeProfit", "stopLoss"
_PREFIX: Final = {TARGET: "tp", STOP: "sl"}
_MODES: Final = frozenset({FULL, PARTIAL})


def read_mode(body: Mapping[str, object]) -> str:
    """Read tpslMode; empty when absent.

    Raises:
        Refusal: 10001.
    """
    return requests.one_of(body, "tpslMode", _MODES, "")


def read_leg(body: Mapping[str, object], market: Market, name: str, was: Leg = NO_LEG) -> Leg | None:
    """Read the target or the stop that a body sets, `was` before; None when it says nothing, `NO_LEG` when it removes it.

    Raises:
        Refusal: 10001, 110003.
    """
    prefix = _PREFIX[name]
    price, limit = requests.number(body, name), requests.number(body, f"{prefix}LimitPrice")
    by = requests.one_of(body, f"{prefix}TriggerBy", requests.TRIGGERS, "")
    order_type = requests.one_of(body, f"{prefix}OrderType", requests.ORDER_TYPES, "")
    if price is None:
        if not was or (limit is None and not by):
            return None
        price = was.trigger
    if not price:
        return NO_LEG
    requests.check_price(market, price, name)
    tick = was.tick
    if order_type == "Limit" or (tick and limit is not None):
        tick = requests.check_price(market, limit, f"{prefix}LimitPrice")
    return Leg(price, by or was.by or "LastPrice", tick)


def check_limits_are_partial(mode: str, *legs: Leg | None) -> None:
    """Check that only partial brackets have limit orders.

    Raises:
        Refusal: 10001.
    """
    if mode != PARTIAL and any(leg.tick for leg in legs if leg):
        raise Refusal(code.PARAMETER, "params error: a limit take profit or stop loss needs tpslMode Partial")


def check_side(name: str, leg: Leg | None, side: int, reference: Decimal) -> None:
    """Check that a target or stop stands on its side of a price; `side` is that of the position.

    Raises:
        Refusal: 10001.
    """
    if not leg or not reference:
        return
    is_above = (side == BUY) == (name == TARGET)
    if leg.trigger <= reference if is_above else leg.trigger >= reference:
        what, where = ("TakeProfit" if name == TARGET else "StopLoss"), ("higher" if is_above else "lower")
        raise Refusal(
            code.PARAMETER,
            f"{what}:{leg.trigger} set for {SIDE_NAMES[side]} position should be {where} than base_price:{reference}",
        )
