"""Liquidation step by step, who pays for it, and automatic deleveraging."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.venue.answers import CommandRefused
from tests.services.venue.floor import SYMBOL, Floor, items


def whale(side: str = "Buy", qty: str = "60", *, balance: str = "1000000", **options: Any) -> Floor:
    """One account in the second risk tier, on a deep book."""
    floor = Floor(balance=balance, **options)
    floor.book([("60000.00", "500")], [("60000.10", "500")], snapshot=True)
    floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="5", sellLeverage="5")
    if side:
        assert floor.market(side, qty).ret_code == 0
    return floor


def created(floor_events: list[Any]) -> list[tuple[str, str]]:
    seen: dict[str, tuple[str, str]] = {}
    for order in items(floor_events, "order"):
        if not order["createType"].endswith("User"):
            seen[order["orderId"]] = (order["createType"], order["orderStatus"])
    return list(seen.values())


def test_a_large_position_is_reduced_tier_by_tier_before_it_is_taken_over() -> None:
    floor = whale()
    assert floor.position()["riskId"] == 2
    shown = Decimal(floor.position()["liqPrice"])
    mark = str((shown - Decimal("0.5")).quantize(Decimal("0.01")))
    floor.book([(f"{shown:.1f}0", "500")], [], snapshot=True)
    events = floor.ticker(markPrice=mark)
    assert created(events)[0] == ("CreateByLiq", "Filled")
    first = items(events, "execution")[0]
    assert first["execType"] == "Trade"
    assert Decimal(first["execPrice"]) == Decimal(f"{shown:.1f}")
    rest = floor.position()
    assert (rest["riskId"], Decimal(rest["size"]) > 0) == (1, True)
    assert Decimal(rest["size"]) * Decimal(mark) <= Decimal(rest["riskLimitValue"])
    coin = floor.coin()
    assert Decimal(coin["equity"]) > Decimal(coin["totalPositionMM"])
    events = floor.ticker(markPrice="40000")
    assert created(events) == [("CreateByTakeOver_PassThrough", "Filled")]
    assert floor.position()["size"] == "0"


def test_a_reducing_order_never_fills_beyond_the_bankruptcy_price_and_the_rest_is_taken_over() -> None:
    floor = whale()
    shown = Decimal(floor.position()["liqPrice"])
    floor.book([("30000.00", "500")], [], snapshot=True)
    events = floor.ticker(markPrice=str((shown - 1).quantize(Decimal("0.01"))))
    assert created(events) == [("CreateByLiq", "Cancelled"), ("CreateByTakeOver_PassThrough", "Filled")]
    assert [e["execType"] for e in items(events, "execution")] == ["BustTrade"]
    assert Decimal(floor.coin()["walletBalance"]) >= 0


def test_the_fund_takes_what_a_takeover_leaves_and_pays_what_it_lacks() -> None:
    floor = Floor(balance="1000", insurance_fund=Decimal(5_000))
    floor.market(qty="0.15")
    shown = Decimal(floor.position()["liqPrice"])
    taken = items(floor.ticker(markPrice=str(shown - Decimal("0.2"))), "execution")[0]
    gain = Decimal("0.15") * (shown - Decimal("0.2") - Decimal(taken["execPrice"]))
    assert gain > 0
    assert floor.core.insurance_fund == 5_000 + gain
    floor = Floor(balance="1000", insurance_fund=Decimal(5_000))
    floor.market(qty="0.15")
    taken = items(floor.ticker(markPrice="40000"), "execution")[0]
    assert floor.core.insurance_fund == 5_000 - Decimal("0.15") * (Decimal(taken["execPrice"]) - 40_000) > 0


def test_what_the_fund_cannot_pay_is_passed_on_to_the_most_profitable_opposite_position() -> None:
    floor = Floor(balance="1000", insurance_fund=Decimal(10))
    floor.market(qty="0.15")
    floor.post("order/create", "u2", symbol=SYMBOL, side="Sell", orderType="Market", qty="0.1")
    floor.post("order/create", "u2", symbol=SYMBOL, side="Sell", orderType="Limit", qty="0.01", price="70000.00")
    floor.post(
        "order/create",
        "u2",
        symbol=SYMBOL,
        side="Buy",
        orderType="Limit",
        qty="0.1",
        price="50000.00",
        reduceOnly=True,
    )
    events = floor.ticker(markPrice="50000")
    bust = items([e for e in events if e.uid == "u1"], "execution")[0]
    theirs = [e for e in events if e.uid == "u2"]
    adl = items(theirs, "execution")[0]
    assert (adl["execType"], adl["execPrice"], adl["execQty"]) == ("AdlTrade", bust["execPrice"], "0.1")
    orders = items(theirs, "order")
    assert [o["cancelType"] for o in orders[:2]] == ["CancelAllBeforeAdl", "CancelByPrepareAdl"]
    assert orders[2]["createType"] == "CreateByAdl_PassThrough"
    assert floor.position(uid="u2")["size"] == "0"
    assert floor.core.insurance_fund == 0
    assert Decimal(floor.coin("u2")["walletBalance"]) > 1_000


def test_an_account_that_a_fill_left_with_nothing_is_liquidated_at_once() -> None:
    floor = Floor(balance="1000")
    floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="100", sellLeverage="100")
    floor.create(qty="1.4", price="60000.00")
    floor.ticker(markPrice="59000")
    events = floor.trade("Sell", "59000.00", "9")
    assert [e["execType"] for e in items(events, "execution")] == ["Trade", "BustTrade"]
    assert Decimal(floor.coin()["walletBalance"]) >= 0


def test_a_loss_that_ends_one_position_ends_the_others_that_stood_on_the_same_balance_at_once() -> None:
    floor = Floor(balance="1000")
    floor.book(bids=[("3000.00", "900")], asks=[("3000.01", "900")], snapshot=True, symbol="ETHUSDT")
    floor.ticker(symbol="ETHUSDT", markPrice="3000.00", indexPrice="3000.00", lastPrice="3000.00")
    for symbol in (SYMBOL, "ETHUSDT"):
        assert floor.post("position/set-leverage", symbol=symbol, buyLeverage="100", sellLeverage="100").ret_code == 0
    assert floor.market(symbol="ETHUSDT", qty="10").ret_code == 0
    assert floor.market(qty="0.6").ret_code == 0
    # the book has fallen, the mark of either has not
    floor.book(bids=[("58650.00", "9")], asks=[("58650.10", "9")], snapshot=True)
    floor.ticker(markPrice="59200.00", indexPrice="58650.00")
    answer = floor.market("Sell", "0.6")
    assert [row["symbol"] for row in items(answer.events, "execution")] == [SYMBOL, "ETHUSDT"]
    assert floor.position("ETHUSDT")["size"] == "0"


def test_what_maintenance_needs_cannot_be_taken_out() -> None:
    floor = Floor(balance="10000")
    assert floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="100", sellLeverage="100").ret_code == 0
    assert floor.market(qty="1").ret_code == 0
    floor.core._markets[SYMBOL].tiers[:, 2] = 2_000_000  # maintenance of 2 %, initial 1 %
    equity, needed = Decimal(floor.coin()["equity"]), Decimal(floor.coin()["totalPositionMM"])
    with pytest.raises(CommandRefused, match="more than may leave"):
        floor.core.transfer("u1", "USDT", needed - equity, floor.now_ns)
    assert floor.core.transfer("u1", "USDT", needed - equity + 1, floor.now_ns)
    assert floor.position()["size"] == "1"


def test_a_debt_that_no_position_stands_for_is_paid_by_the_fund_as_a_transfer_in() -> None:
    floor = Floor(balance="1000", insurance_fund=Decimal(100_000))
    floor.market(qty="0.15")
    floor.book([("53300.00", "9")], [("66000.10", "9")], snapshot=True)
    assert floor.ticker(markPrice="53800", indexPrice="53800") == []
    events = floor.market("Sell", "0.15", reduceOnly=True).events
    assert floor.coin()["walletBalance"] == "0"
    log = floor.core.get("u1", "/v5/account/transaction-log", {"type": "TRANSFER_IN"}, floor.now_ns)
    paid = log.result["list"][0]
    assert Decimal(paid["change"]) == 100_000 - floor.core.insurance_fund > 0
    assert [row["coin"][0]["walletBalance"] for row in items(events, "wallet")][-1] == "0"


def test_a_position_is_deleveraged_on_command_at_the_mark() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    floor.create(price="50000.00", qty="0.01")
    floor.ticker(markPrice="61000.04")
    events = floor.core.deleverage("u1", SYMBOL, 0, Decimal("0.04"), floor.now_ns)
    execution = items(events, "execution")[0]
    assert (execution["execType"], execution["execPrice"], execution["side"]) == ("AdlTrade", "61000.00", "Sell")
    assert execution["createType"] == "CreateByAdl_PassThrough"
    assert floor.position()["size"] == "0.06"
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []


@pytest.mark.parametrize(
    ("symbol", "index", "qty", "field"),
    [
        ("NOPE", 0, "0.01", "symbol"),
        (SYMBOL, 1, "0.01", "positionIdx"),
        ("ETHUSDT", 0, "0.01", "positionIdx"),
        (SYMBOL, 0, "0.2", "qty"),
        (SYMBOL, 0, "0", "qty"),
        (SYMBOL, 0, "0.0005", "qty"),
    ],
)
def test_a_command_that_cannot_be_done_names_field_rule_and_remedy(
    symbol: str, index: int, qty: str, field: str
) -> None:
    floor = Floor()
    floor.market(qty="0.1")
    with pytest.raises(CommandRefused) as refused:
        floor.core.deleverage("u1", symbol, index, Decimal(qty), floor.now_ns)
    assert refused.value.field == field
    assert refused.value.rule
    assert refused.value.remedy.startswith(("use ", "name "))
    assert floor.position()["size"] == "0.1"


def test_without_a_mark_price_nothing_is_deleveraged() -> None:
    floor = Floor(marked=False)
    floor.market(qty="0.1")
    with pytest.raises(CommandRefused, match="no mark price yet"):
        floor.core.deleverage("u1", SYMBOL, 0, Decimal("0.01"), floor.now_ns)
    assert floor.position()["size"] == "0.1"


def test_the_lights_of_deleveraging_follow_profit_and_leverage() -> None:
    floor = Floor()
    assert floor.position()["adlRankIndicator"] == 0
    floor.market(qty="0.5")
    seen = []
    for mark in ("59000", "60500", "63000", "66000", "90000"):
        floor.ticker(markPrice=mark)
        seen.append(floor.position()["adlRankIndicator"])
    assert seen == [1, 2, 3, 3, 4]
    floor = Floor(balance="3100")
    floor.market(qty="0.5")
    floor.ticker(markPrice="90000")
    assert floor.position()["adlRankIndicator"] == 5


@pytest.mark.parametrize(("amount", "wallet"), [("500", "10500"), ("-500", "9500")])
def test_money_is_moved_on_command_as_a_transfer(amount: str, wallet: str) -> None:
    floor = Floor()
    events = floor.core.transfer("u1", "USDT", Decimal(amount), floor.now_ns)
    assert items(events, "wallet")[0]["coin"][0]["walletBalance"] == wallet
    assert floor.core.ledger("u1")["transfers"] == wallet


@pytest.mark.parametrize("amount", ["0", "0.000000001", "-10000.01", "1000000001"])
def test_money_that_cannot_be_moved_is_refused(amount: str) -> None:
    with pytest.raises(CommandRefused, match=r"amount: .*; use "):
        Floor().core.transfer("u1", "USDT", Decimal(amount), 0)


def test_profit_that_is_not_realised_cannot_be_taken_out() -> None:
    floor = Floor()
    floor.market(qty="0.01")
    floor.ticker(markPrice="600000")
    assert Decimal(floor.coin()["equity"]) > 15_000
    with pytest.raises(CommandRefused, match=r"use at most 9999\.66999945"):
        floor.core.transfer("u1", "USDT", Decimal(-10_000), floor.now_ns)
