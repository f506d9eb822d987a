"""Money's smallest fraction and the rounding of each money event, the same in our books and in the paper venue's."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Final

MONEY_STEP: Final = Decimal("0.00000001")
"""The fraction of the quote coin in which fees, funding and realised results are booked."""


def fee_for(qty: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Fee of a fill, positive when paid: qty · price · rate, rounded up (against the payer, for a rebate towards zero)."""
    return (qty * price * rate).quantize(MONEY_STEP, ROUND_CEILING)


def funding_for(signed_qty: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Funding received by a signed position: −qty · mark · rate, rounded half-even; a long pays a positive rate."""
    return (-signed_qty * mark * rate).quantize(MONEY_STEP, ROUND_HALF_EVEN)
