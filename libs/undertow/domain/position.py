"""A position: average entry, realised and unrealised result, through reductions and flips.

Formulas: linear contracts, one-way mode. Average entry = Σ(qty·price)/Σqty over increases; a reduction leaves it; a flip starts
anew at the fill's price. Realised = closed qty · (price − entry) · direction. Fees and funding are kept apart.
The cost that a partial close takes with it is rounded half-even to `MONEY_STEP`; what the rounding leaves stays in the position,
so that over a whole round trip the realised result is exactly the sum of the cash flows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from undertow.domain.money import MONEY_STEP
from undertow.domain.order import Side

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One symbol's position.

    `qty` is signed (long > 0), `cost` is the signed Σ(qty·price) of what is open, in quote coin.
    """

    symbol: str
    qty: Decimal = _ZERO
    cost: Decimal = _ZERO
    realised: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO

    @property
    def is_flat(self) -> bool:
        """True when nothing is held."""
        return self.qty == 0

    @property
    def entry_price(self) -> Decimal:
        """Average entry price; 0 when flat."""
        return self.cost / self.qty if self.qty else _ZERO

    @property
    def side(self) -> Side | None:
        """The side held, or None when flat."""
        if self.is_flat:
            return None
        return Side.BUY if self.qty > 0 else Side.SELL

    def unrealised(self, mark: Decimal) -> Decimal:
        """Result if closed at `mark`, before fees, in quote coin."""
        return self.qty * mark - self.cost

    def after_fill(self, side: Side, qty: Decimal, price: Decimal, fee: Decimal) -> Position:
        """Give the position after a fill of `qty` > 0 at `price`; `fee` is positive when paid.

        Raises:
            ValueError: `qty` is not positive.
        """
        if qty <= 0:
            raise ValueError(f"a fill's qty is positive, not {qty}")
        signed = qty * side.sign
        fees = self.fees + fee
        if self.qty == 0 or (self.qty > 0) == (signed > 0):
            return replace(self, qty=self.qty + signed, cost=self.cost + signed * price, fees=fees)
        if abs(signed) < abs(self.qty):
            closed_cost = (self.cost * qty / abs(self.qty)).quantize(MONEY_STEP, ROUND_HALF_EVEN)
            return replace(
                self,
                qty=self.qty + signed,
                cost=self.cost - closed_cost,
                realised=self.realised - signed * price - closed_cost,
                fees=fees,
            )
        opened = self.qty + signed
        return replace(
            self,
            qty=opened,
            cost=opened * price,
            realised=self.realised + self.qty * price - self.cost,
            fees=fees,
        )

    def after_funding(self, received: Decimal) -> Position:
        """Book a funding payment, positive when received."""
        return replace(self, funding=self.funding + received)
