"""What the order router needs to know."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from undertow.domain.state import Mode
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
from undertow.trading.breaker import BreakerRules
from undertow.trading.exit_plan import ExitRules
from undertow.trading.limits import Limits
from undertow.trading.sessions import Session
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
    correlated_fraction: Decimal = Field(
        default=Decimal("0.30"), gt=0, le=5, description="of what moves together, a fraction of equity"
    )
    live_notional_usdt: Decimal = Field(
        default=Decimal(250),
        gt=0,
        description="in LIVE no more notional than this, whatever the equity; raised only here",
    )
    min_liquidation_buffer: Decimal = Field(
        default=Decimal("0.20"),
        ge=Decimal("0.05"),
        le=10,
        description="distance to liquidation, a fraction of the price",
    )
    max_distance_bps: Decimal = Field(
        default=Decimal(100), ge=1, le=2_000, description="basis points of the entry price from the mark"
    )
    max_mid_distance_bps: Decimal = Field(
        default=Decimal(100), ge=1, le=2_000, description="basis points of the signal's mid from the mark"
    )
    max_signal_age_ms: int = Field(default=250, ge=1, le=60_000, description="milliseconds of market time")
    max_event_age_ms: int = Field(
        default=2_000, ge=1, description="milliseconds since the venue knew what set the signal off"
    )
    marks_every_ms: int = Field(
        default=2_000, ge=100, le=60_000, description="milliseconds of market time between two looks at the marks"
    )
    max_mark_age_ms: int = Field(default=10_000, ge=100, description="milliseconds of market time")
    max_account_age_s: int = Field(default=30, ge=1, description="seconds of market time")
    account_lag_ms: int = Field(
        default=10_000,
        ge=0,
        description="milliseconds before the last comparison whose fills the free margin may not know",
    )
    max_drawdown: Decimal = Field(
        default=Decimal("0.10"), ge=Decimal("0.001"), le=Decimal("0.5"), description="a fraction of the peak"
    )
    warn_drawdown: Decimal = Field(
        default=Decimal("0.05"),
        ge=Decimal("0.001"),
        le=Decimal("0.5"),
        description="a fraction of the peak: warned from here",
    )
    reduce_at_warning: bool = Field(default=False, description="true: entries stop at the warning too")
    max_losses_in_row: int = Field(default=10, ge=1, le=1_000, description="a count")
    loss_pause_s: int = Field(
        default=300, ge=1, le=86_400, description="seconds of market time without entries after them"
    )
    cascade_s: int = Field(default=60, ge=1, description="seconds of market time: what a cascade is")
    max_entries_per_cascade: int = Field(default=60, ge=1, le=10_000, description="a count, over all symbols")
    max_entries_per_symbol: int = Field(default=20, ge=1, le=10_000, description="a count, of a symbol in a cascade")
    sessions: tuple[str, ...] = Field(
        default=(), description='windows of UTC in which to enter, such as ["mon-fri 08:00-16:00"]; none: always'
    )

    @model_validator(mode="after")
    def _agree(self) -> RiskSettings:
        if self.symbol_fraction > self.gross_fraction:
            raise ConfigurationError(
                f"{PREFIX}RISK__SYMBOL_FRACTION",
                f"{self.symbol_fraction} is above {PREFIX}RISK__GROSS_FRACTION ({self.gross_fraction})",
                "make it the smaller one",
            )
        if self.warn_drawdown > self.max_drawdown:
            raise ConfigurationError(
                f"{PREFIX}RISK__WARN_DRAWDOWN",
                f"{self.warn_drawdown} is above {PREFIX}RISK__MAX_DRAWDOWN ({self.max_drawdown})",
                "make it the smaller one",
            )
        for text in self.sessions:
            try:
                Session.parse(text)
            except ValueError as error:
                raise ConfigurationError(f"{PREFIX}RISK__SESSIONS", str(error), "write windows of UTC") from error
        return self


class BreakerSettings(Section):
    """When the circuit breaker stops the entries; 0 turns a kind off."""

    max_rejections: int = Field(default=5, ge=0, description="entries that the venue refuses within the window")
    max_jump_bps: Decimal = Field(
        default=Decimal(300), ge=0, description="basis points that a mark moves between two looks within the window"
    )
    residual_looks: int = Field(
        default=3, ge=0, description="comparisons in a row with residuals between our books and the venue's"
    )
    money_epsilon: Decimal = Field(
        default=Decimal("0.001"), ge=0, description="money residual that is none, quote coin"
    )
    foreign_fills: bool = Field(default=True, description="true: a fill that is not ours stops the entries")
    window_s: int = Field(default=30, ge=1, description="seconds of market time")
    pause_s: int = Field(default=60, ge=1, description="seconds of market time without entries after it tripped")


class Settings(ServiceSettings):
    """Settings of this service."""

    bus: BusSettings
    venue: VenueSettings = VenueSettings()
    guardian: GuardianClientSettings
    state_dir: Path = Field(default=Path("var/state/order_router"), description="a directory that survives a restart")
    router: RouterSettings = RouterSettings()
    risk: RiskSettings = RiskSettings()
    breaker: BreakerSettings = BreakerSettings()

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
            max_correlated_fraction=risk.correlated_fraction,
            hard_notional=self.hard_notional,
            max_open_orders=risk.max_open_orders,
            max_orders_per_second=risk.max_orders_per_second,
            max_distance_bps=risk.max_distance_bps,
            max_mid_distance_bps=risk.max_mid_distance_bps,
            max_signal_age_ns=risk.max_signal_age_ms * NS_PER_MS,
            max_event_age_ns=risk.max_event_age_ms * NS_PER_MS,
            max_mark_age_ns=risk.max_mark_age_ms * NS_PER_MS,
            max_account_age_ns=risk.max_account_age_s * _SECOND,
            account_lag_ns=risk.account_lag_ms * NS_PER_MS,
            max_margin_fraction=risk.margin_fraction,
            min_liquidation_buffer=risk.min_liquidation_buffer,
            max_drawdown=risk.max_drawdown,
            warn_drawdown=risk.warn_drawdown,
            reduces_at_warning=risk.reduce_at_warning,
            max_losses_in_row=risk.max_losses_in_row,
            loss_pause_ns=risk.loss_pause_s * _SECOND,
            cascade_ns=risk.cascade_s * _SECOND,
            max_entries_per_cascade=risk.max_entries_per_cascade,
            max_entries_per_symbol=risk.max_entries_per_symbol,
            sessions=tuple(Session.parse(text) for text in risk.sessions),
        )

    @property
    def breaker_rules(self) -> BreakerRules:
        """For the circuit breaker."""
        breaker = self.breaker
        return BreakerRules(
            max_rejections=breaker.max_rejections,
            max_jump_bps=breaker.max_jump_bps,
            residual_looks=breaker.residual_looks,
            money_epsilon=breaker.money_epsilon,
            foreign_fills=breaker.foreign_fills,
            window_ns=breaker.window_s * _SECOND,
            pause_ns=breaker.pause_s * _SECOND,
        )

    @property
    def hard_notional(self) -> Decimal | None:
        """Most notional in LIVE; elsewhere there is no money to lose."""
        return self.risk.live_notional_usdt if self.mode is Mode.LIVE else None

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
            correlated_fraction=risk.correlated_fraction,
            hard_notional=self.hard_notional,
        )
