"""Estimators with which a recording is described and the generated market calibrated. Pure: numbers in, numbers out.

Each names its source. All times are seconds, all moves basis points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_EM_ROUNDS: Final = 500
_TIER_BPS: Final = 15.0


@dataclass(frozen=True)
class Stage:
    """A cluster that has had `first` bursts or more, up to the next stage.

    Attributes:
        burst: mean number of events in the burst with which it gets there.
        continues: share of which another burst follows within the longest gap.
    """

    first: int
    burst: float
    continues: float


@dataclass(frozen=True)
class CascadeLaw:
    """Cascades of events of two sides, as `undertow.markets.generated_cascades` draws them.

    Attributes:
        cascades_per_s: that nothing caused, both sides together.
        stages: by the number of bursts so far.
        waits: share of the following bursts by tick.
        returns: share of the clusters after which another follows as part of the same cascade.
        return_decay_per_s: one over the mean time until then, counted from the end of the longest gap.
    """

    cascades_per_s: float
    stages: tuple[Stage, ...]
    waits: tuple[float, ...]
    returns: float
    return_decay_per_s: float


def fit_cascades(
    times: Floats, signs: Floats, tick_s: float, longest_gap_s: float, firsts: tuple[int, ...] = (1, 2, 3, 5, 9, 17)
) -> CascadeLaw:
    """Fit each share as it was counted, by side, and what follows the clusters as a mix of two exponential laws.

    Args:
        times: of the events, ascending.
        signs: their sides.
        tick_s: events of a side within it are one burst.
        longest_gap_s: within a cluster, between bursts.
        firsts: bursts at which a stage begins.
    """
    reach = round(longest_gap_s / tick_s)
    bursts: list[list[int]] = [[] for _ in firsts]
    followed: list[list[bool]] = [[] for _ in firsts]
    waits = np.zeros(reach)
    pauses: list[float] = []
    for side in np.unique(signs):
        ticks, sizes = np.unique((times[signs == side] // tick_s).astype(np.int64), return_counts=True)
        seen = 0
        for size, gap in zip(sizes.tolist(), [*np.diff(ticks).tolist(), 0], strict=True):
            seen += 1
            stage = max(number for number, first in enumerate(firsts) if seen >= first)
            bursts[stage].append(size)
            if not gap:
                continue  # nobody knows what followed the last one
            followed[stage].append(gap <= reach)
            if gap <= reach:
                waits[gap - 1] += 1
            else:
                pauses.append((gap - reach) * tick_s)
                seen = 0
    share, quick, _ = two_rates(np.asarray(pauses))
    return CascadeLaw(
        cascades_per_s=(1.0 - share) * len(pauses) / float(times[-1] - times[0]),
        stages=tuple(
            Stage(first, float(np.mean(sizes)), float(np.mean(goes_on)))
            for first, sizes, goes_on in zip(firsts, bursts, followed, strict=True)
            if sizes and goes_on
        ),
        waits=tuple((waits / waits.sum()).tolist()),
        returns=share,
        return_decay_per_s=quick,
    )


def two_rates(values: Floats) -> tuple[float, float, float]:
    """Fit a mix of two exponential laws by expectation maximisation (Dempster, Laird and Rubin 1977, JRSS B 39).

    Returns:
        Share and rate of the quicker one, and the rate of the other.
    """
    share, quick, slow = 0.5, 10.0 / float(np.median(values)), 0.3 / float(values.mean())
    for _ in range(_EM_ROUNDS):
        dense = share * quick * np.exp(-quick * values)
        weight = dense / (dense + (1.0 - share) * slow * np.exp(-slow * values))
        share = float(weight.mean())
        quick = float(weight.sum() / (weight * values).sum())
        slow = float((1.0 - weight).sum() / ((1.0 - weight) * values).sum())
    return share, quick, slow


def dispersion(times: Floats, window_s: float) -> float:
    """Give variance over mean of the counts per window; 1 without clustering (Cox and Lewis 1966, ch. 4)."""
    counts = np.bincount(((times - times[0]) // window_s).astype(np.int64))
    return float(counts.var() / counts.mean())


def clusters(times: Floats, longest_gap_s: float) -> list[npt.NDArray[np.int64]]:
    """Split event numbers where the gap is longer (single linkage)."""
    cuts = np.flatnonzero(np.diff(times) > longest_gap_s) + 1
    return list(np.split(np.arange(len(times)), cuts))


def log_normal(values: Floats) -> tuple[float, float]:
    """Give median and standard deviation of the logarithm (maximum likelihood of the log-normal law)."""
    logs = np.log(values)
    return float(np.exp(np.median(logs))), float(logs.std())


def growth(ranks: Floats, values: Floats) -> float:
    """Give the exponent of a power law of the rank: the slope of the logarithm of each rank's mean on that of the rank (least squares)."""
    whole = ranks.astype(np.int64)
    seen = np.unique(whole)
    means = np.bincount(whole, weights=values)[seen] / np.bincount(whole)[seen]
    return float(np.polyfit(np.log(seen), np.log(means), 1)[0])


def tail_exponent(values: Floats, share: float = 0.05) -> float:
    """Estimate the exponent of the upper tail from its largest values (Hill 1975, Annals of Statistics 3)."""
    ordered = np.sort(values)
    count = max(10, int(len(ordered) * share))
    return float(1.0 / np.mean(np.log(ordered[-count:] / ordered[-count - 1])))


def autocorrelation(values: Floats, lag: int) -> float:
    """Give the correlation of a series with itself `lag` later; 0 for a constant one."""
    centred = values - values.mean()
    power = float(centred @ centred)
    return float(centred[:-lag] @ centred[lag:]) / power if power else 0.0


def kurtosis(values: Floats) -> float:
    """Give the fourth standardised moment, 3 for a normal law; 0 for a constant series."""
    variance = float(values.var())
    return float(((values - values.mean()) ** 4).mean()) / variance**2 if variance else 0.0


def activity(counts: Floats, most_lag: int = 30) -> tuple[float, float]:
    """Fit a log-normal activity with exponential memory behind counts per unit of time.

    A Poisson count whose rate is the mean times exp(v - σ²/2), v an Ornstein-Uhlenbeck process, has autocovariance
    mean² · (exp(σ² · exp(-κ·lag)) - 1) (Cox 1955, JRSS B 17). So log(1 + cov/mean²) is σ² · exp(-κ·lag): a line in its logarithm.

    Returns:
        σ and κ, per unit of time.
    """
    mean = float(counts.mean())
    centred = counts - mean
    lags, heights = [], []
    for lag in range(1, most_lag + 1):
        covariance = float(centred[:-lag] @ centred[lag:]) / (len(counts) - lag)
        height = math.log1p(max(covariance, 0.0) / mean**2)
        if height <= 0.0:
            break
        lags.append(lag)
        heights.append(math.log(height))
    slope, level = np.polyfit(lags, heights, 1)
    return math.sqrt(math.exp(level)), max(-float(slope), 1.0 / len(counts))


def move_per_event(prices: Floats, signs: Floats, parts: list[npt.NDArray[np.int64]], fewest: int = 5) -> float:
    """Give the mean price move from one liquidation of a cluster to the next, in the direction of the forced orders.

    The prices are bankruptcy prices: the mark price less a margin that depends on the position's risk tier, so they jump between tiers
    while the mark moves little. Each price is compared with the last one that is less than 15 bp away, and the difference divided by the
    liquidations since; jumps between tiers drop out.
    """
    moved = steps = 0.0
    for part in parts:
        if len(part) < fewest:
            continue
        tiers: list[int] = []
        for number in part.tolist():
            near = [last for last in tiers if abs(prices[number] / prices[last] - 1.0) * 1e4 < _TIER_BPS]
            if near:
                moved += float(signs[number] * (prices[number] / prices[near[-1]] - 1.0)) * 1e4
                steps += number - near[-1]
                tiers.remove(near[-1])
            tiers.append(number)
    return moved / steps
