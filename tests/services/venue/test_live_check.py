from __future__ import annotations

import json
from typing import Any

import pytest

from services.venue.live_check import (
    ASK_AGAIN_NS,
    AWAITS_SNAPSHOT,
    BREAKS_A_RULE,
    NOT_SUBSCRIBED,
    UNREADABLE,
    Dropped,
    LiveCheck,
)
from tests.services.venue.little_market import book, ticker, trade
from undertow.markets.instruments import instruments_for

SYMBOLS = ("BTCUSDT", "ETHUSDT")
KINDS = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
BTC, ETH = (f"orderbook.200.{symbol}" for symbol in SYMBOLS)


def check(instruments: Any = None) -> LiveCheck:
    """One that has the book of BTCUSDT."""
    topics = [f"{kind}.{symbol}" for kind in KINDS for symbol in SYMBOLS]
    made = LiveCheck(instruments or instruments_for(SYMBOLS), topics, 200)
    assert made.look(raw(book(u=5)), 0) is None
    return made


def raw(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame).encode()


def delta(u: int, price: str = "65000.00", size: str = "1.000") -> bytes:
    return raw(book(kind="delta", u=u, bids=[[price, size]], asks=[]))


def changed(frame: dict[str, Any], **data: Any) -> dict[str, Any]:
    """A frame whose data (or whose first item) says something else."""
    inside = frame["data"]
    return {**frame, "data": {**inside, **data} if isinstance(inside, dict) else [{**inside[0], **data}, *inside[1:]]}


@pytest.mark.parametrize(
    ("frame", "reason", "detail"),
    [
        (raw(trade(1, "64990.05")), BREAKS_A_RULE, "price 64990.05 is not a multiple of 0.10"),
        (raw(ticker(fundingRate="0.000000001")), BREAKS_A_RULE, "fundingRate 1E-9 is finer"),
        (raw(ticker(markPrice="NaN")), BREAKS_A_RULE, "markPrice 'NaN' is not a number"),
        (
            raw(ticker(indexPrice="0.000000000000000001")),
            BREAKS_A_RULE,
            "is not from 0.10",
        ),  # no premium of it can be reckoned
        (raw(changed(ticker(), markPrice=None)), UNREADABLE, "markPrice of the ticker is no text"),
        (raw(changed(ticker(), volume24h=5)), UNREADABLE, "volume24h of the ticker is no text"),
        (raw({**ticker(), "cs": None}), UNREADABLE, "cs"),
        (raw(changed(trade(1), BT=None)), UNREADABLE, "BT"),
        (raw(changed(trade(1), s="ETHUSDT")), BREAKS_A_RULE, "it is about ETHUSDT"),
        (raw(changed(ticker(), symbol="ETHUSDT")), BREAKS_A_RULE, "it is about ETHUSDT"),
        (raw({**trade(1), "topic": "publicTrade.XYZUSDT"}), NOT_SUBSCRIBED, "publicTrade.XYZUSDT"),
        (raw({**book(), "topic": "orderbook.50.BTCUSDT"}), NOT_SUBSCRIBED, "orderbook.50.BTCUSDT"),
        (raw({"op": "news"}), UNREADABLE, "topic"),
        (b'{"topic":"publicTrade.BTCUSDT","data":[{"T":1', UNREADABLE, ""),
        (raw(ticker())[:-1] + b',"note":"\xff"}', UNREADABLE, "utf-8"),
        (b'{"topic":"tickers.BTCUSDT","data":' + b"[" * 100_000, UNREADABLE, ""),
    ],
)
def test_what_cannot_be_played_is_dropped_with_its_reason_and_costs_no_book(
    frame: bytes, reason: str, detail: str
) -> None:
    made = check()
    lost = made.look(frame, 1)
    assert lost is not None
    assert (lost.reason, lost.again) == (reason, () if b"topic" in frame else (BTC, ETH))
    assert detail in lost.detail


def test_what_can_be_played_is_taken_and_keys_that_nobody_knows_do_no_harm() -> None:
    made = check()
    candle = dict.fromkeys(("open", "high", "low", "close", "volume", "turnover"), "1")
    times = {"start": 1, "end": 2, "timestamp": 1, "interval": "1", "confirm": False}
    frames = [
        delta(6),
        raw(trade(1)),
        raw(ticker()),
        raw(changed(ticker(), newKey=None, other=5)),
        raw({"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": 1, "data": [{**times, **candle}]}),
    ]
    assert [made.look(frame, 1) for frame in frames] == [None] * 5


def test_the_filters_are_the_upstreams_own() -> None:
    (item,) = instruments_for(("BTCUSDT",))
    finer = {**item, "priceFilter": {**item["priceFilter"], "tickSize": "0.05"}}
    assert check([finer]).look(raw(trade(1, "64990.05")), 1) is None


@pytest.mark.parametrize("bad", [delta(6, "65000.05"), delta(6, "65100.00"), delta(6, "65000.00", "-1")])
def test_a_book_that_lost_a_frame_stands_until_its_next_snapshot(bad: bytes) -> None:
    made = check()
    lost = made.look(bad, 1)
    assert lost is not None
    assert (lost.reason, lost.again) == (BREAKS_A_RULE, (BTC,))
    assert made.look(delta(7), 2) == Dropped(AWAITS_SNAPSHOT, f"{BTC} has lost a frame")
    assert set(made.awaited) == {BTC}
    assert made.look(raw(trade(1)), 3) is None
    assert made.look(raw(book(u=8)), 4) is None
    assert made.look(delta(9), 5) is None
    assert made.awaited == {}


def test_a_snapshot_that_does_not_come_or_is_no_better_is_asked_for_once_a_second() -> None:
    made = check()
    made.look(delta(6, "65000.05"), 0)
    asked = [
        (made.look(frame, at_ns) or Dropped("", "")).again
        for at_ns, frame in (
            (ASK_AGAIN_NS - 1, delta(7)),
            (ASK_AGAIN_NS, delta(8)),
            (ASK_AGAIN_NS + 1, raw(book(u=9, bids=[["65000.05", "1"]]))),
            (2 * ASK_AGAIN_NS, raw(book(u=9, bids=[["65000.05", "1"]]))),
        )
    ]
    assert asked == [(), (BTC,), (), (BTC,)]


def test_a_broken_frame_may_have_been_of_the_book_that_its_topic_names_or_of_any() -> None:
    for broken, books in (
        (b'{"topic" : "orderbook.200.BTCUSDT", "da', (BTC,)),
        (b"{", (BTC, ETH)),
        (b"\xff\xfe", (BTC, ETH)),
    ):
        made = check()
        lost = made.look(broken, 1)
        assert lost is not None
        assert (lost.reason, lost.again) == (UNREADABLE, books)


def test_the_first_frame_after_a_restart_of_the_book_is_a_snapshot_whatever_it_is_called() -> None:
    made = check()
    made.look(delta(6, "65000.05"), 1)
    assert made.look(delta(1), 2) is None
    assert made.awaited == {}
