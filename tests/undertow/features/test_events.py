from __future__ import annotations

import math

import pytest

from tests.undertow.features.facts import (
    SECOND,
    account_ratio,
    at,
    book,
    candle,
    gap,
    liquidations,
    neighbour,
    open_interest,
    settled,
    ticker,
    trades,
    value,
)
from undertow.contracts.messages.market import Resync
from undertow.domain.order import Side
from undertow.features import events as row
from undertow.features.events import EventBuffer, events_of


def rows(*messages):
    events = events_of(messages)
    return list(zip(events.kind.tolist(), events.price.tolist(), events.size.tolist(), strict=True))


def test_a_snapshot_clears_the_book_and_gives_its_levels_worst_first():
    message = book(0, [("10.1", "1"), ("10", "2")], [("10.2", "3"), ("10.3", "4")], snapshot=True)
    assert rows(message) == [
        (row.BOOK_CLEAR, 0, 0),
        (row.BID, 10.0, 2.0),
        (row.BID, 10.1, 1.0),
        (row.ASK, 10.3, 4.0),
        (row.ASK, 10.2, 3.0),
        (row.END, 0, 0),
    ]


def test_a_change_of_the_book_does_not_clear_it():
    assert rows(book(0, [], [("10.2", "0")])) == [(row.ASK, 10.2, 0.0), (row.END, 0, 0)]


def test_trades_and_liquidations_keep_their_sides():
    assert rows(
        trades(0, (Side.BUY, "10", "1"), (Side.SELL, "9", "2")),
        liquidations(1, (Side.BUY, "8", "3"), (Side.SELL, "12", "4")),
    ) == [
        (row.TRADE_BUY, 10, 1),
        (row.TRADE_SELL, 9, 2),
        (row.END, 0, 0),
        (row.LIQ_LONG, 8, 3),
        (row.LIQ_SHORT, 12, 4),
        (row.END, 0, 0),
    ]


def test_a_ticker_gives_only_what_the_venue_has_said():
    assert rows(ticker(0, mark="10.5", next_funding_ns=3 * SECOND)) == [
        (row.MARK, 10.5, 0),
        (row.NEXT_FUNDING, 3.0, 0),
        (row.END, 0, 0),
    ]
    assert [kind for kind, _, _ in rows(ticker(0, mark="1", index="2", interest="3", funding="-0.1"))] == [
        row.MARK,
        row.INDEX,
        row.OPEN_INTEREST,
        row.FUNDING_RATE,
        row.END,
    ]


def test_reference_facts_have_no_end_row():
    assert rows(open_interest(0, "5"), settled(1, "0.0001"), account_ratio(2, "0.55")) == [
        (row.OPEN_INTEREST, 5, 0),
        (row.FUNDING_SETTLED, 0.0001, 0),
        (row.RATIO, 0.55, 0),
    ]


def test_outside_facts_carry_the_time_at_which_they_were_learned_and_values_the_end_of_their_life():
    buffer = EventBuffer()
    buffer.append_fact(value("fear_and_greed", "23", 10, held=4, stale=36))
    buffer.append_fact(value("dollar_index", "121.5", 10, held=900, stale=36))
    buffer.append_fact(neighbour(11, Side.SELL, "100.5", "2"))
    columns = buffer.columns()
    assert columns.ts_ns.tolist() == [at(10), at(10), at(11)]
    assert columns.kind.tolist() == [row.OUTSIDE + 1, row.OUTSIDE + 2, row.NEIGHBOUR_SHORT]
    assert columns.price.tolist() == [23, 121.5, 100.5]
    assert columns.size.tolist() == [at(40) / 1e9, at(46) / 1e9, 2]


def test_gap_and_resync_reset_and_a_candle_gives_nothing():
    resync = Resync(ts_event=at(0), ts_recv=at(0), symbol="BTCUSDT")
    assert rows(gap(0)) == rows(resync) == [(row.RESET, 0, 0), (row.END, 0, 0)]
    buffer = EventBuffer()
    assert buffer.append_fact(candle(0)) == 0
    assert len(buffer) == 0


@pytest.mark.parametrize(
    "message",
    [book(0, [("x", "1")], []), trades(0, (Side.BUY, "x", "1")), ticker(0, mark="x")],
    ids=["book", "trades", "ticker"],
)
def test_what_is_no_number_becomes_nan(message):
    assert math.isnan(rows(message)[0][1])


def test_a_cleared_buffer_is_reused_and_its_columns_are_copies():
    buffer = EventBuffer()
    buffer.append_fact(trades(0, (Side.BUY, "10", "1")))
    first = buffer.columns()
    buffer.clear()
    assert buffer.append_fact(trades(1, (Side.SELL, "9", "1"))) == 2
    assert first.price.tolist() == [10.0, 0.0]
    assert buffer.columns().ts_ns.tolist() == [at(1), at(1)]
