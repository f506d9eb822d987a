from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.domain.order import TRANSITIONS, ImpossibleTransition, OrderSignal, OrderStatus, Side, next_status

LIFE = (
    OrderStatus.SUBMITTED,
    OrderStatus.NEW,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REJECTED,
)
EDGES = sorted(itertools.product(OrderStatus, OrderSignal))


@pytest.mark.parametrize(("status", "signal"), EDGES)
def test_every_pair_either_has_an_edge_or_is_impossible(status: OrderStatus, signal: OrderSignal):
    if (status, signal) in TRANSITIONS:
        assert next_status(status, signal) is TRANSITIONS[status, signal]
    else:
        with pytest.raises(ImpossibleTransition, match=f"{status} cannot be {signal}") as caught:
            next_status(status, signal)
        assert caught.value.status is status
        assert caught.value.signal is signal


def test_the_only_way_out_of_a_terminal_status_is_the_fill_that_crossed_a_cancel():
    ways_out = {
        (status, signal): after
        for (status, signal), after in TRANSITIONS.items()
        if status.is_terminal and after is not status
    }
    assert ways_out == {(OrderStatus.CANCELLED, OrderSignal.FILLED): OrderStatus.FILLED}


def test_a_denied_order_has_no_further_life():
    assert not [edge for edge in TRANSITIONS if edge[0] is OrderStatus.DENIED]


@given(st.lists(st.sampled_from(OrderSignal), max_size=30))
def test_an_order_never_goes_back_in_its_life(signals: list[OrderSignal]):
    status = OrderStatus.SUBMITTED
    for signal in signals:
        try:
            after = next_status(status, signal)
        except ImpossibleTransition:
            continue
        if after is not OrderStatus.FILLED:
            assert LIFE.index(after) >= LIFE.index(status)
        if status is OrderStatus.FILLED:
            assert after is OrderStatus.FILLED
        status = after


@given(st.permutations([OrderSignal.ACCEPTED, OrderSignal.PART_FILLED, OrderSignal.FILLED]), st.integers(1, 3))
def test_fills_and_the_acknowledgement_lead_to_filled_in_any_order_and_repeated(order: list[OrderSignal], times: int):
    status = OrderStatus.SUBMITTED
    for signal in order * times:
        status = next_status(status, signal)
    assert status is OrderStatus.FILLED


@given(st.permutations([OrderSignal.ACCEPTED, OrderSignal.PART_FILLED, OrderSignal.CANCELLED]), st.integers(1, 3))
def test_a_cancel_that_the_venue_confirms_holds_in_any_order(order: list[OrderSignal], times: int):
    status = OrderStatus.SUBMITTED
    for signal in order * times:
        status = next_status(status, signal)
    assert status is OrderStatus.CANCELLED


def test_the_opposite_side_undoes_a_side():
    for side in Side:
        assert side.sign + side.opposite.sign == 0
        assert side.opposite.opposite is side
