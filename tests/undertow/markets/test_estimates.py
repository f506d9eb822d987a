from __future__ import annotations

import math
import random

import numpy as np
import pytest

from undertow.markets import estimates
from undertow.markets.generated_cascades import TICK_S, Cascades
from undertow.markets.generated_parameters import Liquidations, Sizes, Stage


@pytest.fixture
def rng():
    return np.random.default_rng(1)


LAW = Liquidations(
    cascades_per_s=0.02,
    stages=(Stage(first=1, burst=1.3, continues=0.5), Stage(first=2, burst=1.8, continues=0.8)),
    waits=(0.6, 0.3, 0.1, *[0.0] * 7),
    returns=0.4,
    return_decay_per_s=0.2,
    sizes=Sizes(median_usdt=1.0, sigma=1.0, largest_usdt=1.0),
    move_bps=1.0,
    cluster_gap_s=1.0,
)


def cascading(seed: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and signs of the liquidations of both sides."""
    draw = random.Random(seed)
    rows = []
    for sign in (-1.0, 1.0):
        cascades = Cascades(LAW, draw)
        for tick in range(round(seconds / TICK_S)):
            rows += [((tick + draw.random()) * TICK_S, sign) for _ in range(cascades.pass_tick())]
    return tuple(np.array(sorted(rows)).T)


def test_cascades_are_recovered():
    times, signs = cascading(1, 60_000.0)
    law = estimates.fit_cascades(times, signs, TICK_S, LAW.cluster_gap_s, (1, 2))
    assert law.cascades_per_s == pytest.approx(LAW.cascades_per_s, rel=0.1)
    assert law.returns == pytest.approx(LAW.returns, abs=0.05)
    assert law.return_decay_per_s == pytest.approx(LAW.return_decay_per_s, rel=0.2)
    assert law.waits == pytest.approx(LAW.waits, abs=0.02)
    for found, true in zip(law.stages, LAW.stages, strict=True):
        assert found.first == true.first
        assert found.burst == pytest.approx(true.burst, rel=0.05)
        assert found.continues == pytest.approx(true.continues, abs=0.04)


def test_two_exponential_laws_in_one_sample_are_told_apart(rng):
    values = np.concatenate([rng.exponential(2.0, 4_000), rng.exponential(200.0, 6_000)])
    share, quick, slow = estimates.two_rates(values)
    assert share == pytest.approx(0.4, abs=0.02)
    assert quick == pytest.approx(0.5, rel=0.08)
    assert slow == pytest.approx(0.005, rel=0.05)


def test_counts_of_independent_events_are_not_dispersed_and_clustered_ones_are(rng):
    calm = np.sort(rng.uniform(0, 5_000, 5_000))
    assert estimates.dispersion(calm, 10.0) == pytest.approx(1.0, abs=0.2)
    assert estimates.dispersion(cascading(2, 5_000.0)[0], 10.0) > 4


def test_clusters_end_at_long_gaps():
    parts = estimates.clusters(np.array([0.0, 1.0, 2.9, 5.0, 5.1]), 2.0)
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4]]


def test_a_log_normal_law_is_recovered(rng):
    median, sigma = estimates.log_normal(500.0 * np.exp(2.0 * rng.standard_normal(20_000)))
    assert median == pytest.approx(500.0, rel=0.05)
    assert sigma == pytest.approx(2.0, rel=0.02)


def test_the_exponent_of_a_pareto_tail_is_recovered(rng):
    assert estimates.tail_exponent(1.0 + rng.pareto(1.5, 50_000)) == pytest.approx(1.5, rel=0.08)


def test_a_power_law_of_the_rank_is_recovered():
    ranks = np.arange(1.0, 200.0)
    assert estimates.growth(ranks, 3.0 * ranks**0.55) == pytest.approx(0.55)


def test_the_memory_of_a_first_order_process_is_its_coefficient(rng):
    values = np.zeros(50_000)
    for step, noise in enumerate(rng.standard_normal(50_000 - 1), start=1):
        values[step] = 0.6 * values[step - 1] + noise
    assert estimates.autocorrelation(values, 1) == pytest.approx(0.6, abs=0.02)
    assert estimates.autocorrelation(values, 2) == pytest.approx(0.36, abs=0.02)
    assert estimates.autocorrelation(np.ones(9), 1) == 0.0


def test_the_kurtosis_of_a_normal_law_is_three(rng):
    assert estimates.kurtosis(rng.standard_normal(200_000)) == pytest.approx(3.0, abs=0.06)
    assert estimates.kurtosis(np.ones(9)) == 0.0


def test_the_activity_behind_counts_is_recovered(rng):
    sigma, decay, log_activity = 0.7, 0.2, 0.0
    counts = np.zeros(100_000)
    keep = math.exp(-decay)
    for step in range(len(counts)):
        log_activity = keep * log_activity + math.sqrt(1 - keep**2) * sigma * rng.standard_normal()
        counts[step] = rng.poisson(3.0 * math.exp(log_activity - sigma**2 / 2))
    found = estimates.activity(counts, most_lag=15)
    assert found[0] == pytest.approx(sigma, rel=0.15)
    assert found[1] == pytest.approx(decay, rel=0.2)


def test_the_move_per_liquidation_ignores_jumps_between_tiers():
    """Two tiers 40 bp apart; within each the price falls 1 bp per liquidation."""
    steps = np.arange(20)
    prices = 100.0 * (1 - steps / 1e4) * np.where(steps % 3 == 0, 1.004, 1.0)
    moved = estimates.move_per_event(prices, np.full(20, -1.0), [np.arange(20)])
    assert moved == pytest.approx(1.0, abs=0.15)
