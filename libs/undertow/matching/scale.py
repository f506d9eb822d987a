"""The border between Decimal and the kernel's integers: ticks, lots, money units of 1e-8 quote coin.

Everything inside is int64. `Scale.load` proves, once per instrument, that the dearest order that the filters allow stays below 2^61 units
and its quantity below 2^31 lots; whoever holds positions keeps them below `LARGEST_VALUE` too. Then no product the kernels form overflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from undertow.domain.money import MONEY_STEP

UNITS: Final = 100_000_000
"""Money units in one quote coin; also the denominator of rates."""
LARGEST_LOTS: Final = 2**31 - 1
"""Bound of any quantity, so that the product of two quantities fits."""
LARGEST_VALUE: Final = 2**61
"""Bound of an order's and a position's value, in money units."""


class OffGridError(ValueError):
    """A price, quantity or mark that the instrument's grid cannot express."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One instrument's grid.

    Attributes:
        unit: money units of one lot moved by one tick.
    """

    symbol: str
    tick_size: Decimal
    qty_step: Decimal
    unit: int

    @classmethod
    def load(cls, *, symbol: str, tick_size: Decimal, qty_step: Decimal, max_price: Decimal, max_qty: Decimal) -> Scale:
        """Check an instrument's filters and give its grid.

        Raises:
            OffGridError: one tick times one step is no whole number of money units.
            OverflowError: the dearest order does not leave room in 64 bits.
        """
        unit = tick_size * qty_step / MONEY_STEP
        if unit < 1 or unit % 1:
            raise OffGridError(f"{symbol}: tick {tick_size} times step {qty_step} is not a multiple of {MONEY_STEP}")
        ticks, lots = int(max_price / tick_size), int(max_qty / qty_step)
        if lots > LARGEST_LOTS:
            raise OverflowError(f"{symbol}: {lots} lots of {qty_step} are more than {LARGEST_LOTS}; use a larger step")
        if ticks * lots * int(unit) > LARGEST_VALUE:
            raise OverflowError(f"{symbol}: an order of {max_qty} at {max_price} does not fit 64 bits of {MONEY_STEP}")
        return cls(symbol=symbol, tick_size=tick_size, qty_step=qty_step, unit=int(unit))

    def ticks(self, price: Decimal) -> int:
        """Give a price in ticks.

        Raises:
            OffGridError: the price is between two ticks.
        """
        ticks = price / self.tick_size
        if ticks != ticks.to_integral_value():
            raise OffGridError(f"{self.symbol}: price {price} is not a multiple of {self.tick_size}")
        return int(ticks)

    def lots(self, qty: Decimal) -> int:
        """Give a quantity in lots.

        Raises:
            OffGridError: the quantity is between two steps, or beyond `LARGEST_LOTS`.
        """
        lots = qty / self.qty_step
        if lots != lots.to_integral_value() or abs(lots) > LARGEST_LOTS:
            raise OffGridError(
                f"{self.symbol}: qty {qty} is not a multiple of {self.qty_step} below {LARGEST_LOTS} of them"
            )
        return int(lots)

    def price(self, ticks: int) -> Decimal:
        """Give ticks as a price, with the tick's decimals."""
        return ticks * self.tick_size

    def qty(self, lots: int) -> Decimal:
        """Give lots as a quantity, with the step's decimals."""
        return lots * self.qty_step

    def value(self, ticks: int, lots: int) -> int:
        """Money units of a fill."""
        return ticks * lots * self.unit

    def lot_value(self, mark: Decimal) -> int:
        """Money units of one lot at a mark price; a mark finer than that is rounded half-even (marks are finer than ticks)."""
        return int((mark * self.qty_step / MONEY_STEP).to_integral_value(ROUND_HALF_EVEN))


def to_units(amount: Decimal) -> int:
    """Give money (or a rate) in units of 1e-8.

    Raises:
        OffGridError: it is finer than that.
    """
    units = amount / MONEY_STEP
    if units != units.to_integral_value():
        raise OffGridError(f"{amount} is finer than {MONEY_STEP}")
    return int(units)


def from_units(units: int) -> Decimal:
    """Give units of 1e-8 as money."""
    return Decimal(units).scaleb(-8)
