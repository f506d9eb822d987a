from __future__ import annotations

import pytest

from tests.undertow.features.facts import SECOND, at, gap, open_interest, ticker
from undertow.features.events import BID, OPEN_INTEREST, RATIO, events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.slow import SlowValue, last


def state_after(*messages):
    state = FeatureState.empty()
    sweep(state, TriggerRule(), events_of(messages))
    return state


def test_nothing_is_known_at_first():
    assert last(FeatureState.empty(), OPEN_INTEREST) is None


def test_the_latest_event_time_wins_whatever_the_order_of_arrival():
    early, late = open_interest(0, "5"), open_interest(10, "6")
    assert last(state_after(early, late), OPEN_INTEREST) == SlowValue(6.0, at(10))
    assert last(state_after(late, early), OPEN_INTEREST) == SlowValue(6.0, at(10))


def test_both_streams_share_the_open_interest_and_a_gap_does_not_forget_it():
    state = state_after(ticker(0, interest="7"), open_interest(-300, "6"), gap(5))
    assert last(state, OPEN_INTEREST) == SlowValue(7.0, at(0))
    assert last(state, RATIO) is None


def test_age_is_never_negative():
    value = SlowValue(1.0, at(10))
    assert value.age_ns(at(12)) == 2 * SECOND
    assert value.age_ns(at(9)) == 0


def test_a_fast_kind_has_no_slow_value():
    with pytest.raises(ValueError, match="is not slow"):
        last(FeatureState.empty(), BID)
