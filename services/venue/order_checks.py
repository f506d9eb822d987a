"""What an order must satisfy besides the filters of its instrument: counts, prices, the position and the money."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account, Claim, Growth
from services.venue.answers import Refusal
from services.venue.create_request import FALLS, RISES, Wanted
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.orders import CONDITIONAL, Order
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY
from undertow.matching.scale import LARGEST_VALUE, from_units

MOST_OPEN: Final = 500
"""Active orders of an account in one symbol; also the most that one cancel-all ends."""
_MOST_CONDITIONAL: Final = 10


def check_count(account: Account, market: Market, more: int, *, conditional: bool) -> None:
    """Check that so many more orders are allowed.

    Raises:
        Refusal: 110009, 110020.
    """
    mine = account.orders_in(market)
    waiting = sum(1 for o in mine if o.waits and o.stop_order_type == CONDITIONAL)
    if conditional and waiting + more > _MOST_CONDITIONAL:
        raise Refusal(code.TOO_MANY_STOPS, "You have too many conditional orders")
    if not conditional and sum(1 for o in mine if not o.waits) + more > MOST_OPEN:
        raise Refusal(code.TOO_MANY_ORDERS, "You have more than 500 active orders")


def limited_tick(account: Account, market: Market, side: int, tick: int, now_ns: int) -> int:
    """Give a limit order's price, beyond the price limit that limit, unless the account asked for a refusal there.

    Raises:
        Refusal: 110120, 110121.
    """
    limits = market.limit_ticks(now_ns)
    if limits is None or (tick <= limits[side] if side == BUY else tick >= limits[side]):
        return tick
    if not account.reprices_limits:
        refusal = code.ABOVE_LIMIT_PRICE if side == BUY else code.BELOW_LIMIT_PRICE
        price, limit = (market.scale.price(each) for each in (tick, limits[side]))
        raise Refusal(refusal, f"Order price {price} is beyond the price limit {limit}")
    return limits[side]


def market_tick(market: Market, order: Order, now_ns: int) -> int:
    """Give the price behind which a market order does not fill; 0 when there is nothing to take."""
    tick, best = market.protective_tick(order.side, now_ns), market.best(1 - order.side)
    if tick is None or best is None:
        return 0
    if order.tolerance is None:
        return tick
    tolerated = market.tolerant_tick(order.side, order.tolerance.distance(best, market.scale.tick_size)) or tick
    return min(tick, tolerated) if order.side == BUY else max(tick, tolerated)


def check_reduces(holding: Holding, side: int) -> None:
    """Check that there is something to reduce.

    Raises:
        Refusal: 110017.
    """
    if not holding.lots:
        raise Refusal(code.REDUCE_ONLY_IMPOSSIBLE, "current position is zero, cannot fix reduce-only order qty")
    if not holding.closable(side):
        raise Refusal(code.REDUCE_ONLY_IMPOSSIBLE, "Reduce-only rule not satisfied")


def check_trigger_side(market: Market, trigger: Decimal, by: str, direction: int) -> None:
    """Check that a trigger price has not come already.

    Raises:
        Refusal: 110092, 110093.
    """
    current = market.price_of(by)
    if direction == RISES and current and trigger <= current:
        raise Refusal(code.TRIGGER_NOT_ABOVE, f"expect Rising, but trigger_price[{trigger}] <= current[{current}]")
    if direction == FALLS and current and trigger >= current:
        raise Refusal(code.TRIGGER_NOT_BELOW, f"expect Falling, but trigger_price[{trigger}] >= current[{current}]")


def check_entry(account: Account, market: Market, order: Order, now_ns: int) -> None:
    """Check what an order must satisfy to reach the book, among the open ones already, and move one beyond the price limit.

    Raises:
        Refusal: 110007, 110086, 110090, 110120, 110121.
    """
    if order.order_type == "Limit":
        order.tick = limited_tick(account, market, order.side, order.tick, now_ns)
    if not order.reduce_only:
        tick = reckoned_tick(market, order, order.tick, order.leaves, now_ns)
        _check_growth(account, market, order, account.claim(order), account.claim(order, tick, order.leaves))
        order.reckoned_tick = tick


def reckoned_tick(market: Market, order: Order, tick: int, lots: int, now_ns: int) -> int:
    """Give the mean price at which so many lots of an order would fill now, with what would rest at its own price."""
    is_market = order.order_type == "Market"
    limit = market_tick(market, order, now_ns) if is_market else tick
    if not limit:
        return 0
    if not is_market and not market.matcher.would_take(order.side, limit):
        return tick
    return market.mean_tick(order.side, lots, limit, rests=order.time_in_force not in {"IOC", "FOK"})


def check_amended_funds(account: Account, market: Market, order: Order, tick: int, lots: int, now_ns: int) -> None:
    """Check that money, tier and leverage allow an order to change.

    Raises:
        Refusal: 110007, 110086, 110090.
    """
    if not order.reduce_only and not order.waits:
        left = lots - order.filled
        tick = reckoned_tick(market, order, tick, left, now_ns)
        _check_growth(account, market, order, account.claim(), account.claim(order, tick, left))


def grown_value(holding: Holding, growth: Growth, side: int) -> int:
    """Give the value of a position once the open orders of one side have filled."""
    held = holding.lots if side == BUY else -holding.lots
    return growth.get((holding.market.symbol, holding.index, side), 0) + (holding.value if held > 0 else 0)


def highest_leverage(market: Market, value: int) -> Decimal:
    """Give the leverage that the risk tier of a position of this value allows; beyond the last it is the last's."""
    return market.tier_leverages[int(kernel.tier_of(value, market.tiers))]


def _check_growth(account: Account, market: Market, order: Order, before: Claim, after: Claim) -> None:
    if after.needed > before.needed and account.position_margin + after.needed > account.funds:
        raise Refusal(code.BALANCE_SHORT, "ab not enough for new order")
    key = (order.symbol, order.index, order.side)
    if after.growth.get(key, 0) <= before.growth.get(key, 0):
        return
    holding = account.holding(market, order.index)
    value = grown_value(holding, after.growth, order.side)
    if value > min(int(market.tiers[-1, 0]), LARGEST_VALUE):
        raise Refusal(code.POSITION_LIMIT, "The position would exceed the limit of the last risk tier")
    if from_units(holding.leverage * 10**6) > highest_leverage(market, value):
        raise Refusal(code.LEVERAGE_FOR_SIZE, "The leverage is too high for the risk tier of this size")


def split(holding: Holding, wanted: Wanted) -> list[int]:
    """Cut a reduce-only order beyond the largest order into pieces; an unconditional one is cut to the position first."""
    market = holding.market
    largest = int(requests.largest_qty(market, is_market=wanted.is_market) / market.scale.qty_step)
    if wanted.lots <= largest:
        return [wanted.lots]
    lots = wanted.lots if wanted.trigger else min(wanted.lots, abs(holding.lots))
    whole, rest = divmod(lots, largest)
    return [largest] * whole + ([rest] if rest else [])
