from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rest_collector import read
from services.rest_collector.core import SECOND_NS, CollectorCore, Kind, Task
from services.rest_collector.settings import CollectSettings
from undertow.contracts.messages.reference import OpenInterest
from undertow.exchange.bybit import parse
from undertow.exchange.errors import BadAnswerError

SYMBOL = "ABCUSDT"
MS = 1_000_000
TIER = {"id": 1, "symbol": SYMBOL, "riskLimitValue": "200000", "maxLeverage": "50.00", "mmDeduction": ""}
INSTRUMENT = {
    "symbol": SYMBOL, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "ABC", "quoteCoin": "USDT",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.0001", "maxPrice": "1999.9998", "tickSize": "0.0001"},
    "lotSizeFilter": {"maxOrderQty": "50000.0", "minOrderQty": "0.1", "qtyStep": "0.1", "maxMktOrderQty": "9000.0",
                      "minNotionalValue": "5"},
    "fundingInterval": 480, "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
}  # fmt: skip


@pytest.fixture
def core():
    return CollectorCore([SYMBOL], CollectSettings().intervals_ns())


def point(at, value="1"):
    return OpenInterest(ts_event=at, ts_recv=99, symbol=SYMBOL, open_interest=Decimal(value))


def test_everything_is_due_at_once_instruments_first(core):
    due = core.due(0, 0)
    assert due[0] == Task(Kind.INSTRUMENT, SYMBOL)
    assert {task.kind for task in due} == set(Kind)
    assert Task(Kind.STATUS) in due


def test_a_task_rests_for_its_interval_of_market_time(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    core.on_answer(task, [], 10)
    assert task not in core.due(10 + 60 * SECOND_NS - 1, 0)
    assert task in core.due(10 + 60 * SECOND_NS, 0)


def test_a_failed_task_is_asked_again_after_wall_time_though_the_market_stands_still(core):
    task = Task(Kind.INSTRUMENT, SYMBOL)
    core.on_failure(task, 100)
    assert task not in core.due(0, 100 + 2 * SECOND_NS - 1)
    assert task in core.due(0, 100 + 2 * SECOND_NS)


def test_filters_are_published_when_they_change(core):
    task = Task(Kind.INSTRUMENT, SYMBOL)
    first, again = (read.instruments({"list": [INSTRUMENT]}, now) for now in (1, 2))
    assert not core.has_instruments()
    assert core.on_answer(task, first, 1) == first
    assert core.has_instruments()
    assert core.on_answer(task, again, 2) == []
    changed = read.instruments({"list": [{**INSTRUMENT, "status": "Closed"}]}, 3)
    assert core.on_answer(task, changed, 3) == changed
    assert core.on_answer(task, [], 4) == []


def test_only_new_rows_of_a_series_are_published(core):
    task = Task(Kind.OPEN_INTEREST, SYMBOL)
    assert core.on_answer(task, [], 0) == []
    assert core.on_answer(task, [point(1), point(2)], 0) == [point(1), point(2)]
    assert core.on_answer(task, [point(1), point(2, "9")], 0) == []
    assert core.on_answer(task, [point(2), point(3)], 0) == [point(3)]


@given(st.lists(st.sets(st.integers(1, 30), max_size=6), max_size=8))
def test_however_answers_overlap_each_row_is_published_once_and_in_order(answers):
    core = CollectorCore([SYMBOL, "XYZUSDT"], CollectSettings().intervals_ns())
    other = Task(Kind.OPEN_INTEREST, "XYZUSDT")
    core.on_answer(other, [point(99)], 0)  # another symbol's rows hide nothing
    tasks = [(Task(Kind.OPEN_INTEREST, SYMBOL), sorted(answer)) for answer in answers]
    published = [fact.ts_event for task, at in tasks for fact in core.on_answer(task, [point(a) for a in at], 0)]
    assert published == sorted(set(published))
    assert (published or [None])[-1] == max((a for answer in answers for a in answer), default=None)


def tiers(initial, maintenance, leverage="50.00", **fields):
    row = {**TIER, "initialMargin": initial, "maintenanceMargin": maintenance, "maxLeverage": leverage, **fields}
    (tier,) = read.risk_tiers({"list": [row]}, 5)
    return tier


@pytest.mark.parametrize(("initial", "maintenance"), [("0.02", "0.01"), ("2", "1")])
def test_margins_are_fractions_whether_the_venue_says_them_in_per_cent_or_not(initial, maintenance):
    tier = tiers(initial, maintenance)
    assert (tier.initial_rate, tier.maintenance_rate, tier.deduction) == (Decimal("0.02"), Decimal("0.01"), 0)


def test_a_deduction_is_money_in_either_unit():
    assert tiers("0.01", "0.005", "100", mmDeduction="1000").deduction == 1000
    assert tiers("1", "0.5", "100").maintenance_rate == Decimal("0.005")


def test_series_are_turned_oldest_first():
    interest = {
        "symbol": SYMBOL,
        "list": [{"openInterest": "2", "timestamp": "2"}, {"openInterest": "1", "timestamp": "1"}],
    }
    assert [(f.ts_event, f.open_interest) for f in read.open_interest(interest, 9)] == [(MS, 1), (2 * MS, 2)]
    rows = [{"symbol": SYMBOL, "fundingRate": "-0.0001", "fundingRateTimestamp": "3"}]
    assert read.funding({"list": rows}, 9)[0].rate == Decimal("-0.0001")
    rows = [{"symbol": SYMBOL, "buyRatio": "0.6", "sellRatio": "0.4", "timestamp": "3"}]
    assert read.long_short_ratio({"list": rows}, 9)[0].buy_ratio == Decimal("0.6")


@pytest.mark.parametrize(
    "reading", [read.instruments, read.open_interest, read.funding, read.long_short_ratio, read.risk_tiers]
)
def test_empty_lists_are_tolerated_and_nonsense_is_a_bad_answer(reading):
    assert reading({"list": [], "symbol": SYMBOL}, 1) == []
    for nonsense in ({}, {"list": None}, {"list": [{}]}, {"list": [None]}):
        with pytest.raises(BadAnswerError):
            parse.read(lambda r: reading(r, 1), nonsense, "somewhere")


def test_the_venue_works_unless_a_maintenance_is_ongoing():
    done = {"title": "old", "state": "completed", "begin": "1", "end": "2"}
    assert read.status({"list": []}, 5)[0].operational
    assert read.status({"list": [done]}, 5)[0].operational
    (fact,) = read.status({"list": [done, {**done, "title": "now", "state": "ongoing", "end": ""}]}, 5)
    assert (fact.operational, fact.maintenance, fact.begin_ns, fact.end_ns) == (False, "now", MS, 0)
