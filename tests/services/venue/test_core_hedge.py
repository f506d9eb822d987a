"""Hedge mode: a long and a short of the same symbol side by side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.venue.answers import Answer
from tests.services.venue.floor import MS, SYMBOL, Floor, items, topics

WRONG_INDEX = (10001, "position idx not match position mode")


class HedgeFloor(Floor):
    """The same floor, `u1` in hedge mode."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        assert self.post("position/switch-mode", symbol=SYMBOL, mode=3).ret_code == 0

    def buy(self, qty: str, index: int, **body: Any) -> Answer:
        return self.market("Buy", qty, positionIdx=index, **body)

    def sell(self, qty: str, index: int, **body: Any) -> Answer:
        return self.market("Sell", qty, positionIdx=index, **body)

    def both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        long, short = self.get("position/list", symbol=SYMBOL).result["list"]
        assert (long["positionIdx"], short["positionIdx"]) == (1, 2)
        return long, short

    def sizes(self) -> tuple[str, str]:
        long, short = self.both()
        return long["size"], short["size"]


def switch(floor: Floor, mode: int, **what: str) -> int:
    return floor.post("position/switch-mode", mode=mode, **what).ret_code


def test_the_mode_is_switched_by_symbol_or_by_coin_and_twice_is_not_modified() -> None:
    floor = Floor()
    assert [switch(floor, 3, symbol=SYMBOL), switch(floor, 3, symbol=SYMBOL)] == [0, 110025]
    assert [len(floor.get("position/list", symbol=s).result["list"]) for s in (SYMBOL, "ETHUSDT")] == [2, 1]
    assert [switch(floor, 3, coin="USDT"), switch(floor, 3, coin="USDT")] == [0, 110025]
    assert [len(floor.get("position/list", symbol=s).result["list"]) for s in (SYMBOL, "ETHUSDT")] == [2, 2]
    assert [switch(floor, 0, coin="USDT"), switch(floor, 0, symbol="ETHUSDT")] == [0, 110025]
    assert [p["positionIdx"] for p in floor.get("position/list", symbol=SYMBOL).result["list"]] == [0]


@pytest.mark.parametrize("what", [{"symbol": SYMBOL}, {"coin": "USDT"}])
def test_a_position_or_an_open_order_blocks_the_switch(what: dict[str, str]) -> None:
    floor = Floor()
    order_id = floor.create().result["orderId"]
    assert switch(floor, 3, **what) == 110028
    floor.market()
    assert switch(floor, 3, **what) == 110024
    floor.market("Sell", "0.010")
    floor.post("order/cancel", symbol=SYMBOL, orderId=order_id)
    assert switch(floor, 3, **what) == 0


@pytest.mark.parametrize(("mode", "index"), [(3, 0), (0, 1), (0, 2), (3, 3), (3, "1"), (3, None), (3, True)])
def test_an_index_of_the_other_mode_is_refused_everywhere(mode: int, index: object) -> None:
    floor = HedgeFloor() if mode else Floor()
    body = {"symbol": SYMBOL, "positionIdx": index}
    answers = [
        floor.create(positionIdx=index),
        floor.post("position/trading-stop", **body, tpslMode="Full", stopLoss="59000"),
    ]
    assert [(answer.ret_code, answer.ret_msg) for answer in answers] == [WRONG_INDEX] * 2


def test_in_hedge_mode_an_order_must_name_its_index() -> None:
    answer = HedgeFloor().create()
    assert (answer.ret_code, answer.ret_msg) == WRONG_INDEX


def test_long_and_short_stand_side_by_side_and_each_closes_by_its_own_index() -> None:
    floor = HedgeFloor()
    floor.buy("0.02", 1)
    events = floor.sell("0.03", 2).events
    assert topics(events) == ["execution", "order", "position", "wallet"]
    assert [items(events, topic)[0]["positionIdx"] for topic in ("order", "position")] == [2, 2]
    assert [p["side"] for p in floor.both()] == ["Buy", "Sell"]
    assert floor.sizes() == ("0.02", "0.03")
    order = items(floor.sell("0.005", 1).events, "order")[0]
    assert (order["reduceOnly"], order["positionIdx"], order["cumExecQty"]) == (True, 1, "0.005")
    floor.buy("0.01", 2)
    assert floor.sizes() == ("0.015", "0.02")
    listed = floor.get("position/list", settleCoin="USDT").result["list"]
    assert [(p["positionIdx"], p["size"]) for p in listed] == [(1, "0.015"), (2, "0.02")]
    assert floor.core.ledger("u1")["positions"] == {f"{SYMBOL}/1": "0.015", f"{SYMBOL}/2": "-0.02"}


def test_an_order_on_the_closing_side_never_flips_its_position() -> None:
    floor = HedgeFloor()
    floor.buy("0.02", 1)
    assert items(floor.sell("0.05", 1).events, "execution")[0]["execQty"] == "0.02"
    assert floor.sizes() == ("0", "0")
    refused = floor.sell("0.01", 1)
    assert (refused.ret_code, refused.ret_msg) == (
        110017,
        "current position is zero, cannot fix reduce-only order qty",
    )


def test_reduce_only_on_the_opening_side_is_refused_and_protection_on_the_closing_side_too() -> None:
    floor = HedgeFloor()
    floor.buy("0.02", 1)
    assert floor.buy("0.01", 1, reduceOnly=True).ret_msg == "Reduce-only rule not satisfied"
    assert floor.sell("0.01", 1, stopLoss="61000").ret_code == 10001


def test_resting_reduce_only_orders_shrink_with_their_own_position_alone() -> None:
    floor = HedgeFloor()
    floor.buy("0.02", 1)
    floor.sell("0.02", 2)
    exit_long = floor.create("Sell", "0.02", "60001.00", positionIdx=1).result["orderId"]
    exit_short = floor.create("Buy", "0.02", "59999.00", positionIdx=2).result["orderId"]
    floor.sell("0.015", 1)
    assert (floor.order(exit_long)["qty"], floor.order(exit_short)["qty"]) == ("0.005", "0.020")
    floor.sell("0.005", 1)
    assert floor.order(exit_long)["cancelType"] == "CancelByReduceOnly"
    assert floor.order(exit_short)["orderStatus"] == "New"


def test_each_index_has_its_own_stops() -> None:
    floor = HedgeFloor()
    floor.buy("0.02", 1, stopLoss="59000", slTriggerBy="MarkPrice")
    floor.sell("0.03", 2)
    stop = {"symbol": SYMBOL, "tpslMode": "Full", "slTriggerBy": "MarkPrice"}
    made = items(floor.post("position/trading-stop", **stop, positionIdx=2, stopLoss="61000").events, "order")
    assert [(o["positionIdx"], o["side"], o["qty"]) for o in made] == [(2, "Buy", "0.030")]
    assert [p["stopLoss"] for p in floor.both()] == ["59000", "61000"]
    floor.book([("60000.00", "0"), ("58990.00", "5")])
    assert {e["execPrice"] for e in items(floor.ticker(markPrice="58999"), "execution")} == {"59999.90"}
    assert floor.sizes() == ("0", "0.03")
    assert [p["stopLoss"] for p in floor.both()] == ["", "61000"]


def test_funding_is_paid_on_each_index_for_itself() -> None:
    floor = HedgeFloor()
    floor.buy("0.1", 1)
    floor.sell("0.05", 2)
    floor.ticker(nextFundingTime=str(floor.now_ns // MS + 2))
    rows = items(floor.core.on_time(floor.now_ns + 5 * MS), "execution")
    assert [(row["side"], row["execFee"]) for row in rows] == [("Buy", "0.6"), ("Sell", "-0.3")]


def test_leverage_holds_for_both_indexes_and_outlives_the_switch() -> None:
    floor = HedgeFloor()
    leverage = {"symbol": SYMBOL, "buyLeverage": "20", "sellLeverage": "20"}
    assert topics(floor.post("position/set-leverage", **leverage).events) == ["position", "position"]
    assert [p["leverage"] for p in floor.both()] == ["20", "20"]
    assert floor.post("position/set-leverage", **(leverage | {"sellLeverage": "10"})).ret_code == 10001
    assert switch(floor, 0, symbol=SYMBOL) == 0
    assert floor.position()["leverage"] == "20"


def test_both_indexes_need_margin_and_opening_orders_too() -> None:
    floor = HedgeFloor()
    floor.buy("0.1", 1)
    floor.sell("0.1", 2)
    long, short = floor.both()
    assert long["positionIM"] == short["positionIM"] == "603.3"
    assert floor.coin()["totalPositionIM"] == "1206.6"
    floor.create("Sell", "0.1", "60001.00", positionIdx=1)
    assert floor.coin()["totalOrderIM"] == "0"
    floor.create("Sell", "0.1", "60001.00", positionIdx=2)
    assert Decimal(floor.coin()["totalOrderIM"]) == Decimal("6000.1") * (Decimal("0.1") + 2 * Decimal("0.00055"))


def test_a_hedged_account_is_liquidated_at_the_price_shown_at_the_position_that_loses() -> None:
    floor = HedgeFloor(balance="1000")
    floor.buy("0.1", 1)
    floor.sell("0.02", 2)
    long, short = floor.both()
    assert short["liqPrice"] == ""
    shown = Decimal(long["liqPrice"])
    assert items(floor.ticker(markPrice=str(shown + Decimal("0.2"))), "execution") == []
    events = floor.ticker(markPrice=str(shown - Decimal("0.2")))
    assert items(events, "execution")[0]["execType"] == "BustTrade"
    assert floor.both()[0]["size"] == "0"
    assert Decimal(floor.core.ledger("u1")["equity"]) >= 0


def test_a_fully_hedged_account_is_not_liquidated_by_a_move() -> None:
    floor = HedgeFloor(balance="1500")
    floor.buy("0.1", 1)
    floor.sell("0.1", 2)
    assert floor.ticker(markPrice="45000") == []
    assert floor.sizes() == ("0.1", "0.1")
