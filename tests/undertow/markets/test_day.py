from __future__ import annotations

from decimal import Decimal

from undertow.markets.day import Day

HOUR = 3_600_000
MINUTE = 60_000


def traded(day: Day, *trades: tuple[int, str]) -> Day:
    for at_ms, price in trades:
        day.traded(at_ms, Decimal(price), Decimal("0.5"))
    return day


def test_a_day_sums_up_what_was_seen_and_forgets_what_is_older_to_the_hour() -> None:
    day = traded(Day(), (10, "100.00"), (20, "90.00"), (HOUR, "120.00"))
    assert day.fields(HOUR, Decimal("110.00")) == {
        "highPrice24h": "120.00",
        "lowPrice24h": "90.00",
        "prevPrice24h": "100.00",
        "volume24h": "1.5",
        "turnover24h": "155.000",
        "price24hPcnt": "0.1000",
    }
    later = day.fields(24 * HOUR, Decimal("132.00"))
    assert (later["prevPrice24h"], later["lowPrice24h"], later["price24hPcnt"]) == ("120.00", "120.00", "0.1000")


def test_before_the_first_trade_the_last_price_stands_for_all() -> None:
    fields = Day().fields(5, Decimal("7.10"))
    assert (fields["prevPrice24h"], fields["highPrice24h"], fields["lowPrice24h"]) == ("7.10",) * 3
    assert (fields["volume24h"], fields["turnover24h"], fields["price24hPcnt"]) == ("0", "0", "0.0000")
    assert Day().hour_ago(5, Decimal("7.10")) == "7.10"


def test_the_price_of_an_hour_ago_is_the_first_since_then() -> None:
    day = traded(Day(), (0, "1"), (MINUTE, "2"), (MINUTE + 1, "9"), (61 * MINUTE - 1, "3"))
    assert day.hour_ago(59 * MINUTE, Decimal(5)) == "1"
    assert day.hour_ago(60 * MINUTE, Decimal(5)) == "2"
    assert day.hour_ago(61 * MINUTE, Decimal(5)) == "3"
    assert day.hour_ago(200 * MINUTE, Decimal(5)) == "5"
