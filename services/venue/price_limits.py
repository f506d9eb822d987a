"""Between which prices a contract may be ordered: the venue's formula of May 2026 with a = 1. Pure.

There is one answer for a moment: what an order meets is what price-limit shows, both from the market that matches.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

PublishedLimits = Callable[[str, int], tuple[Decimal, Decimal] | None]
"""Symbol and market ns → the highest price of a buy and the lowest of a sell, on the tick; None while there is no mark price."""
_NOTHING: Final = Decimal(0)


def price_limits(
    mark: Decimal, index: Decimal, premium: Decimal, *, ratio_x: Decimal, ratio_y: Decimal
) -> tuple[Decimal, Decimal]:
    """Give the highest price of a buy and the lowest of a sell, finer than the tick."""
    highest = min(mark * (1 + ratio_y), max(index, mark * (1 + ratio_x) + max(_NOTHING, premium)))
    lowest = max(mark * (1 - ratio_y), min(index, mark * (1 - ratio_x) + min(_NOTHING, premium)))
    return highest, lowest
