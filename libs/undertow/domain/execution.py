"""Which of the venue's execution types change a position; the others (Funding) carry a quantity but are cash only."""

from __future__ import annotations

from typing import Final

MOVES_POSITION: Final = frozenset(
    {"Trade", "BustTrade", "AdlTrade", "BlockTrade", "Settle", "Delivery", "MovePosition"},
)
LIQUIDATED: Final = "BustTrade"
FORCED: Final = frozenset({LIQUIDATED, "AdlTrade"})
"""Made by the venue against our will: a liquidation, or a deleveraging for somebody else's."""
