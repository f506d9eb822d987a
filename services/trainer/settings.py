"""Settings of the trainer."""

from __future__ import annotations

from pydantic import Field

from undertow.learning.plan import TrainingPlan
from undertow.learning.settings import ModelSettings
from undertow.runtime.settings import Section, ServiceSettings


class TrainingSettings(Section):
    """`UNDERTOW_TRAINING__*`."""

    market_seconds: float = Field(default=8_000.0, ge=60, description="seconds of the generated market, 60 or more")
    market_seed: int = Field(default=11, ge=0, description="seed of the generated market, 0 or more")
    cascade_interval_s: float = Field(default=11.0, ge=7, description="mean seconds between cascades, 7 or more")
    planted_edge_bps: float = Field(default=25.0, ge=0, description="edge planted in the market in bps, 0 or more")
    seed: int = Field(default=7, ge=0, description="seed of the boosting, 0 or more")
    trees: int = Field(default=100, ge=1, le=500, description="most trees per model, 1 to 500")
    depth: int = Field(default=5, ge=1, le=8, description="depth of the trees, 1 to 8")
    promote: bool = Field(default=False, description="true to serve the new model")

    def plan(self) -> TrainingPlan:
        """Give the choices of the fit."""
        return TrainingPlan(seed=self.seed, trees=self.trees, depth=self.depth)


class Settings(ServiceSettings):
    """`UNDERTOW_*` of the trainer."""

    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
