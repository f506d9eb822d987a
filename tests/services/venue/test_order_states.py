"""The table of an order's life in the venue."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.order_states import CLOSED, OPEN, TRANSITIONS, Event, Status, next_status
from tests.services.venue.floor import MS, Floor, items
from tests.services.venue.guard_flow import GUARD_STEPS, play

STORY = {
    "": {"Untriggered", "New", "PartiallyFilled", "Filled", "Cancelled", "Rejected"},
    "Untriggered": {"Untriggered", "Triggered", "Deactivated"},
    "Triggered": {"New", "PartiallyFilled", "Filled", "Cancelled"},
    "New": {"New", "PartiallyFilled", "Filled", "Cancelled"},
    "PartiallyFilled": {"PartiallyFilled", "Filled", "Cancelled"},
    "Filled": {"Filled"},  # the cancel that crossed the fill
    "Cancelled": set(),
    "Deactivated": set(),
    "Rejected": set(),
}
"""What may follow on the order topic, drawn from §8.1 of the protocol and not from the venue's own table."""


def test_a_strange_edge_is_a_fault_that_names_it() -> None:
    with pytest.raises(ValueError, match="Filled cannot be rested"):
        next_status(Status.FILLED, Event.RESTED)


@pytest.mark.parametrize("status", sorted(CLOSED))
def test_nothing_leads_out_of_a_closed_state(status: Status) -> None:
    assert not [event for event in Event if (status, event) in TRANSITIONS]


def test_only_an_untriggered_order_is_deactivated_and_only_it_triggers() -> None:
    assert [edge for edge, to in TRANSITIONS.items() if to is Status.DEACTIVATED] == [(Status.UNTRIGGERED, Event.ENDED)]
    assert [edge for edge, to in TRANSITIONS.items() if to is Status.TRIGGERED] == [
        (Status.UNTRIGGERED, Event.TRIGGERED)
    ]


def test_an_order_is_rejected_only_before_anybody_saw_it_open() -> None:
    assert {status for (status, _), to in TRANSITIONS.items() if to is Status.REJECTED} == {Status.CREATED}


def test_every_open_state_can_end_and_every_state_is_reached() -> None:
    assert all((status, Event.ENDED) in TRANSITIONS for status in OPEN)
    assert set(TRANSITIONS.values()) == set(Status) - {Status.CREATED}


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_what_was_filled_in_part_never_looks_new_again(events: list[Event]) -> None:
    status, was_filled = Status.CREATED, False
    for event in events:
        if (status, event) in TRANSITIONS:
            status = next_status(status, event)
        was_filled = was_filled or status is Status.PARTIALLY_FILLED
        assert not (was_filled and status in {Status.NEW, Status.UNTRIGGERED, Status.TRIGGERED, Status.DEACTIVATED})


@given(GUARD_STEPS, st.sampled_from([0, 3 * MS]))
@settings(max_examples=80, deadline=None)
def test_the_stream_tells_of_every_order_a_story_that_the_protocol_knows(
    steps: list[tuple[Any, ...]], latency_ns: int
) -> None:
    floor = Floor(balance="3000", order_latency_ns=latency_ns)
    floor.trade("Buy", "60000.00", "0.001")
    for step in steps:
        play(floor, step)
    last: dict[str, str] = {}
    for order in items([*floor.events, *floor.core.on_time(floor.now_ns + 9 * MS)], "order"):
        assert order["orderStatus"] in STORY[last.get(order["orderId"], "")]
        if last.get(order["orderId"]) == "Filled":
            assert (order["cancelType"], order["rejectReason"]) == ("CancelByUser", "EC_OrigClOrdIDDoesNotExist")
        last[order["orderId"]] = order["orderStatus"]


def test_the_table_has_no_edge_for_a_state_or_event_of_another_kind() -> None:
    assert set(TRANSITIONS) <= set(product(Status, Event))
