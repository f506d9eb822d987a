"""What a source is, and the ready-made ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field, model_validator

from undertow.features.slots import SLOT_OF
from undertow.runtime.settings import Section

DAY_S: Final = 86_400.0


class Source(Section):
    """One number of the outside world, asked for again and again.

    Attributes:
        url: where; `{symbol}` in it asks once for each symbol.
        value: where in the answer the number is: keys and positions joined by dots (`data.0.value`), or the name of a CSV column, of which
            the last row with a number counts.
        time: likewise for when it held; empty takes the time of receipt.
        time_unit: of `time`: seconds or milliseconds since 1970, or a date (and time) in ISO 8601, UTC unless it says otherwise.
        unit: of the value, in words.
        stale_seconds: age from which the value says nothing any more.
        slot: which place in the feature vector it feeds; empty for none.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    url: str = Field(pattern=r"^https?://[^\s{}]+(\{symbol\}[^\s{}]*)?$")
    format: Literal["json", "csv"] = "json"
    value: str = Field(min_length=1)
    time: str = ""
    time_unit: Literal["s", "ms", "iso"] = "s"
    unit: str = Field(min_length=1, max_length=20)
    interval_seconds: float = Field(ge=1.0)
    stale_seconds: float = Field(gt=0.0)
    slot: str = ""

    @model_validator(mode="after")
    def _can_be_right(self) -> Source:
        if self.stale_seconds < self.interval_seconds:
            raise ValueError(
                f"stale_seconds {self.stale_seconds:g} is below interval_seconds {self.interval_seconds:g}"
            )
        for name, path in (("value", self.value), ("time", self.time)):
            if self.format == "json" and path and re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", path) is None:
                raise ValueError(f"{name} {path!r} is not a path such as data.0.value")
        return self

    @model_validator(mode="after")
    def _fits_its_slot(self) -> Source:
        if not self.slot:
            return self
        slot = SLOT_OF.get(self.slot)
        if slot is None:
            raise ValueError(
                f"slot {self.slot!r} is none of {', '.join(SLOT_OF)}; without one the value is stored and is no feature"
            )
        if self.unit != slot.unit:
            raise ValueError(f"slot {slot.name!r} takes values in {slot.unit!r}, not {self.unit!r}")
        if slot.by_symbol != ("{symbol}" in self.url):
            raise ValueError(
                f"slot {slot.name!r} has a value for each symbol: the url needs {{symbol}}"
                if slot.by_symbol
                else f"slot {slot.name!r} has one value for all symbols: the url has no {{symbol}}"
            )
        return self

    def requests(self, symbols: Sequence[str]) -> list[tuple[str, str]]:
        """Give (symbol, address) of each request; the symbol is empty where the source is about none."""
        if "{symbol}" not in self.url:
            return [("", self.url)]
        return [(symbol, self.url.replace("{symbol}", symbol)) for symbol in symbols]


READY_MADE: Final = {
    source.name: source
    for source in (
        Source(
            name="fear_and_greed",
            url="https://api.alternative.me/fng/?limit=1",
            value="data.0.value",
            time="data.0.timestamp",
            unit="0..100",
            interval_seconds=3_600.0,
            stale_seconds=2 * DAY_S,
            slot="fear_and_greed",
        ),
        Source(
            name="dollar_index",
            url="https://fred.stlouisfed.org/graph/fredgraph.csv?id=DTWEXBGS",
            format="csv",
            value="DTWEXBGS",
            time="observation_date",
            time_unit="iso",
            unit="index",
            interval_seconds=6 * 3_600.0,
            stale_seconds=14 * DAY_S,
            slot="dollar_index",
        ),
        Source(
            name="us_10_year_rate",
            url="https://fred.stlouisfed.org/graph/fredgraph.csv?id=DGS10",
            format="csv",
            value="DGS10",
            time="observation_date",
            time_unit="iso",
            unit="per cent",
            interval_seconds=6 * 3_600.0,
            stale_seconds=7 * DAY_S,
            slot="us_10_year_rate",
        ),
        Source(
            name="binance_funding",
            url="https://fapi.binance.com/fapi/v1/premiumIndex?symbol={symbol}",
            value="lastFundingRate",
            time="time",
            time_unit="ms",
            unit="fraction",
            interval_seconds=60.0,
            stale_seconds=600.0,
            slot="neighbour_funding",
        ),
    )
}
BINANCE_LIQUIDATIONS: Final = "binance_liquidations"
"""The ready-made source that is a stream, not a number."""
