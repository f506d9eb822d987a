"""What may be ordered: the venue's filters for one contract, and the rounding that satisfies them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Final

from undertow.domain.order import OrderType, Side

TRADING: Final = "Trading"
"""The status of a contract that may be ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A linear perpetual's filters; prices in quote coin, quantities in base coin."""

    symbol: str
    base_coin: str
    quote_coin: str
    status: str
    tick_size: Decimal
    min_price: Decimal
    max_price: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal
    min_notional: Decimal
    max_leverage: Decimal
    funding_interval_minutes: int
    price_limit_ratio_x: Decimal
    price_limit_ratio_y: Decimal

    def round_price(self, price: Decimal, side: Side) -> Decimal:
        """Round to the tick away from the market: a buy down, a sell up, so that no order becomes more eager."""
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return (price / self.tick_size).to_integral_value(rounding) * self.tick_size

    def round_qty(self, qty: Decimal) -> Decimal:
        """Round down to the step: never more than was asked for."""
        return (qty / self.qty_step).to_integral_value(ROUND_DOWN) * self.qty_step

    def why_not_orderable(  # noqa: PLR0911 - one return a filter
        self, order_type: OrderType, price: Decimal, qty: Decimal
    ) -> str | None:
        """Name the first filter that the order breaks, or None; `price` is the mark price for a market order."""
        largest = self.max_market_qty if order_type is OrderType.MARKET else self.max_limit_qty
        if self.status != TRADING:
            return f"{self.symbol} is {self.status}, not {TRADING}"
        if qty < self.min_qty:
            return f"qty {qty} is below the minimum {self.min_qty}"
        if qty > largest:
            return f"qty {qty} is above the maximum {largest}"
        if qty % self.qty_step:
            return f"qty {qty} is not a multiple of {self.qty_step}"
        if order_type is OrderType.LIMIT:
            if price % self.tick_size:
                return f"price {price} is not a multiple of {self.tick_size}"
            if not self.min_price <= price <= self.max_price:
                return f"price {price} is outside {self.min_price}..{self.max_price}"
        if qty * price < self.min_notional:
            return f"notional {qty * price} is below the minimum {self.min_notional}"
        return None
