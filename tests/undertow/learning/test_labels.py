from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.domain.order import Side
from undertow.features.events import ASK, BID, BOOK_CLEAR, END, TRADE_BUY, TRADE_SELL, EventBuffer
from undertow.learning.grid import ARM_INDEX, Arm
from undertow.learning.labels import LabelRule, label

SECOND = 1_000_000_000
TICK = 0.1
MS = 1_000_000
RULE = LabelRule(latency_ns=20 * MS)


def _book(buffer, at, bid, ask, bid_size=5.0, extra=()):
    buffer.append(at, BOOK_CLEAR)
    for price, size in [(bid - 50.0, 9.0), *[(p, s) for p, s in extra if p < bid], (bid, bid_size)]:
        buffer.append(at, BID, price, size)
    for price, size in [(ask + 50.0, 9.0), *[(p, s) for p, s in extra if p > ask], (ask, 5.0)]:
        buffer.append(at, ASK, price, size)
    buffer.append(at, END)


def _trade(buffer, at, kind, price, size):
    buffer.append(at, kind, price, size)
    buffer.append(at, END)


def _market(trades=(), books=(), extra=()):
    """Mid 10,000.0 at time 0; 1 bp is 1.0. The trigger is the first book's end; data lasts 40 s."""
    buffer = EventBuffer()
    _book(buffer, 0, 9999.9, 10000.1, extra=extra)
    trigger = len(buffer) - 1
    happenings = [(at, "trade", rest) for at, *rest in trades] + [(at, "book", rest) for at, *rest in books]
    for at, what, rest in sorted(happenings, key=lambda item: item[0]):
        (_trade if what == "trade" else _book)(buffer, at, *rest)
    _book(buffer, 40 * SECOND, *((happenings and books and books[-1][1:3]) or (9999.9, 10000.1)))
    return buffer.columns(), np.array([trigger])


def _outcome(columns, triggers, arm, rule=RULE):
    labels = label(columns, triggers, np.array([10000.0]), TICK, rule)
    index = ARM_INDEX[arm]
    return bool(labels.filled[0, index]), float(labels.return_bps[0, index])


BUY_1 = Arm(Side.BUY, 1.0, 2 * SECOND)  # limit 9999.0
SELL_1 = Arm(Side.SELL, 1.0, 2 * SECOND)  # limit 10001.0
LIMIT_LEVELS = ((9999.0, 3.0), (10001.0, 3.0))


def test_a_trade_through_the_limit_fills_and_the_exit_gets_the_best_bid_at_t_net_of_both_fees():
    columns, triggers = _market(
        trades=[(SECOND, TRADE_SELL, 9998.9, 0.001)], books=[(2 * SECOND, 10009.0, 10009.2)], extra=LIMIT_LEVELS
    )
    filled, earned = _outcome(columns, triggers, BUY_1)
    ratio = 10009.0 / 9999.0
    assert filled
    assert earned == pytest.approx((ratio - 1) * 1e4 - 2.0 - 5.5 * ratio)


def test_a_sell_mirrors_a_buy():
    columns, triggers = _market(
        trades=[(SECOND, TRADE_BUY, 10001.1, 0.001)], books=[(2 * SECOND, 9990.8, 9991.0)], extra=LIMIT_LEVELS
    )
    filled, earned = _outcome(columns, triggers, SELL_1)
    ratio = 9991.0 / 10001.0
    assert filled
    assert earned == pytest.approx((1 - ratio) * 1e4 - 2.0 - 5.5 * ratio)


def test_at_the_limit_only_what_exceeds_the_queue_ahead_fills():
    at_the_queue, triggers = _market(trades=[(SECOND, TRADE_SELL, 9999.0, 3.0)], extra=LIMIT_LEVELS)
    beyond, _ = _market(
        trades=[(SECOND, TRADE_SELL, 9999.0, 3.0), (2 * SECOND, TRADE_SELL, 9999.0, 0.001)], extra=LIMIT_LEVELS
    )
    assert not _outcome(at_the_queue, triggers, BUY_1)[0]
    assert _outcome(beyond, triggers, BUY_1)[0]


def test_a_buyers_trade_does_not_fill_a_resting_buy():
    columns, triggers = _market(trades=[(SECOND, TRADE_BUY, 9990.0, 99.0)])
    assert not _outcome(columns, triggers, BUY_1)[0]


@pytest.mark.parametrize(("at", "fills"), [(19 * MS, False), (21 * MS, True), (3019 * MS, True), (3021 * MS, False)])
def test_only_trades_between_arrival_and_the_end_of_the_rest_count(at, fills):
    columns, triggers = _market(trades=[(at, TRADE_SELL, 9998.0, 1.0)])
    assert _outcome(columns, triggers, BUY_1)[0] is fills


def test_an_order_that_would_take_on_arrival_is_refused():
    columns, triggers = _market(books=[(10 * MS, 9990.0, 9990.2)], trades=[(SECOND, TRADE_SELL, 9980.0, 99.0)])
    assert not _outcome(columns, triggers, BUY_1)[0]


def test_t_counts_from_the_first_fill():
    books = [(2500 * MS, 10020.0, 10020.2), (3100 * MS, 10040.0, 10040.2)]
    early, triggers = _market(trades=[(SECOND, TRADE_SELL, 9990.0, 1.0)], books=books)
    late, _ = _market(trades=[(1100 * MS, TRADE_SELL, 9990.0, 1.0)], books=books)
    assert _outcome(early, triggers, BUY_1)[1] == pytest.approx(21.0 - 7.5, abs=0.1)  # leaves at 3.02 s
    assert _outcome(late, triggers, BUY_1)[1] == pytest.approx(41.0 - 7.5, abs=0.1)  # leaves at 3.12 s


def test_the_limit_is_rounded_away_from_the_market():
    columns, triggers = _market(trades=[(SECOND, TRADE_SELL, 9998.9, 1.0)])
    labels = label(columns, triggers, np.array([9999.96]), TICK, RULE)  # limit 9998.96 -> 9998.9: not traded through
    at_limit = labels.filled[0, ARM_INDEX[BUY_1]]
    through = label(columns, triggers, np.array([10000.01]), TICK, RULE).filled[0, ARM_INDEX[BUY_1]]
    assert at_limit  # no queue is displayed at 9998.9, so the first trade there fills
    assert through


def test_a_trigger_too_close_to_the_end_has_no_label():
    buffer = EventBuffer()
    _book(buffer, 0, 9999.9, 10000.1)
    trigger = len(buffer) - 1
    _book(buffer, 18 * SECOND, 9999.9, 10000.1)
    labels = label(buffer.columns(), np.array([trigger]), np.array([10000.0]), TICK, RULE)
    assert len(labels.kept) == 0
    assert labels.filled.shape == (0, 36)


@given(
    st.lists(
        st.tuples(st.integers(1, 3500), st.booleans(), st.integers(99_700, 100_300), st.floats(0.001, 20.0)),
        max_size=30,
    )
)
def test_a_deeper_order_never_fills_where_a_nearer_one_does_not(raw):
    trades = [(at * MS, TRADE_SELL if sell else TRADE_BUY, ticks / 10, size) for at, sell, ticks, size in raw]
    columns, triggers = _market(trades=trades)
    filled = label(columns, triggers, np.array([10000.0]), TICK, RULE).filled[0].reshape(2, 6, 3)
    assert (filled[:, :-1] >= filled[:, 1:]).all()
    assert (filled == filled[:, :, :1]).all(), "T has no part in being filled"
