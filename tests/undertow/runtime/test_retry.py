from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from undertow.runtime.retry import backoff


@given(st.text())
def test_waits_grow_up_to_the_longest_and_are_jittered(seed: str) -> None:
    bound = 0.1
    for wait in islice(backoff(0.1, 2.0, seed=seed), 12):
        assert bound / 2 <= wait <= bound
        bound = min(2.0, bound * 2)


def test_a_seed_repeats_its_waits() -> None:
    assert list(islice(backoff(seed="a"), 5)) == list(islice(backoff(seed="a"), 5))
    assert list(islice(backoff(seed="a"), 5)) != list(islice(backoff(seed="b"), 5))
