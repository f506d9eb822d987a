"""Makes a failing seed's story short: faults are left out as long as the same thing goes wrong without them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.simulation.one_seed import Outcome, play
from tests.simulation.plan import Planned


def kind_of(problem: str) -> str:
    """Give what a problem says, without its names and numbers: two seeds that fail alike say the same."""
    return re.sub(r"\b(s\d+-)?[A-Z]+USDT\b|\b\w*\d\w*\b|\{.*\}", "…", problem).partition(":")[0]


def shrunk(outcome: Outcome, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Give the same failure with as few faults as leaving out one after the other comes to; halves first, then single ones."""
    meant, best = kind_of(outcome.problem), outcome
    size = max(1, len(best.plan) // 2)
    while True:
        at, is_smaller = 0, False
        while at < len(best.plan):
            less = _without(best.plan, at, size)
            tried = play(outcome.seed, less)
            if tried.problem and kind_of(tried.problem) == meant:
                best, is_smaller = tried, True
                say(f"{len(best.plan)} faults are enough")
            else:
                at += size
        if size == 1 and not is_smaller:
            return best
        size = max(1, size // 2)


def _without(plan: Sequence[Planned], at: int, size: int) -> tuple[Planned, ...]:
    return (*plan[:at], *plan[at + size :])
