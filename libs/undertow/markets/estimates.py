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
_EM_ROUNDS: Final = 120
_PARENTS: Final = 250  # no event is the child of one that lies further back than so many events
_TIER_BPS: Final = 15.0


@dataclass(frozen=True)
class Kernel:
    """One way in which an event causes others.

    Attributes:
        branching: mean number of events that one event causes so.
        decay_per_s: one over the mean time from cause to effect.
    """

    branching: float
    decay_per_s: float


@dataclass(frozen=True)
class Hawkes:
    """A self-exciting process whose kernel is a sum of exponentials (Hawkes 1971, Biometrika 58).

    Attributes:
        immigrants_per_s: rate of events that no event caused.
        kernels: the quickest first.
    """

    immigrants_per_s: float
    kernels: tuple[Kernel, ...]


def fit_hawkes(times: Floats, decays_per_s: tuple[float, ...] = (10.0, 0.3, 0.01)) -> Hawkes:
    """Fit by expectation maximisation over who caused whom (Veen and Schoenberg 2008, JASA 103).

    Args:
        times: ascending, at least two.
        decays_per_s: where the search begins, one for each kernel.
    """
    span = float(times[-1] - times[0])
    lags = [times[k:] - times[:-k] for k in range(1, min(_PARENTS, len(times) - 1) + 1)]
    immigrants = len(times) / span / 2
    kernels = [Kernel(0.5 / len(decays_per_s), decay) for decay in decays_per_s]
    for _ in range(_EM_ROUNDS):
        total = np.full(len(times), immigrants)
        caused = []
        for k, lag in enumerate(lags, start=1):
            shares = [each.branching * each.decay_per_s * np.exp(-each.decay_per_s * lag) for each in kernels]
            caused.append(shares)
            total[k:] += sum(shares)
        children, waited = np.zeros(len(kernels)), np.zeros(len(kernels))
        for k, (lag, shares) in enumerate(zip(lags, caused, strict=True), start=1):
            for number, share in enumerate(shares):
                weight = share / total[k:]
                children[number] += float(weight.sum())
                waited[number] += float((weight * lag).sum())
        immigrants = float((immigrants / total).sum()) / span
        kernels = [Kernel(n / len(times), n / lag) for n, lag in zip(children.tolist(), waited.tolist(), strict=True)]
    return Hawkes(immigrants, tuple(sorted(kernels, key=lambda each: -each.decay_per_s)))


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
