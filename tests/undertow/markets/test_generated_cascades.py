"""Cascades on their own: their lengths are those of the law, and what is expected is what comes on average."""

from __future__ import annotations

import math
import random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.markets.generated_cascades import Cascades, chances, geometric, poisson
from undertow.markets.generated_parameters import Liquidations, shipped

TICKS = 400_000


def lively(symbol: str = "BTCUSDT") -> Liquidations:
    """The shipped law with cascades twenty times as often."""
    law = shipped().symbols[symbol].liquidations
    return Liquidations(
        **{name: getattr(law, name) for name in law.__struct_fields__ if name != "cascades_per_s"},
        cascades_per_s=20 * law.cascades_per_s,
    )


@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_what_is_expected_of_a_tick_is_what_comes_in_it_on_average(symbol) -> None:
    cascades = Cascades(lively(symbol), random.Random(3))
    surplus, groups = 0.0, []
    for tick in range(TICKS):
        expected = cascades.expected
        surplus += cascades.pass_tick() - expected
        if tick % 2_000 == 1_999:
            groups.append(surplus)
            surplus = 0.0
    assert abs(mean(groups)) < 3 * stdev(groups) / math.sqrt(len(groups))


def test_a_lull_and_a_cascade_are_both_expected_as_they_are() -> None:
    """What comes next is expected by what is known: after a burst much, long after it little, and as much as then comes."""
    cascades = Cascades(lively(), random.Random(5))
    surplus: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(TICKS):
        expected = cascades.expected
        surplus[expected > 0.2].append(cascades.pass_tick() - expected)
    for values in surplus.values():
        assert len(values) > 1_000
        assert abs(mean(values)) < 3 * stdev(values) / math.sqrt(len(values))


def test_the_liquidations_of_a_cascade_are_as_many_as_the_law_says() -> None:
    law = lively()
    cascades = Cascades(law, random.Random(7))
    count = sum(cascades.pass_tick() for _ in range(TICKS))
    assert count / TICKS / 0.1 == pytest.approx(law.cascades_per_s / 2 * law.mean_cascade, rel=0.15)


@given(
    st.floats(0.0, 0.99), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).filter(lambda each: sum(each) > 0.1)
)
def test_the_chances_of_all_ticks_together_are_the_chance_to_go_on(continues, weights) -> None:
    waits = [weight / sum(weights) for weight in weights]
    each = chances(continues, waits)
    assert all(0.0 <= chance <= 1.0 for chance in each)
    assert 1.0 - math.prod(1.0 - chance for chance in each) == pytest.approx(continues, abs=1e-9)


def test_a_push_is_so_much_larger_than_the_move_as_drifts_back() -> None:
    law = shipped().symbols["ETHUSDT"].liquidations
    assert law.push_bps > law.move_bps
    alone = Liquidations(
        **{name: getattr(law, name) for name in law.__struct_fields__ if name not in {"stages", "waits"}},
        stages=(law.stages[0].__class__(first=1, burst=1.0, continues=0.5),),
        waits=(0.0, 1.0),
    )
    assert alone.push_bps == pytest.approx(2 * law.move_bps)  # half of it was expected by the time it came
    assert alone.mean_cluster == pytest.approx(2.0)
    assert alone.mean_cascade == pytest.approx(2.0 / (1.0 - law.returns))


def test_counts_have_the_mean_they_are_asked_for():
    rng = random.Random(4)
    assert mean(poisson(rng, 1.7) for _ in range(20_000)) == pytest.approx(1.7, abs=0.05)
    assert mean(geometric(rng, 2.5) for _ in range(20_000)) == pytest.approx(2.5, abs=0.12)
    assert geometric(rng, 0.0) == poisson(rng, 0.0) == 0
