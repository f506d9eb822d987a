from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.exchange.bybit.venue_clock import Offset, Reading, VenueClock, estimate
from undertow.runtime.clock import ManualClock


def test_one_reading_is_taken_half_way():
    assert estimate([Reading(100, 140, 1_120)]) == Offset(1_000, 20)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1))
def test_the_true_offset_lies_within_the_uncertainty_however_long_the_ways_were(offset_ns, ways):
    now_ns, readings = 10**18, []
    for there_ns, back_ns in ways:
        readings.append(Reading(now_ns, now_ns + there_ns + back_ns, now_ns + there_ns + offset_ns))
        now_ns += 10**9
    found = estimate(readings)
    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns + 1  # rounded down
    assert found.uncertainty_ns <= min(there + back for there, back in ways) // 2


def test_many_readings_know_more_than_the_quickest_of_them():
    slow_there, slow_back = Reading(0, 100, 1_090), Reading(1_000, 1_100, 2_010)
    assert estimate([slow_there, slow_back]) == Offset(1_000, 10)


def test_when_a_clock_jumps_the_quickest_answer_is_believed():
    assert estimate([Reading(0, 100, 1_050), Reading(1_000, 1_010, 9_005)]) == Offset(8_000, 5)


def test_an_estimate_needs_a_reading():
    with pytest.raises(ValueError, match="one reading"):
        estimate([])


def test_the_clock_of_the_venue_is_ours_until_it_is_known():
    clock = VenueClock(ManualClock(5_000_000))
    assert (clock.is_known, clock.now_ms()) == (False, 5)
    clock.learn(5_000_000, 5_000_000, 7_000_000)
    assert (clock.is_known, clock.now_ms(), clock.uncertainty_ns) == (True, 7, 0)
    clock.doubt()
    assert (clock.is_known, clock.now_ms()) == (False, 7)
