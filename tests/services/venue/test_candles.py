from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from services.venue.candles import KEPT, MINUTE_MS, Candle, Candles, interval_end, interval_start

ONE = Decimal(1)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1000


START = ms("2026-08-31T23:58:00")  # a Monday, the last of its month


def traded(*trades: tuple[int, str]) -> Candles:
    candles = Candles()
    for at_ms, price in trades:
        candles.trade(START + at_ms, Decimal(price), ONE)
    return candles


@pytest.mark.parametrize(
    ("interval", "at", "start", "end"),
    [
        ("3", "2026-08-09T21:28:59", "2026-08-09T21:27:00", "2026-08-09T21:30:00"),
        ("240", "2026-08-09T21:27:00", "2026-08-09T20:00:00", "2026-08-10T00:00:00"),
        ("D", "2026-08-09T21:27:00", "2026-08-09T00:00:00", "2026-08-10T00:00:00"),
        ("W", "2026-08-09T21:27:00", "2026-08-03T00:00:00", "2026-08-10T00:00:00"),
        ("W", "2026-08-10T00:00:00", "2026-08-10T00:00:00", "2026-08-17T00:00:00"),
        ("M", "2026-08-09T21:27:00", "2026-08-01T00:00:00", "2026-09-01T00:00:00"),
        ("M", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_candles_start_and_end_where_the_calendar_says(interval, at, start, end):
    assert interval_start(interval, ms(at)) == ms(start)
    assert interval_end(interval, ms(start)) == ms(end) - 1


def test_longer_candles_are_the_sum_of_their_minutes():
    candles = traded((0, "10"), (60_000, "12"), (120_000, "9"), (180_000, "11"))
    day, month = candles.page("D", 0, 2**62, 10), candles.page("M", 0, 2**62, 10)
    assert [row[1:6] for row in day] == [["9", "11", "9", "11", "2"], ["10", "12", "10", "12", "2"]]
    assert [row[0] for row in month] == [str(ms("2026-09-01T00:00:00")), str(ms("2026-08-01T00:00:00"))]
    (week,) = candles.page("W", 0, 2**62, 10)
    assert week[1:7] == ["10", "12", "9", "11", "4", "42"]


def test_a_minute_without_a_trade_is_flat_at_the_last_close():
    candles = traded((0, "10"), (180_000, "11"))
    rows = candles.page("1", 0, 2**62, 10)
    assert [row[1:6] for row in rows] == [
        ["11", "11", "11", "11", "1"],
        ["10", "10", "10", "10", "0"],
        ["10", "10", "10", "10", "0"],
        ["10", "10", "10", "10", "1"],
    ]


def test_time_alone_closes_a_minute_a_second_after_its_end():
    candles = traded((0, "10"))
    candles.pass_time(START + MINUTE_MS + 999)
    assert [is_closed for _, _, is_closed in candles.since("1", 0)] == [False]
    candles.pass_time(START + MINUTE_MS + 1_000)
    assert [is_closed for _, _, is_closed in candles.since("1", 0)] == [True, False]


def test_a_trade_that_is_late_counts_in_the_open_minute():
    candles = traded((0, "10"), (60_000, "12"), (59_000, "50"))
    newest, oldest = candles.page("1", 0, 2**62, 10)
    assert (newest[2], newest[5], oldest[2]) == ("50", "2", "10")


def test_a_told_minute_may_be_corrected_until_two_later_ones_have_begun():
    candles = Candles()
    for start, close in ((0, "1"), (60_000, "2"), (0, "7"), (120_000, "3"), (0, "9")):
        number = Decimal(close)
        candles.told(START + start, Candle(number, number, number, number, ONE, number))
    assert [row[4] for row in candles.page("1", 0, 2**62, 10)] == ["3", "2", "7"]
    assert candles.page("W", 0, 2**62, 10)[0][1:7] == ["7", "7", "2", "3", "3", "12"]
    candles.pass_time(START + 10 * MINUTE_MS)
    assert len(candles.page("1", 0, 2**62, 10)) == 3


def test_of_each_interval_only_so_many_candles_are_remembered():
    candles = traded((0, "10"), ((KEPT + 500) * MINUTE_MS, "11"))
    assert len(candles.page("1", 0, 2**62, 10_000)) == KEPT + 2
    assert candles.page("1", 0, 2**62, 1)[0][4] == "11"
