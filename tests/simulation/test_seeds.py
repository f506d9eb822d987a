"""The fleet under the faults of many seeds; `make simulate` plays thousands of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.one_seed import LEAST_FAULTS, LEAST_TRADES, Outcome, play
from tests.simulation.plan import NAMES, drawn
from tests.simulation.report import Report
from tests.simulation.shrink import shrunk

pytestmark = [pytest.mark.compiled, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]
SEEDS = 200
BLOCK = 10


def told(outcome: Outcome) -> str:
    return f"replay with: {Path(sys.executable).name} -m tests.simulation {outcome.seed}\n{outcome.report()}"


@pytest.mark.parametrize("first", range(1, SEEDS + 1, BLOCK))
def test_whatever_goes_wrong_every_order_position_and_coin_is_accounted_for(first: int) -> None:
    for seed in range(first, first + BLOCK):
        outcome = play(seed)
        assert not outcome.problem, told(outcome)
        assert outcome.trades >= LEAST_TRADES, told(outcome)
        assert outcome.struck.total() >= LEAST_FAULTS, told(outcome)


def test_a_seed_without_faults_trades_and_is_at_peace() -> None:
    outcome = play(1, [])
    assert not outcome.problem, told(outcome)
    assert outcome.trades >= LEAST_TRADES


def test_a_seed_is_played_the_same_each_time_in_each_process() -> None:
    here = play(4)
    assert play(4) == here
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    there = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "4"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
        | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert there.stdout.startswith(here.report())


def test_another_seed_is_another_story() -> None:
    assert drawn(3) != drawn(4)
    assert play(3, []).digest != play(4, []).digest


def test_plans_have_faults_of_every_kind() -> None:
    assert {fault.kind for seed in range(100) for fault in drawn(seed)} == set(NAMES)


def test_a_failure_is_told_with_few_faults_and_again_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.witness.NAKED_NS", -1)  # no stop may ever be missing, not for a moment
    outcome = next(each for seed in range(1, 100) if (each := play(seed)).problem and "no stop" in each.problem)
    short = shrunk(outcome)
    assert len(short.plan) <= 2
    assert play(outcome.seed, short.plan) == short


def test_the_report_counts_pairs_and_names_those_who_failed() -> None:
    report = Report()
    report.add(Outcome(1, (), trades=3))
    report.add(Outcome(2, (), problem="the position in BTCUSDT is still there 9.3 s after its time"))
    report.add(Outcome(3, (), problem="the position in DOGEUSDT is still there 8.1 s after its time"))
    text = "\n".join(report.lines())
    assert "FAILED 2 times: the position in … is still there" in text
    assert "seeds 2, 3" in text
    assert len(report.rare) == len(NAMES) * 6
    assert report.poor == [1]
