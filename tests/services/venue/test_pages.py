from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import pytest

from services.venue.answers import Refusal
from services.venue.board import Board
from services.venue.candles import interval_start
from services.venue.pages import TICKER_FIELDS, MarketPages
from tests.services.venue.little_market import MS, ORIGIN_NS, book, ticker, trade
from undertow.markets.instruments import instruments_for, known_symbols, risk_tiers_for

ORIGIN_MS = ORIGIN_NS // MS
BTC = {"category": "linear", "symbol": "BTCUSDT"}


def pages(*frames: dict, symbols: tuple[str, ...] = ("BTCUSDT",)) -> MarketPages:
    board = Board(symbols)
    for frame in frames:
        board.saw(json.dumps(frame).encode())
    return MarketPages(board, instruments_for(symbols), risk_tiers_for(symbols))


def ask(page: MarketPages, name: str, params: dict[str, str] | None = None, now_ns: int = ORIGIN_NS) -> dict:
    return page.answer(f"/v5/market/{name}", BTC if params is None else {**BTC, **params}, now_ns)


def test_the_book_page_shows_levels_best_first_and_cut_to_the_limit():
    page = pages(book(), book(5, kind="delta", u=2, bids=[["65000.00", "0"], ["64990.00", "2.000"]], asks=[]))
    result = ask(page, "orderbook", {"limit": "1"})
    assert result["b"] == [("64999.90", "3.000")]
    assert result["a"] == [("65000.10", "5.000")]
    assert (result["s"], result["u"], result["seq"], result["ts"], result["cts"]) == (
        "BTCUSDT",
        2,
        1002,
        ORIGIN_MS + 5,
        ORIGIN_MS + 5,
    )
    assert [price for price, _ in ask(page, "orderbook")["b"]] == ["64999.90", "64990.00"]


def test_a_later_snapshot_replaces_the_book():
    page = pages(book(), book(u=1, bids=[["1.00", "1"]], asks=[["2.00", "1"]]))
    assert ask(page, "orderbook")["b"] == [("1.00", "1")]


def test_tickers_are_merged_and_have_every_field_as_text():
    page = pages(ticker(), ticker(1, kind="delta", markPrice="65002.00"))
    (item,) = ask(page, "tickers")["list"]
    assert set(item) == set(TICKER_FIELDS)
    assert (item["markPrice"], item["indexPrice"], item["deliveryTime"]) == ("65002.00", "65000.00", "0")
    assert all(isinstance(value, str) for value in item.values())
    assert pages().answer("/v5/market/tickers", {"category": "linear"}, 0)["list"] == []


def test_recent_trades_come_newest_first():
    page = pages(trade(1), trade(2), trade(3))
    assert [item["time"] for item in ask(page, "recent-trade", {"limit": "2"})["list"]] == [
        str(ORIGIN_MS + 3),
        str(ORIGIN_MS + 2),
    ]
    assert set(ask(page, "recent-trade")["list"][0]) == {
        *("execId", "symbol", "price", "size", "side", "time", "isBlockTrade", "isRPITrade", "seq")
    }


def test_candles_are_made_of_trades_newest_first():
    page = pages(
        trade(0, "100.00", "1"), trade(10, "103.00", "2"), trade(20, "99.00", "1"), trade(60_000, "101.00", "1")
    )
    newest, oldest = ask(page, "kline", {"interval": "1"})["list"]
    assert newest == [str(ORIGIN_MS + 60_000), "101.00", "101.00", "101.00", "101.00", "1", "101.00"]
    assert oldest == [str(ORIGIN_MS), "100.00", "103.00", "99.00", "99.00", "4", "405.00"]
    (merged,) = ask(page, "kline", {"interval": "60"})["list"]
    assert merged[1:6] == ["100.00", "103.00", "99.00", "101.00", "5"]
    assert ask(page, "kline", {"interval": "1", "end": str(ORIGIN_MS)})["list"] == [oldest]
    assert ask(page, "kline", {"interval": "1", "limit": "1"})["list"] == [newest]


def test_a_candle_that_the_market_tells_wins_over_its_trades():
    candle = {"start": ORIGIN_MS, "end": ORIGIN_MS + 59_999, "interval": "1", "open": "9", "high": "9.5", "low": "8"}
    told = {**candle, "close": "9.2", "volume": "7", "turnover": "63", "confirm": False, "timestamp": ORIGIN_MS}
    frame = {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": ORIGIN_MS, "data": [told]}
    page = pages(trade(0, "100.00"), frame, trade(1, "200.00"))
    assert ask(page, "kline", {"interval": "1"})["list"] == [[str(ORIGIN_MS), "9", "9.5", "8", "9.2", "7", "63"]]


@pytest.mark.parametrize(
    ("interval", "at", "start"),
    [
        ("3", "2026-08-09T21:27:00", "2026-08-09T21:27:00"),
        ("240", "2026-08-09T21:27:00", "2026-08-09T20:00:00"),
        ("D", "2026-08-09T21:27:00", "2026-08-09T00:00:00"),
        ("W", "2026-08-09T21:27:00", "2026-08-03T00:00:00"),
        ("W", "2026-08-10T00:00:00", "2026-08-10T00:00:00"),
        ("M", "2026-08-09T21:27:00", "2026-08-01T00:00:00"),
    ],
)
def test_candles_start_where_the_calendar_says(interval, at, start):
    def ms(text: str) -> int:
        return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1000

    assert interval_start(interval, ms(at)) == ms(start)


def test_open_interest_is_the_first_value_of_each_interval():
    page = pages(
        ticker(),
        ticker(1000, kind="delta", openInterest="101.000"),
        ticker(300_000, kind="delta", openInterest="102.000"),
    )
    rows = ask(page, "open-interest", {"intervalTime": "5min"})["list"]
    assert [row["openInterest"] for row in rows] == ["102.000", "100.000"]
    assert rows[0]["singleOpenInterest"] == "50.000"
    assert all(int(row["timestamp"]) % 300_000 == 0 for row in rows)
    assert [r["openInterest"] for r in ask(page, "open-interest", {"intervalTime": "1d"})["list"]] == ["100.000"]


def test_funding_is_history_once_its_stamp_has_passed():
    page = pages(ticker(), ticker(10, kind="delta", fundingRate="0.0002"))
    assert ask(page, "funding/history")["list"] == []
    page.board.saw(json.dumps(ticker(20, kind="delta", nextFundingTime="1786348800000", fundingRate="0.0003")).encode())
    assert ask(page, "funding/history")["list"] == [
        {"symbol": "BTCUSDT", "fundingRate": "0.0002", "fundingRateTimestamp": "1786320000000"}
    ]


def test_the_price_limit_follows_mark_index_and_premium():
    page = pages(book(), ticker(markPrice="65000.00", indexPrice="65000.00"))
    result = ask(page, "price-limit")
    # X = 1 %, Y = 2 %; premium = mid 65000.05 - mark = 0.05
    assert (result["buyLmt"], result["sellLmt"]) == ("65650.00", "64350.00")
    assert Decimal(result["buyLmt"]) % Decimal("0.10") == 0
    assert result["ts"] == str(ORIGIN_MS)


def test_the_price_limit_needs_a_mark_price():
    with pytest.raises(Refusal, match="no mark price"):
        ask(pages(), "price-limit")


def test_instruments_are_paged_and_filtered():
    page = pages(symbols=known_symbols())
    first = page.answer("/v5/market/instruments-info", {"category": "linear", "limit": "3"}, 0)
    second = page.answer(
        "/v5/market/instruments-info", {"category": "linear", "limit": "3", "cursor": first["nextPageCursor"]}, 0
    )
    symbols = [item["symbol"] for item in first["list"] + second["list"]]
    assert symbols == list(known_symbols())
    assert "%" in first["nextPageCursor"]
    assert second["nextPageCursor"] == ""

    def chosen(**params: str) -> list[str]:
        answer = page.answer("/v5/market/instruments-info", {"category": "linear", **params}, 0)
        return [item["symbol"] for item in answer["list"]]

    assert chosen(symbol="ETHUSDT") == ["ETHUSDT"]
    assert chosen(baseCoin="SOL") == ["SOLUSDT"]
    assert chosen(status="PreLaunch") == []


def test_risk_limits_are_those_of_the_symbol_or_of_a_page_of_symbols():
    page = pages(symbols=known_symbols())
    assert {tier["symbol"] for tier in ask(page, "risk-limit")["list"]} == {"BTCUSDT"}
    everything = page.answer("/v5/market/risk-limit", {"category": "linear"}, 0)
    assert {tier["symbol"] for tier in everything["list"]} == set(known_symbols())


def test_nobody_knows_other_peoples_accounts():
    assert ask(pages(), "account-ratio", {"period": "1h"}) == {"list": [], "nextPageCursor": ""}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("orderbook", {"category": "spot"}),
        ("orderbook", {"symbol": "NOPEUSDT"}),
        ("orderbook", {"limit": "0"}),
        ("orderbook", {"limit": "1001"}),
        ("orderbook", {"limit": "many"}),
        ("kline", {"interval": "2"}),
        ("kline", {"interval": "1", "start": "then"}),
        ("open-interest", {"intervalTime": "1min"}),
        ("account-ratio", {"period": "1w"}),
        ("funding/history", {"startTime": "1"}),
        ("instruments-info", {"cursor": "x"}),
        ("instruments-info", {"symbol": "NOPEUSDT"}),
    ],
)
def test_a_bad_parameter_is_10001_and_named(name, params):
    with pytest.raises(Refusal) as caught:
        ask(pages(book()), name, params)
    assert caught.value.code == 10001


def test_a_path_that_is_no_page_is_nothing():
    assert ask(pages(), "nothing") is None


def test_a_kline_has_no_snapshot_for_those_who_join_and_an_empty_book_neither():
    board = pages().board.of("BTCUSDT")
    assert board.snapshot("kline.1.BTCUSDT", 200) is None
    assert board.snapshot("orderbook.200.BTCUSDT", 200) is None
    assert board.mid() is None
