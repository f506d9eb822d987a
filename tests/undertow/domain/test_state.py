from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from undertow.domain.state import TradingState, most_severe


def test_severity_is_what_the_metric_shows():
    assert [state.severity for state in (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)] == [0, 1, 2]


@given(st.lists(st.sampled_from(TradingState), min_size=1))
def test_of_several_opinions_the_most_severe_holds(states: list[TradingState]):
    held = most_severe(*states)
    assert held in states
    assert all(held.severity >= state.severity for state in states)
