"""The venue's money: funding, margin, liquidation, and sums that come out to the last decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor, items, topics
from undertow.domain.money import fee_for

HOUR_NS = 3_600_000 * MS


def test_an_order_that_takes_effect_after_the_stamp_pays_no_funding() -> None:
    floor = Floor(order_latency_ns=10 * MS)
    floor.market("Buy", "0.010")
    floor.ticker(nextFundingTime=str(floor.now_ns // MS + 5))
    floor.events += floor.core.on_time(floor.now_ns + 20 * MS)
    kinds = [row["execType"] for row in items(floor.events, "execution")]
    assert kinds == ["Trade"]
    assert floor.core.ledger("u1")["funding"] == "0"


def test_funding_is_paid_once_at_the_stamp_by_those_who_hold() -> None:
    floor = Floor()
    stamp_ns = floor.now_ns + HOUR_NS
    floor.ticker(nextFundingTime=str(stamp_ns // MS))
    floor.market(qty="0.1")
    before = Decimal(floor.coin()["walletBalance"])
    assert floor.core.on_time(stamp_ns - 1) == []
    events = floor.core.on_time(stamp_ns + 3 * MS)
    assert topics(events) == ["execution", "position", "wallet"]
    row = items(events, "execution")[0]
    assert (row["execType"], row["orderType"], row["orderLinkId"], row["execFee"]) == ("Funding", "UNKNOWN", "", "0.6")
    assert row["execTime"] == str(stamp_ns // MS)
    assert Decimal(floor.coin()["walletBalance"]) == before - Decimal("0.6")
    logged = floor.get("account/transaction-log", type="SETTLEMENT", endTime=str(stamp_ns // MS)).result["list"]
    assert [(r["funding"], r["change"], r["fee"]) for r in logged] == [("-0.6", "-0.6", "0")]
    floor.now_ns = stamp_ns + 4 * MS
    assert floor.ticker(nextFundingTime=str(stamp_ns // MS)) == []
    assert floor.core.on_time(stamp_ns + 8 * HOUR_NS - 4 * MS) == []
    assert len(floor.core.on_time(stamp_ns + 8 * HOUR_NS)) == 3


def test_a_short_receives_what_a_long_pays() -> None:
    floor = Floor()
    floor.market("Buy", qty="0.1")
    floor.post("order/create", "u2", symbol=SYMBOL, side="Sell", orderType="Market", qty="0.1")
    floor.ticker(nextFundingTime=str(floor.now_ns // MS + 2))
    rows = items(floor.core.on_time(floor.now_ns + 5 * MS), "execution")
    assert [row["execFee"] for row in rows] == ["0.6", "-0.6"]
    assert [row["side"] for row in rows] == ["Buy", "Sell"]


@pytest.mark.parametrize("side", ["Buy", "Sell"])
def test_an_account_is_liquidated_when_maintenance_reaches_its_margin_and_not_before(side: str) -> None:
    floor = Floor(balance="1000")
    assert floor.market(side, qty="0.15").ret_code == 0
    floor.create(price="50000.00", qty="0.001")
    shown = Decimal(floor.position()["liqPrice"])
    step = Decimal("0.2") if side == "Buy" else Decimal("-0.2")
    assert floor.ticker(markPrice=str(shown + step)) == []
    assert Decimal(floor.coin()["totalPositionMM"]) < Decimal(floor.coin()["equity"])
    events = floor.ticker(markPrice=str(shown - step))
    assert items(events, "order")[0]["cancelType"] == "CancelByPrepareLiq"
    bust = items(events, "execution")[0]
    assert bust["execType"] == "BustTrade"
    assert items(events, "order")[-1]["createType"] == "CreateByTakeOver_PassThrough"
    assert floor.position()["size"] == "0"
    assert 0 <= Decimal(floor.coin()["walletBalance"]) < Decimal("0.02")


def test_an_order_on_its_way_ends_with_the_liquidation() -> None:
    floor = Floor(balance="1000", order_latency_ns=2 * MS)
    floor.market(qty="0.15")
    floor.now_ns += 3 * MS
    assert items(floor.core.on_time(floor.now_ns), "execution")[0]["execQty"] == "0.15"
    order_id = floor.create(price="50000.00", qty="0.001").result["orderId"]
    floor.ticker(markPrice="50000")
    assert floor.core.on_time(floor.now_ns + HOUR_NS) == []
    assert floor.order(order_id)["cancelType"] == "CancelByPrepareLiq"


def test_a_gap_through_the_bankruptcy_price_leaves_no_debt() -> None:
    floor = Floor(balance="1000")
    floor.market(qty="0.15")
    floor.ticker(markPrice="40000")
    assert Decimal(floor.coin()["walletBalance"]) >= 0
    assert floor.position()["size"] == "0"


def test_two_positions_are_liquidated_the_larger_margin_first() -> None:
    floor = Floor(balance="2000")
    floor.book([("3000.00", "99")], [("3000.01", "99")], snapshot=True, symbol="ETHUSDT")
    floor.ticker("ETHUSDT", markPrice="3000.00", lastPrice="3000.00")
    floor.market(qty="0.2")
    assert floor.market(qty="1", symbol="ETHUSDT").ret_code == 0
    events = floor.ticker(markPrice="40000")
    assert [e["symbol"] for e in items(events, "execution")] == [SYMBOL, "ETHUSDT"]


def test_without_tiers_the_declared_default_holds() -> None:
    floor = Floor(tiers=False)
    floor.market(qty="0.1")
    value = Decimal("0.1") * 60_000
    assert Decimal(floor.position()["positionMM"]) == value * Decimal("0.005") + value * Decimal("0.00055")
    assert floor.position()["riskId"] == 1


def test_margins_follow_mark_and_leverage() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    floor.ticker(markPrice="61000")
    position, coin = floor.position(), floor.coin()
    assert Decimal(position["positionIM"]) == Decimal(610) + Decimal("3.355")
    assert Decimal(position["unrealisedPnl"]) == Decimal("99.99")
    assert Decimal(coin["equity"]) == Decimal(coin["walletBalance"]) + Decimal("99.99")


def test_money_for_tests_is_a_transfer_in_the_log() -> None:
    floor = Floor()
    gift = {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "500"}]}
    assert topics(floor.post("account/demo-apply-money", **gift).events) == ["wallet"]
    assert floor.coin()["walletBalance"] == "10500"
    assert floor.post("account/demo-apply-money", **(gift | {"adjustType": 1})).ret_code == 0
    kinds = [r["type"] for r in floor.core.get("u1", "/v5/account/transaction-log", {}, floor.now_ns).result["list"]]
    assert kinds == ["TRANSFER_OUT", "TRANSFER_IN", "TRANSFER_IN"]
    assert floor.core.ledger("u1")["transfers"] == "10000"
    too_much = {"utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "100001"}]}
    assert floor.post("account/demo-apply-money", **too_much).ret_code == 10001
    all_of_it = {"adjustType": 1, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "10001"}]}
    assert floor.post("account/demo-apply-money", **all_of_it).ret_code == 10001
    assert floor.post("account/demo-apply-money").ret_code == 10001


@pytest.mark.parametrize(
    "gift",
    [
        {"adjustType": []},
        {"adjustType": True},
        {"utaDemoApplyMoney": [{"coin": ["USDT"], "amountStr": "1"}]},
        {"utaDemoApplyMoney": [{"coin": "BTC", "amountStr": "1"}]},
        {"utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "0.000000001"}]},
        {"utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "0"}]},
        {"utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "10000.1"}] * 10},
        {"utaDemoApplyMoney": ["USDT"]},
    ],
)
def test_money_for_tests_is_refused_of_another_kind_and_beyond_100000_in_one_request(gift: dict[str, Any]) -> None:
    floor = Floor()
    one = {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "1"}]}
    assert floor.post("account/demo-apply-money", **(one | gift)).ret_code == 10001
    assert floor.coin()["walletBalance"] == "10000"
    assert floor.post("account/demo-apply-money", **one).ret_code == 0


def test_a_request_for_money_may_hold_100000_in_parts() -> None:
    floor = Floor()
    parts = [{"coin": "USDT", "amountStr": "10000"}] * 10
    assert floor.post("account/demo-apply-money", utaDemoApplyMoney=parts).ret_code == 0
    assert floor.coin()["walletBalance"] == "110000"


def test_closed_pnl_of_a_round_trip_contains_both_fees() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    order = items(floor.market("Sell", qty="0.1", reduceOnly=True).events, "order")[0]
    fees = fee_for(Decimal("0.1"), Decimal("60000.1"), Decimal("0.00055")) + fee_for(
        Decimal("0.1"), Decimal(60_000), Decimal("0.00055")
    )
    assert Decimal(order["closedPnl"]) == Decimal("-0.01") - fees
    assert Decimal(floor.position()["cumRealisedPnl"]) == Decimal(order["closedPnl"])


def test_the_opening_balance_is_the_first_row_of_the_log() -> None:
    floor = Floor()
    answer = floor.core.get("u1", "/v5/account/transaction-log", {}, floor.now_ns)
    assert [(row["type"], row["change"]) for row in answer.result["list"]] == [("TRANSFER_IN", "10000")]
    assert answer.result["list"][0]["transactionTime"] == str(ORIGIN_NS // MS)
