"""From Bybit's market endpoints to reference facts (§3 of the protocol). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import inf, isfinite
from typing import Any, Final

import msgspec

from services.rest_collector.kinds import Kind
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import (
    DayTicker,
    Funding,
    InstrumentChanged,
    LongShortRatio,
    NextFunding,
    OpenInterest,
    RiskTier,
    VenueStatus,
)
from undertow.exchange.bybit import parse

Json = Mapping[str, Any]
_MINUTES_PER_HOUR: Final = 60
_DAY_FIELDS: Final = {
    "last_price": "lastPrice",
    "mark_price": "markPrice",
    "index_price": "indexPrice",
    "change": "price24hPcnt",
    "high": "highPrice24h",
    "low": "lowPrice24h",
    "volume": "volume24h",
    "turnover": "turnover24h",
    "open_interest": "openInterest",
}
_FUTURES: Final = "1"  # of the product codes; the venue's page of enums has them
_DEMO_SERVICE: Final = "2"
_PER_CENT_FROM = Decimal(10)  # initial margin · leverage is near 1 for fractions, near 100 for per cent


def instruments(result: Json, now_ns: int) -> list[InstrumentChanged]:
    """Read `instruments-info`."""
    return [InstrumentChanged(ts_event=now_ns, ts_recv=now_ns, **asdict(parse.instrument(i))) for i in result["list"]]


def open_interest(result: Json, now_ns: int) -> list[OpenInterest]:
    """Read `open-interest`, newest first on the wire."""
    return [
        OpenInterest(
            ts_event=parse.moment_ns(row["timestamp"]),
            ts_recv=now_ns,
            symbol=result["symbol"],
            open_interest=_decimal(row["openInterest"]),
        )
        for row in reversed(result["list"])
    ]


def funding(result: Json, now_ns: int) -> list[Funding]:
    """Read `funding/history`, newest first on the wire."""
    return [
        Funding(
            ts_event=parse.moment_ns(row["fundingRateTimestamp"]),
            ts_recv=now_ns,
            symbol=row["symbol"],
            rate=_decimal(row["fundingRate"]),
        )
        for row in reversed(result["list"])
    ]


def tickers(result: Json, now_ns: int) -> list[NextFunding | DayTicker]:
    """Read `tickers`: prices of every contract, and of those that pay funding what is due next."""
    facts: list[NextFunding | DayTicker] = []
    for row in result["list"]:
        symbol = row["symbol"]
        if row.get("fundingRate") and int(row.get("nextFundingTime") or 0):
            facts.append(
                NextFunding(
                    ts_event=now_ns,
                    ts_recv=now_ns,
                    symbol=symbol,
                    rate=_decimal(row["fundingRate"]),
                    due_ns=parse.moment_ns(row["nextFundingTime"]),
                    interval_minutes=int(row.get("fundingIntervalHour") or 0) * _MINUTES_PER_HOUR,
                    cap=_decimal(row.get("fundingCap") or 0),
                )
            )
        facts.append(
            DayTicker(
                ts_event=now_ns,
                ts_recv=now_ns,
                symbol=symbol,
                **_decimals(row),
            )
        )
    return facts


def _decimal(value: Any) -> Decimal:
    number = Decimal(value)
    if not isfinite(float(number)):  # who computes with it may have but a float
        raise ValueError(f"{value!r} is not a number")
    return number


def _decimals(row: Json) -> dict[str, Any]:
    return {ours: _decimal(row.get(theirs) or 0) for ours, theirs in _DAY_FIELDS.items()}


def long_short_ratio(result: Json, now_ns: int) -> list[LongShortRatio]:
    """Read `account-ratio`, newest first on the wire."""
    return [
        LongShortRatio(
            ts_event=parse.moment_ns(row["timestamp"]),
            ts_recv=now_ns,
            symbol=row["symbol"],
            buy_ratio=_decimal(row["buyRatio"]),
        )
        for row in reversed(result["list"])
    ]


def risk_tiers(result: Json, now_ns: int) -> list[RiskTier]:
    """Read `risk-limit`; margins are per cent or fractions, told apart by initial margin · leverage (§3.7, the unit trap)."""
    tiers = []
    for row in result["list"]:
        initial, leverage = _decimal(row["initialMargin"]), _decimal(row["maxLeverage"])
        unit = Decimal(100) if initial * leverage >= _PER_CENT_FROM else Decimal(1)
        tiers.append(
            RiskTier(
                ts_event=now_ns,
                ts_recv=now_ns,
                symbol=row["symbol"],
                tier=int(row["id"]),
                limit_value=_decimal(row["riskLimitValue"]),
                maintenance_rate=_decimal(row["maintenanceMargin"]) / unit,
                initial_rate=initial / unit,
                max_leverage=leverage,
                deduction=_decimal(row.get("mmDeduction") or 0),
            )
        )
    return tiers


def status(result: Json, now_ns: int) -> list[VenueStatus]:
    """Read `system/status`: what is ongoing now and ends last, else the next that is announced, else that all works.

    Notices of other products and of the demo service, which has no such page, are not ours; those that do not say whose they are, are.
    """
    rows = [row for row in result["list"] if _is_ours(row)]
    ongoing = max((row for row in rows if row["state"] == "ongoing"), key=_end_ns, default=None)
    announced = min((row for row in rows if row["state"] == "scheduled"), key=_begin_ns, default=None)
    told = ongoing or announced
    if told is None:
        return [VenueStatus(ts_event=now_ns, ts_recv=now_ns, operational=True, maintenance="")]
    return [
        VenueStatus(
            ts_event=now_ns,
            ts_recv=now_ns,
            operational=ongoing is None,
            maintenance=told["title"],
            begin_ns=_begin_ns(told),
            end_ns=parse.moment_ns(told["end"] or 0),
        )
    ]


def _is_ours(row: Json) -> bool:
    products = [str(each) for each in row.get("product") or ()]
    return (not products or _FUTURES in products) and str(row.get("env")) != _DEMO_SERVICE


def _begin_ns(row: Json) -> int:
    return parse.moment_ns(row["begin"] or 0)


def _end_ns(row: Json) -> float:
    return parse.moment_ns(row["end"] or 0) or inf  # an end that nobody tells is the last


def sound(facts: Sequence[Message]) -> Sequence[Message]:
    """Give facts back that whoever reads them can decode.

    Raises:
        ValueError: one has a text where its kind has a number, or the like.
        OverflowError: one has a number that no message can carry.
    """
    for fact in facts:
        msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=type(fact))
    return facts


Reading = Callable[[Any, int], Sequence[Message]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a kind is asked for.

    Attributes:
        path: of the page.
        params: that every request has.
        read: gives the facts of an answer.
        most_rows: of a series, that an answer holds; 0 for what is no series.
    """

    path: str
    params: Mapping[str, str]
    read: Reading
    most_rows: int = 0


def _series(path: str, read: Reading, most_rows: int, **params: str) -> Endpoint:
    return Endpoint(path, {"category": "linear", **params, "limit": str(most_rows)}, read, most_rows)


_LINEAR: Final = {"category": "linear"}
ENDPOINTS: Final[Mapping[Kind, Endpoint]] = {
    Kind.INSTRUMENT: Endpoint("/v5/market/instruments-info", {**_LINEAR, "limit": "1000"}, instruments),
    Kind.TICKER: Endpoint("/v5/market/tickers", _LINEAR, tickers),
    Kind.OPEN_INTEREST: _series("/v5/market/open-interest", open_interest, 200, intervalTime="5min"),
    Kind.FUNDING: _series("/v5/market/funding/history", funding, 200),
    Kind.LONG_SHORT_RATIO: _series("/v5/market/account-ratio", long_short_ratio, 500, period="5min"),
    Kind.RISK_TIERS: Endpoint("/v5/market/risk-limit", _LINEAR, risk_tiers),
    Kind.STATUS: Endpoint("/v5/system/status", {}, status),
}
"""Every kind but the clock, which is a measurement."""
