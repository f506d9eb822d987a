"""The ingestor against the misbehaving venue over the loopback, at the pace of the wall clock: the same faults, another order of events."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.feed_chaos.one_seed import play_really

pytestmark = pytest.mark.compiled

TOGETHER = 5


@pytest.mark.parametrize(
    "seeds",
    [
        range(2),
        *(
            pytest.param(range(first, first + TOGETHER), marks=[pytest.mark.long, pytest.mark.timeout(300)])
            for first in range(0, 20, TOGETHER)
        ),
    ],
    ids=str,
)
def test_seeds_end_with_equal_books_and_every_gap_told_once(seeds: range) -> None:
    bad = [outcome for outcome in play_really(seeds) if outcome.problems]
    told = (f"replay with: {Path(sys.executable).name} -m tests.feed_chaos {o.seed} --real\n{o.report()}" for o in bad)
    assert not bad, "\n".join(told)
