"""Settings of the feature hub."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from undertow.features.kernel import TriggerRule
from undertow.runtime.settings import BusSettings, Section, ServiceSettings


class FeatureSettings(Section):
    """`UNDERTOW_FEATURES__*`."""

    threshold_usdt: float = Field(default=50_000.0, gt=0, description="liquidated notional within 1 s, above 0")
    thresholds_usdt: dict[str, PositiveFloat] = Field(default={}, description='a JSON object like {"BTCUSDT": 250000}')
    refractory_seconds: float = Field(default=1.0, ge=0, description="seconds between two triggers, 0 or more")
    warm_seconds: float = Field(default=10.0, ge=0, description="seconds of history before a vector, 0 or more")
    history_seconds: float = Field(default=120.0, ge=60, description="seconds read back at a start, 60 or more")

    def rule(self, symbol: str) -> TriggerRule:
        """Give the trigger rule of a symbol."""
        return TriggerRule(
            threshold_usdt=self.thresholds_usdt.get(symbol, self.threshold_usdt),
            refractory_ns=round(self.refractory_seconds * 1e9),
            warm_ns=round(self.warm_seconds * 1e9),
        )


class Settings(ServiceSettings):
    """What the feature hub is told."""

    bus: BusSettings
    features: FeatureSettings = FeatureSettings()
