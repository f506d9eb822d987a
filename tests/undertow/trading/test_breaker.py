from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.services.order_router.rig import BREAKER, SECOND, START
from undertow.trading.breaker import UNTIL_REARMED, Breaker, Kind

ZERO = Decimal(0)


def taken(breaker: Breaker, trips) -> list[str]:
    for trip in trips:
        breaker.take(trip)
    return [trip.kind for trip in trips]


def test_refused_entries_within_the_window_trip_it_and_it_ends_by_itself():
    breaker = Breaker(BREAKER)
    assert breaker.on_rejected("110007", START) == []
    assert breaker.on_rejected("110007", START + 1) == []
    [trip] = breaker.on_rejected("110007: not enough", START + 30 * SECOND - 1)
    assert "3 entries refused within 30 s, the last: 110007: not enough" in trip.why
    breaker.take(trip)
    assert breaker.on_rejected("again", START + 30 * SECOND) == []  # it holds already
    assert breaker.why(trip.until_ns - 1) == trip.why
    assert breaker.why(trip.until_ns) == ""
    assert trip.until_ns == trip.at_ns + BREAKER.pause_ns


def test_refusals_that_lie_apart_do_not_trip_it():
    breaker = Breaker(BREAKER)
    assert [breaker.on_rejected("x", START + number * 15 * SECOND) for number in range(9)] == [[]] * 9


@pytest.mark.parametrize(
    ("jump", "apart_ns", "trips"),
    [(Decimal(300), SECOND, 0), (Decimal("300.1"), 30 * SECOND, 1), (Decimal(900), 30 * SECOND + 1, 0)],
)
def test_a_mark_that_jumps_trips_it(jump, apart_ns, trips):
    found = Breaker(BREAKER).on_mark("BTCUSDT", jump, apart_ns, START)
    assert len(found) == trips
    assert all("the mark of BTCUSDT moved 300.1 bps in 30.0 s, at most 300" in trip.why for trip in found)


@pytest.mark.parametrize(("position", "money"), [(Decimal("0.1"), ZERO), (ZERO, Decimal("-0.0011"))])
def test_residuals_in_three_comparisons_in_a_row_trip_it(position, money):
    breaker = Breaker(BREAKER)
    assert breaker.on_residuals(position, money, START, START) == []
    assert breaker.on_residuals(position, money, START, START + SECOND) == []  # the same comparison, told again
    assert breaker.on_residuals(position, money, START + 1, START) == []
    [trip] = breaker.on_residuals(position, money, START + 2, START)
    assert trip.kind == Kind.RESIDUAL
    assert f"{position} of positions and {money} of money" in trip.why


def test_a_comparison_that_agrees_begins_the_count_anew_and_an_epsilon_is_none():
    breaker = Breaker(BREAKER)
    for number in range(1, 10):
        residual = ZERO if number % 3 == 0 else Decimal(1)
        assert breaker.on_residuals(residual, Decimal("0.001"), START + number, START) == []


def test_a_foreign_fill_trips_it_once_until_a_person_rearms():
    breaker = Breaker(BREAKER)
    [trip] = breaker.on_foreign_fill("Buy 1", START)
    assert trip.until_ns == UNTIL_REARMED
    breaker.take(trip)
    assert breaker.on_foreign_fill("Buy 2", START) == []
    assert breaker.why(START + 10**18) == "a fill that is not ours: Buy 1"
    breaker.rearm()
    assert breaker.why(START) == ""
    assert breaker.trips == ()


def test_several_reasons_are_all_named():
    breaker = Breaker(BREAKER)
    taken(breaker, breaker.on_foreign_fill("Buy 1", START))
    taken(breaker, breaker.on_mark("A", Decimal(400), SECOND, START))
    assert breaker.why(START).count(";") == 1
    assert {trip.kind for trip in breaker.trips} == {Kind.FOREIGN_FILL, Kind.PRICE_JUMP}


def test_each_kind_can_be_turned_off():
    off = replace(BREAKER, max_rejections=0, max_jump_bps=ZERO, residual_looks=0, foreign_fills=False)
    breaker = Breaker(off)
    for number in range(1, 9):
        assert breaker.on_rejected("x", START) == []
        assert breaker.on_residuals(Decimal(1), ZERO, START + number, START) == []
    assert breaker.on_mark("A", Decimal(9_999), 1, START) == []
    assert breaker.on_foreign_fill("Buy", START) == []
