"""The places in the feature vector that sources of the outside world may feed: few, fixed, each with one meaning.

Which sources there are is the user's choice, and no choice of a user's may change what a column means: a model knows
columns by the schema hash alone. So a source names the slot that it feeds, the collector checks at its start that it
can, and a slot that nobody feeds stands at what the catalogue says of nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True)
class Slot:
    """One place.

    Attributes:
        unit: of the values, in the words that a source must use.
        by_symbol: whether each symbol has a value of its own; otherwise one value is for all.
        lowest: least value that can be true.
        highest: greatest.
        limit_seconds: age from which a value counts no more, whatever its source declares.
        default: what the feature is while there is no value that counts.
        feature: its name.
        feature_unit: its unit.
        scale: from the value to the feature.
    """

    name: str
    unit: str
    by_symbol: bool
    lowest: Decimal
    highest: Decimal
    limit_seconds: int
    default: float
    feature: str
    feature_unit: str
    scale: float = 1.0


SLOTS: Final = (
    Slot(
        "neighbour_funding",
        unit="fraction",
        by_symbol=True,
        lowest=Decimal(-1),
        highest=Decimal(1),
        limit_seconds=3_600,
        default=0.0,
        feature="neighbour_funding_bps",
        feature_unit="bps",
        scale=1e4,
    ),
    Slot(
        "fear_and_greed",
        unit="0..100",
        by_symbol=False,
        lowest=Decimal(0),
        highest=Decimal(100),
        limit_seconds=2 * 86_400,
        default=50.0,
        feature="fear_and_greed",
        feature_unit="0..100",
    ),
    Slot(
        "dollar_index",
        unit="index",
        by_symbol=False,
        lowest=Decimal(1),
        highest=Decimal(1_000),
        limit_seconds=14 * 86_400,
        default=100.0,
        feature="dollar_index",
        feature_unit="index",
    ),
    Slot(
        "us_10_year_rate",
        unit="per cent",
        by_symbol=False,
        lowest=Decimal(-100),
        highest=Decimal(100),
        limit_seconds=7 * 86_400,
        default=0.0,
        feature="us_10_year_rate_percent",
        feature_unit="per cent",
    ),
)
"""In the order of their rows' kinds and of the kernels' state; a new one comes at the end."""

SLOT_OF: Final = {slot.name: slot for slot in SLOTS}
