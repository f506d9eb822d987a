"""Settings of the paper venue."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from services.venue.limits import RAISABLE
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, Section, ServiceSettings


class PaperSettings(Section):
    """The market, the clock and the account of the paper venue.

    Attributes:
        tape: a recording to replay; None means the generated market.
        seed: of the generated market and of injected cascades.
        rate: market seconds per wall second.
        start: whether the market opens by itself or waits for `POST /control/start`.
        inject: whether cascades are planted into the tape.
        opening_balance: USDT of the account.
        order_latency_ms: market time between an order's arrival and its effect.
        rate_limits: requests (orders, for batches) per market second, by endpoint such as `order/create`.
        ip_limit: whether more than 600 requests in 5 s from one address are answered with HTTP 403 for ten minutes.
        faults: with which the venue begins, as JSON like the control API's, or a file of it.
        chaos_seed: with whose schedule of faults the venue begins; None for none.
        chaos_intensity: of that schedule.
        tls_port: where TLS is spoken besides the plain port; 0 is any. Needs certificate and key.
    """

    tape: Path | None = Field(default=None, description="a file of recorded frames")
    seed: int = Field(default=7, description="a whole number")
    rate: float = Field(default=1.0, gt=0, le=1000, description="a number above 0, at most 1000")
    start: Literal["immediately", "on_command"] = Field(default="immediately", description="immediately or on_command")
    inject: bool = Field(default=False, description="true or false")
    opening_balance: Decimal = Field(default=Decimal(10_000), ge=0, max_digits=20, decimal_places=8, description="USDT")
    order_latency_ms: int = Field(default=0, ge=0, le=60_000, description="milliseconds")
    rate_limits: dict[str, int] = Field(
        default_factory=dict, description='JSON such as {"order/create": 400, "order/cancel": 400}'
    )
    ip_limit: bool = Field(default=True, description="true or false")
    faults: str = Field(default="", description='JSON such as [{"action": "lose_update", "count": 1}], or a file of it')
    chaos_seed: int | None = Field(default=None, ge=0, le=2**31, description="a whole number")
    chaos_intensity: float = Field(default=0.5, ge=0, le=1, description="a number from 0 to 1")
    tls_certificate: Path | None = Field(default=None, description="a PEM file")
    tls_key: Path | None = Field(default=None, description="a PEM file")
    tls_port: int = Field(default=0, ge=0, le=65535, description="a free port, or 0 for any")

    @field_validator("tape", "tls_certificate", "tls_key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("rate_limits")
    @classmethod
    def _only_raisable(cls, value: dict[str, int]) -> dict[str, int]:
        for endpoint, limit in value.items():
            if endpoint not in RAISABLE:
                raise ValueError(f"{endpoint!r} cannot be raised; these can: {', '.join(sorted(RAISABLE))}")
            if limit < 1:
                raise ValueError(f"{endpoint!r} must be at least 1")
        return value


class Settings(ServiceSettings):
    """What the paper venue is told."""

    owns_market_clock: ClassVar[bool] = True
    has_own_server: ClassVar[bool] = True

    paper: PaperSettings = PaperSettings()

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        paper = self.paper
        if self.mode is not Mode.PAPER:
            raise ConfigurationError(
                f"{PREFIX}MODE", f"the venue exists in paper mode only, not in {self.mode}", "set it to paper"
            )
        if paper.inject and paper.tape is None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__INJECT",
                "cascades are injected into a tape, and there is none",
                f"set {PREFIX}PAPER__TAPE or unset it",
            )
        if (paper.tls_certificate is None) != (paper.tls_key is None):
            missing = "TLS_KEY" if paper.tls_key is None else "TLS_CERTIFICATE"
            raise ConfigurationError(
                f"{PREFIX}PAPER__{missing}", "is missing, TLS needs certificate and key", "set both or none"
            )
        if paper.tls_port and paper.tls_certificate is None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__TLS_PORT",
                "TLS needs a certificate and a key",
                f"set {PREFIX}PAPER__TLS_CERTIFICATE and __TLS_KEY",
            )
        return self
