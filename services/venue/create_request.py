"""Read a create request: what an order shall be once it has passed the filters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.answers import Item, Refusal
from services.venue.bracket import FULL, NO_LEG, Bracket
from services.venue.bracket_request import STOP, TARGET, check_limits_are_partial, check_side, read_leg, read_mode
from services.venue.holdings import HEDGE_INDEXES
from services.venue.market import SIDES, Market
from services.venue.orders import Tolerance

RISES, FALLS = 1, 2
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TIMES_IN_FORCE: Final = frozenset({"GTC", "IOC", "FOK", "PostOnly", "RPI"})
_SMP_TYPES: Final = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
_BBO_SIDES: Final = frozenset({"Queue", "Counterparty"})
_BBO_LEVELS: Final = frozenset("12345")
_TOLERANCES: Final = frozenset({"TickSize", "Percent"})
_MOST_TOLERANCE: Final = {"TickSize": Decimal(10_000), "Percent": Decimal(10)}
_TOLERANCE_STEP: Final = {"TickSize": Decimal(1), "Percent": Decimal("0.01")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A create request that passed the filters; `tick` 0 for market orders, lots 0 for "close all", `trigger` 0 for none."""

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
    bracket: Bracket
    smp_type: str
    is_bbo: bool
    tolerance: Tolerance | None

    @property
    def is_market(self) -> bool:
        """True for a market order."""
        return self.order_type == "Market"


def read_create(body: Item, market: Market, *, hedged: bool) -> Wanted:
    """Check a create request against types and filters.

    In hedge mode an order on the closing side of its index is reduce-only, whether it says so or not (our inference).

    Raises:
        Refusal: with the code of the first breach.
    """
    index = requests.position_index(body, hedged=hedged)
    side = SIDES[requests.one_of(body, "side", frozenset(SIDES))]
    order_type = requests.one_of(body, "orderType", requests.ORDER_TYPES)
    is_market = order_type == "Market"
    link_id = requests.text(body, "orderLinkId", "")
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise Refusal(code.PARAMETER, "params error: orderLinkId invalid")
    if market.status != "Trading":
        raise Refusal(code.NOT_LIVE, "This contract is not live")
    requests.flag(body, "rpiTakerAccess")
    reduce_only, close_on_trigger = requests.flag(body, "reduceOnly"), requests.flag(body, "closeOnTrigger")
    trigger, trigger_by, direction = _read_trigger(body, market)
    is_bbo, tick = _read_price(body, market, side, is_market=is_market)
    bracket = _read_bracket(body, market, side, market.scale.price(tick) or trigger)
    closes = hedged and HEDGE_INDEXES[index] != side
    if (reduce_only or closes) and bracket:
        raise Refusal(code.PARAMETER, "reduce-only order cannot have takeProfit or stopLoss")
    wanted = Wanted(
        index=index,
        side=side,
        order_type=order_type,
        time_in_force=_read_time_in_force(body, is_market=is_market),
        tick=tick,
        lots=requests.check_qty(
            market,
            requests.number(body, "qty"),
            is_market=is_market,
            closes_all=reduce_only and close_on_trigger,
            is_split=reduce_only,
        ),
        link_id=link_id,
        reduce_only=reduce_only or close_on_trigger or closes,
        close_on_trigger=close_on_trigger,
        trigger=trigger,
        trigger_by=trigger_by,
        trigger_direction=direction,
        bracket=bracket,
        smp_type=requests.one_of(body, "smpType", _SMP_TYPES, "None"),
        is_bbo=is_bbo,
        tolerance=_read_tolerance(body, is_plain_market=is_market and not trigger),
    )
    if wanted.lots:
        requests.check_notional(market, tick, wanted.lots, reduce_only=wanted.reduce_only)
    return wanted


def _read_time_in_force(body: Item, *, is_market: bool) -> str:
    time_in_force = requests.one_of(body, "timeInForce", _TIMES_IN_FORCE, "GTC")
    if time_in_force == "RPI":
        raise Refusal(code.NO_RPI, "RPI orders are restricted to approved market makers only")
    return "IOC" if is_market else time_in_force


def _read_trigger(body: Item, market: Market) -> tuple[Decimal, str, int]:
    trigger = requests.number(body, "triggerPrice")
    if not trigger:
        return Decimal(0), "", 0
    requests.check_price(market, trigger, "triggerPrice")
    direction = requests.integer(body, "triggerDirection", 0)
    if direction not in {RISES, FALLS}:
        raise Refusal(code.PARAMETER, "params error: triggerDirection must be 1 (rise) or 2 (fall)")
    return trigger, requests.one_of(body, "triggerBy", requests.TRIGGERS, "LastPrice"), direction


def _read_price(body: Item, market: Market, side: int, *, is_market: bool) -> tuple[bool, int]:
    book_side = requests.one_of(body, "bboSideType", _BBO_SIDES, "")
    level = requests.one_of(body, "bboLevel", _BBO_LEVELS, "")
    if not book_side and not level:
        return False, 0 if is_market else requests.check_price(market, requests.number(body, "price"))
    if not book_side or not level or is_market or body.get("price"):
        raise Refusal(
            code.PARAMETER, "params error: a BBO order is a limit order with bboSideType and bboLevel and without price"
        )
    shown = market.matcher.levels(side if book_side == "Queue" else 1 - side, int(level))
    if len(shown) < int(level):
        raise Refusal(code.NO_MARKET_PRICE, f"No price for the BBO order: the book shows {len(shown)} levels")
    return True, shown[-1][0]


def _read_bracket(body: Item, market: Market, side: int, entry: Decimal) -> Bracket:
    target, stop = read_leg(body, market, TARGET), read_leg(body, market, STOP)
    mode = read_mode(body) or FULL
    check_limits_are_partial(mode, target, stop)
    for name, leg in ((TARGET, target), (STOP, stop)):
        if leg:
            check_side(name, leg, side, entry or market.price_of(leg.by))
    return Bracket(target or NO_LEG, stop or NO_LEG, mode)


def _read_tolerance(body: Item, *, is_plain_market: bool) -> Tolerance | None:
    kind = requests.one_of(body, "slippageToleranceType", _TOLERANCES, "")
    amount = requests.number(body, "slippageTolerance")
    if not kind and amount is None:
        return None
    if not kind or amount is None or not is_plain_market:
        raise Refusal(
            code.PARAMETER,
            "params error: slippageTolerance and slippageToleranceType go together, with unconditional market orders",
        )
    step = _TOLERANCE_STEP[kind]
    if not step <= amount <= _MOST_TOLERANCE[kind] or amount % step:
        if kind == "TickSize":
            raise Refusal(code.TOLERANCE_TICKS, "Allowable range: 1 to 10000 tick size")
        raise Refusal(code.TOLERANCE_PERCENT, "Allowable range: 0.01% to 10%")
    return Tolerance(kind, amount)
