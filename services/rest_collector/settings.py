"""Settings of the REST collector."""

from __future__ import annotations

from pydantic import Field

from services.rest_collector.core import SECOND_NS, Kind
from undertow.runtime.settings import BusSettings, Section, ServiceSettings, VenueSettings


class CollectSettings(Section):
    """`UNDERTOW_COLLECT__*`: seconds of market time between two requests of a kind."""

    instrument_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    open_interest_seconds: float = Field(default=60.0, gt=0, description="seconds above 0")
    funding_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    long_short_ratio_seconds: float = Field(default=300.0, gt=0, description="seconds above 0")
    risk_tiers_seconds: float = Field(default=3600.0, gt=0, description="seconds above 0")
    status_seconds: float = Field(default=30.0, gt=0, description="seconds above 0")
    clock_seconds: float = Field(default=10.0, gt=0, description="seconds above 0")
    requests_per_second: float = Field(
        default=20.0, gt=0, le=84, description="wall time; at most 84, 70 % of the venue's limit"
    )

    def intervals_ns(self) -> dict[Kind, int]:
        """Give the interval of each kind, ns."""
        return {kind: round(getattr(self, f"{kind.value}_seconds") * SECOND_NS) for kind in Kind}


class Settings(ServiceSettings):
    """What the REST collector is told."""

    bus: BusSettings
    venue: VenueSettings
    collect: CollectSettings = CollectSettings()
