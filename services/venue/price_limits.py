"""Between which prices a contract may be ordered: the venue's formula of May 2026 with a = 1. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from services.venue.board import SymbolBoard

_NOTHING: Final = Decimal(0)


def price_limits(board: SymbolBoard, instrument: Mapping[str, Any], now_ms: int) -> tuple[str, str] | None:
    """Give the highest price of a buy and the lowest of a sell, on the tick; None while there is no mark price."""
    if "markPrice" not in board.ticker:
        return None
    mark = Decimal(board.ticker["markPrice"])
    index = Decimal(board.ticker.get("indexPrice") or mark)
    x, y = (Decimal(instrument["riskParameters"][f"priceLimitRatio{name}"]) for name in "XY")
    premium = board.average_premium(now_ms)
    highest = min(mark * (1 + y), max(index, mark * (1 + x) + max(_NOTHING, premium)))
    lowest = max(mark * (1 - y), min(index, mark * (1 - x) + min(_NOTHING, premium)))
    tick = Decimal(instrument["priceFilter"]["tickSize"])
    return (
        str((highest / tick).to_integral_value(ROUND_FLOOR) * tick),
        str((lowest / tick).to_integral_value(ROUND_CEILING) * tick),
    )
