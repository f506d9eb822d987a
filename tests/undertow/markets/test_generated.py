from __future__ import annotations

import json
import math
import random
import time
from collections import Counter, defaultdict
from itertools import islice
from statistics import mean, stdev

import pytest

from undertow.domain.order import Side
from undertow.exchange.bybit.facts import FrameDecoder
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_price import SIZE_LIMITS_BPS, SIZE_MEAN_BPS, SIZE_MEDIAN_BPS, SIZE_SIGMA, PriceWalk
from undertow.markets.generated_wire import CONTRACTS

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")


@pytest.fixture(scope="module")
def frames():
    return list(islice(GeneratedMarket(SYMBOLS, seed=3).frames(), 12_000))


@pytest.fixture(scope="module")
def payloads(frames):
    return [json.loads(frame.raw) for frame in frames]


def test_iterating_twice_gives_the_same_bytes_and_another_seed_gives_others(frames):
    market = GeneratedMarket(SYMBOLS, seed=3)
    assert list(islice(market.frames(), 3000)) == frames[:3000]
    assert list(islice(GeneratedMarket(SYMBOLS, seed=4).frames(), 3000)) != frames[:3000]


def test_a_symbol_has_the_same_market_whoever_else_is_listed():
    alone = (f.raw for f in GeneratedMarket(("BTCUSDT",), seed=3).frames())
    together = (f.raw for f in GeneratedMarket(("BTCUSDT", "DOGEUSDT"), seed=3).frames() if b"BTCUSDT" in f.raw)
    assert list(islice(alone, 500)) == list(islice(together, 500))


def test_frames_come_in_the_order_of_their_time(frames):
    times = [frame.at_ns for frame in frames]
    assert times == sorted(times)
    assert times[0] == GeneratedMarket(SYMBOLS).origin_ns


def test_all_topics_of_a_client_occur_for_every_symbol(payloads):
    seen = Counter(payload["topic"] for payload in payloads)
    kinds = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
    assert set(seen) == {f"{kind}.{symbol}" for kind in kinds for symbol in SYMBOLS}


def test_books_open_with_200_levels_and_go_on_contiguous_and_never_crossed(payloads):
    books: dict[str, tuple[dict[float, float], dict[float, float], int]] = {}
    for payload in payloads:
        if not payload["topic"].startswith("orderbook"):
            continue
        data = payload["data"]
        symbol = data["s"]
        if payload["type"] == "snapshot":
            assert symbol not in books
            assert len(data["b"]) == len(data["a"]) == 200
            bids, asks = {}, {}
        else:
            bids, asks, last = books[symbol]
            assert data["u"] == last + 1
        for side, levels in ((bids, data["b"]), (asks, data["a"])):
            for price, size in levels:
                if float(size):
                    side[float(price)] = float(size)
                else:
                    assert side.pop(float(price), None) is not None, "deletes a level that was never shown"
        assert max(bids) < min(asks)
        assert len(bids) == len(asks) == 200
        books[symbol] = (bids, asks, data["u"])
    assert set(books) == set(SYMBOLS)


def test_prices_are_multiples_of_the_tick_and_sizes_of_the_lot(payloads):
    for payload in payloads:
        if not payload["topic"].startswith("publicTrade"):
            continue
        contract = CONTRACTS[payload["topic"].split(".")[1]]
        for trade in payload["data"]:
            scaled = round(float(trade["p"]) * 10**contract.price_scale)
            assert scaled % contract.tick_units == 0
            assert contract.price(scaled // contract.tick_units) == trade["p"]
            assert float(trade["v"]) > 0


def test_trade_ids_are_unique(payloads):
    ids = [trade["i"] for p in payloads if p["topic"].startswith("publicTrade") for trade in p["data"]]
    assert len(ids) == len(set(ids)) > 1000


def test_the_fleets_decoder_reads_every_frame(frames):
    decoder = FrameDecoder()
    assert all(decoder.decode(frame.raw, frame.at_ns) for frame in frames)


def test_a_cascade_liquidates_one_side_and_trades_through_resting_orders_below(payloads):
    """A long cascade moves the tape at least 15 bp down within the 2 s around its liquidations, mostly by sells."""
    trades, liquidations = defaultdict(list), defaultdict(list)
    for payload in payloads:
        kind, _, symbol = payload["topic"].partition(".")
        if kind == "publicTrade":
            trades[symbol] += [(t["T"], t["S"], float(t["p"])) for t in payload["data"]]
        elif kind == "allLiquidation":
            liquidations[symbol].append((payload["ts"], payload["data"]))
    moves = []
    for symbol, batches in liquidations.items():
        for ts, batch in batches:
            contract = CONTRACTS[symbol]
            notional = sum(float(one["v"]) * float(one["p"]) for one in batch)
            if notional < contract.level_usdt:
                continue
            sign = -1 if batch[0]["S"] == Side.BUY else 1
            around = [p for t, s, p in trades[symbol] if ts - 1100 <= t <= ts and (s == "Sell") == (sign < 0)]
            moves.append(sign * (around[-1] / around[0] - 1) * 1e4)
    assert len(moves) > 40
    assert mean(moves) > 15
    assert sum(move > 5 for move in moves) > 0.9 * len(moves)


@pytest.mark.parametrize(("edge", "low", "high"), [(0.0, -3.0, 3.0), (25.0, 21.0, 29.0)])
def test_what_comes_back_beyond_the_fair_rebound_is_the_planted_edge(edge, low, high):
    """Mean move of the mid over the 12 s after a liquidating step, against the cascade; other cascades average out."""

    walk = PriceWalk(1e6, random.Random(5), 16.0, edge)
    prices, triggers = [], []
    for step in range(1, 400_000):
        forced = walk.step(step / 10)
        prices.append(walk.price)
        if walk.liquidating and step % 5 == 0:
            triggers.append((step - 1, -1 if forced > 0 else 1))
    earned = [d * (prices[i + 120] / prices[i] - 1) * 1e4 for i, d in triggers if i + 120 < len(prices)]
    assert len(earned) > 4000
    assert low < mean(earned) < high, (mean(earned), stdev(earned) / len(earned) ** 0.5)


def test_the_declared_mean_size_is_that_of_the_draw():
    rng = random.Random(1)
    low, high = SIZE_LIMITS_BPS
    draws = [min(max(SIZE_MEDIAN_BPS * math.exp(SIZE_SIGMA * rng.gauss(0, 1)), low), high) for _ in range(100_000)]
    assert mean(draws) == pytest.approx(SIZE_MEAN_BPS, abs=0.15)


def test_cascades_come_at_the_set_mean_interval():
    walk = PriceWalk(1e6, random.Random(2), 11.0, 25.0)
    for step in range(1, 200_000):
        walk.step(step / 10)
    assert 20_000 / walk.cascades == pytest.approx(11.0, rel=0.08)


def test_it_makes_5000_frames_a_second():
    began = time.process_time()
    count = sum(1 for _ in islice(GeneratedMarket(SYMBOLS).frames(), 10_000))
    assert count / (time.process_time() - began) > 5_000


def test_the_frame_rate_is_that_of_the_books():
    fast = GeneratedMarket(("BTCUSDT",), frame_rate=50.0)
    books = [f.at_ns for f in islice(fast.frames(), 2000) if b"orderbook" in f.raw]
    assert (books[-1] - books[0]) / (len(books) - 1) == pytest.approx(20_000_000, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"symbols": ("XRPUSDT",)}, "XRPUSDT"),
        ({"symbols": ()}, "empty"),
        ({"symbols": ("BTCUSDT",), "frame_rate": 0.5}, "frame_rate"),
        ({"symbols": ("BTCUSDT",), "cascade_interval_s": 2.0}, "cascade_interval_s"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(arguments, word):
    with pytest.raises(ValueError, match=word):
        GeneratedMarket(**arguments)


def test_the_label_says_what_was_planted():
    assert "planted edge 25 bp" in GeneratedMarket(SYMBOLS).label
    assert "no planted edge" in GeneratedMarket(SYMBOLS, planted_edge_bps=0).label


def test_minutes_close_with_a_confirmed_candle(payloads):
    confirmed = [p["data"][0] for p in payloads if p["topic"] == "kline.1.BTCUSDT" and p["data"][0]["confirm"]]
    assert confirmed
    for candle in confirmed:
        assert candle["start"] % 60_000 == 0
        assert float(candle["low"]) <= float(candle["open"]) <= float(candle["high"])


def test_funding_is_due_at_the_next_eighth_hour(payloads):
    ticker = next(p for p in payloads if p["topic"] == "tickers.BTCUSDT")
    due = int(ticker["data"]["nextFundingTime"])
    assert due % (8 * 3_600_000) == 0
    assert 0 < due - ticker["ts"] <= 8 * 3_600_000
