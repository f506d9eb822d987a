from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from services.venue.core import AccountSpec, VenueCore
from tests.services.venue.little_market import ORIGIN_NS, book, order, ticker
from undertow.markets.instruments import instruments_for, risk_tiers_for

PATH = "/v5/position/closed-pnl"
ASKED = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture
def core():
    spec = AccountSpec(uid="1", opening_balance=Decimal(10_000), taker_rate=Decimal("0.0005"))
    core = VenueCore(instruments_for(["BTCUSDT"]), risk_tiers_for(["BTCUSDT"]), [spec], opened_ns=ORIGIN_NS)
    for frame in (book(), ticker()):
        core.on_frame(msgspec.json.encode(frame), ORIGIN_NS)
    return core


def trade(core, side, qty, **more):
    body = order(side=side, orderType="Market", qty=qty, **more)
    answer = core.post("1", "/v5/order/create", body, ORIGIN_NS)
    assert answer.ret_code == 0
    return answer.result["orderId"]


def rows(core, **more):
    answer = core.get("1", PATH, {**ASKED, **more}, ORIGIN_NS)
    assert answer.ret_code == 0
    return answer.result["list"]


def test_an_order_that_opens_has_no_row(core):
    trade(core, "Buy", "0.010")
    assert rows(core) == []


def test_a_closing_order_shows_what_it_earned_and_what_both_ways_cost(core):
    trade(core, "Buy", "0.010")
    closing = trade(core, "Sell", "0.004", reduceOnly=True)
    (row,) = rows(core)
    assert (row["orderId"], row["side"], row["closedSize"], row["fillCount"]) == (closing, "Sell", "0.004", "1")
    assert (row["avgEntryPrice"], row["avgExitPrice"]) == ("65000.1", "65000")
    assert (row["cumEntryValue"], row["cumExitValue"]) == ("260.0004", "260")
    assert (row["openFee"], row["closeFee"]) == ("0.1300002", "0.13")
    expected = Decimal(260) - Decimal("260.0004") - Decimal("0.1300002") - Decimal("0.13")
    assert Decimal(row["closedPnl"]) == expected
    assert row["leverage"] == "10"


def test_a_flip_counts_its_closing_part_alone(core):
    trade(core, "Sell", "0.010")
    trade(core, "Buy", "0.030")
    (row,) = rows(core)
    assert (row["qty"], row["closedSize"], row["avgEntryPrice"]) == ("0.03", "0.01", "65000")
    assert Decimal(row["cumExitValue"]) == Decimal("650.001")
    assert Decimal(row["closeFee"]) == Decimal("650.001") * Decimal("0.0005")


def test_rows_come_newest_first_in_pages_and_within_the_span(core):
    trade(core, "Buy", "0.030")
    ids = [trade(core, "Sell", "0.010", reduceOnly=True) for _ in range(3)]
    assert [row["orderId"] for row in rows(core)] == ids[::-1]
    page = core.get("1", PATH, {**ASKED, "limit": "2"}, ORIGIN_NS).result
    rest = core.get("1", PATH, {**ASKED, "limit": "2", "cursor": page["nextPageCursor"]}, ORIGIN_NS).result
    assert [row["orderId"] for row in page["list"] + rest["list"]] == ids[::-1]
    long_ago = {"startTime": "1000", "endTime": "2000"}
    assert rows(core, **long_ago) == []


def test_coins_are_those_of_the_markets(core):
    answer = core.get("1", "/v5/asset/coin/query-info", {}, ORIGIN_NS)
    assert [row["coin"] for row in answer.result["rows"]] == ["BTC", "USDT"]
    assert core.get("1", "/v5/asset/coin/query-info", {"coin": "XYZ"}, ORIGIN_NS).ret_code == 10001
