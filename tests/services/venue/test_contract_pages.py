from __future__ import annotations

from decimal import Decimal

import pytest

from services.venue.answers import Refusal
from services.venue.board import Board
from services.venue.category_pages import LINEAR, CategoryPages
from services.venue.contract_pages import ContractPages
from tests.services.venue.little_market import book, ticker
from tests.services.venue.shown import ORIGIN_MS, Shown, unlimited
from undertow.markets.instruments import known_symbols

HOUR_MS = 3_600_000


def test_mark_index_and_premium_have_candles_without_volumes():
    page = Shown(
        book(),
        ticker(markPrice="65001.00", indexPrice="64900.00"),
        ticker(100, kind="delta", markPrice="65003.00", indexPrice="65100.00"),
    )
    for name, low, high in (
        ("mark-price-kline", "65001.00", "65003.00"),
        ("index-price-kline", "64900.00", "65100.00"),
    ):
        (row,) = page.ask(name, {"interval": "1"})["list"]
        assert row == [str(ORIGIN_MS), low, high, low, high]
    # the book is 65000.00 / 65000.10: 100 above an index of 64900, 99.90 below one of 65100
    (row,) = page.ask("premium-index-price-kline", {"interval": "1"})["list"]
    assert row == [str(ORIGIN_MS), "0.00154083", "0.00154083", "-0.00153456", "-0.00153456"]


def test_open_interest_is_the_first_value_of_each_interval():
    page = Shown(
        ticker(),
        ticker(1000, kind="delta", openInterest="101.000"),
        ticker(300_000, kind="delta", openInterest="102.000"),
    )
    rows = page.ask("open-interest", {"intervalTime": "5min"})["list"]
    assert [row["openInterest"] for row in rows] == ["102.000", "100.000"]
    assert rows[0]["singleOpenInterest"] == "50.000"
    assert all(int(row["timestamp"]) % 300_000 == 0 for row in rows)
    assert [r["openInterest"] for r in page.ask("open-interest", {"intervalTime": "1d"})["list"]] == ["100.000"]


def test_open_interest_is_paged():
    page = Shown(ticker(), *(ticker(n * 300_000, kind="delta", openInterest=f"{n}.000") for n in range(1, 5)))
    first = page.ask("open-interest", {"intervalTime": "5min", "limit": "3"})
    second = page.ask("open-interest", {"intervalTime": "5min", "limit": "3", "cursor": first["nextPageCursor"]})
    both = [row["openInterest"] for row in [*first["list"], *second["list"]]]
    assert both == ["4.000", "3.000", "2.000", "1.000", "100.000"]
    assert second["nextPageCursor"] == ""


def test_what_comes_between_two_pages_of_open_interest_shifts_nothing():
    page = Shown(ticker(), *(ticker(n * 300_000, kind="delta", openInterest=f"{n}.000") for n in range(1, 4)))
    asked = {"intervalTime": "5min", "limit": "2"}
    first = page.ask("open-interest", asked)
    page.show(ticker(4 * 300_000, kind="delta", openInterest="4.000"))
    second = page.ask("open-interest", {**asked, "cursor": first["nextPageCursor"]})
    assert [row["openInterest"] for row in [*first["list"], *second["list"]]] == ["3.000", "2.000", "1.000", "100.000"]


def test_funding_is_history_once_its_stamp_has_passed():
    page = Shown(ticker(), ticker(10, kind="delta", fundingRate="0.0002"))
    assert page.ask("funding/history")["list"] == []
    page.show(ticker(20, kind="delta", nextFundingTime="1786348800000", fundingRate="0.0003"))
    page.show(ticker(30, kind="delta", nextFundingTime="1786320000000"))
    (settled,) = page.ask("funding/history")["list"]
    assert settled == {"symbol": "BTCUSDT", "fundingRate": "0.0002", "fundingRateTimestamp": "1786320000000"}
    assert page.ask("funding/history", {"endTime": "1786320000000"})["list"] == [settled]
    assert page.ask("funding/history", {"startTime": "1", "endTime": "1786319999999"})["list"] == []


def test_funding_goes_on_when_the_market_has_ended():
    page = Shown(ticker())
    due = 1786320000000
    page.pass_time(due - ORIGIN_MS + 8 * HOUR_MS)
    stamps = [row["fundingRateTimestamp"] for row in page.ask("funding/history")["list"]]
    assert stamps == [str(due + 8 * HOUR_MS), str(due)]
    page.show(ticker(due + 9 * HOUR_MS - ORIGIN_MS, kind="delta", nextFundingTime=str(due + 9 * HOUR_MS)))
    page.show(ticker(due + 9 * HOUR_MS - ORIGIN_MS + 1, kind="delta", nextFundingTime=str(due + 10 * HOUR_MS)))
    newest = page.ask("funding/history", {"limit": "1"})["list"]
    assert newest[0]["fundingRateTimestamp"] == str(due + 9 * HOUR_MS)


def test_the_price_limit_follows_mark_index_and_premium():
    result = Shown(book(), ticker(markPrice="65000.00", indexPrice="65000.00")).ask("price-limit")
    # X = 1 %, Y = 2 %; premium = mid 65000.05 - mark = 0.05
    assert (result["buyLmt"], result["sellLmt"]) == ("65650.00", "64350.00")
    assert Decimal(result["buyLmt"]) % Decimal("0.10") == 0
    assert result["ts"] == str(ORIGIN_MS)


def test_the_price_limit_needs_a_mark_price():
    with pytest.raises(Refusal, match="no mark price"):
        Shown().ask("price-limit")


def test_risk_limits_are_those_of_the_symbol_or_of_a_page_of_symbols():
    page = Shown(symbols=known_symbols())
    assert {tier["symbol"] for tier in page.ask("risk-limit")["list"]} == {"BTCUSDT"}
    everything = page.pages.answer("/v5/market/risk-limit", {"category": "linear"}, 0)
    assert {tier["symbol"] for tier in everything["list"]} == set(known_symbols())


def test_risk_limits_come_15_symbols_a_page():
    symbols = [f"C{number:02}USDT" for number in range(20)]
    tiers = [{"symbol": symbol, "id": number} for symbol in symbols for number in (1, 2)]
    pages = ContractPages(CategoryPages(LINEAR, Board(symbols, 200), []), tiers, unlimited)
    first = pages.risk_limit({}, 0)
    second = pages.risk_limit({"cursor": first["nextPageCursor"]}, 0)
    assert [len({tier["symbol"] for tier in page["list"]}) for page in (first, second)] == [15, 5]
    assert second["nextPageCursor"] == ""


def test_nobody_knows_other_peoples_accounts():
    assert Shown().ask("account-ratio", {"period": "1h"}) == {"list": [], "nextPageCursor": ""}
