"""What came of many seeds: how often each fault struck an order in each state, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.one_seed import LEAST_FAULTS, LEAST_TRADES, Outcome
from tests.simulation.plan import NAMES
from tests.simulation.shrink import kind_of
from tests.simulation.witness import STATES

ENOUGH: Final = 20


@dataclass
class Report:
    """The sum over seeds.

    Attributes:
        failures: what went wrong → the seeds in which it did.
        poor: seeds with fewer trades or faults than a seed must have.
    """

    seeds: int = 0
    trades: int = 0
    faults: int = 0
    slowest_s: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: dict[str, list[int]] = field(default_factory=dict)
    poor: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take one seed in."""
        self.seeds += 1
        self.trades += outcome.trades
        self.faults += outcome.struck.total()
        self.hits += outcome.hits
        if outcome.problem:
            self.failures.setdefault(kind_of(outcome.problem), []).append(outcome.seed)
        else:
            self.slowest_s = max(self.slowest_s, outcome.converged_s)
            if outcome.trades < LEAST_TRADES or outcome.struck.total() < LEAST_FAULTS:
                self.poor.append(outcome.seed)

    @property
    def rare(self) -> list[tuple[str, str]]:
        """Pairs of state and fault that came together less than twenty times."""
        return [(state, kind) for kind in NAMES for state in STATES if self.hits[state, kind] < ENOUGH]

    def lines(self) -> Iterator[str]:
        """Tell it."""
        width = max(map(len, NAMES))
        yield f"{'':{width}} " + " ".join(f"{state:>16}" for state in STATES)
        for kind in NAMES:
            yield f"{kind:{width}} " + " ".join(f"{self.hits[state, kind]:>16}" for state in STATES)
        yield f"{self.seeds} seeds, {self.trades} trades, {self.faults} faults; at peace after {self.slowest_s:.1f} s at most"
        if self.rare:
            yield f"{len(self.rare)} pairs came together less than {ENOUGH} times: " + _listed(
                f"{state} × {kind}" for state, kind in self.rare
            )
        if self.poor:
            few = f"fewer than {LEAST_TRADES} trades or {LEAST_FAULTS} faults"
            yield f"{len(self.poor)} seeds with {few}: {_listed(map(str, self.poor))}"
        for problem, seeds in sorted(self.failures.items(), key=lambda item: -len(item[1])):
            yield f"FAILED {len(seeds)} times: {problem} (seeds {_listed(map(str, seeds))})"


def _listed(words: Iterable[str], most: int = 12) -> str:
    every = list(words)
    return ", ".join(every[:most]) + (f", … ({len(every)})" if len(every) > most else "")
