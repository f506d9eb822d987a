from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.learning.policy import HOUR_NS, PolicyRule, ThompsonPolicy
from undertow.learning.scoring import Scores


def _scores(returns=-30.0, fills=0.5, **arms):
    values = np.full(36, returns)
    for arm, value in arms.items():
        values[int(arm[1:])] = value
    return Scores(values, np.full(36, fills))


SURE = PolicyRule(prior_trades=1e9, prior_sd_bps=1.0)  # draws are practically 0


def test_the_same_reference_and_state_draw_the_same():
    policy = ThompsonPolicy()
    assert np.array_equal(policy.draw("a"), ThompsonPolicy().draw("a"))
    assert not np.array_equal(policy.draw("a"), policy.draw("b"))
    assert not np.array_equal(policy.draw("a"), ThompsonPolicy(PolicyRule(seed=8)).draw("a"))


def test_the_arm_with_the_greatest_worth_is_taken_not_the_one_with_the_greatest_return():
    scores = _scores(a3=10.0, a5=12.0)
    scores.fill_probability[3], scores.fill_probability[5] = 0.9, 0.2
    choice = ThompsonPolicy(SURE).choose(scores, "x", 0)
    assert (choice.arm, choice.taken, choice.explores) == (3, True, False)
    assert choice.drawn_bps == pytest.approx(10.0, abs=0.01)
    assert choice.candidates == 2


def test_nothing_is_taken_without_an_arm_above_zero():
    choice = ThompsonPolicy(SURE).choose(_scores(a3=-0.5), "x", 0)
    assert not choice.taken
    assert choice.candidates == 0


def test_an_arm_that_cannot_fill_is_no_candidate():
    scores = Scores(np.full(36, 10.0), np.zeros(36))
    assert not ThompsonPolicy(SURE).choose(scores, "x", 0).taken


def test_trades_that_lose_against_the_expectation_end_an_arm():
    policy = ThompsonPolicy(PolicyRule(prior_trades=5.0, prior_sd_bps=20.0))
    scores = _scores(a7=15.0)
    before = sum(policy.choose(scores, str(i), 0).arm == 7 for i in range(50))
    for number in range(60):
        assert policy.learn(7, f"t{number}", realised_bps=-15.0 + number % 3, expected_bps=15.0)
    after = sum((c := policy.choose(scores, str(i), 0)).taken and c.arm == 7 for i in range(50))
    assert before == 50
    assert after == 0


def test_a_trade_told_twice_counts_once_and_nonsense_never():
    policy = ThompsonPolicy()
    assert policy.learn(3, "t1", 5.0, 1.0)
    assert not policy.learn(3, "t1", 5.0, 1.0)
    assert not policy.learn(3, "t2", float("nan"), 1.0)
    assert policy.count[3] == 1
    assert policy.mean[3] == 4.0


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=40))
def test_the_posterior_is_the_textbook_one(residuals):
    rule = PolicyRule(prior_trades=10.0, prior_sd_bps=25.0)
    policy = ThompsonPolicy(rule)
    for number, residual in enumerate(residuals):
        policy.learn(0, str(number), residual, 0.0)
    x = np.array(residuals)
    n, mean = len(x), x.mean()
    location, weight, shape, scale = (part[0] for part in policy.posterior())
    assert location == pytest.approx(n * mean / (10 + n), abs=1e-6)
    assert weight == 10 + n
    assert shape == 2 + n / 2
    expected = 625.0 + 0.5 * ((x - mean) ** 2).sum() + 0.5 * 10 * n * mean**2 / (10 + n)
    assert scale == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_explorations_stop_at_the_hourly_budget_and_go_on_an_hour_later():
    policy = ThompsonPolicy(PolicyRule(prior_trades=1.0, prior_sd_bps=50.0, exploration_budget_bps=3.0))
    scores = _scores(returns=-2.0)  # each exploration costs 1 bp
    taken = [policy.choose(scores, str(i), 1000 + i) for i in range(50)]
    assert sum(choice.taken for choice in taken) == 3
    assert all(choice.explores for choice in taken if choice.taken)
    assert policy.choose(scores, "later", 1000 + HOUR_NS + 100).taken


def test_without_budget_the_best_arm_the_model_believes_in_is_taken_instead():
    policy = ThompsonPolicy(PolicyRule(prior_trades=1.0, prior_sd_bps=50.0, exploration_budget_bps=0.0))
    choices = [policy.choose(_scores(returns=-1.0, a11=5.0), str(i), 0) for i in range(60)]
    assert {choice.arm for choice in choices if choice.taken} == {11}
    assert not any(choice.explores for choice in choices if choice.taken)


def test_what_an_earlier_life_explored_is_charged():
    policy = ThompsonPolicy(PolicyRule(prior_trades=1.0, prior_sd_bps=50.0, exploration_budget_bps=3.0))
    policy.charge(2.9, 500)
    assert not any(policy.choose(_scores(returns=-2.0), str(i), 1000).taken for i in range(10))


def test_the_budget_can_be_spent_to_its_last_part():
    policy = ThompsonPolicy(PolicyRule(prior_trades=1.0, prior_sd_bps=50.0, exploration_budget_bps=0.8))
    for cost in (0.1, 0.2):  # as floats they and 0.5 are more than 0.8
        policy.charge(cost, 500)
    taken = [policy.choose(_scores(returns=-1.0), str(i), 1000).taken for i in range(30)]
    assert sum(taken) == 1
    assert policy.choose(_scores(returns=-1.0), "later", 500 + HOUR_NS).explores
