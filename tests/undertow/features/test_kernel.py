"""The rules of the kernel, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.undertow.features.facts import (
    SECOND,
    RandomMarket,
    account_ratio,
    at,
    book,
    flat_book,
    gap,
    liquidations,
    ticker,
    trades,
)
from undertow.domain.order import Side
from undertow.features import events as row
from undertow.features.catalogue import INDEX_OF
from undertow.features.events import EventBuffer, Events, events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import REASON_LONG, REASON_SAMPLE, REASON_SHORT

BUY, SELL = Side.BUY, Side.SELL
RULE = TriggerRule(threshold_usdt=1000, warm_ns=10 * SECOND)
SAMPLES = TriggerRule(threshold_usdt=1e18, warm_ns=0, sample_ns=1)


def run(*messages, rule=RULE, state=None):
    return sweep(state or FeatureState.empty(), rule, events_of(messages))


def big(seconds, side=BUY, notional=1000):
    return liquidations(seconds, (side, "100", notional / 100))


def test_a_burst_of_liquidations_triggers_at_the_end_of_its_message():
    vectors = run(flat_book(0), big(20))
    assert vectors.rows.tolist() == [52 + 1]
    assert vectors.clock_ns.tolist() == [at(20)]
    assert vectors.reasons.tolist() == [REASON_LONG]
    assert vectors.quotes.tolist() == [[100.0, 100.2]]


def test_the_side_with_more_notional_is_named():
    assert run(flat_book(0), liquidations(20, (BUY, "100", 11), (SELL, "100", 12))).reasons.tolist() == [REASON_SHORT]


def test_both_sides_do_not_add_up_to_the_threshold():
    assert len(run(flat_book(0), liquidations(20, (BUY, "100", 9), (SELL, "100", 9))).rows) == 0


def test_the_threshold_is_reached_within_one_second_and_not_over_two():
    assert run(flat_book(0), big(20, notional=600), big(20.9, notional=600)).clock_ns.tolist() == [at(20.9)]
    assert len(run(flat_book(0), big(20, notional=600), big(21.0, notional=600)).rows) == 0


def test_a_second_trigger_waits_for_the_refractory_time():
    vectors = run(flat_book(0), big(20), big(20.5), big(20.999), big(21.0), big(22.5))
    assert vectors.clock_ns.tolist() == [at(20), at(21), at(22.5)]


def test_no_vector_before_the_book_is_known_and_warm():
    assert len(run(big(0), big(1), flat_book(2), big(3), big(11.999)).rows) == 0
    assert run(flat_book(2), big(12.0)).clock_ns.tolist() == [at(12.0)]


def test_a_gap_blinds_until_a_snapshot_and_its_warm_history():
    vectors = run(flat_book(0), big(20), gap(21), big(35), flat_book(36), big(40), big(46))
    assert vectors.clock_ns.tolist() == [at(20), at(46)]
    assert vectors.values[1, INDEX_OF["liquidated_long_30s_usdt"]] == 2000


def test_what_came_before_the_gap_does_not_count_after_it():
    again = run(flat_book(0), trades(5, (BUY, "100", "9")), gap(21), flat_book(36), big(46))
    alone = run(flat_book(36), big(46))
    assert again.values.tobytes() == alone.values.tobytes()


def test_changes_before_the_first_snapshot_are_ignored():
    state = FeatureState.empty()
    run(book(0, [("100", "1")], [("101", "1")]), big(20), state=state)
    assert state.ints[3] == state.ints[4] == 0


def test_a_snapshot_equal_to_the_book_changes_nothing():
    plain = run(flat_book(0), book(5, [("100.0", "7")], []), big(20))
    levels = [("100.0", "7")] + [(f"{100 - k / 10:.1f}", k + 1) for k in range(1, 25)]
    checkpoint = book(5, levels, [(f"{100.2 + k / 10:.1f}", k + 2) for k in range(25)], snapshot=True)
    with_checkpoint = run(flat_book(0), book(5, [("100.0", "7")], []), checkpoint, big(20))
    assert plain.values.tobytes() == with_checkpoint.values.tobytes()


def test_checkpoints_never_matter_in_a_random_market():
    rule = TriggerRule(warm_ns=0, sample_ns=SECOND)
    outcomes = set()
    for keep in (True, False):
        messages = RandomMarket(5, checkpoint_every=50).messages(4000)
        chosen = [m for n, m in enumerate(messages) if n == 0 or keep or not getattr(m, "snapshot", False)]
        # an END moves the clock, so both runs get the same times
        ends = [message if message in chosen else trades((message.ts_event - at(0)) / SECOND) for message in messages]
        outcomes.add(run(*ends, rule=rule).values.tobytes())
    assert len(outcomes) == 1


def test_a_crossed_book_gives_no_vector_and_moves_no_price():
    crossed = book(15, [("100.3", "1")], [])
    state = FeatureState.empty()
    assert len(run(flat_book(0), crossed, big(20), state=state).rows) == 0
    assert state.invalid_books == 1
    healed = run(flat_book(0), crossed, book(16, [("100.3", "0")], []), big(20))
    assert healed.values[0, INDEX_OF["range_60s_bps"]] == 0
    assert healed.values[0, INDEX_OF["order_flow_imbalance_15s"]] == 0


def test_a_one_sided_book_gives_no_vector():
    empty = book(15, [], [(f"{100.2 + k / 10:.1f}", 0) for k in range(25)])
    assert len(run(flat_book(0), empty, big(20)).rows) == 0


GARBAGE = [
    (at(19), row.BID, float("nan"), 1.0),
    (at(19), row.BID, -1.0, 1.0),
    (at(19), row.ASK, 100.1, float("inf")),
    (at(19), row.ASK, 0.0, 1.0),
    (at(19), row.TRADE_BUY, 100.0, -1.0),
    (at(19), row.LIQ_LONG, float("inf"), 1.0),
    (at(19), row.MARK, 0.0, 0.0),
    (at(19), row.RATIO, float("nan"), 0.0),
    (at(19) + 7200 * SECOND, row.OPEN_INTEREST, 5.0, 0.0),
    (at(19), row.KINDS, 1.0, 1.0),
    (at(19), 255, 1.0, 1.0),
    (at(19), row.OUTSIDE, float("nan"), 1e12),
    (at(19), row.OUTSIDE + 1, 50.0, float("inf")),
    (at(19), row.NEIGHBOUR_LONG, -100.0, 1.0),
    (at(19), row.NEIGHBOUR_SHORT, 100.0, -1.0),
    (0, row.NEIGHBOUR_LONG, 100.0, 1.0),
    (0, row.TRADE_BUY, 100.0, 1.0),
    (-(2**63), row.BID, 100.0, 1.0),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_garbage_row_is_ignored_and_counted(garbage):
    plain, dirty = EventBuffer(), EventBuffer()
    for buffer in (plain, dirty):
        buffer.append_fact(flat_book(0))
        if buffer is dirty:
            buffer.append(*garbage)
        buffer.append_fact(big(20))
    state = FeatureState.empty()
    expected = sweep(FeatureState.empty(), RULE, plain.columns())
    vectors = sweep(state, RULE, dirty.columns())
    assert len(expected.rows) == 1
    assert vectors.values.tobytes() == expected.values.tobytes()
    assert state.ignored_rows == 1


def test_an_older_row_counts_as_now():
    late = run(flat_book(0), trades(15, (BUY, "100", "1")), trades(14, (BUY, "100", "2")), big(15))
    in_time = run(flat_book(0), trades(15, (BUY, "100", "1")), trades(15, (BUY, "100", "2")), big(15))
    assert late.values.tobytes() == in_time.values.tobytes()
    assert late.clock_ns.tolist() == [at(15)]


@pytest.mark.parametrize("hours", [2, -2])
def test_a_time_more_than_an_hour_away_begins_everything_anew(hours):
    jump = 3600 * hours
    vectors = run(flat_book(0), trades(5, (BUY, "100", "9")), big(jump), flat_book(jump), big(jump + 10))
    assert vectors.clock_ns.tolist() == [at(jump + 10)]
    assert vectors.values.tobytes() == run(flat_book(jump), big(jump + 10)).values.tobytes()


def test_a_gap_sets_the_clock_back():
    vectors = run(flat_book(100), gap(50), flat_book(51), big(61))
    assert vectors.clock_ns.tolist() == [at(61)]


def test_a_minute_of_silence_empties_the_windows_and_keeps_the_price():
    x = run(flat_book(0), trades(5, (BUY, "100", "9")), book(400, [("100.1", "1")], []), rule=SAMPLES).values[-1]
    assert x[INDEX_OF["trade_rate_15s"]] == 0
    assert x[INDEX_OF["return_1s_bps"]] == pytest.approx((100.15 / 100.1 - 1) * 1e4)
    assert x[INDEX_OF["return_60s_bps"]] == x[INDEX_OF["return_1s_bps"]]


def test_slow_facts_survive_a_gap():
    x = run(account_ratio(0, "0.7"), flat_book(1), gap(2), flat_book(3), rule=SAMPLES).values[-1]
    assert x[INDEX_OF["long_account_share"]] == 0.7


def test_samples_come_at_their_interval():
    rule = TriggerRule(threshold_usdt=1e18, warm_ns=10 * SECOND, sample_ns=5 * SECOND)
    vectors = run(flat_book(0), *(ticker(n, mark="100") for n in range(1, 31)), rule=rule)
    assert vectors.clock_ns.tolist() == [at(10), at(15), at(20), at(25), at(30)]
    assert set(vectors.reasons.tolist()) == {REASON_SAMPLE}


def test_more_vectors_than_one_call_holds_are_all_returned():
    events = events_of(RandomMarket(6).messages(1000))
    few = sweep(FeatureState.empty(), SAMPLES, events, capacity=3)
    many = sweep(FeatureState.empty(), SAMPLES, events, capacity=10_000)
    assert len(few.rows) > 100
    for one, other in zip(few, many, strict=True):
        assert one.tobytes() == other.tobytes()


def test_no_rows_give_no_vectors():
    nothing = np.empty(0)
    vectors = sweep(
        FeatureState.empty(), RULE, Events(nothing.astype(np.int64), nothing.astype(np.uint8), nothing, nothing)
    )
    assert vectors.values.shape == (0, len(INDEX_OF))
    assert vectors.quotes.shape == (0, 2)


@pytest.mark.parametrize("wrong", [{"threshold_usdt": 0}, {"refractory_ns": -1}, {"warm_ns": -1}, {"sample_ns": -1}])
def test_an_impossible_rule_is_refused(wrong):
    with pytest.raises(ValueError, match="above 0"):
        TriggerRule(**wrong)


def test_a_copy_is_independent():
    state = FeatureState.empty()
    run(flat_book(0), state=state)
    copy = state.copy()
    run(big(20), state=state)
    assert copy.clock_ns == at(0)
    assert state.clock_ns == at(20)
