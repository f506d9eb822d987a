from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.venue.board import Board
from services.venue.offer import MOST_ARGUMENT_CHARACTERS, linear_offer
from services.venue.public_socket import PublicHub
from tests.services.venue.faultless import faultless
from tests.services.venue.little_market import book, ticker, trade
from tests.services.venue.shown import ORIGIN_MS, Ear, Shown, unlimited
from undertow.exchange.book import OrderBook


def delta(at_ms: int, u: int, *bids: tuple[str, str]) -> dict[str, Any]:
    return book(at_ms, kind="delta", u=u, bids=[list(level) for level in bids], asks=[])


def numbered(count: int, start: str = "65000.00") -> list[list[str]]:
    return [[str(Decimal(start) - n), str(n + 1)] for n in range(count)]


def stamps(frames: list[dict[str, Any]]) -> list[tuple[int, str, int]]:
    return [(frame["ts"] - ORIGIN_MS, frame["type"], frame["data"]["u"]) for frame in frames]


# depths


@pytest.mark.parametrize(("depth", "cadence_ms"), [(1, 10), (50, 20), (1000, 200)])
def test_each_depth_is_pushed_at_its_own_cadence_with_its_own_update_id(depth, cadence_ms):
    shown = Shown(book(u=70))
    ear = Ear(shown.hub, f"orderbook.{depth}.BTCUSDT")
    for n in range(1, 1000):
        shown.show(delta(n, 70 + n, ("65000.00", f"{n}.000")))
    shown.pass_time(1000)
    frames = ear.take()
    assert [frame["ts"] - ORIGIN_MS for frame in frames] == list(range(0, 1001, cadence_ms))
    assert [frame["data"]["u"] for frame in frames] == list(range(1, len(frames) + 1))
    kinds = {frame["type"] for frame in frames[1:]}
    assert kinds == ({"snapshot"} if depth == 1 else {"delta"})
    # a push holds everything before its moment and nothing after
    assert [frame["data"]["seq"] - 1070 for frame in frames[1:]] == [n - 1 for n in range(cadence_ms, 1001, cadence_ms)]
    assert [frame["cts"] - ORIGIN_MS for frame in frames[1:]] == [n - 1 for n in range(cadence_ms, 1001, cadence_ms)]


def test_the_markets_own_depth_goes_out_byte_for_byte():
    shown = Shown(book(u=70))
    ear = Ear(shown.hub, "orderbook.200.BTCUSDT")
    frames = [delta(n, 70 + n, ("64990.00", f"{n}")) for n in range(1, 5)]
    shown.show(*frames)
    snapshot, *rest = ear.take()
    assert (snapshot["type"], snapshot["data"]["u"]) == ("snapshot", 70)
    assert rest == frames


def test_a_client_that_applies_the_deltas_has_the_best_levels_of_the_market():
    shown = Shown(book(bids=numbered(120), asks=[["66000.00", "1"]]))
    ear = Ear(shown.hub, "orderbook.50.BTCUSDT")
    for n in range(1, 300):
        gone = (str(Decimal(65000) - n % 40), "0" if n % 3 else f"{n}.5")
        shown.show(delta(7 * n, n, gone, (f"{65000 - n % 110}.5", str(n % 5))))
    shown.pass_time(3000)
    mine = OrderBook(50)
    for frame in ear.take():
        data = frame["data"]
        levels = [tuple(level) for level in data["b"]], [tuple(level) for level in data["a"]]
        (mine.replace if frame["type"] == "snapshot" else mine.apply)(*levels)
    assert len(mine.levels()[0]) == 50
    assert mine.levels() == shown.board.of("BTCUSDT").levels(50)


def test_the_best_prices_are_sent_again_after_three_seconds_without_a_change():
    shown = Shown(book())
    ear = Ear(shown.hub, "orderbook.1.BTCUSDT")
    for at_ms in range(0, 4000, 500):
        shown.show(delta(at_ms, at_ms + 2, ("64999.90", f"{at_ms + 1}")))  # behind the best bid
    for at_ms in range(4000, 7000, 5):
        shown.pass_time(at_ms)
    frames = ear.take()
    assert stamps(frames) == [(0, "snapshot", 1), (3000, "snapshot", 1), (6000, "snapshot", 1)]
    assert frames[0]["data"] == frames[1]["data"]
    assert len(frames[0]["data"]["b"]) == len(frames[0]["data"]["a"]) == 1


def test_a_change_behind_the_depth_is_no_change():
    shown = Shown(book(bids=numbered(60)))
    ear = Ear(shown.hub, "orderbook.50.BTCUSDT")
    shown.show(delta(5, 2, ("64945.00", "9")))
    shown.pass_time(100)
    assert stamps(ear.take()) == [(0, "snapshot", 1)]


def test_levels_that_leave_the_depth_are_deleted_and_those_that_come_back_are_told():
    shown = Shown(book(bids=numbered(50)))
    ear = Ear(shown.hub, "orderbook.50.BTCUSDT")
    shown.show(delta(1, 2, ("65000.50", "4")))
    shown.show(delta(21, 3, ("65000.50", "0")))
    shown.pass_time(40)
    _, pushed_out, back = ear.take()
    assert sorted(pushed_out["data"]["b"]) == [["64951.00", "0"], ["65000.50", "4"]]
    assert sorted(back["data"]["b"]) == [["64951.00", "50"], ["65000.50", "0"]]


def test_a_market_with_fewer_levels_than_asked_for_gives_what_it_has():
    shown = Shown(book())
    ear = Ear(shown.hub, "orderbook.1000.BTCUSDT")
    (snapshot,) = ear.take()
    assert [len(snapshot["data"][side]) for side in "ba"] == [2, 2]


def test_one_who_joins_later_gets_the_book_that_the_others_have_and_then_the_same_frames():
    shown = Shown(book())
    first = Ear(shown.hub, "orderbook.50.BTCUSDT")
    shown.show(delta(1, 2, ("65000.00", "1")))
    shown.pass_time(20)
    shown.show(delta(21, 3, ("65000.00", "2")))
    second = Ear(shown.hub, "orderbook.50.BTCUSDT")
    shown.pass_time(40)
    assert stamps(first.take()) == [(0, "snapshot", 1), (20, "delta", 2), (40, "delta", 3)]
    snapshot, later = second.take()
    assert (snapshot["type"], snapshot["data"]["u"], snapshot["data"]["b"][0]) == ("snapshot", 2, ["65000.00", "1"])
    assert later["data"]["u"] == 3


def test_a_topic_that_nobody_wants_any_more_rests_and_goes_on_with_its_update_id():
    shown = Shown(book())
    ear = Ear(shown.hub, "orderbook.50.BTCUSDT")
    ear.hear({"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]})
    for n in range(2, 50):
        shown.show(delta(n, n, ("65000.00", f"{n}")))
    shown.pass_time(100)
    assert stamps(ear.take()) == [(0, "snapshot", 1)]
    ear.hear({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
    (again,) = ear.take()
    assert (again["data"]["u"], again["data"]["b"][0]) == (2, ["65000.00", "49"])


def test_when_the_markets_book_restarts_every_depth_starts_with_update_id_1():
    shown = Shown(book(u=70))
    ear = Ear(shown.hub, "orderbook.50.BTCUSDT")
    shown.show(delta(1, 71, ("65000.00", "1")), book(25, u=1, bids=[["64000.00", "1"]], asks=[["64001.00", "1"]]))
    shown.pass_time(40)
    frames = ear.take()
    assert stamps(frames)[-1] == (40, "snapshot", 1)
    assert frames[-1]["data"]["b"] == [["64000.00", "1"]]


def test_a_depth_subscribed_before_the_market_begins_starts_with_its_first_snapshot():
    shown = Shown()
    ear = Ear(shown.hub, "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    assert ear.take() == []
    shown.show(book())
    shown.pass_time(20)
    assert [(frame["topic"], frame["type"]) for frame in ear.take()] == [
        ("orderbook.1.BTCUSDT", "snapshot"),
        ("orderbook.50.BTCUSDT", "snapshot"),
    ]


# candles


def test_every_interval_is_pushed_each_second_with_news_and_confirmed_once():
    shown = Shown()
    ear = Ear(shown.hub, "kline.1.BTCUSDT", "kline.M.BTCUSDT")
    shown.show(trade(0, "10.00", "1"), trade(500, "12.00", "1"), trade(1500, "11.00", "2"))
    for at_ms in range(2000, 64_000, 500):
        shown.pass_time(at_ms)
    minutes = [frame for frame in ear.take() if frame["topic"] == "kline.1.BTCUSDT"]
    assert [frame["ts"] - ORIGIN_MS for frame in minutes] == [1000, 2000, 61_000]
    assert [candle["confirm"] for frame in minutes for candle in frame["data"]] == [False, False, True, False]
    closed, opened = minutes[-1]["data"]
    assert (closed["open"], closed["high"], closed["low"], closed["close"]) == ("10.00", "12.00", "10.00", "11.00")
    assert (closed["volume"], closed["turnover"]) == ("4", "44.00")
    assert (closed["start"], closed["end"]) == (ORIGIN_MS, ORIGIN_MS + 59_999)
    assert (opened["open"], opened["volume"], opened["confirm"]) == ("11.00", "0", False)


def test_a_month_is_pushed_like_a_minute():
    shown = Shown()
    ear = Ear(shown.hub, "kline.M.BTCUSDT")
    shown.show(trade(0, "10.00", "1"))
    shown.pass_time(1000)
    (frame,) = ear.take()
    (month,) = frame["data"]
    assert (month["start"], month["end"]) == (1785542400000, 1788220799999)


def test_longer_candles_of_a_market_that_tells_its_minutes_are_added_up_from_them():
    shown = Shown(kline_intervals=("1",))
    ear = Ear(shown.hub, "kline.1.BTCUSDT", "kline.5.BTCUSDT")
    told = {"start": ORIGIN_MS, "end": ORIGIN_MS + 59_999, "interval": "1", "open": "9", "high": "9", "low": "9"}
    data = [{**told, "close": "9", "volume": "1", "turnover": "9", "confirm": False, "timestamp": ORIGIN_MS + 100}]
    frame = {"topic": "kline.1.BTCUSDT", "data": data, "ts": ORIGIN_MS + 100, "type": "snapshot"}
    shown.show(trade(1, "100.00"), frame)
    shown.pass_time(1000)
    own, made = ear.take()
    assert own == frame
    assert (made["topic"], made["data"][0]["close"]) == ("kline.5.BTCUSDT", "9")


# the rest


def test_price_limits_are_pushed_every_300_ms():
    shown = Shown(book(), ticker())
    ear = Ear(shown.hub, "priceLimit.BTCUSDT")
    for at_ms in range(0, 1000, 10):
        shown.pass_time(at_ms)
    frames = ear.take()
    assert [frame["ts"] % 300 for frame in frames] == [0, 0, 0]
    assert frames[0]["data"] == {"symbol": "BTCUSDT", "buyLmt": "65650.00", "sellLmt": "64350.00"}


def test_time_that_was_slept_through_is_not_made_up_for():
    shown = Shown(book(), ticker())
    ear = Ear(shown.hub, "priceLimit.BTCUSDT", "orderbook.1.BTCUSDT")
    ear.take()
    shown.pass_time(3_600_005)
    assert len(ear.take()) == 2


def test_what_is_not_subscribed_makes_no_work():
    shown = Shown(book(), ticker())
    shown.show(*(delta(n, n, ("65000.00", f"{n}")) for n in range(2, 20)))
    shown.pass_time(10_000)
    assert (shown.hub._timetable, shown.hub._channels) == ([], {})


def test_spot_takes_ten_topics_a_request():
    shown = Shown(ticker())
    ear = Ear(shown.spot.hub)
    ear.hear(
        {"op": "subscribe", "args": [f"kline.{n}.BTCUSDT" for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720, "D")]}
    )
    ear.hear({"op": "subscribe", "args": ["orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]})
    refused, top, own, accepted = ear.heard
    assert (refused["success"], refused["ret_msg"]) == (False, "error:args of one request exceed 10 topics")
    assert (top["topic"], own["topic"]) == ("orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    assert accepted["success"] is True
    ear.heard.clear()
    shown.show(*(ticker(at, indexPrice=f"{65000 + at // 100}.00") for at in range(100, 9000, 100)))
    kinds = {frame["topic"] for frame in ear.take()}
    assert kinds == {"orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"}


def test_spot_has_no_topics_of_contracts():
    ear = Ear(Shown(ticker()).spot.hub, "allLiquidation.BTCUSDT")
    assert ear.heard[0]["success"] is False


def test_all_arguments_of_a_connection_are_bounded():
    symbols = [f"C{number:04}USDT" for number in range(2000)]
    hub = PublicHub(Board(symbols, 200), linear_offer(200, (), unlimited), faultless())
    topics = [f"publicTrade.{symbol}" for symbol in symbols]
    fits = MOST_ARGUMENT_CHARACTERS // len(topics[0])
    ear = Ear(hub, *topics[: fits - 1])
    ear.hear({"op": "subscribe", "args": topics[fits - 1 : fits], "req_id": "fits"})
    ear.hear({"op": "subscribe", "args": topics[fits : fits + 1], "req_id": "beyond"})
    assert [reply["success"] for reply in ear.heard] == [True, True, False]
    assert ear.heard[2] == {
        "success": False,
        "ret_msg": "error:args of one connection exceed 21000 characters",
        "conn_id": ear.conn_id,
        "req_id": "beyond",
        "op": "subscribe",
    }
