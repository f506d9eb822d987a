from __future__ import annotations

from decimal import Decimal

import pytest

from services.venue.answers import NO_ROUTE, Refusal
from services.venue.category_pages import LINEAR_TICKER, SPOT_TICKER
from services.venue.pages import MarketPages
from tests.services.venue.little_market import MS, ORIGIN_NS, book, ticker, trade
from tests.services.venue.shown import ORIGIN_MS, Ear, Shown, unlimited
from undertow.markets.instruments import known_symbols


def test_the_book_page_shows_levels_best_first_and_cut_to_the_limit():
    page = Shown(book(u=70), book(5, kind="delta", u=71, bids=[["65000.00", "0"], ["64990.00", "2.000"]], asks=[]))
    result = page.ask("orderbook", {"limit": "1"})
    assert result["b"] == (("64999.90", "3.000"),)
    assert result["a"] == (("65000.10", "5.000"),)
    assert (result["s"], result["seq"], result["ts"], result["cts"]) == ("BTCUSDT", 1071, ORIGIN_MS + 5, ORIGIN_MS + 5)
    assert [price for price, _ in page.ask("orderbook")["b"]] == ["64999.90", "64990.00"]


def test_a_later_snapshot_replaces_the_book():
    page = Shown(book(), book(u=1, bids=[["1.00", "1"]], asks=[["2.00", "1"]]))
    assert page.ask("orderbook")["b"] == (("1.00", "1"),)


def test_levels_pushed_out_of_the_markets_depth_are_not_shown():
    low, more = [["64990.00", "5"], ["64989.90", "3"]], [["64990.10", "1"], ["64990.20", "2"]]
    page = Shown(book(bids=low), book(1, kind="delta", u=2, bids=more, asks=[]), depth=2)
    assert page.ask("orderbook")["b"] == (("64990.20", "2"), ("64990.10", "1"))


def test_the_book_page_has_the_update_id_of_the_1000_level_topic():
    page = Shown(book(u=70))
    ear = Ear(page.hub, "orderbook.1000.BTCUSDT")
    assert page.ask("orderbook")["u"] == ear.take()[0]["data"]["u"] == 1
    page.show(book(5, kind="delta", u=71, bids=[["64990.00", "2.000"]], asks=[]))
    assert page.ask("orderbook")["u"] == 1
    assert len(page.ask("orderbook")["b"]) == 2
    page.pass_time(200)
    (pushed,) = ear.take()
    shown = page.ask("orderbook")
    assert (shown["u"], shown["seq"]) == (pushed["data"]["u"], pushed["data"]["seq"]) == (2, 1071)
    assert len(shown["b"]) == 3


def test_a_market_with_1000_levels_shows_its_own_update_id():
    assert Shown(book(u=70), depth=1000).ask("orderbook")["u"] == 70


def test_tickers_are_merged_and_have_every_field_as_text():
    page = Shown(ticker(), ticker(1, kind="delta", markPrice="65002.00"))
    (item,) = page.ask("tickers")["list"]
    assert tuple(item) == LINEAR_TICKER
    assert (item["markPrice"], item["indexPrice"], item["deliveryTime"]) == ("65002.00", "65000.00", "0")
    assert all(isinstance(value, str) for value in item.values())
    assert Shown().pages.answer("/v5/market/tickers", {"category": "linear"}, 0)["list"] == []


def test_recent_trades_come_newest_first():
    page = Shown(trade(1), trade(2), trade(3))
    newest = [item["time"] for item in page.ask("recent-trade", {"limit": "2"})["list"]]
    assert newest == [str(ORIGIN_MS + 3), str(ORIGIN_MS + 2)]


def test_candles_are_made_of_trades_newest_first():
    page = Shown(
        trade(0, "100.00", "1"), trade(10, "103.00", "2"), trade(20, "99.00", "1"), trade(60_000, "101.00", "1")
    )
    newest, oldest = page.ask("kline", {"interval": "1"})["list"]
    assert newest == [str(ORIGIN_MS + 60_000), "101.00", "101.00", "101.00", "101.00", "1", "101.00"]
    assert oldest == [str(ORIGIN_MS), "100.00", "103.00", "99.00", "99.00", "4", "405.00"]
    (merged,) = page.ask("kline", {"interval": "60"})["list"]
    assert merged[1:6] == ["100.00", "103.00", "99.00", "101.00", "5"]
    assert page.ask("kline", {"interval": "1", "end": str(ORIGIN_MS)})["list"] == [oldest]
    assert page.ask("kline", {"interval": "1", "limit": "1"})["list"] == [newest]


def test_a_candle_that_the_market_tells_wins_over_its_trades():
    candle = {"start": ORIGIN_MS, "end": ORIGIN_MS + 59_999, "interval": "1", "open": "9", "high": "9.5", "low": "8"}
    told = {**candle, "close": "9.2", "volume": "7", "turnover": "63", "confirm": False, "timestamp": ORIGIN_MS}
    frame = {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": ORIGIN_MS, "data": [told]}
    page = Shown(trade(0, "100.00"), frame, trade(1, "200.00"), kline_intervals=("1",))
    assert page.ask("kline", {"interval": "1"})["list"] == [[str(ORIGIN_MS), "9", "9.5", "8", "9.2", "7", "63"]]


def test_instruments_are_paged_and_filtered():
    page = Shown(symbols=known_symbols()).pages
    first = page.answer("/v5/market/instruments-info", {"category": "linear", "limit": "3"}, 0)
    second = page.answer(
        "/v5/market/instruments-info", {"category": "linear", "limit": "3", "cursor": first["nextPageCursor"]}, 0
    )
    symbols = [item["symbol"] for item in [*first["list"], *second["list"]]]
    assert symbols == list(known_symbols())
    assert "%" in first["nextPageCursor"]
    assert second["nextPageCursor"] == ""

    def chosen(**params: str) -> list[str]:
        answer = page.answer("/v5/market/instruments-info", {"category": "linear", **params}, 0)
        return [item["symbol"] for item in answer["list"]]

    assert chosen(symbol="ETHUSDT") == ["ETHUSDT"]
    assert chosen(baseCoin="SOL") == ["SOLUSDT"]
    assert chosen(status="PreLaunch") == []


def test_a_minute_without_trades_is_closed_by_the_time_that_the_market_has_seen_not_by_the_clock():
    page = Shown(trade(0, "100.00", "1"))
    assert len(page.ask("kline", {"interval": "1"}, at_ms=200_000)["list"]) == 1
    page.pass_time(61_000)
    assert [row[5] for row in page.ask("kline", {"interval": "1"})["list"]] == ["0", "1"]


def test_spot_shows_a_market_of_its_own_around_the_index():
    page = Shown(*(ticker(at, indexPrice="65010.00") for at in range(0, 60_000, 500)))
    spot = {"category": "spot"}
    shown = page.ask("orderbook", {**spot, "limit": "50"}, 60_000)
    best_bid, best_ask = float(shown["b"][0][0]), float(shown["a"][0][0])
    assert best_bid < best_ask
    assert 65009 < best_bid <= 65010 <= best_ask < 65011
    assert (len(shown["b"]), len(shown["a"])) == (50, 50)
    assert len(page.ask("orderbook", spot)["b"]) == 1
    (item,) = page.ask("tickers", spot)["list"]
    assert tuple(item) == SPOT_TICKER
    assert item["usdIndexPrice"] == "65010.00"
    assert (item["bid1Price"], item["ask1Price"]) == (shown["b"][0][0], shown["a"][0][0])
    trades = page.ask("recent-trade", spot)
    assert trades["category"] == "spot"
    assert 1 < len(trades["list"]) <= 60
    assert page.ask("kline", {**spot, "interval": "1"}, 60_000)["list"][-1][0] == str(ORIGIN_MS)
    (instrument,) = page.ask("instruments-info", spot)["list"]
    assert (instrument["baseCoin"], instrument["lotSizeFilter"]["basePrecision"]) == ("BTC", "0.00001")


@pytest.mark.parametrize(
    ("name", "params", "word"),
    [
        ("orderbook", {"category": "inverse"}, "'inverse' is not offered here, only linear and spot"),
        ("orderbook", {"category": ""}, "category"),
        ("open-interest", {"category": "spot", "intervalTime": "5min"}, "only linear"),
        ("orderbook", {"symbol": "NOPEUSDT"}, "NOPEUSDT"),
        ("orderbook", {"limit": "0"}, "1..1000"),
        ("orderbook", {"limit": "1001"}, "1001"),
        ("orderbook", {"limit": "many"}, "many"),
        ("kline", {"interval": "2"}, "interval '2'"),
        ("kline", {"interval": "1", "start": "then"}, "then"),
        ("kline", {"interval": "1", "start": "2", "end": "1"}, "after"),
        ("open-interest", {"intervalTime": "1min"}, "1min"),
        ("account-ratio", {"period": "1w"}, "1w"),
        ("funding/history", {"startTime": "1"}, "endTime"),
        ("recent-trade", {"category": "spot", "limit": "61"}, "1..60"),
        ("instruments-info", {"cursor": "x"}, "cursor"),
        ("instruments-info", {"symbol": "NOPEUSDT"}, "NOPEUSDT"),
        ("instruments-info", {"status": "Sleeping"}, "Sleeping"),
    ],
)
def test_a_bad_parameter_is_10001_and_named(name, params, word):
    with pytest.raises(Refusal, match=word) as caught:
        Shown(book()).ask(name, params)
    assert caught.value.code == 10001


@pytest.mark.parametrize("name", ["kline", "mark-price-kline", "price-limit"])
def test_the_category_may_be_left_out_where_the_page_says_so(name):
    params = {"symbol": "BTCUSDT", "interval": "1"}
    assert Shown(ticker()).pages.answer(f"/v5/market/{name}", params, ORIGIN_NS)["symbol"] == "BTCUSDT"


def test_a_path_that_is_no_page_is_nothing():
    assert Shown().ask("nothing") is None


@pytest.mark.parametrize("name", ["adlAlert", "fee-group-info", "full_orderbook"])
def test_what_cannot_be_told_truthfully_is_refused_with_the_reason(name):
    with pytest.raises(Refusal, match="is not offered, th") as caught:
        Shown().ask(name)
    assert caught.value.code == NO_ROUTE


def test_the_insurance_fund_is_one_for_all_contracts():
    shown = Shown(symbols=("BTCUSDT", "ETHUSDT"))
    pages = MarketPages(shown.board, [], [], unlimited, fund=lambda: Decimal("1234.50"))
    result = pages.answer("/v5/market/insurance", {}, ORIGIN_NS)
    assert result["list"] == [{"coin": "USDT", "symbols": "BTCUSDT,ETHUSDT", "balance": "1234.5", "value": "1234.5"}]
    with pytest.raises(Refusal, match="only USDT"):
        pages.answer("/v5/market/insurance", {"coin": "BTC"}, ORIGIN_NS)


def test_time_and_status_need_no_category():
    pages = Shown().pages
    now = ORIGIN_NS + 5 * MS
    assert pages.answer("/v5/market/time", {}, now) == {
        "timeSecond": str(now // 1_000_000_000),
        "timeNano": str(now),
    }
    assert pages.answer("/v5/system/status", {}, now) == {"list": []}
