from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.features.book import notional_within, set_level, size_of_best
from undertow.features.layout import CAPACITY

changes = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5)), max_size=200)


@settings(deadline=None)  # the first call compiles
@given(changes)
def test_a_side_is_a_sorted_map_of_its_changes(items):
    levels, count, expected = np.zeros((2, CAPACITY)), 0, {}
    for key, size in items:
        count = set_level(levels, count, float(key), float(size))
        expected[key] = size
    expected = {key: size for key, size in expected.items() if size}
    assert levels[0, :count].tolist() == sorted(expected)
    assert levels[1, :count].tolist() == [expected[key] for key in sorted(expected)]


def test_a_full_side_forgets_its_worst_level():
    levels, count = np.zeros((2, CAPACITY)), 0
    for key in range(10, 10 + CAPACITY):
        count = set_level(levels, count, float(key), 1.0)
    assert set_level(levels, count, 5.0, 1.0) == CAPACITY
    assert levels[0, 0] == 10.0
    assert set_level(levels, count, 12.5, 7.0) == CAPACITY
    assert levels[0, :3].tolist() == [11.0, 12.0, 12.5]
    assert set_level(levels, count, 9999.0, 1.0) == CAPACITY
    assert levels[0, -1] == 9999.0
    assert sorted(levels[0]) == levels[0].tolist()


def test_sizes_and_notionals_count_from_the_best_level():
    levels, count = np.zeros((2, CAPACITY)), 0
    for key, size in ((-10.3, 3.0), (-10.2, 2.0), (-10.1, 1.0)):
        count = set_level(levels, count, key, size)
    assert size_of_best(levels, count, 2) == 3.0
    assert size_of_best(levels, count, 9) == 6.0
    assert notional_within(levels, count, -10.2) == 10.1 + 10.2 * 2
