"""Every feature against a value computed by hand from its formula."""

from __future__ import annotations

import math

import pytest

from tests.undertow.features.facts import (
    SECOND,
    T0,
    account_ratio,
    at,
    book,
    flat_book,
    liquidations,
    open_interest,
    settled,
    ticker,
    trades,
)
from undertow.domain.order import Side
from undertow.features.catalogue import NAMES
from undertow.features.events import events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep

BUY, SELL = Side.BUY, Side.SELL


def features(*messages):
    """The vector at the last message."""
    vectors = sweep(FeatureState.empty(), TriggerRule(threshold_usdt=1e18, warm_ns=0, sample_ns=1), events_of(messages))
    assert vectors.clock_ns[-1] == messages[-1].ts_event
    return dict(zip(NAMES, vectors.values[-1].tolist(), strict=True))


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_book_now():
    # bids 100.0 x 1, 99.9 x 2, ...; asks 100.2 x 2, 100.3 x 3, ...; mid 100.1
    x = features(flat_book())
    assert x["spread_bps"] == close(0.2 / 100.1 * 1e4)
    assert x["book_imbalance_1"] == close((1 - 2) / 3)
    assert x["book_imbalance_5"] == close((15 - 20) / 35)
    assert x["book_imbalance_20"] == close((210 - 230) / 440)
    assert x["microprice_deviation_bps"] == close(((100.0 * 2 + 100.2 * 1) / 3 / 100.1 - 1) * 1e4)


def test_depth_counts_the_notional_within_a_distance_of_the_mid():
    # 10 bps of 100.1 is 0.1001: down to 99.9999 and up to 100.2001; 25 bps: 99.84975 .. 100.35025
    x = features(flat_book())
    assert x["bid_depth_5bps_usdt"] == x["ask_depth_5bps_usdt"] == 0
    assert x["bid_depth_10bps_usdt"] == close(100.0 * 1)
    assert x["ask_depth_10bps_usdt"] == close(100.2 * 2)
    assert x["bid_depth_25bps_usdt"] == close(100.0 * 1 + 99.9 * 2)
    assert x["ask_depth_25bps_usdt"] == close(100.2 * 2 + 100.3 * 3)


def test_order_flow_follows_the_best_levels():
    x = features(
        flat_book(0),
        book(0.3, [("100.0", "5")], []),  # bid grows by 4: +4
        book(0.6, [("100.1", "3")], []),  # bid steps up to 3: +3
        book(0.9, [], [("100.2", "0")]),  # ask of 2 steps away: +2
        book(5.5, [("100.1", "0")], []),  # bid of 3 steps down: -3
    )
    assert x["order_flow_imbalance_1s"] == close(-1)
    assert x["order_flow_imbalance_15s"] == close((4 + 3 + 2 - 3) / 12)
    assert x["order_flow_imbalance_5s"] == close((3 + 2 - 3) / 8)  # 5.5 s is bucket 55; the window begins with bucket 6
    assert x["book_updates_1s"] == 1


def test_the_spread_is_compared_with_its_mean():
    # the first spread of 0.2 stands in all earlier buckets of the window and in 10 buckets since; 0.4 in the newest
    x = features(flat_book(0), book(1.0, [("100.0", "0"), ("99.9", "0")], []))
    before, now = 0.2 / 100.1 * 1e4, 0.4 / 100.0 * 1e4
    assert x["spread_to_mean_15s"] == close(now / ((149 * before + now) / 150))


def walk():
    """Mid 100.1 at 0 s, 100.05 at 10 s, 100.15 at 13 s, 100.1 at 13.5 s."""
    return (
        flat_book(0),
        book(10.0, [("100.0", "0")], []),
        book(13.0, [("100.0", "1")], [("100.2", "0")]),
        book(13.5, [], [("100.2", "1")]),
    )


def test_returns_are_against_the_mid_before_the_window():
    x = features(*walk())
    assert x["return_1s_bps"] == close((100.1 / 100.05 - 1) * 1e4)
    assert x["return_5s_bps"] == close((100.1 / 100.1 - 1) * 1e4)
    assert x["return_15s_bps"] == close(0)
    assert x["return_60s_bps"] == close(0)


def test_volatility_adds_the_squared_steps_of_the_window():
    x = features(*walk())
    steps = [100.05 / 100.1 - 1, 100.15 / 100.05 - 1, 100.1 / 100.15 - 1]
    every = math.sqrt(sum(s * s for s in steps)) * 1e4
    assert x["realised_volatility_5s_bps"] == x["realised_volatility_60s_bps"] == close(every)
    later = features(*walk(), book(16.0, [("99.8", "9")], []))
    assert later["realised_volatility_5s_bps"] == close(math.sqrt(sum(s * s for s in steps[1:])) * 1e4)


def test_the_range_has_the_extremes_of_the_window():
    x = features(*walk())
    assert x["range_5s_bps"] == x["range_60s_bps"] == close((100.15 - 100.05) / 100.1 * 1e4)
    assert x["range_position_60s"] == close((100.1 - 100.05) / (100.15 - 100.05))
    assert features(flat_book())["range_position_60s"] == 0.5


def test_trades_give_rate_turnover_and_sign():
    x = features(
        flat_book(0),
        trades(1.0, (SELL, "100", "4")),
        trades(8.0, (BUY, "100", "3")),
        trades(10.0, (BUY, "100", "2"), (SELL, "100", "1")),
    )
    assert x["trade_rate_1s"] == 2
    assert x["trade_rate_15s"] == close(4 / 15)
    assert x["trade_intensity"] == close(2 / (4 / 60))
    assert x["turnover_5s_usdt"] == close(600)
    assert x["signed_volume_1s"] == close(100 / 300)
    assert x["signed_volume_5s"] == close(400 / 600)
    assert x["signed_volume_15s"] == close(0)


def cascade():
    """Longs of 1000 and 3000 at 10 s and 12 s, a short of 500 at 12.1 s, mid down by 0.1 in between."""
    return (
        flat_book(0),
        trades(9.0, (SELL, "100", "5")),
        liquidations(10.0, (BUY, "100", "10")),
        book(11.0, [("100.0", "0"), ("99.9", "0")], []),
        liquidations(12.0, (BUY, "100", "30")),
        liquidations(12.1, (SELL, "100", "5")),
    )


def test_liquidations_are_counted_by_side_and_window():
    x = features(*cascade())
    assert x["liquidated_long_1s_usdt"] == close(3000)
    assert x["liquidated_short_1s_usdt"] == close(500)
    assert x["liquidated_long_5s_usdt"] == x["liquidated_long_30s_usdt"] == close(4000)
    assert x["liquidated_short_5s_usdt"] == x["liquidated_short_30s_usdt"] == close(500)
    assert x["liquidation_imbalance_5s"] == x["liquidation_imbalance_30s"] == close(3500 / 4500)
    assert x["liquidation_count_1s"] == 2
    assert x["liquidation_count_5s"] == 3
    assert x["liquidation_intensity"] == close(3500 / (4500 / 60))
    assert x["largest_liquidation_5s_usdt"] == x["largest_liquidation_60s_usdt"] == close(3000)
    assert x["liquidation_share_5s"] == close(4500 / 5000)


def test_a_cascade_is_measured_from_its_first_liquidation():
    x = features(*cascade(), book(12.5, [("99.5", "1")], []))
    assert x["seconds_since_liquidation"] == close(0.4)
    assert x["cascade_age_s"] == close(2.5)
    assert x["cascade_notional_usdt"] == close(4500)
    assert x["cascade_move_bps"] == close((100.0 / 100.1 - 1) * 1e4)


def test_five_quiet_seconds_end_a_cascade():
    x = features(*cascade(), book(17.2, [("99.5", "1")], []))
    assert x["cascade_age_s"] == x["cascade_notional_usdt"] == x["cascade_move_bps"] == 0
    assert x["largest_liquidation_5s_usdt"] == 0
    assert x["largest_liquidation_60s_usdt"] == close(3000)
    assert x["seconds_since_liquidation"] == close(5.1)
    again = features(*cascade(), liquidations(17.2, (SELL, "100", "1")))
    assert again["cascade_notional_usdt"] == close(100)
    assert again["cascade_age_s"] == close(0)


def test_hour_and_week_turn_around():
    x = features(flat_book())
    day = 2 * math.pi * (T0 // SECOND % 86_400) / 86_400
    monday = T0 // SECOND - 1_785_715_200  # 2026-08-03 00:00 UTC, a Monday
    week = 2 * math.pi * monday / 604_800
    assert 0 < monday < 604_800
    assert (x["hour_sin"], x["hour_cos"]) == (close(math.sin(day)), close(math.cos(day)))
    assert (x["week_sin"], x["week_cos"]) == (close(math.sin(week)), close(math.cos(week)))


def test_funding_is_awaited_at_the_venue_s_time_or_else_at_the_next_of_three_a_day():
    x = features(flat_book(0), ticker(1, next_funding_ns=at(601)))
    assert x["minutes_to_funding"] == close(10)
    passed = features(flat_book(0), ticker(1, next_funding_ns=at(601)), flat_book(700))
    assert passed["minutes_to_funding"] == 0
    unknown = features(flat_book(0))
    assert unknown["minutes_to_funding"] == close((28_800 - T0 // SECOND % 28_800) / 60)


def test_interest_funding_and_basis():
    x = features(
        settled(-7200, "0.0003"),
        account_ratio(-60, "0.62"),
        ticker(-1, interest="1000"),
        flat_book(0),
        ticker(57, interest="1010", mark="100.3", index="100.0", funding="-0.0001"),
        ticker(61, interest="1030"),
    )
    assert x["open_interest_usdt"] == close(1030 * 100.1)
    assert x["open_interest_change_5s_bps"] == close((1030 / 1000 - 1) * 1e4)
    assert x["open_interest_change_60s_bps"] == close(300)
    assert x["open_interest_age_s"] == 0
    assert x["funding_rate_bps"] == close(-1)
    assert x["funding_settled_bps"] == close(3)
    assert x["basis_bps"] == close(30)
    assert x["mark_deviation_bps"] == close((100.1 - 100.3) / 100.3 * 1e4)
    assert x["long_account_share"] == close(0.62)


def test_an_old_interest_shows_its_age():
    assert features(open_interest(-100, "7"), flat_book(0))["open_interest_age_s"] == close(100)
    assert features(open_interest(-9000, "7"), flat_book(0))["open_interest_age_s"] == 3600


def test_when_nothing_is_known_the_defaults_stand():
    x = features(flat_book())
    assert x["seconds_since_liquidation"] == 60
    assert x["open_interest_age_s"] == 3600
    assert x["long_account_share"] == 0.5
    assert x["spread_to_mean_15s"] == close(1)
    others = [
        name for name in NAMES if name.startswith(("liquid", "cascade", "trade", "signed", "order_flow", "funding"))
    ]
    assert len(others) > 20
    assert all(x[name] == 0 for name in others)
