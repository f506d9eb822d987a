from __future__ import annotations

from undertow.trading.effects import Sweep
from undertow.trading.sweep import EVERY_NS, LOOKBACK_NS, Sweeps

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def test_nothing_is_swept_before_the_first_recovery():
    assert Sweeps().on_time(NOW) == []
    assert Sweeps().due_ns is None


def test_a_sweep_reaches_back_to_the_last_one_and_a_little_further():
    sweeps = Sweeps()
    sweeps.on_recovered(NOW)
    assert sweeps.due_ns == NOW + EVERY_NS
    assert sweeps.on_time(NOW + EVERY_NS - 1) == []
    assert sweeps.on_time(NOW + EVERY_NS) == [Sweep(NOW - LOOKBACK_NS)]
    assert sweeps.on_time(NOW + 2 * EVERY_NS) == []  # it is under way
    sweeps.on_answered(NOW + EVERY_NS + SECOND, is_told=True)
    assert sweeps.on_time(NOW + 2 * EVERY_NS + SECOND) == [Sweep(NOW + EVERY_NS - LOOKBACK_NS)]


def test_the_sweep_after_one_without_an_answer_reaches_as_far_back():
    sweeps = Sweeps()
    sweeps.on_recovered(NOW)
    sweeps.on_time(NOW + EVERY_NS)
    sweeps.on_answered(NOW + EVERY_NS, is_told=False)
    assert sweeps.on_time(NOW + 2 * EVERY_NS) == [Sweep(NOW - LOOKBACK_NS)]
