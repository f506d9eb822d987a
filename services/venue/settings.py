"""Settings of the paper venue."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator

from services.venue.account_settings import EXAMPLE, AccountSettings, check_distinct, explain
from services.venue.limits import CONNECTIONS, MARKET_CONNECTIONS, RAISABLE
from undertow.domain.state import Mode
from undertow.markets.generated import MannerName
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, Section, ServiceSettings


class PaperSettings(Section):
    """The market, the clock and the account of the paper venue.

    Attributes:
        tape: a recording to replay, or a pattern of recordings that belong together; None means the generated market.
        upstream: a public WebSocket address that speaks Bybit v5, whose frames are passed through; None for no live market.
        upstream_rest: its REST address, whose contracts and filters hold here; None for the shipped ones.
        market: manner of the generated market: demonstration (cascades every few seconds) or calibrated (as recordings have it); None is
            demonstration.
        edge_bps: edge planted in the generated market, 0 for none; None for what the manner does by default (25 and 0).
        frame_rate: order book frames per market second and symbol of the generated market; None for what it does by default (10).
        seed: of the generated market and of injected cascades.
        origin: where market time begins: as recorded (for the generated market a fixed day in August 2026), or now, at the wall time of
            the start, for clients that sign with the wall clock.
        rate: market seconds per wall second.
        start: whether the market opens by itself or waits for `POST /control/start`.
        inject: whether cascades are planted into the tape.
        opening_balance: USDT of the account.
        order_latency_ms: market time between an order's arrival and its effect.
        rate_limits: requests (orders, for batches) per market second, by endpoint such as `order/create`.
        ip_limit: whether more than 600 requests in 5 s from one address are answered with HTTP 403 for ten minutes, and the next two hold.
        new_connections: WebSocket connections that one address may open in 5 minutes.
        market_connections: sockets of one category's market data that one address may have open at once.
        faults: with which the venue begins, as JSON like the control API's, or a file of it.
        chaos_seed: with whose schedule of faults the venue begins; None for none.
        chaos_intensity: of that schedule.
        tls_port: where TLS is spoken besides the plain port; 0 is any. Needs a certificate and its key, or a folder.
        tls_folder: where the venue puts a test authority (`ca.pem`) and a certificate of its own making.
        accounts: further accounts and their keys, beside the paper account.
    """

    tape: Path | None = Field(default=None, description="a file of recorded frames")
    upstream: str | None = Field(default=None, pattern=r"^wss?://", description="a ws:// or wss:// address")
    upstream_rest: str | None = Field(default=None, pattern=r"^https?://", description="an http:// or https:// address")
    market: MannerName | None = Field(default=None, description="demonstration or calibrated")
    edge_bps: float | None = Field(default=None, ge=0, le=1000, description="a number of basis points, 0 for no edge")
    frame_rate: float | None = Field(default=None, ge=1, le=100, description="book frames a second, from 1 to 100")
    seed: int = Field(default=7, description="a whole number")
    origin: Literal["recorded", "now"] = Field(default="recorded", description="recorded or now")
    rate: float = Field(default=1.0, gt=0, le=1000, description="a number above 0, at most 1000")
    start: Literal["immediately", "on_command"] = Field(default="immediately", description="immediately or on_command")
    inject: bool = Field(default=False, description="true or false")
    opening_balance: Decimal = Field(default=Decimal(10_000), ge=0, max_digits=20, decimal_places=8, description="USDT")
    order_latency_ms: int = Field(default=0, ge=0, le=60_000, description="milliseconds")
    rate_limits: dict[str, int] = Field(
        default_factory=dict, description='JSON such as {"order/create": 400, "order/cancel": 400}'
    )
    ip_limit: bool = Field(default=True, description="true or false")
    new_connections: int = Field(default=CONNECTIONS.most, ge=1, le=1_000_000, description="a whole number from 1")
    market_connections: int = Field(default=MARKET_CONNECTIONS, ge=1, le=1_000_000, description="a whole number from 1")
    faults: str = Field(default="", description='JSON such as [{"action": "lose_update", "count": 1}], or a file of it')
    chaos_seed: int | None = Field(default=None, ge=0, le=2**31, description="a whole number")
    chaos_intensity: float = Field(default=0.5, ge=0, le=1, description="a number from 0 to 1")
    tls_certificate: Path | None = Field(default=None, description="a PEM file")
    tls_key: Path | None = Field(default=None, description="a PEM file")
    tls_folder: Path | None = Field(default=None, description="a folder that can be written")
    tls_port: int = Field(default=0, ge=0, le=65535, description="a free port, or 0 for any")
    accounts: tuple[AccountSettings, ...] = Field(default=(), description=EXAMPLE)

    @field_validator("tape", "upstream", "upstream_rest", "tls_certificate", "tls_key", "tls_folder", mode="before")
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

    @field_validator("accounts", mode="wrap")
    @classmethod
    def _named(cls, value: object, check: ValidatorFunctionWrapHandler) -> tuple[AccountSettings, ...]:
        try:
            accounts: tuple[AccountSettings, ...] = check(value)
        except ValidationError as error:
            raise ValueError(explain(error)) from None
        check_distinct(accounts)
        return accounts


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
        if paper.origin == "now" and paper.tape is not None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__ORIGIN",
                "the frames of a tape carry the times of their recording, they cannot begin now",
                f"unset it, or unset {PREFIX}PAPER__TAPE for the generated market",
            )
        _check_upstream(paper)
        for name in ("market", "edge_bps", "frame_rate"):
            if getattr(paper, name) is not None and (paper.tape is not None or paper.upstream is not None):
                raise ConfigurationError(
                    f"{PREFIX}PAPER__{name.upper()}",
                    "is for the generated market, and a tape or an upstream is given",
                    f"unset it, or {PREFIX}PAPER__TAPE and {PREFIX}PAPER__UPSTREAM",
                )
        if (paper.tls_certificate is None) != (paper.tls_key is None):
            missing = "TLS_KEY" if paper.tls_key is None else "TLS_CERTIFICATE"
            raise ConfigurationError(
                f"{PREFIX}PAPER__{missing}", "is missing, TLS needs certificate and key", "set both or none"
            )
        if paper.tls_certificate is not None and paper.tls_folder is not None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__TLS_FOLDER",
                "is for a certificate of the venue's own making, and one is given",
                f"unset it or {PREFIX}PAPER__TLS_CERTIFICATE and __TLS_KEY",
            )
        if paper.tls_port and paper.tls_certificate is None and paper.tls_folder is None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__TLS_PORT",
                "TLS needs a certificate and a key",
                f"set {PREFIX}PAPER__TLS_CERTIFICATE and __TLS_KEY, or __TLS_FOLDER to have one made",
            )
        return self


def _check_upstream(paper: PaperSettings) -> None:
    if paper.upstream is None:
        if paper.upstream_rest is not None:
            raise ConfigurationError(
                f"{PREFIX}PAPER__UPSTREAM_REST", "there is no upstream", f"set {PREFIX}PAPER__UPSTREAM or unset it"
            )
        return
    if paper.tape is not None:
        raise ConfigurationError(
            f"{PREFIX}PAPER__UPSTREAM",
            "a market is a tape or an upstream, not both",
            f"unset it or {PREFIX}PAPER__TAPE",
        )
    if paper.rate != 1:
        raise ConfigurationError(
            f"{PREFIX}PAPER__RATE", "a live market runs at the speed of the wall clock", "unset it, or set it to 1"
        )
