from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from undertow.bus.codec import MOST_RANGES, Seen
from undertow.bus.entries import before, entry_order


@given(st.lists(st.integers(0, 40)))
def test_a_number_is_new_exactly_once(numbers: list[int]) -> None:
    seen, known = Seen(), set[int]()
    for number in numbers:
        assert seen.add(number) == (number not in known)
        known.add(number)


@given(st.permutations(range(30)))
def test_whatever_the_order_a_full_run_is_one_range(numbers: list[int]) -> None:
    seen = Seen()
    assert all(seen.add(number) for number in numbers)
    assert (seen._starts, seen._ends) == ([0], [29])


def test_memory_is_bounded() -> None:
    seen = Seen()
    for number in range(0, 4 * MOST_RANGES, 2):
        seen.add(number)
    assert len(seen._starts) == MOST_RANGES
    assert not seen.add(4 * MOST_RANGES - 2)


@given(st.integers(1, 2**48), st.integers(0, 2**64 - 1))
def test_the_id_before_is_smaller(milliseconds: int, sequence: int) -> None:
    entry_id = f"{milliseconds}-{sequence}"
    assert entry_order(before(entry_id)) < entry_order(entry_id)


def test_nothing_is_before_the_first_id() -> None:
    assert before("0-0") == "0-0"
