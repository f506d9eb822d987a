"""Cascades of liquidations of one side, in ticks of 0.1 s: a chain of bursts that goes on or ends, and may come back. Draws apart, pure.

A cascade begins by itself (a Poisson process) with a burst of liquidations within one tick. After each burst another follows within
`reach` ticks with a chance that depends on how many there have been, or else, with another chance, a new cluster some time later; or the
cascade is over. So clusters have the recorded distribution of lengths, and none goes on for ever: this is a Bartlett-Lewis process (Lewis
1964, JRSS B 26) whose chance to go on is estimated by length. At every tick the mean number of liquidations to come in it is known exactly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from undertow.markets.generated_parameters import Liquidations, Stage

TICK_S: Final = 0.1
_FORGOTTEN: Final = 1e-7


@dataclass(slots=True)
class _Cascade:
    bursts: int = 1  # of the cluster
    waited: int = 0  # ticks since the last


class Cascades:
    """All cascades of one side.

    Args:
        law: of the liquidations of both sides.
        rng: every draw comes from it.
    """

    def __init__(self, law: Liquidations, rng: random.Random) -> None:
        self._rng = rng
        self._fresh = law.cascades_per_s / 2.0 * TICK_S
        self._stages = _by_bursts(law.stages)
        self._reach = len(law.waits)
        self._soon = [chances(stage.continues, law.waits) for stage in self._stages]
        self._late = _returns(law)
        self._alive: list[_Cascade] = []

    @property
    def expected(self) -> float:
        """Mean number of liquidations in the next tick, as things stand."""
        expected = self._fresh * self._stages[0].burst
        for cascade in self._alive:
            expected += self._chance(cascade) * self._next(cascade).burst
        return expected

    def pass_tick(self) -> int:
        """Draw the liquidations of the next tick."""
        rng, count = self._rng, 0
        if self._alive:
            alive = []
            for cascade in self._alive:
                if rng.random() < self._chance(cascade):
                    count += self._burst(self._next(cascade))
                    alive.append(_Cascade(cascade.bursts + 1 if cascade.waited < self._reach else 1))
                else:
                    cascade.waited += 1
                    if cascade.waited < self._reach + len(self._late):
                        alive.append(cascade)
            self._alive = alive
        for _ in range(poisson(rng, self._fresh)):
            self._alive.append(_Cascade())
            count += self._burst(self._stages[0])
        return count

    def _chance(self, cascade: _Cascade) -> float:
        if cascade.waited < self._reach:
            return self._soon[min(cascade.bursts, len(self._soon)) - 1][cascade.waited]
        return self._late[cascade.waited - self._reach]

    def _next(self, cascade: _Cascade) -> Stage:
        bursts = cascade.bursts if cascade.waited < self._reach else 0
        return self._stages[min(bursts, len(self._stages) - 1)]

    def _burst(self, stage: Stage) -> int:
        return 1 + geometric(self._rng, stage.burst - 1.0)


def _by_bursts(stages: Sequence[Stage]) -> list[Stage]:
    """Give the stage after one burst, after two, and so on; the last stands for all beyond."""
    return [
        next(stage for stage in reversed(stages) if stage.first <= bursts) for bursts in range(1, stages[-1].first + 1)
    ]


def chances(continues: float, waits: Sequence[float]) -> list[float]:
    """Give for each tick the chance of the next burst in it, where none has come before it.

    Args:
        continues: chance that one comes at all.
        waits: by tick, the share of those that come then.
    """
    left, out = 1.0, []
    for share in waits:
        out.append(continues * share / left)
        left -= continues * share
    return out


def _returns(law: Liquidations) -> list[float]:
    """Give the same for the next cluster, from the tick on from which a burst would be one."""
    keeps, waiting, out = math.exp(-law.return_decay_per_s * TICK_S), law.returns, []
    while waiting > _FORGOTTEN:
        out.append(waiting * (1.0 - keeps) / (waiting + 1.0 - law.returns))
        waiting *= keeps
    return out


def poisson(rng: random.Random, mean: float) -> int:
    """Draw a count by multiplying uniforms (Knuth, The Art of Computer Programming 2, 3.4.1); meant for small means."""
    floor, product, count = math.exp(-mean), rng.random(), 0
    while product > floor:
        product *= rng.random()
        count += 1
    return count


def geometric(rng: random.Random, mean: float) -> int:
    """Draw a count from 0 whose chance of one more is always the same."""
    if mean <= 0.0:
        return 0
    return int(math.log(1.0 - rng.random()) / math.log(mean / (1.0 + mean)))
