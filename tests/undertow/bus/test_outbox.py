from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.bus.errors import BusOverflowError
from undertow.bus.outbox import Letter, Outbox

SECOND = 1_000_000_000


def letter(number: int, key: str = "k") -> Letter:
    return Letter(key, number, b"")


def test_letters_beyond_the_limit_are_refused() -> None:
    outbox = Outbox(2, SECOND)
    outbox.require_room(2)
    outbox.add([letter(1)])
    with pytest.raises(BusOverflowError):
        outbox.require_room(2)


def test_what_redis_lost_is_sent_again_in_order() -> None:
    outbox = Outbox(10, SECOND)
    outbox.add([letter(1), letter(2), letter(1, "other"), letter(3)])
    outbox.confirm(3, now_ns=0)
    outbox.missing({"k": 1}, lost_ns=0)
    assert outbox.waiting(10) == [letter(2), letter(1, "other"), letter(3)]


def test_an_unconfirmed_letter_that_arrived_is_not_sent_again() -> None:
    outbox = Outbox(10, SECOND)
    outbox.add([letter(1), letter(2)])
    outbox.missing({"k": 2}, lost_ns=0)
    assert outbox.unconfirmed == 0


def test_a_letter_confirmed_before_the_window_is_safe() -> None:
    outbox = Outbox(10, SECOND)
    outbox.add([letter(1), letter(2)])
    outbox.confirm(1, now_ns=0)
    outbox.confirm(1, now_ns=SECOND)
    outbox.missing({}, lost_ns=2 * SECOND)
    assert outbox.waiting(10) == [letter(2)]


def test_a_long_outage_does_not_age_what_was_confirmed_before_it() -> None:
    outbox = Outbox(10, SECOND)
    outbox.add([letter(1)])
    outbox.confirm(1, now_ns=0)
    outbox.add([letter(2)])
    outbox.missing({}, lost_ns=SECOND // 2)  # however late it is asked
    assert outbox.waiting(10) == [letter(1), letter(2)]


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_survivors_and_the_rest_are_together_everything(published: int, confirmed: int, survived: int) -> None:
    confirmed, survived = min(confirmed, published), min(survived, published)
    outbox = Outbox(100, SECOND)
    outbox.add([letter(number + 1) for number in range(published)])
    outbox.confirm(confirmed, now_ns=0)
    outbox.missing({"k": survived}, lost_ns=0)
    assert [waiting.number for waiting in outbox.waiting(100)] == list(range(survived + 1, published + 1))
