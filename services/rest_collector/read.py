"""From Bybit's market endpoints to reference facts (§3 of the protocol). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from services.rest_collector.core import Kind
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import (
    Funding,
    InstrumentChanged,
    LongShortRatio,
    OpenInterest,
    RiskTier,
    VenueStatus,
)
from undertow.exchange.bybit import parse

Json = Mapping[str, Any]
_NS_PER_MS = 1_000_000
_PER_CENT_FROM = Decimal(10)  # initial margin · leverage is near 1 for fractions, near 100 for per cent


def instruments(result: Json, now_ns: int) -> list[InstrumentChanged]:
    """Read `instruments-info`."""
    return [InstrumentChanged(ts_event=now_ns, ts_recv=now_ns, **asdict(parse.instrument(i))) for i in result["list"]]


def open_interest(result: Json, now_ns: int) -> list[OpenInterest]:
    """Read `open-interest`, newest first on the wire."""
    return [
        OpenInterest(
            ts_event=int(row["timestamp"]) * _NS_PER_MS,
            ts_recv=now_ns,
            symbol=result["symbol"],
            open_interest=Decimal(row["openInterest"]),
        )
        for row in reversed(result["list"])
    ]


def funding(result: Json, now_ns: int) -> list[Funding]:
    """Read `funding/history`, newest first on the wire."""
    return [
        Funding(
            ts_event=int(row["fundingRateTimestamp"]) * _NS_PER_MS,
            ts_recv=now_ns,
            symbol=row["symbol"],
            rate=Decimal(row["fundingRate"]),
        )
        for row in reversed(result["list"])
    ]


def long_short_ratio(result: Json, now_ns: int) -> list[LongShortRatio]:
    """Read `account-ratio`, newest first on the wire."""
    return [
        LongShortRatio(
            ts_event=int(row["timestamp"]) * _NS_PER_MS,
            ts_recv=now_ns,
            symbol=row["symbol"],
            buy_ratio=Decimal(row["buyRatio"]),
        )
        for row in reversed(result["list"])
    ]


def risk_tiers(result: Json, now_ns: int) -> list[RiskTier]:
    """Read `risk-limit`; margins are per cent or fractions, told apart by initial margin · leverage (§3.7, the unit trap)."""
    tiers = []
    for row in result["list"]:
        initial, leverage = Decimal(row["initialMargin"]), Decimal(row["maxLeverage"])
        unit = Decimal(100) if initial * leverage >= _PER_CENT_FROM else Decimal(1)
        tiers.append(
            RiskTier(
                ts_event=now_ns,
                ts_recv=now_ns,
                symbol=row["symbol"],
                tier=int(row["id"]),
                limit_value=Decimal(row["riskLimitValue"]),
                maintenance_rate=Decimal(row["maintenanceMargin"]) / unit,
                initial_rate=initial / unit,
                max_leverage=leverage,
                deduction=Decimal(row.get("mmDeduction") or 0),
            )
        )
    return tiers


def status(result: Json, now_ns: int) -> list[VenueStatus]:
    """Read `system/status`: what is ongoing now, or that all works."""
    ongoing = next((row for row in result["list"] if row["state"] == "ongoing"), None)
    if ongoing is None:
        return [VenueStatus(ts_event=now_ns, ts_recv=now_ns, operational=True, maintenance="")]
    return [
        VenueStatus(
            ts_event=now_ns,
            ts_recv=now_ns,
            operational=False,
            maintenance=ongoing["title"],
            begin_ns=int(ongoing["begin"] or 0) * _NS_PER_MS,
            end_ns=int(ongoing["end"] or 0) * _NS_PER_MS,
        )
    ]


Reading = Callable[[Any, int], Sequence[Message]]
ENDPOINTS: Final[dict[Kind, tuple[str, dict[str, str], Reading]]] = {
    Kind.INSTRUMENT: ("/v5/market/instruments-info", {"category": "linear"}, instruments),
    Kind.OPEN_INTEREST: (
        "/v5/market/open-interest",
        {"category": "linear", "intervalTime": "5min", "limit": "50"},
        open_interest,
    ),
    Kind.FUNDING: ("/v5/market/funding/history", {"category": "linear", "limit": "50"}, funding),
    Kind.LONG_SHORT_RATIO: (
        "/v5/market/account-ratio",
        {"category": "linear", "period": "5min", "limit": "50"},
        long_short_ratio,
    ),
    Kind.RISK_TIERS: ("/v5/market/risk-limit", {"category": "linear"}, risk_tiers),
    Kind.STATUS: ("/v5/system/status", {}, status),
}
"""Path, parameters and reading of each kind but the clock, which is a measurement."""
