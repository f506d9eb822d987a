"""Settings of the guardian."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import Field, model_validator

from services.guardian.rules import MILLISECOND_NS, SECOND_NS, Rules
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, Section, ServiceSettings, VenueSettings


class GuardSettings(Section):
    """When the guardian acts; `services.guardian.rules.Rules` says what each means. Seconds are market seconds."""

    drawdown_limit: Decimal = Field(
        default=Decimal("0.10"), gt=0, lt=1, description="a fraction of the peak between 0 and 1"
    )
    heartbeat_timeout_seconds: float = Field(default=3.0, ge=1, le=60, description="seconds from 1 to 60")
    books_timeout_seconds: float = Field(default=10.0, ge=1, le=600, description="seconds from 1 to 600")
    startup_grace_seconds: float = Field(default=10.0, ge=1, le=600, description="seconds from 1 to 600")
    reduce_after_seconds: float = Field(default=5.0, ge=1, le=600, description="seconds from 1 to 600")
    halt_after_seconds: float = Field(default=15.0, ge=1, le=3600, description="seconds from 1 to 3600")
    look_every_ms: int = Field(default=500, ge=50, le=5000, description="wall milliseconds from 50 to 5000")
    press_every_ms: int = Field(default=60, ge=20, le=1000, description="wall milliseconds from 20 to 1000")
    ledger_every_seconds: float = Field(default=2.0, ge=0.5, le=60, description="wall seconds from 0.5 to 60")
    orders_per_second: int = Field(default=8, ge=1, le=60, description="orders per second from 1 to 60")
    dead_man_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="an address that is pinged while all is well: http(s)://…"
    )
    dead_man_every_seconds: float = Field(default=60.0, gt=0, le=3600, description="wall seconds up to 3600")
    kill_file: Path | None = Field(default=None, description="path of the kill file")

    @model_validator(mode="after")
    def _agree(self) -> GuardSettings:
        if self.reduce_after_seconds > self.halt_after_seconds:
            raise ConfigurationError(
                f"{PREFIX}GUARD__REDUCE_AFTER_SECONDS",
                f"{self.reduce_after_seconds:g} is after {PREFIX}GUARD__HALT_AFTER_SECONDS ({self.halt_after_seconds:g})",
                "make it the shorter one",
            )
        return self

    def rules(self) -> Rules:
        """Give them as the core wants them."""
        return Rules(
            drawdown_limit=self.drawdown_limit,
            heartbeat_timeout_ns=int(self.heartbeat_timeout_seconds * SECOND_NS),
            books_timeout_ns=int(self.books_timeout_seconds * SECOND_NS),
            startup_grace_ns=int(self.startup_grace_seconds * SECOND_NS),
            reduce_after_ns=int(self.reduce_after_seconds * SECOND_NS),
            halt_after_ns=int(self.halt_after_seconds * SECOND_NS),
            orders_per_second=self.orders_per_second,
            retry_ns=300 * MILLISECOND_NS,
        )


class Settings(ServiceSettings):
    """Everything the guardian is told; no bus, no database."""

    venue: VenueSettings = VenueSettings()
    guard: GuardSettings = GuardSettings()
    state_dir: Path = Field(default=Path("var/guardian"), description="a writable directory")
