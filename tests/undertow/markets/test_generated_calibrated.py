from __future__ import annotations

import math
import random
from statistics import mean, stdev

import msgspec
import pytest

from undertow.markets.generated_calibrated import ExcitedWalk
from undertow.markets.generated_cascades import TICK_S
from undertow.markets.generated_parameters import Stage, shipped
from undertow.markets.generated_wire import CONTRACTS

STEP_S = 0.1
AHEAD = 120


def lively() -> object:
    """One symbol's parameters, with liquidations so frequent that minutes are enough for a statistic."""
    law = shipped().symbols["BTCUSDT"]
    stages = (Stage(first=1, burst=1.2, continues=0.5),)
    liquidations = msgspec.structs.replace(law.liquidations, cascades_per_s=0.08, stages=stages, returns=0.0)
    return msgspec.structs.replace(law, liquidations=liquidations)


def reversals(edge_bps: float, seed: int) -> list[float]:
    """Moves against the forced direction over the 12 s after a step with liquidations that begins a cluster."""
    walk = ExcitedWalk(1e6, random.Random(seed), lively(), edge_bps)
    prices, triggers, latest = [], [], -AHEAD
    for step in range(1, 300_000):
        walk.step(step * STEP_S)
        prices.append(walk.price)
        if walk.liquidated:
            if step - latest > AHEAD:
                triggers.append((step - 1, 1 if walk.liquidated[0] == "Buy" else -1))
            latest = step
    return [sign * (prices[i + AHEAD] / prices[i] - 1) * 1e4 for i, sign in triggers if i + AHEAD < len(prices)]


def error(values: list[float]) -> float:
    """Standard error of the mean of windows that do not overlap."""
    return stdev(values) / math.sqrt(len(values))


def test_where_no_edge_is_planted_the_price_after_a_liquidation_goes_nowhere_on_average():
    earned = reversals(0.0, seed=11)
    assert len(earned) > 500
    assert abs(mean(earned)) < 3 * error(earned), (mean(earned), error(earned))


def test_what_comes_back_after_a_liquidation_is_the_planted_edge():
    earned = reversals(25.0, seed=11)
    assert mean(earned) == pytest.approx(25.0, abs=3 * error(earned))
    assert error(earned) < 2.5


def test_what_is_still_expected_of_the_shipped_market_does_not_tell_the_sign_of_the_next_second():
    walk = ExcitedWalk(1e6, random.Random(5), shipped().symbols["BTCUSDT"], 0.0)
    moves, before, lean = [], walk.price, 0.0
    for step in range(1, 150_000):
        walk.step(step * 1.0)
        if abs(lean) > 0.01:
            moves.append(math.copysign(1.0, lean) * (walk.price / before - 1) * 1e4)
        before, lean = walk.price, walk._cascades[1].expected - walk._cascades[-1].expected
    assert len(moves) > 2_000
    assert abs(mean(moves)) < 3 * stdev(moves) / math.sqrt(len(moves)), mean(moves)


def test_liquidations_come_at_the_rate_of_their_law():
    """In the long run: cascades times the liquidations of one. Two days of one seed are within a quarter."""
    law = shipped().symbols["SOLUSDT"]
    expected = law.liquidations.cascades_per_s * law.liquidations.mean_cascade
    walk = ExcitedWalk(1e6, random.Random(3), law, 0.0)
    count = 0
    for step in range(1, 200_000):
        walk.step(step * 1.0)
        count += len(walk.liquidated)
    assert count / 200_000 == pytest.approx(expected, rel=0.25)


def test_activity_is_one_on_average():
    law = shipped().symbols["ETHUSDT"]
    walk = ExcitedWalk(1e6, random.Random(2), law, 0.0)
    seen = []
    for step in range(1, 50_000):
        walk.step(step * 1.0)
        seen.append(walk.activity)
    assert mean(seen) == pytest.approx(1.0, abs=0.06)


def test_the_shipped_parameters_name_every_contract_and_the_recordings_they_are_from():
    parameters = shipped()
    assert set(parameters.symbols) == set(CONTRACTS)
    for law in parameters.symbols.values():
        assert max(law.liquidations.returns, *(stage.continues for stage in law.liquidations.stages)) < 1
        assert len(law.liquidations.waits) * TICK_S == law.liquidations.cluster_gap_s
    assert "okx/liquidations.parquet" in parameters.recordings.values()
