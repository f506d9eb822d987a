"""Targets and stops that an entry brings along: attached on its fills, amended while it rests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.venue.answers import Answer, PrivateEvent
from tests.services.venue.floor import MS, SYMBOL, Floor, items

BOTH = {"takeProfit": "61000", "stopLoss": "59000"}
PARTIAL = {**BOTH, "tpslMode": "Partial"}
LIMITS = {"tpOrderType": "Limit", "slOrderType": "Limit", "tpLimitPrice": "60900", "slLimitPrice": "58900"}


def amend(floor: Floor, order_id: str, **fields: Any) -> Answer:
    return floor.post("order/amend", symbol=SYMBOL, orderId=order_id, **fields)


def guards(events: list[PrivateEvent]) -> list[tuple[str, str, str]]:
    return [(o["stopOrderType"], o["qty"], o["orderStatus"]) for o in items(events, "order") if o["stopOrderType"]]


def test_an_entry_shows_its_bracket_until_it_fills() -> None:
    floor = Floor()
    order = items(floor.create(**PARTIAL, **LIMITS, slTriggerBy="MarkPrice").events, "order")[0]
    shown = ("takeProfit", "stopLoss", "tpslMode", "tpLimitPrice", "slLimitPrice", "tpTriggerBy", "slTriggerBy")
    assert [order[key] for key in shown] == [
        "61000",
        "59000",
        "Partial",
        "60900.00",
        "58900.00",
        "LastPrice",
        "MarkPrice",
    ]


def test_a_full_bracket_is_attached_once_and_grows_with_the_position() -> None:
    floor = Floor()
    floor.create(qty="0.1", orderLinkId="entry", **BOTH)
    first = floor.trade("Sell", "59999.90", "0.04")
    assert guards(first) == [("StopLoss", "0.040", "Untriggered"), ("TakeProfit", "0.040", "Untriggered")]
    assert {o["parentOrderLinkId"] for o in items(first, "order")[1:]} == {"entry"}
    second = floor.trade("Sell", "59999.90", "0.06")
    assert guards(second) == [("StopLoss", "0.100", "Untriggered"), ("TakeProfit", "0.100", "Untriggered")]
    assert {o["orderId"] for o in items(second, "order")[1:]} == {o["orderId"] for o in items(first, "order")[1:]}


def test_a_full_stop_that_was_removed_does_not_come_back_with_the_next_fill() -> None:
    floor = Floor()
    floor.create(qty="0.1", stopLoss="59000")
    floor.trade("Sell", "59999.90", "0.04")
    floor.post("position/trading-stop", symbol=SYMBOL, tpslMode="Full", positionIdx=0, stopLoss="0")
    assert guards(floor.trade("Sell", "59999.90", "0.06")) == []


def test_a_partial_bracket_adds_a_pair_for_what_each_fill_opened() -> None:
    floor = Floor()
    floor.create(qty="0.1", **PARTIAL, **LIMITS)
    for size in ("0.04", "0.06"):
        events = floor.trade("Sell", "59999.90", size)
        qty = f"{Decimal(size):.3f}"
        assert guards(events) == [
            ("PartialStopLoss", qty, "Untriggered"),
            ("PartialTakeProfit", qty, "Untriggered"),
        ]
        assert [(o["orderType"], o["price"]) for o in items(events, "order")[1:]] == [
            ("Limit", "58900.00"),
            ("Limit", "60900.00"),
        ]
    assert len(floor.get("order/realtime", symbol=SYMBOL, orderFilter="StopOrder").result["list"]) == 4
    assert floor.position()["stopLoss"] == ""


def test_an_entry_that_flips_the_position_protects_only_what_it_opened() -> None:
    floor = Floor()
    floor.market("Sell", "0.03")
    assert guards(floor.market("Buy", "0.05", **PARTIAL).events) == [
        ("PartialStopLoss", "0.020", "Untriggered"),
        ("PartialTakeProfit", "0.020", "Untriggered"),
    ]
    floor.market("Sell", "0.02", reduceOnly=True)
    floor.market("Sell", "0.03")
    assert guards(floor.market("Buy", "0.02", stopLoss="59000").events) == []


def test_a_second_entrys_full_stop_moves_the_positions() -> None:
    floor = Floor()
    floor.market(qty="0.01", stopLoss="59000")
    moved = guards(floor.market(qty="0.01", stopLoss="59500").events)
    assert moved == [("StopLoss", "0.020", "Untriggered")]
    assert floor.position()["stopLoss"] == "59500"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"stopLoss": "60000"}, 10001),
        ({"takeProfit": "60000"}, 10001),
        ({"stopLoss": "58999.95"}, 10001),
        ({"stopLoss": "59000", "slTriggerBy": "Oracle"}, 10001),
        ({"stopLoss": "59000", "slOrderType": "Limit", "slLimitPrice": "58900"}, 10001),
        ({"stopLoss": "59000", "slOrderType": "Limit", "tpslMode": "Partial"}, 10001),
        ({"stopLoss": "59000", "slOrderType": "Limit", "slLimitPrice": "0.01", "tpslMode": "Partial"}, 110003),
    ],
)
def test_a_wrong_bracket_is_refused(fields: dict[str, str], code: int) -> None:
    assert Floor().create(**fields).ret_code == code


def test_a_conditional_market_entrys_stop_is_judged_by_its_trigger_price() -> None:
    floor = Floor()
    conditional = {"triggerPrice": "61000", "triggerDirection": 1}
    assert floor.market(**conditional, stopLoss="60500").ret_code == 0
    assert floor.market(**conditional, stopLoss="61000").ret_code == 10001


def test_a_resting_entrys_bracket_is_set_moved_and_removed_by_amending() -> None:
    floor = Floor()
    order_id = floor.create().result["orderId"]
    assert amend(floor, order_id, stopLoss="59000", takeProfit="61000", tpTriggerBy="MarkPrice").ret_code == 0
    order = floor.order(order_id)
    assert (order["stopLoss"], order["takeProfit"], order["tpTriggerBy"]) == ("59000", "61000", "MarkPrice")
    assert amend(floor, order_id, takeProfit="62000").ret_code == 0
    assert floor.order(order_id)["tpTriggerBy"] == "MarkPrice"
    assert amend(floor, order_id, slTriggerBy="IndexPrice").ret_code == 0
    assert amend(floor, order_id, takeProfit="0").ret_code == 0
    order = floor.order(order_id)
    assert (order["stopLoss"], order["takeProfit"], order["slTriggerBy"]) == ("59000", "", "IndexPrice")
    assert amend(floor, order_id, takeProfit="0").ret_code == 10001
    assert amend(floor, order_id, stopLoss="60000").ret_code == 10001
    assert guards(floor.trade("Sell", "59999.90", "1")) == [("StopLoss", "0.010", "Untriggered")]


def test_the_limits_of_a_partial_bracket_are_amended_and_a_full_one_has_none() -> None:
    floor = Floor()
    partial = floor.create(**PARTIAL, **LIMITS).result["orderId"]
    assert amend(floor, partial, tpLimitPrice="60950").ret_code == 0
    assert (floor.order(partial)["tpLimitPrice"], floor.order(partial)["takeProfit"]) == ("60950.00", "61000")
    assert amend(floor, partial, tpslMode="Full").ret_code == 10001
    full = floor.create(**BOTH).result["orderId"]
    assert amend(floor, full, tpOrderType="Limit", tpLimitPrice="60950", takeProfit="61000").ret_code == 10001
    assert amend(floor, full, tpslMode="Partial").ret_code == 0
    assert floor.order(full)["tpslMode"] == "Partial"


def test_the_bracket_of_a_partly_filled_entry_stays_and_its_quantity_stays_above_what_filled() -> None:
    floor = Floor()
    order_id = floor.create(qty="0.1", **BOTH).result["orderId"]
    floor.trade("Sell", "59999.90", "0.04")
    assert amend(floor, order_id, stopLoss="59100").ret_code == 110059
    assert amend(floor, order_id, qty="0.040").ret_code == 110064
    assert amend(floor, order_id, qty="0.041").ret_code == 0


def test_a_positions_stop_is_moved_by_amending_its_order() -> None:
    floor = Floor()
    floor.market(qty="0.02", stopLoss="59000")
    stop = floor.get("order/realtime", symbol=SYMBOL).result["list"][0]["orderId"]
    assert amend(floor, stop, triggerPrice="59500").ret_code == 0
    assert floor.position()["stopLoss"] == "59500"
    assert amend(floor, stop, triggerPrice="60500").ret_code == 110093
    assert amend(floor, stop, qty="0.010").ret_code == 10001
    assert amend(floor, stop, takeProfit="61000").ret_code == 10001


def test_a_partial_stops_size_is_amended_up_to_what_the_position_has_left() -> None:
    floor = Floor()
    floor.market(qty="0.05")
    for size in ("0.02", "0.01"):
        floor.post(
            "position/trading-stop",
            symbol=SYMBOL,
            tpslMode="Partial",
            positionIdx=0,
            slSize=size,
            stopLoss="59000",
            slOrderType="Limit",
            slLimitPrice="58900",
        )
    newest = floor.get("order/realtime", symbol=SYMBOL).result["list"][0]["orderId"]
    assert amend(floor, newest, qty="0.031").ret_code == 110058
    assert amend(floor, newest, qty="0.030", price="58950").ret_code == 0
    assert (floor.order(newest)["qty"], floor.order(newest)["price"]) == ("0.030", "58950.00")


def test_a_trailing_stop_is_not_amended_as_an_order() -> None:
    floor = Floor()
    floor.trade("Buy", "60000.00", "0.001")
    floor.market(qty="0.05")
    floor.post("position/trading-stop", symbol=SYMBOL, tpslMode="Full", positionIdx=0, trailingStop="100")
    order_id = floor.get("order/realtime", symbol=SYMBOL).result["list"][0]["orderId"]
    assert amend(floor, order_id, triggerPrice="60500").ret_code == 10001


def test_a_bracket_amended_on_the_way_is_there_when_the_order_fills() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create().result["orderId"]
    assert amend(floor, order_id, stopLoss="59000").ret_code == 0
    floor.core.on_time(floor.now_ns + 10 * MS)
    floor.now_ns += 10 * MS
    assert guards(floor.trade("Sell", "59999.90", "1")) == [("StopLoss", "0.010", "Untriggered")]


def test_a_bracket_amended_while_the_order_fills_stays_as_it_was() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create(qty="0.1", **PARTIAL).result["orderId"]
    floor.core.on_time(floor.now_ns + 5 * MS)
    floor.now_ns += 5 * MS
    assert amend(floor, order_id, stopLoss="59500").ret_code == 0
    floor.trade("Sell", "59999.90", "0.04")
    floor.core.on_time(floor.now_ns + 9 * MS)
    assert floor.order(order_id)["stopLoss"] == "59000"
