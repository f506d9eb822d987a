"""What the kernels make of the outside world: values with their ages, and the neighbour's liquidations."""

from __future__ import annotations

import pytest

from tests.undertow.features.facts import SYMBOL, at, flat_book, gap, neighbour, ticker, value
from undertow.domain.order import Side
from undertow.features.arrival import in_known_order
from undertow.features.catalogue import NAMES
from undertow.features.events import EventBuffer, events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.slots import SLOTS

BUY, SELL = Side.BUY, Side.SELL
DAY = 86_400.0
DEFAULTS = {slot.feature: slot.default for slot in SLOTS} | {f"{s.name}_age_s": s.limit_seconds for s in SLOTS}


def at_second(seconds, *facts, before=()):
    """The vector of a quiet market at `seconds`, when these facts have been learned."""
    market = [flat_book(0), *before, ticker(seconds)]
    rule = TriggerRule(threshold_usdt=1e18, warm_ns=0, sample_ns=1)
    vectors = sweep(FeatureState.empty(), rule, events_of(in_known_order(market, facts)))
    assert vectors.clock_ns[-1] == at(seconds)
    return dict(zip(NAMES, vectors.values[-1].tolist(), strict=True))


def close(number):
    return pytest.approx(number, rel=1e-9, abs=1e-12)


def test_a_source_that_never_spoke_leaves_the_default_and_the_greatest_age():
    x = at_second(60)
    assert {name: x[name] for name in DEFAULTS} == DEFAULTS
    assert x["neighbour_liquidation_age_s"] == 3600
    assert all(x[name] == 0 for name in NAMES if name.startswith("neighbour_liquidat") and not name.endswith("age_s"))


def test_each_slot_has_its_value_and_age():
    x = at_second(
        60,
        value("neighbour_funding", "0.00025", 10, symbol=SYMBOL),
        value("fear_and_greed", "23", 20),
        value("dollar_index", "121.5", 30),
        value("us_10_year_rate", "4.125", 59.5),
    )
    assert (x["neighbour_funding_bps"], x["neighbour_funding_age_s"]) == (close(2.5), close(50))
    assert (x["fear_and_greed"], x["fear_and_greed_age_s"]) == (23, close(40))
    assert (x["dollar_index"], x["dollar_index_age_s"]) == (121.5, close(30))
    assert (x["us_10_year_rate_percent"], x["us_10_year_rate_age_s"]) == (4.125, close(0.5))


def test_a_value_counts_from_when_it_was_learned_and_not_from_when_it_held():
    old_news = value("dollar_index", "121.5", 30, held=-3 * DAY)
    assert at_second(29.999, old_news)["dollar_index"] == 100
    x = at_second(30, old_news)
    assert (x["dollar_index"], x["dollar_index_age_s"]) == (121.5, 0)


def test_a_value_gives_way_when_its_source_says_that_it_is_stale():
    short = value("fear_and_greed", "23", 10, held=4, stale=36)
    assert at_second(40, short)["fear_and_greed"] == 23
    x = at_second(40.001, short)
    assert (x["fear_and_greed"], x["fear_and_greed_age_s"]) == (50, 2 * DAY)


def test_a_value_gives_way_at_the_limit_of_its_slot_whatever_its_source_says():
    forever = value("neighbour_funding", "0.0002", 0, stale=1e9, symbol=SYMBOL)
    assert at_second(3599, forever)["neighbour_funding_bps"] == close(2)
    x = at_second(3600, forever)
    assert (x["neighbour_funding_bps"], x["neighbour_funding_age_s"]) == (0, 3600)


def test_a_value_of_a_time_to_come_lives_no_longer_for_it():
    prophet = value("fear_and_greed", "23", 10, held=10_000, stale=30)
    assert at_second(40, prophet)["fear_and_greed"] == 23
    assert at_second(40.001, prophet)["fear_and_greed"] == 50


def test_the_same_reading_told_again_is_not_younger_for_it():
    told = [value("dollar_index", "121.5", known, held=0) for known in (5, 25)]
    assert at_second(30, *told)["dollar_index_age_s"] == close(25)
    confirmed = [value("dollar_index", "121.5", known) for known in (5, 25)]
    assert at_second(30, *confirmed)["dollar_index_age_s"] == close(5)


def test_a_value_that_feeds_no_slot_has_no_row():
    buffer = EventBuffer()
    assert buffer.append_fact(value("", "1", 0)) == 0
    assert buffer.append_fact(value("a_slot_of_next_year", "1", 0)) == 0


def test_the_neighbours_liquidations_count_by_side_and_window():
    x = at_second(
        60,
        neighbour(29.9, BUY, "100", "9"),
        neighbour(40, SELL, "100", "2"),
        neighbour(40.05, BUY, "100", "1"),
        neighbour(57, BUY, "100", "5"),
    )
    assert (x["neighbour_liquidated_long_5s_usdt"], x["neighbour_liquidated_short_5s_usdt"]) == (500, 0)
    assert (x["neighbour_liquidated_long_30s_usdt"], x["neighbour_liquidated_short_30s_usdt"]) == (600, 200)
    assert x["neighbour_liquidation_imbalance_5s"] == 1
    assert x["neighbour_liquidation_imbalance_30s"] == close(0.5)
    assert x["neighbour_liquidation_age_s"] == close(3)


def test_a_bucket_is_used_again_after_the_ring_has_gone_round():
    around = 51.2
    x = at_second(60, neighbour(58 - around, BUY, "100", "9"), neighbour(58, BUY, "100", "2"))
    assert x["neighbour_liquidated_long_30s_usdt"] == 200
    alone = at_second(60, neighbour(58 - around, BUY, "100", "9"))
    assert alone["neighbour_liquidated_long_30s_usdt"] == 0


def test_only_binance_is_the_neighbour():
    assert EventBuffer().append_fact(neighbour(0, BUY, "100", "1", venue="elsewhere")) == 0


def test_a_gap_of_the_market_forgets_nothing_of_the_outside_world():
    facts = (value("fear_and_greed", "23", 10), neighbour(57, BUY, "100", "5"))
    x = at_second(60, *facts, before=(gap(58), flat_book(59)))
    assert x["fear_and_greed"] == 23
    assert x["neighbour_liquidated_long_5s_usdt"] == 500


def test_outside_facts_move_neither_the_clock_nor_any_other_feature():
    with_facts = at_second(60, value("fear_and_greed", "23", 59), neighbour(59.5, BUY, "100", "5"))
    without = at_second(60)
    changed = {name for name in NAMES if with_facts[name] != without[name]}
    assert changed == {
        "fear_and_greed",
        "fear_and_greed_age_s",
        "neighbour_liquidated_long_5s_usdt",
        "neighbour_liquidation_imbalance_5s",
        "neighbour_liquidated_long_30s_usdt",
        "neighbour_liquidation_imbalance_30s",
        "neighbour_liquidation_age_s",
    }
