"""Settings of the position manager."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import Field, model_validator

from services.position_manager.comparison import Limits
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import (
    PREFIX,
    BusSettings,
    GuardianClientSettings,
    Section,
    ServiceSettings,
    VenueSettings,
)

SECOND_NS = 1_000_000_000


class WatchSettings(Section):
    """Limits and rhythm; seconds are wall seconds."""

    coin: str = Field(default="USDT", description="the settle coin")
    drawdown_warning: Decimal = Field(default=Decimal("0.05"), gt=0, lt=1, description="a fraction between 0 and 1")
    drawdown_limit: Decimal = Field(default=Decimal("0.10"), gt=0, lt=1, description="a fraction between 0 and 1")
    drawdown_reduces: bool = Field(default=False, description="true to put the fleet in REDUCING at the warning")
    position_epsilon: Decimal = Field(default=Decimal(0), ge=0, description="base coin, 0 or more")
    money_epsilon: Decimal = Field(default=Decimal("0.001"), ge=0, description="settle coin, 0 or more")
    agreeing_comparisons: int = Field(default=3, ge=1, le=1000, description="comparisons from 1 to 1000")
    on_way_seconds: float = Field(default=30.0, ge=1, le=3600, description="market seconds from 1 to 3600")
    account_every_seconds: float = Field(default=1.0, gt=0, le=60, description="seconds up to 60")
    heartbeat_every_seconds: float = Field(default=0.5, gt=0, le=5, description="seconds up to 5")
    reconcile_every_seconds: float = Field(default=2.0, gt=0, le=60, description="seconds up to 60")
    settle_seconds: float = Field(default=0.4, gt=0, le=10, description="seconds up to 10")
    reread_seconds: float = Field(default=60.0, ge=1, le=86_400, description="market seconds up to a day")

    @model_validator(mode="after")
    def _agree(self) -> WatchSettings:
        if self.drawdown_warning > self.drawdown_limit:
            raise ConfigurationError(
                f"{PREFIX}WATCH__DRAWDOWN_WARNING",
                f"{self.drawdown_warning} is beyond {PREFIX}WATCH__DRAWDOWN_LIMIT ({self.drawdown_limit})",
                "make it the smaller one",
            )
        return self

    def limits(self) -> Limits:
        """Give what the core needs."""
        return Limits(
            drawdown_warning=self.drawdown_warning,
            drawdown_limit=self.drawdown_limit,
            position_epsilon=self.position_epsilon,
            money_epsilon=self.money_epsilon,
            drawdown_reduces=self.drawdown_reduces,
            agreeing_needed=self.agreeing_comparisons,
            on_way_ns=int(self.on_way_seconds * SECOND_NS),
        )


class Settings(ServiceSettings):
    """Everything the position manager is told."""

    bus: BusSettings
    venue: VenueSettings = VenueSettings()
    guardian: GuardianClientSettings
    watch: WatchSettings = WatchSettings()
    state_dir: Path = Field(default=Path("var/position_manager"), description="a writable directory")
