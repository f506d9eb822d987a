from __future__ import annotations

import json
import statistics
from decimal import Decimal

import pytest

from undertow.exchange.book import OrderBook
from undertow.markets.instruments import instruments_for, known_symbols
from undertow.markets.spot import STEP_MS, DerivedSpot, spot_instrument, spot_label

ORIGIN_MS = 1_786_310_820_000
INDEX = {"BTCUSDT": "65000.12", "ETHUSDT": "1922.437", "SOLUSDT": "77.3109", "DOGEUSDT": "0.0705312"}


def spot(symbol: str = "BTCUSDT", seed: int = 7) -> DerivedSpot:
    (linear,) = instruments_for([symbol])
    return DerivedSpot(spot_instrument(linear), seed)


def play(market: DerivedSpot, index: str, steps: int = 300) -> list[bytes]:
    start = Decimal(index)
    moves = (start * (1 + Decimal(step % 40 - 20) / 20_000) for step in range(steps))
    return [raw for step, price in enumerate(moves) for raw in market.move(price, ORIGIN_MS + step * STEP_MS)]


def kinds(frames: list[bytes], kind: str) -> list[dict]:
    return [frame for frame in map(json.loads, frames) if frame["topic"].startswith(kind)]


def test_the_same_seed_and_index_give_the_same_bytes():
    assert play(spot(), "65000.12") == play(spot(), "65000.12")
    assert play(spot(seed=8), "65000.12") != play(spot(), "65000.12")


@pytest.mark.parametrize("symbol", known_symbols())
def test_the_middle_of_the_book_is_the_index_and_the_book_is_never_crossed(symbol):
    market, book, start = spot(symbol), OrderBook(50), Decimal(INDEX[symbol])
    tick = Decimal(instruments_for([symbol])[0]["priceFilter"]["tickSize"])
    update_ids = []
    for step in range(200):
        index = start * (1 + Decimal(step % 40 - 20) / 20_000)
        for frame in kinds(market.move(index, ORIGIN_MS + step * STEP_MS), "orderbook.50"):
            data = frame["data"]
            levels = [tuple(level) for level in data["b"]], [tuple(level) for level in data["a"]]
            (book.replace if frame["type"] == "snapshot" else book.apply)(*levels)
            update_ids.append(data["u"])
        assert not book.is_crossed
        assert [len(side) for side in book.levels()] == [50, 50]
        bid, ask = Decimal(book.best_bid[0]), Decimal(book.best_ask[0])
        assert bid <= index + tick
        assert ask >= index - tick
        assert ask - bid <= 2 * tick
        assert all(Decimal(price) % tick == 0 for side in book.levels() for price, _ in side)
    assert update_ids == list(range(1, 201))


def test_trades_happen_at_the_touch_that_was_shown_before():
    market, book, count = spot(), OrderBook(50), 0
    for raw in play(market, "65000.12", 600):
        frame = json.loads(raw)
        if frame["topic"].startswith("orderbook"):
            data = frame["data"]
            levels = [tuple(level) for level in data["b"]], [tuple(level) for level in data["a"]]
            (book.replace if frame["type"] == "snapshot" else book.apply)(*levels)
        elif frame["topic"].startswith("publicTrade"):
            for trade in frame["data"]:
                count += 1
                touch = book.best_bid if trade["S"] == "Sell" else book.best_ask
                assert trade["p"] == touch[0]
    assert 45 < count < 140  # 1.5 a second for a minute


def test_a_ticker_says_what_has_traded_in_the_last_day():
    frames = play(spot(), "65000.12")
    trades = [trade for frame in kinds(frames, "publicTrade") for trade in frame["data"]]
    told = kinds(frames, "tickers")[-1]["data"]
    assert Decimal(told["volume24h"]) == sum(Decimal(trade["v"]) for trade in trades)
    assert Decimal(told["turnover24h"]) == sum(Decimal(trade["v"]) * Decimal(trade["p"]) for trade in trades)
    assert Decimal(told["highPrice24h"]) == max(Decimal(trade["p"]) for trade in trades)
    assert told["lastPrice"] == trades[-1]["p"]


def test_what_traded_a_day_ago_is_forgotten():
    market = spot()
    play(market, "65000.12")
    (told,) = kinds(market.move(Decimal("70000.00"), ORIGIN_MS + 25 * 3_600_000), "tickers")
    assert Decimal(told["data"]["lowPrice24h"]) > Decimal(64_000)
    assert Decimal(told["data"]["volume24h"]) < Decimal(1)


def test_it_moves_at_most_ten_times_a_second():
    market = spot()
    assert market.move(Decimal(65_000), ORIGIN_MS)
    assert market.move(Decimal(65_001), ORIGIN_MS + STEP_MS - 1) == []
    assert market.move(Decimal(65_001), ORIGIN_MS + STEP_MS)


def test_sizes_are_whole_steps_and_differ():
    frames = play(spot(), "65000.12")
    sizes = [Decimal(size) for frame in kinds(frames, "orderbook") for _, size in frame["data"]["b"] if size != "0"]
    assert all(size % Decimal("0.00001") == 0 for size in sizes)
    assert statistics.stdev(map(float, sizes)) > 0


def test_the_filters_are_derived_by_rule_and_the_market_says_what_it_is():
    (linear,) = instruments_for(["ETHUSDT"])
    item = spot_instrument(linear)
    assert item["priceFilter"]["tickSize"] == linear["priceFilter"]["tickSize"]
    assert item["lotSizeFilter"]["basePrecision"] == "0.0001"
    assert spot_label(3) == "spot derived from the perpetuals' index prices (seed 3)"
