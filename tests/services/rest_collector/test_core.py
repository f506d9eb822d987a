from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rest_collector.core import SECOND_NS, CollectorCore, Kind, Task
from services.rest_collector.read import ENDPOINTS, instruments, risk_tiers
from undertow.contracts.messages.reference import OpenInterest

BTC, ETH = "BTCUSDT", "ETHUSDT"
INTERVALS = dict.fromkeys(Kind, 60 * SECOND_NS) | {Kind.CLOCK: 10 * SECOND_NS}
OPEN_INTEREST = Task(Kind.OPEN_INTEREST, BTC)
INSTRUMENT = Task(Kind.INSTRUMENT, BTC)
ITEM = {
    "symbol": BTC,
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {
        "maxOrderQty": "1190.000",
        "minOrderQty": "0.001",
        "qtyStep": "0.001",
        "maxMktOrderQty": "500.000",
        "minNotionalValue": "5",
    },
    "fundingInterval": 480,
}
TIERS = [
    {"id": 1, "symbol": BTC, "riskLimitValue": "200", "maintenanceMargin": "0.01", "initialMargin": "0.02"}
    | {"maxLeverage": "50.00", "mmDeduction": ""},
]


@pytest.fixture
def core():
    return CollectorCore((BTC, ETH), INTERVALS)


def rows(*at_s: int) -> list[OpenInterest]:
    return [OpenInterest(ts_event=s * SECOND_NS, ts_recv=0, symbol=BTC, open_interest=Decimal(100 + s)) for s in at_s]


def test_everything_is_due_at_the_start_and_instruments_come_first(core):
    tasks = core.due(1, 1)
    assert set(tasks) == {
        Task(Kind.STATUS),
        Task(Kind.CLOCK),
        *(Task(kind, symbol) for kind in Kind if kind not in (Kind.STATUS, Kind.CLOCK) for symbol in (BTC, ETH)),
    }
    assert tasks[:2] == [INSTRUMENT, Task(Kind.INSTRUMENT, ETH)]


def test_what_was_answered_is_due_again_after_its_own_interval(core):
    for task in core.due(0, 0):
        core.on_answer(task, [], 0)
    assert core.due(10 * SECOND_NS - 1, 0) == []
    assert core.due(10 * SECOND_NS, 0) == [Task(Kind.CLOCK)]
    assert len(core.due(60 * SECOND_NS, 0)) == 12


def test_a_failure_rests_two_seconds_of_wall_time_though_the_market_stands_still(core):
    core.on_failure(OPEN_INTEREST, wall_ns=5 * SECOND_NS)
    assert OPEN_INTEREST not in core.due(0, 7 * SECOND_NS - 1)
    assert OPEN_INTEREST in core.due(0, 7 * SECOND_NS)
    assert INSTRUMENT in core.due(0, 5 * SECOND_NS), "others do not wait for it"


def test_an_answer_ends_the_rest_after_a_failure(core):
    core.on_failure(OPEN_INTEREST, wall_ns=10**15)
    core.on_answer(OPEN_INTEREST, [], 0)
    assert OPEN_INTEREST in core.due(60 * SECOND_NS, 0)


def test_of_a_series_only_rows_after_the_last_are_new(core):
    assert core.on_answer(OPEN_INTEREST, rows(1, 2), 0) == rows(1, 2)
    assert core.on_answer(OPEN_INTEREST, rows(1, 2), 0) == []
    assert core.on_answer(OPEN_INTEREST, rows(1, 2, 3), 0) == rows(3)
    assert core.on_answer(OPEN_INTEREST, [], 0) == []
    assert core.on_answer(OPEN_INTEREST, rows(2, 3, 4, 5), 0) == rows(4, 5)


def test_a_symbol_does_not_hide_the_rows_of_another(core):
    core.on_answer(OPEN_INTEREST, rows(9), 0)
    assert core.on_answer(Task(Kind.OPEN_INTEREST, ETH), rows(1), 0) == rows(1)


@given(st.lists(st.sets(st.integers(1, 30), max_size=6), max_size=8))
def test_however_answers_overlap_each_row_is_published_once_and_in_order(answers):
    core = CollectorCore((BTC,), INTERVALS)
    published = [f.ts_event for a in answers for f in core.on_answer(OPEN_INTEREST, rows(*sorted(a)), 0)]
    assert published == sorted(set(published))
    assert published[-1:] == [max((s for a in answers for s in a), default=0) * SECOND_NS][: len(published)]


def test_an_instrument_is_published_at_first_and_when_it_changes(core):
    before, again = instruments({"list": [ITEM]}, 1), instruments({"list": [ITEM]}, 2)
    changed = [msgspec.structs.replace(again[0], tick_size=Decimal("0.50"))]
    assert core.on_answer(INSTRUMENT, before, 1) == before
    assert core.on_answer(INSTRUMENT, again, 2) == [], "only the time is another"
    assert core.on_answer(INSTRUMENT, changed, 3) == changed
    assert core.on_answer(INSTRUMENT, again, 4) == again, "back to what it was is a change as well"


def test_when_one_tier_changes_the_whole_table_is_published(core):
    task = Task(Kind.RISK_TIERS, BTC)
    table = risk_tiers({"list": [TIERS[0], TIERS[0] | {"id": 2, "riskLimitValue": "400"}]}, 1)
    assert core.on_answer(task, table, 1) == table
    assert core.on_answer(task, table, 2) == []
    changed = [table[0], msgspec.structs.replace(table[1], limit_value=Decimal(500))]
    assert core.on_answer(task, changed, 3) == changed


def test_instruments_are_there_when_those_of_every_symbol_were_published(core):
    assert not core.has_instruments()
    core.on_answer(INSTRUMENT, instruments({"list": [ITEM]}, 1), 1)
    assert not core.has_instruments()
    core.on_answer(Task(Kind.INSTRUMENT, ETH), [], 1)
    assert not core.has_instruments(), "an answer without the symbol is no instrument"
    core.on_answer(Task(Kind.INSTRUMENT, ETH), instruments({"list": [ITEM]}, 1), 1)
    assert core.has_instruments()


def test_every_kind_but_the_clock_has_an_endpoint():
    assert set(ENDPOINTS) == set(Kind) - {Kind.CLOCK}
