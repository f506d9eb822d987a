"""What the order router needs to know."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from undertow.domain.time import NS_PER_MS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import (
    PREFIX,
    BusSettings,
    GuardianClientSettings,
    Section,
    ServiceSettings,
    VenueSettings,
)
from undertow.trading.exit_plan import ExitRules
from undertow.trading.risk import Limits
from undertow.trading.sizing import SizingRules

_SECOND: Final = 1_000_000_000


class RouterSettings(Section):
    """How orders are made and kept."""

    journal: Path | None = Field(
        default=None, description="a file on a local disk; empty: orders.journal in UNDERTOW_STATE_DIR"
    )
    journal_sync: bool = Field(
        default=True, description="true: an order waits for the disk; false: for the kernel only"
    )
    stop_bps: Decimal = Field(default=Decimal(150), gt=0, le=2_000, description="distance of the venue-side stop, bps")
    leverage: Decimal = Field(default=Decimal(10), ge=1, le=100, description="leverage set at start for each symbol")
    heartbeat_ms: int = Field(
        default=500, ge=50, le=2_000, description="milliseconds between heartbeats to the guardian"
    )
    sources: tuple[str, ...] = Field(
        default=("model_server",), min_length=1, description="writers of the signals to trade"
    )
    exit_passive_ms: int = Field(
        default=0,
        ge=0,
        le=60_000,
        description="market ms for which an exit at T first rests at the touch; 0: not at all",
    )
    exit_aggressive_ms: int = Field(
        default=0, ge=0, le=60_000, description="market ms for which it then takes through the touch; 0: not at all"
    )
    exit_through_bps: Decimal = Field(
        default=Decimal(10), ge=0, le=200, description="how far through the touch it may go, bps"
    )
    cancel_on_stop: bool = Field(default=False, description="true: cancel resting entries when stopped")


class RiskSettings(Section):
    """What may not be exceeded; fractions are of equity."""

    per_trade: Decimal = Field(
        default=Decimal("0.001"), gt=0, le=Decimal("0.05"), description="fraction lost at the stop"
    )
    symbol_fraction: Decimal = Field(default=Decimal("0.10"), gt=0, le=Decimal("0.10"), description="at most 0.10")
    gross_fraction: Decimal = Field(default=Decimal("0.40"), gt=0, le=5, description="a fraction of equity")
    margin_fraction: Decimal = Field(default=Decimal("0.80"), gt=0, le=1, description="a fraction of the free margin")
    max_open_orders: int = Field(default=20, ge=1, le=500, description="a count")
    max_orders_per_second: int = Field(default=7, ge=1, le=1_000, description="70 % of the venue's limit per second")
    max_distance_bps: Decimal = Field(default=Decimal(50), gt=0, description="basis points from the signal's mid")
    max_signal_age_ms: int = Field(default=250, ge=1, description="milliseconds of market time")
    max_account_age_s: int = Field(default=30, ge=1, description="seconds of market time")
    max_drawdown: Decimal = Field(default=Decimal("0.10"), gt=0, lt=1, description="a fraction of the peak")

    @model_validator(mode="after")
    def _agree(self) -> RiskSettings:
        if self.symbol_fraction > self.gross_fraction:
            raise ConfigurationError(
                f"{PREFIX}RISK__SYMBOL_FRACTION",
                f"{self.symbol_fraction} is above {PREFIX}RISK__GROSS_FRACTION ({self.gross_fraction})",
                "make it the smaller one",
            )
        return self


class Settings(ServiceSettings):
    """Settings of this service."""

    bus: BusSettings
    venue: VenueSettings = VenueSettings()
    guardian: GuardianClientSettings
    state_dir: Path = Field(default=Path("var/state/order_router"), description="a directory that survives a restart")
    router: RouterSettings = RouterSettings()
    risk: RiskSettings = RiskSettings()

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self.router.journal or self.state_dir / "orders.journal"

    @property
    def limits(self) -> Limits:
        """For the risk checks."""
        risk = self.risk
        return Limits(
            max_symbol_fraction=risk.symbol_fraction,
            max_gross_fraction=risk.gross_fraction,
            max_open_orders=risk.max_open_orders,
            max_orders_per_second=risk.max_orders_per_second,
            max_distance_bps=risk.max_distance_bps,
            max_signal_age_ns=risk.max_signal_age_ms * NS_PER_MS,
            max_account_age_ns=risk.max_account_age_s * _SECOND,
            max_margin_fraction=risk.margin_fraction,
            max_drawdown=risk.max_drawdown,
        )

    @property
    def exits(self) -> ExitRules:
        """For leaving positions."""
        router = self.router
        return ExitRules(
            passive_ns=router.exit_passive_ms * NS_PER_MS,
            aggressive_ns=router.exit_aggressive_ms * NS_PER_MS,
            through_bps=router.exit_through_bps,
        )

    @property
    def sizing(self) -> SizingRules:
        """For sizing."""
        risk = self.risk
        return SizingRules(
            risk_per_trade=risk.per_trade,
            stop_bps=self.router.stop_bps,
            symbol_fraction=risk.symbol_fraction,
            gross_fraction=risk.gross_fraction,
            margin_fraction=risk.margin_fraction,
            leverage=self.router.leverage,
        )
