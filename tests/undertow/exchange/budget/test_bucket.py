from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.exchange.budget.bucket import Allowance, Bucket

MOST = [Allowance(1, 1.0), Allowance(3.5, 1.0), Allowance(7, 1.0), Allowance(35, 1.0), Allowance(420, 5.0, 0.2)]


def busiest(times, window_s):
    """Give the most of the ascending `times` within one window."""
    return max((bisect_left(times, at + window_s) - bisect_left(times, at) for at in times), default=0)


@given(st.sampled_from(MOST), st.lists(st.floats(0.0, 0.7), max_size=120))
def test_no_window_ever_holds_more_than_the_allowance(allowance, pauses):
    now_s, taken = 100.0, []
    bucket = Bucket.full(allowance, now_s)
    for pause_s in pauses:
        now_s += pause_s
        while not bucket.take(now_s):  # as greedy as it can be
            taken.append(now_s)
    assert busiest(taken, allowance.window_s) <= max(1, allowance.most)


@pytest.mark.parametrize("allowance", MOST)
def test_who_waits_as_long_as_told_is_served(allowance):
    bucket, now_s = Bucket.full(allowance, 0.0), 0.0
    while not (wait_s := bucket.take(now_s)):
        pass
    assert bucket.take(now_s + wait_s + 1e-9) == 0.0


def test_what_is_kept_back_is_there_for_others_only():
    bucket = Bucket.full(Allowance(420, 5.0), 0.0)
    greedy = 0
    while not bucket.take(0.0, kept=2 / 3):
        greedy += 1
    assert greedy == 35
    assert bucket.take(0.0) == 0.0


def test_a_clock_that_goes_back_gives_nothing_away():
    bucket = Bucket.full(Allowance(4, 1.0), 10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(9.0) > 0.0
    assert bucket.take(10.0) > 0.0
