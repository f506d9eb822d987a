"""When an order that waits is let loose."""

from __future__ import annotations

from services.venue.create_request import RISES
from services.venue.market import Market
from services.venue.orders import Order


def is_reached(order: Order, market: Market) -> bool:
    """Tell whether the price that an order waits for has come; a trailing stop follows the last price by it."""
    if order.trail is not None:
        return bool(market.last) and order.trail.follow(market.last)
    price = market.price_of(order.trigger_by)
    if not price:
        return False
    return price >= order.trigger if order.trigger_direction == RISES else price <= order.trigger
