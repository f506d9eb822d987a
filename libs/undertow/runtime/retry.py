"""Waits between attempts: exponential, capped, jittered, so that a fleet does not knock in step."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(
    first_s: float = 0.05, longest_s: float = 5.0, *, factor: float = 2.0, seed: str | None = None
) -> Iterator[float]:
    """Yield waits in seconds without end: each between half and the whole of a bound that doubles up to `longest_s`.

    Args:
        first_s: first bound.
        longest_s: last bound.
        factor: growth of the bound.
        seed: makes the jitter a function of it, for simulation.
    """
    jitter = random.Random(seed)  # noqa: S311 - spreads load, guards nothing
    bound = first_s
    while True:
        yield bound * jitter.uniform(0.5, 1.0)
        bound = min(longest_s, bound * factor)
