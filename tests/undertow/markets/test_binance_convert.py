from __future__ import annotations

import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.markets.binance_convert import DEPTH, Converter, Window
from undertow.markets.binance_wire import Depth, Quote, Snapshot, Trade

TICK = Decimal("0.10")
LEVELS = st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["0.000", "0.001", "2.500"])), max_size=80)


def spelt(levels):
    return [(f"{ticks / 10:.2f}", size) for ticks, size in levels]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from([-1, 1]), LEVELS, st.lists(LEVELS, max_size=6))
def test_a_window_always_shows_the_best_levels_of_the_whole_book_and_tells_each_change_once(sign, more, diffs):
    start = [(ticks, "1.000") for ticks in range(1, 401, 2)] + more
    window, whole, shown = Window(TICK, sign), {}, {}
    for levels in [start, *diffs]:
        whole |= dict(spelt(levels))
        changes = window.apply(spelt(levels))
        assert len({price for price, _ in changes}) == len(changes)
        for price, size in changes:
            assert shown.get(price) != size
            shown[price] = size
            if size == "0":
                del shown[price]
        alive = sorted((p for p, size in whole.items() if Decimal(size)), key=Decimal, reverse=sign < 0)
        assert shown == {price: whole[price] for price in alive[:DEPTH]}
        assert window.levels == [(price, whole[price]) for price in alive[:DEPTH]]


@pytest.fixture
def converter():
    each = Converter("BTCUSDT", TICK, {"fundingIntervalHour": "8"})
    opening = Snapshot(last=5, bids=[("100.00", "1.000")], asks=[("100.10", "2.000")], event_ms=1, matched_ms=1)
    assert [json.loads(frame)["type"] for frame in each.take(opening)] == ["snapshot"]
    return each


def fill(number: int, at_ms: int, price: str, *, sold: bool = True, kind: str = "MARKET", size: str = "0.500") -> Trade:
    return Trade(
        event_ms=at_ms, matched_ms=at_ms, symbol="BTCUSDT", trade_id=number, price=price, size=size,
        is_buyer_maker=sold, kind=kind,
    )  # fmt: skip


def taken(converter: Converter, *lines) -> list[dict]:
    return [json.loads(frame) for line in lines for frame in converter.take(line)] + [
        json.loads(frame) for frame in converter.rest()
    ]


def test_fills_of_one_moment_and_side_are_one_frame(converter):
    fills = (
        fill(1, 9, "100.00"),
        fill(2, 9, "99.90"),
        fill(3, 9, "100.10", sold=False),
        fill(4, 10, "100.10", sold=False),
    )
    frames = taken(converter, *fills)
    assert [[trade["p"] for trade in frame["data"]] for frame in frames] == [
        ["100.00", "99.90"],
        ["100.10"],
        ["100.10"],
    ]
    directions = [trade["L"] for frame in frames for trade in frame["data"]]
    assert directions == ["PlusTick", "MinusTick", "PlusTick", "ZeroPlusTick"]


def test_fills_that_were_not_against_the_book_are_left_out(converter):
    assert taken(converter, fill(1, 9, "100.00", kind="INSURANCE_FUND"), fill(2, 9, "100.00", size="0.000")) == []


def test_a_diff_far_from_the_window_is_no_frame_and_the_next_one_still_counts_on(converter):
    (frame,) = taken(converter, diff(converter, [(f"{100 - n / 10:.2f}", "1.000") for n in range(1, DEPTH)]))
    assert taken(converter, diff(converter, [("20.00", "7.000")])) == []
    (later,) = taken(converter, diff(converter, [("99.90", "0.000")]))
    assert later["data"]["u"] == frame["data"]["u"] + 1
    assert later["data"]["b"] == [["99.90", "0"], ["20.00", "7.000"]]


def diff(converter: Converter, bids) -> Depth:
    last = converter._last
    return Depth(
        event_ms=3, matched_ms=3, symbol="BTCUSDT", first=last + 1, last=last + 2, previous=last, bids=bids, asks=[]
    )


def test_there_is_no_ticker_before_a_trade_and_then_at_most_one_in_100_ms(converter):
    quotes = [
        Quote(event_ms=at, symbol="BTCUSDT", bid="100.00", bid_size=f"{at}.0", ask="100.10", ask_size="1.000")
        for at in (20, 50, 99, 150, 160, 250)
    ]
    assert taken(converter, quotes[0]) == []
    frames = taken(converter, fill(1, 40, "100.00"), *quotes[1:])
    told = [frame["ts"] for frame in frames if frame["topic"] == "tickers.BTCUSDT"]
    assert told == [50, 150, 250]


def test_a_trade_has_the_same_id_whenever_it_is_converted_and_no_other_has_it(converter):
    def ids(symbol: str, *numbers: int) -> list[str]:
        each = Converter(symbol, TICK, {})
        taken(each, Snapshot(last=5, bids=[], asks=[], event_ms=1, matched_ms=1))
        frames = taken(each, *(fill(number, 9, "100.00") for number in numbers))
        return [trade["i"] for frame in frames for trade in frame["data"]]

    assert ids("BTCUSDT", 1, 2) == ids("BTCUSDT", 1, 2)
    assert len({*ids("BTCUSDT", 1, 2), *ids("ETHUSDT", 1, 2)}) == 4
    assert all(str(UUID(each)) == each for each in ids("BTCUSDT", 1, 2))


def test_a_ticker_sums_up_what_the_recording_has_shown_and_later_tells_what_changed(converter):
    def quote(at_ms: int) -> Quote:
        return Quote(event_ms=at_ms, symbol="BTCUSDT", bid="99.90", bid_size="1", ask="100.10", ask_size="1")

    frames = taken(converter, fill(1, 40, "100.00"), quote(50), fill(2, 60, "99.00"), quote(200))
    first, second = (frame for frame in frames if frame["topic"] == "tickers.BTCUSDT")
    assert (first["type"], second["type"]) == ("snapshot", "delta")
    shown = ("prevPrice24h", "prevPrice1h", "highPrice24h", "lowPrice24h", "volume24h", "turnover24h", "price24hPcnt")
    assert [first["data"][name] for name in shown] == [
        *("100.00", "100.00", "100.00", "100.00", "0.500", "50.00000", "0.0000")
    ]
    assert (first["data"]["fundingIntervalHour"], first["data"]["preOpenPrice"]) == ("8", "")
    assert not {"openInterest", "fundingRate", "nextFundingTime"} & first["data"].keys()
    assert second["data"] == {
        "symbol": "BTCUSDT",
        "tickDirection": "MinusTick",
        "lastPrice": "99.00",
        "lowPrice24h": "99.00",
        "volume24h": "1.000",
        "turnover24h": "99.50000",
        "price24hPcnt": "-0.0100",
    }
