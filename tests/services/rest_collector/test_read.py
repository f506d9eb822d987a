from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest

from services.rest_collector import read
from tests.support import recorded
from undertow.contracts.messages.reference import (
    Funding,
    InstrumentChanged,
    LongShortRatio,
    OpenInterest,
    RiskTier,
    VenueStatus,
)
from undertow.exchange.bybit import parse
from undertow.exchange.errors import BadAnswerError

NOW = 1_767_225_600_000_000_000
MS = 1_000_000
TIER = {
    "id": 1,
    "symbol": "ABCUSDT",
    "riskLimitValue": "200000",
    "maintenanceMargin": "0.01",
    "initialMargin": "0.02",
    "isLowestRisk": 1,
    "maxLeverage": "50.00",
    "mmDeduction": "",
}


def test_series_are_read_oldest_first():
    result = {
        "symbol": "ABCUSDT",
        "category": "linear",
        "list": [
            {"openInterest": "12.5", "singleOpenInterest": "6.25", "timestamp": "1767225900000"},
            {"openInterest": "11", "singleOpenInterest": "5.5", "timestamp": "1767225600000"},
        ],
        "nextPageCursor": "",
    }
    assert read.open_interest(result, NOW) == [
        OpenInterest(ts_event=1767225600000 * MS, ts_recv=NOW, symbol="ABCUSDT", open_interest=Decimal(11)),
        OpenInterest(ts_event=1767225900000 * MS, ts_recv=NOW, symbol="ABCUSDT", open_interest=Decimal("12.5")),
    ]


def test_funding_is_dated_by_its_stamp_and_keeps_its_sign():
    rows = [
        {"symbol": "ABCUSDT", "fundingRate": "-0.0001", "fundingRateTimestamp": "1767254400000"},
        {"symbol": "ABCUSDT", "fundingRate": "0.00025", "fundingRateTimestamp": "1767225600000"},
    ]
    assert read.funding({"category": "linear", "list": rows}, NOW) == [
        Funding(ts_event=1767225600000 * MS, ts_recv=NOW, symbol="ABCUSDT", rate=Decimal("0.00025")),
        Funding(ts_event=1767254400000 * MS, ts_recv=NOW, symbol="ABCUSDT", rate=Decimal("-0.0001")),
    ]


def test_the_ratio_is_the_share_of_accounts_net_long():
    row = {"symbol": "ABCUSDT", "buyRatio": "0.61", "sellRatio": "0.39", "timestamp": "1767225600000"}
    assert read.long_short_ratio({"list": [row]}, NOW) == [
        LongShortRatio(ts_event=1767225600000 * MS, ts_recv=NOW, symbol="ABCUSDT", buy_ratio=Decimal("0.61"))
    ]


@pytest.mark.parametrize(
    "rates", [{}, {"maintenanceMargin": "1", "initialMargin": "2"}], ids=["as fractions", "as per cent"]
)
def test_margins_of_a_tier_are_fractions_however_the_venue_spells_them(rates):
    assert read.risk_tiers({"list": [TIER | rates]}, NOW) == [
        RiskTier(
            ts_event=NOW,
            ts_recv=NOW,
            symbol="ABCUSDT",
            tier=1,
            limit_value=Decimal(200000),
            maintenance_rate=Decimal("0.01"),
            initial_rate=Decimal("0.02"),
            max_leverage=Decimal(50),
            deduction=Decimal(0),
        )
    ]


def test_the_deductions_of_the_documented_tiers_join_without_a_step():
    second = {"id": 2, "riskLimitValue": "400000", "maintenanceMargin": "0.015", "initialMargin": "0.025"}
    first, next_ = read.risk_tiers(
        {"list": [TIER, TIER | second | {"maxLeverage": "40.00", "mmDeduction": "1000"}]}, NOW
    )
    step = next_.maintenance_rate - first.maintenance_rate
    assert next_.deduction == first.deduction + first.limit_value * step


PLANNED = {"title": "upgrade", "state": "scheduled", "begin": "1767225600000", "end": "1767229200000"}


def told(*, operational):
    return VenueStatus(
        ts_event=NOW,
        ts_recv=NOW,
        operational=operational,
        maintenance="upgrade",
        begin_ns=1767225600000 * MS,
        end_ns=1767229200000 * MS,
    )


def test_the_venue_works_unless_something_is_ongoing():
    planned = PLANNED
    works = VenueStatus(ts_event=NOW, ts_recv=NOW, operational=True, maintenance="")
    assert read.status({"list": []}, NOW) == [works]
    assert read.status({"list": [planned | {"state": "completed"}]}, NOW) == [works]
    assert read.status({"list": [planned, planned | {"state": "ongoing"}]}, NOW) == [told(operational=False)]


def test_maintenance_is_told_of_before_it_begins_the_next_one_first():
    later = PLANNED | {"title": "later", "begin": "1767240000000"}
    assert read.status({"list": [later, PLANNED]}, NOW) == [told(operational=True)]


@pytest.mark.parametrize(
    "reading",
    [read.instruments, read.tickers, read.open_interest, read.funding, read.long_short_ratio, read.risk_tiers],
)
def test_empty_lists_are_tolerated_and_nonsense_is_a_bad_answer(reading):
    assert reading({"list": [], "symbol": "ABCUSDT"}, 1) == []
    for nonsense in ({}, {"list": None}, {"list": [{}]}, {"list": [None]}):
        with pytest.raises(BadAnswerError):
            parse.read(lambda r: reading(r, 1), nonsense, "somewhere")


def test_maintenance_of_other_products_and_of_the_demo_service_is_none_of_ours():
    ongoing = PLANNED | {"state": "ongoing", "env": 1}
    works = VenueStatus(ts_event=NOW, ts_recv=NOW, operational=True, maintenance="")
    for foreign in ({"product": [2]}, {"product": [3, 4]}, {"product": [1], "env": 2}, {"env": "2"}):
        assert read.status({"list": [ongoing | foreign]}, NOW) == [works]
    for ours in ({"product": [1, 2]}, {"product": ["1"]}, {"product": []}, {"product": None, "env": None}):
        assert read.status({"list": [ongoing | ours]}, NOW) == [told(operational=False)]


def test_of_several_ongoing_ones_the_last_to_end_is_told():
    ongoing = PLANNED | {"state": "ongoing"}
    sooner, without_end = ongoing | {"title": "a", "end": "1767229100000"}, ongoing | {"title": "b", "end": ""}
    assert read.status({"list": [sooner, ongoing]}, NOW) == [told(operational=False)]
    (fact,) = read.status({"list": [sooner, without_end, ongoing]}, NOW)
    assert (fact.maintenance, fact.end_ns) == ("b", 0)


@pytest.mark.parametrize(
    ("reading", "row"),
    [
        (read.open_interest, {"openInterest": "NaN", "timestamp": "1"}),
        (read.open_interest, {"openInterest": "1e999999", "timestamp": "1"}),
        (read.open_interest, {"openInterest": "1", "timestamp": "9" * 30}),
        (read.funding, {"symbol": "ABCUSDT", "fundingRate": "Infinity", "fundingRateTimestamp": "1"}),
        (read.tickers, {"symbol": "ABCUSDT", "fundingRate": "0", "nextFundingTime": "9" * 30}),
        (read.tickers, {"symbol": "ABCUSDT", "lastPrice": "NaN"}),
        (read.long_short_ratio, {"symbol": "ABCUSDT", "buyRatio": "nan", "timestamp": "1"}),
        (read.risk_tiers, TIER | {"riskLimitValue": "inf"}),
        (read.status, PLANNED | {"end": "9" * 30}),
    ],
)
def test_numbers_that_are_none_and_times_that_no_message_can_carry_are_a_bad_answer(reading, row):
    with pytest.raises(BadAnswerError):
        parse.read(lambda r: reading(r, 1), {"symbol": "ABCUSDT", "list": [row]}, "somewhere")


def test_maintenance_may_have_no_end():
    (fact,) = read.status({"list": [{"title": "outage", "state": "ongoing", "begin": "1767225600000", "end": ""}]}, NOW)
    assert (fact.operational, fact.end_ns) == (False, 0)


def test_every_recorded_instrument_is_read():
    with gzip.open(recorded("bybit/instruments-info-linear-20260809.json.gz")) as file:
        result = json.load(file)["result"]
    facts = read.instruments(result, NOW)
    assert len(facts) == len(result["list"]) == 800
    assert all(isinstance(f, InstrumentChanged) and f.tick_size > 0 and f.qty_step > 0 for f in facts)
    bitcoin = next(fact for fact in facts if fact.symbol == "BTCUSDT")
    assert (bitcoin.tick_size, bitcoin.qty_step, bitcoin.funding_interval_minutes) == (
        Decimal("0.10"),
        Decimal("0.001"),
        480,
    )
