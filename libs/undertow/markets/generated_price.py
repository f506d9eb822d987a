"""The price of the demonstration: a random walk with clustered volatility, and liquidation cascades planted in it.

A cascade is a first wave of 1 s whose second half liquidates positions, then, each time with probability `CONTINUE`,
another wave of 500 ms, at most `MOST_WAVES` in all. Its sizes are multiples of one heavy-tailed draw `s` (bp). When it
ends the price comes back: by the *fair rebound*, which exactly pays for the risk that another wave had come, plus the
planted edge. So with an edge of 0 the price at a liquidation frame is, on average, the price after the rebound; with a
positive one, being filled in a cascade and holding through the rebound earns it on average.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Final

CONTINUE: Final = 0.5  # probability that a wave is followed by another
MOST_WAVES: Final = 4  # after so many it always ends, and there the fair rebound is 0
FIRST_WAVE: Final = 1.5  # mean size of the first wave, multiples of s
NEXT_WAVE: Final = 0.75  # mean size of each later wave, multiples of s
FAIR_REBOUND: Final = NEXT_WAVE * CONTINUE / (1.0 - CONTINUE)  # makes -CONTINUE*NEXT_WAVE + (1-CONTINUE)*rebound = 0
SIZE_MEDIAN_BPS: Final = 20.0
SIZE_SIGMA: Final = 0.4
SIZE_LIMITS_BPS: Final = (9.0, 48.0)
SIZE_MEAN_BPS: Final = 21.5  # of the clipped draw; tests hold it to this
BATCH_S: Final = 0.5  # the venue batches liquidations 500 ms
VOLATILITY_BPS: Final = 0.8  # per square root of a second, in calm
PAUSE_S: Final = 4.0  # at least, from the end of a cascade to the next


@dataclass(slots=True)
class Wave:
    """One push of forced trades; `direction` is -1 when longs are liquidated, from `liquidates_from_s` on."""

    direction: int
    size_bps: float
    end_s: float
    total_bps: float
    start_s: float
    liquidates_from_s: float
    number: int = 1

    def bps_between(self, from_s: float, to_s: float) -> float:
        """Give the signed move of the wave between two times."""
        span = self.end_s - self.start_s
        share = max(0.0, min(to_s, self.end_s) - max(from_s, self.start_s)) / span
        return self.direction * self.total_bps * share


@dataclass(slots=True)
class PriceWalk:
    """The walk; advance it in small steps.

    Attributes:
        price: mid in ticks, not rounded.
        wave: the wave in progress, if any.
        activity: factor on the rate of ordinary trades; constant here.
        liquidating: True when positions were liquidated in the last step.
    """

    price: float
    rng: random.Random
    interval_s: float
    edge_bps: float
    now_s: float = 0.0
    activity: float = 1.0
    wave: Wave | None = None
    liquidating: bool = False
    log_volatility: float = 0.0
    rebound_bps: float = 0.0
    rebound_tau_s: float = 2.0
    cascades: int = 0
    next_start_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Draw the first start."""
        self.next_start_s = self._after(0.0)

    def step(self, now: float) -> float:
        """Move on to `now` (seconds from the start); give the signed part of the move (bp) that forced trades made."""
        dt = now - self.now_s
        gauss = self.rng.gauss
        self.log_volatility += -0.15 * self.log_volatility * dt + 0.35 * math.sqrt(dt) * gauss(0.0, 1.0)
        move = VOLATILITY_BPS * math.exp(self.log_volatility) * math.sqrt(dt) * gauss(0.0, 1.0)
        if self.wave is None and now >= self.next_start_s:
            self._begin()
        forced = self.wave.bps_between(self.now_s, now) if self.wave is not None else 0.0
        self.liquidating = self.wave is not None and now > self.wave.liquidates_from_s + 1e-9
        if self.rebound_bps:
            back = self.rebound_bps * -math.expm1(-dt / self.rebound_tau_s)
            self.rebound_bps -= back
            move += back
        self.now_s = now
        if self.wave is not None and now >= self.wave.end_s - 1e-9:
            self._continue_or_end(self.wave)
        self.price *= 1.0 + (move + forced) / 1e4
        return forced

    def _after(self, now_s: float) -> float:
        mean = max(self.interval_s - PAUSE_S - 2.0, 0.5)
        return math.ceil((now_s + PAUSE_S + self.rng.expovariate(1.0 / mean)) / BATCH_S) * BATCH_S

    def _begin(self) -> None:
        low, high = SIZE_LIMITS_BPS
        size = min(max(SIZE_MEDIAN_BPS * math.exp(SIZE_SIGMA * self.rng.gauss(0.0, 1.0)), low), high)
        direction = 1 if self.rng.random() < 0.5 else -1  # noqa: PLR2004 - a fair coin
        start = self.next_start_s
        self.wave = Wave(
            direction, size, start + 2 * BATCH_S, FIRST_WAVE * size * self._spread(), start, start + BATCH_S
        )
        self.log_volatility = max(self.log_volatility, 0.4)
        self.cascades += 1

    def _continue_or_end(self, wave: Wave) -> None:
        is_last = wave.number == MOST_WAVES
        if not is_last and self.rng.random() < CONTINUE:
            size, begin = NEXT_WAVE * wave.size_bps * self._spread(), wave.end_s
            self.wave = Wave(wave.direction, wave.size_bps, begin + BATCH_S, size, begin, begin, wave.number + 1)
            return
        back = wave.size_bps * ((0.0 if is_last else FAIR_REBOUND) + self.edge_bps / SIZE_MEAN_BPS)
        self.rebound_bps += -wave.direction * back
        self.rebound_tau_s = self.rng.uniform(1.2, 3.5)
        self.wave = None
        self.next_start_s = self._after(self.now_s)

    def _spread(self) -> float:
        return self.rng.uniform(0.6, 1.4)
