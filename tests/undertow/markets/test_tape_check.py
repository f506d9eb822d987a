import json
from typing import Any

import pytest

from tests.support import recorded
from undertow.exchange.bybit.frames import decode_frame
from undertow.markets.instruments import Contracts
from undertow.markets.tape import TapeSource
from undertow.markets.tape_check import TapeCheck


def book(bids: list[Any], asks: list[Any], kind: str = "delta", symbol: str = "BTCUSDT") -> Any:
    data = {"s": symbol, "b": bids, "a": asks, "u": 2, "seq": 1}
    return decode_frame(json.dumps({"topic": f"orderbook.200.{symbol}", "type": kind, "ts": 1, "data": data}).encode())


def trade(price: str, size: str) -> Any:
    item = {"T": 1, "s": "BTCUSDT", "S": "Buy", "v": size, "p": price, "i": "1"}
    return decode_frame(json.dumps({"topic": "publicTrade.BTCUSDT", "ts": 1, "data": [item]}).encode())


def ticker(**fields: str) -> Any:
    data = {"symbol": "BTCUSDT", **fields}
    return decode_frame(json.dumps({"topic": "tickers.BTCUSDT", "type": "delta", "ts": 1, "data": data}).encode())


def candle(close: str) -> Any:
    times, texts = dict.fromkeys(("start", "end", "timestamp"), 1), ("open", "high", "low", "volume", "turnover")
    item = {**times, "interval": "1", "confirm": False, "close": close, **dict.fromkeys(texts, "1")}
    return decode_frame(json.dumps({"topic": "kline.1.BTCUSDT", "ts": 1, "data": [item]}).encode())


@pytest.fixture
def check() -> TapeCheck:
    check = TapeCheck(Contracts())
    assert check.fault(book([["60000.00", "1.000"]], [["60000.10", "1.000"]], "snapshot")) == ""
    return check


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (book([], [["99999999999999999999999.00", "1"]]), "is not a number"),
        (book([], [["9999999.00", "1"]]), "above the contract's 1999999.80"),
        (book([], [["NaN", "1"]]), "'NaN' is not a number"),
        (book([], [["65200.00", "-1"]]), "'-1' is not a number"),
        (book([], [["65200.03", "1"]]), "65200.03 is not a multiple of 0.10"),
        (book([], [["65200.00", "0.0001"]]), "qty 0.0001 is not a multiple"),
        (book([["70000.00", "5"]], []), "crosses the book of BTCUSDT: bid 70000.00, ask 60000.10"),
        (book([], [], symbol="ETHUSDT"), "the book of ETHUSDT opens without a snapshot"),
        (trade("60000.00", "0"), "size 0 is not above 0"),
        (trade("0", "1"), "price 0 is not above 0"),
        (ticker(markPrice="Infinity"), "markPrice 'Infinity' is not a number"),
        (ticker(markPrice="0"), "markPrice 0 is not from 0.10"),
        (ticker(indexPrice="2000000"), "indexPrice 2000000 is not from 0.10 to 1999999.80"),
        (ticker(markPrice="0.09"), "markPrice 0.09 is not from 0.10 to 1999999.80"),
        (ticker(indexPrice="0.000000000000000001"), "indexPrice 0.000000000000000001 is not from 0.10"),
        (ticker(openInterest="-1"), "openInterest '-1' is not a number"),
        (ticker(nextFundingTime="1.5"), "nextFundingTime '1.5' is not a whole number"),
        (ticker(fundingRate="0.000000001"), "fundingRate 1E-9 is finer than 1E-8"),
        (ticker(fundingRate="-1.5"), "fundingRate -1.5 is beyond 1"),
        (candle("1.x"), "a candle has '1.x', which is not a number"),
        (ticker(fundingRate="much"), "fundingRate 'much' is not a number"),
    ],
)
def test_what_the_venue_could_not_play_is_named(check, frame, rule):
    assert rule in check.fault(frame)


@pytest.mark.parametrize(
    "frame",
    [
        book([["59999.90", "0"]], [["60000.10", "0"], ["60000.20", "3.5"]]),
        book([["1.0000", "2"]], [["1.0001", "2"]], "snapshot", "XYZUSDT"),
        trade("60000.10", "0.001"),
        ticker(markPrice="60000.05", fundingRate="-0.0001", lastPrice="", nextFundingTime="1786320000000"),
        candle("60000.10"),
    ],
)
def test_what_it_can_play_passes(check, frame):
    assert check.fault(frame) == ""


def test_the_real_recording_passes():
    assert TapeSource(recorded("bybit/linear-20260809.rawlines.gz")).frame_count == 2529
