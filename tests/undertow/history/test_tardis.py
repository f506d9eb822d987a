from __future__ import annotations

from pathlib import Path

import pytest

from tests.undertow.history.archives import AT_US, EVENT_HEADER, LEVEL_HEADER, TICKER_HEADER, event, level, tardis
from undertow.contracts.messages.market import Book, Gap, GapReason, Liquidation, Resync, Ticker, Trade
from undertow.domain.order import Side
from undertow.exchange.bybit.facts import LIQUIDATION_FEED
from undertow.history.archive import ArchiveError, opened
from undertow.history.tardis import THINNED_FEED, read_tardis

AT_NS = AT_US * 1000


def read(path):
    with opened(path) as archive:
        return list(read_tardis(archive))


def kinds(messages):
    return [type(message).__name__ for message in messages]


def test_a_liquidation_of_a_long_is_a_forced_sell_there_and_a_bought_position_here(tmp_path):
    path = tardis(
        tmp_path / "bybit_liquidations_2026-08-10_BTCUSDT.csv.gz",
        EVENT_HEADER,
        event(0, "sell", "64900.5", "0.25"),
        event(0, "buy", "65100", "1"),
        event(500_000, "sell", "64890", "2"),
    )
    first, second = read(path)
    assert (first.symbol, first.ts_event, first.ts_recv) == ("BTCUSDT", AT_NS - 9_000_000, AT_NS)
    assert first.liquidations == (
        Liquidation(AT_NS - 9_000_000, Side.BUY, "64900.5", "0.25"),  # a long was liquidated
        Liquidation(AT_NS - 9_000_000, Side.SELL, "65100", "1"),  # a short was
    )
    assert [each.position_side for each in second.liquidations] == [Side.BUY]
    assert {first.feed, second.feed} == {LIQUIDATION_FEED}


def test_liquidations_of_the_feed_that_told_one_a_second_are_marked_so(tmp_path):
    last = 1_740_527_999_999_999
    rows = [f"bybit,BTCUSDT,{at},{at},,sell,65000,1" for at in (last, last + 1)]
    messages = read(tardis(tmp_path / "liquidations.csv", EVENT_HEADER, *rows))
    assert [message.feed for message in messages] == [THINNED_FEED, LIQUIDATION_FEED]


def test_the_side_of_a_trade_is_the_takers(tmp_path):
    path = tardis(
        tmp_path / "bybit_trades_2026-08-10_BTCUSDT.csv", EVENT_HEADER, event(0, "sell", "65000", "1e-7", n="x")
    )
    (message,) = read(path)
    assert message.trades == (Trade(AT_NS - 9_000_000, Side.SELL, "65000", "0.0000001", "x"),)


def test_the_folder_tells_trades_from_liquidations_where_the_name_does_not(tmp_path):
    path = tardis(tmp_path / "bybit" / "liquidations" / "BTCUSDT.csv", EVENT_HEADER, event(0, "sell", "65000", "1"))
    assert kinds(read(path)) == ["Liquidations"]


def test_without_any_name_events_are_not_guessed(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("plain")
    path = tardis(folder / "x.csv", EVENT_HEADER, event(0, "sell", "65000", "1"))
    with pytest.raises(ArchiveError, match="may hold trades or liquidations"):
        read(path)


def test_rows_of_one_receipt_are_one_book_message(tmp_path):
    path = tardis(
        tmp_path / "bybit_incremental_book_L2_2026-08-10_BTCUSDT.csv.gz",
        LEVEL_HEADER,
        level(-50_000, "bid", "64000", "9"),  # before the first snapshot: left out
        level(0, "bid", "65000", "5", first=True),
        level(0, "ask", "65000.1", "4", first=True),
        level(0, "bid", "64999.9", "3", first=True),
        level(100_000, "bid", "65000", "0"),
        level(100_000, "ask", "65000.1", "4.5"),
        level(200_000, "ask", "65000.2", "0.0"),
    )
    resync, first, second, third = read(path)
    assert isinstance(resync, Resync)
    assert first == Book(
        ts_event=AT_NS - 9_000_000,
        ts_recv=AT_NS,
        symbol="BTCUSDT",
        snapshot=True,
        bids=(("65000", "5"), ("64999.9", "3")),
        asks=(("65000.1", "4"),),
        update_id=1,
        sequence=0,
    )
    assert (second.snapshot, second.bids, second.asks, second.update_id) == (
        False,
        (("65000", "0"),),
        (("65000.1", "4.5"),),
        2,
    )
    assert third.asks == (("65000.2", "0"),)


def test_a_snapshot_in_the_middle_is_a_gap_and_a_new_beginning(tmp_path):
    path = tardis(
        tmp_path / "a.csv",
        LEVEL_HEADER,
        level(0, "bid", "65000", "5", first=True),
        level(1_000, "bid", "65000", "4"),
        level(2_000, "bid", "66000", "5", first=True),
        level(3_000, "ask", "65999", "4"),
    )
    messages = read(path)
    assert kinds(messages) == ["Resync", "Book", "Book", "Gap", "Resync", "Book", "Gap", "Book"]
    assert [m.reason for m in messages if isinstance(m, Gap)] == [GapReason.DISCONNECTED, GapReason.CROSSED]


def test_a_ticker_has_what_the_exchange_had_said_by_then(tmp_path):
    row = f"bybit,BTCUSDT,{AT_US},{AT_US + 7},{AT_US + 8_000_000},-0.0001,,1234.5,65000.5,,65001"
    assert read(tardis(tmp_path / "a.csv", TICKER_HEADER, row)) == [
        Ticker(
            ts_event=AT_NS,
            ts_recv=AT_NS + 7_000,
            symbol="BTCUSDT",
            last_price="65000.5",
            mark_price="65001",
            index_price="",
            open_interest="1234.5",
            funding_rate="-0.0001",
            next_funding_ns=AT_NS + 8_000_000_000,
        )
    ]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (event(0, "sell", "1", "1", exchange="binance-futures"), "is of the exchange binance-futures"),
        (event(-1, "sell", "1", "1"), "is before"),
        (event(0, "unknown", "1", "1"), "side 'unknown' is none of"),
        (event(0, "sell", "1", "0"), "amount 0 is not above 0"),
        (event(0, "sell", "1", "1").replace(str(AT_US), "now"), "is not a whole number"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path, row, rule):
    path = tardis(tmp_path / "liquidations.csv.gz", EVENT_HEADER, event(0, "sell", "1", "1"), row)
    with pytest.raises(ArchiveError, match=rule) as caught:
        read(path)
    assert caught.value.row == 3
