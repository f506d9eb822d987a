"""Settings of the REST collector."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from services.rest_collector.kinds import Kind
from services.rest_collector.schedule import SECOND_NS
from undertow.runtime.settings import BusSettings, Section, ServiceSettings, VenueSettings

_HOUR_NS: Final = 3_600 * SECOND_NS


class CollectSettings(Section):
    """`UNDERTOW_COLLECT__*`: seconds of market time between two requests of a kind, and how they are made."""

    instrument_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    ticker_seconds: float = Field(default=120.0, gt=0, description="seconds above 0")
    open_interest_seconds: float = Field(default=60.0, gt=0, description="seconds above 0")
    funding_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    long_short_ratio_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    risk_tiers_seconds: float = Field(default=3600.0, gt=0, description="seconds above 0")
    status_seconds: float = Field(default=30.0, gt=0, description="seconds above 0")
    clock_seconds: float = Field(default=30.0, gt=0, description="seconds above 0")
    backfill_hours: float = Field(
        default=72.0, gt=0, le=8_760, description="hours of market time, above 0, at most 8760 (a year)"
    )
    concurrency: int = Field(default=4, ge=1, le=32, description="requests under way at once, 1 to 32")
    clock_readings: int = Field(default=5, ge=1, le=20, description="readings of the venue's clock, 1 to 20")

    def intervals_ns(self) -> dict[Kind, int]:
        """Give the interval of each kind, ns."""
        return {kind: max(1, round(getattr(self, f"{kind.value}_seconds") * SECOND_NS)) for kind in Kind}

    @property
    def reach_ns(self) -> int:
        """How far back the rows of a series are fetched, ns."""
        return round(self.backfill_hours * _HOUR_NS)


class Settings(ServiceSettings):
    """What the REST collector is told."""

    bus: BusSettings
    venue: VenueSettings
    collect: CollectSettings = CollectSettings()
