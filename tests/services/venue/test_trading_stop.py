"""What position/trading-stop does: full, partial and trailing guards, and the orders that show them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.services.venue.floor import MS, SYMBOL, Floor, items, topics
from tests.services.venue.guard_flow import GUARD_STEPS, guard, play, waiting


def holding(qty: str = "0.1", side: str = "Buy") -> Floor:
    floor = Floor()
    floor.trade("Buy", "60000.00", "0.001")
    assert floor.market(side, qty).ret_code == 0
    return floor


def test_tpsl_mode_is_full_or_partial_and_full_when_it_is_not_said() -> None:
    floor = holding()
    assert guard(floor, "Half", stopLoss="59000").ret_code == 10001
    answer = floor.post("position/trading-stop", symbol=SYMBOL, stopLoss="59000")
    assert items(answer.events, "order")[0]["tpslMode"] == "Full"


def test_long_and_short_of_a_hedged_symbol_are_guarded_apart() -> None:
    floor = Floor()
    floor.trade("Buy", "60000.00", "0.001")
    assert floor.post("position/switch-mode", symbol=SYMBOL, mode=3).ret_code == 0
    floor.market("Buy", "0.02", positionIdx=1, stopLoss="59000")
    floor.market("Sell", "0.03", positionIdx=2)
    short = {"symbol": SYMBOL, "tpslMode": "Full", "positionIdx": 2}
    assert floor.post("position/trading-stop", **short, stopLoss="59000").ret_code == 10001
    assert floor.post("position/trading-stop", **short, stopLoss="61000", trailingStop="100").ret_code == 0
    shown = [(o["positionIdx"], o["stopOrderType"], o["side"], o["qty"]) for o in waiting(floor)]
    assert shown == [
        (2, "TrailingStop", "Buy", "0.030"),
        (2, "StopLoss", "Buy", "0.030"),
        (1, "StopLoss", "Sell", "0.020"),
    ]
    floor.market("Buy", "0.03", positionIdx=2)
    assert [order["positionIdx"] for order in waiting(floor)] == [1]


def test_nothing_is_protected_where_nothing_is_held() -> None:
    answer = guard(Floor(), stopLoss="59000")
    assert (answer.ret_code, answer.ret_msg) == (10001, "can not set tp/sl/ts for zero position")


def test_a_full_pair_is_shown_as_system_orders_without_a_link_id() -> None:
    floor = holding()
    answer = guard(floor, stopLoss="59000", takeProfit="61000", slTriggerBy="MarkPrice")
    assert (answer.result, topics(answer.events)) == ({}, ["order", "position"])
    stop, target = items(answer.events, "order")
    shown = ("orderLinkId", "side", "qty", "orderType", "reduceOnly", "closeOnTrigger", "tpslMode", "orderStatus")
    for order in (stop, target):
        assert [order[key] for key in shown] == ["", "Sell", "0.100", "Market", True, True, "Full", "Untriggered"]
    assert (stop["stopOrderType"], stop["createType"], stop["triggerBy"]) == (
        "StopLoss",
        "CreateByStopLoss",
        "MarkPrice",
    )
    assert (target["stopOrderType"], target["createType"], target["triggerBy"]) == (
        "TakeProfit",
        "CreateByTakeProfit",
        "LastPrice",
    )
    assert (stop["triggerDirection"], target["triggerDirection"]) == (2, 1)
    assert guard(floor, stopLoss="59000", takeProfit="61000").ret_code == 34040


def test_another_trigger_price_kind_is_a_change_and_silence_is_none() -> None:
    floor = holding()
    guard(floor, stopLoss="59000", slTriggerBy="MarkPrice")
    assert guard(floor, stopLoss="59000").ret_code == 34040
    assert guard(floor, stopLoss="59000", slTriggerBy="IndexPrice").ret_code == 0
    assert waiting(floor)[0]["triggerBy"] == "IndexPrice"
    assert guard(floor).ret_code == 34040


def test_the_side_of_a_stop_is_judged_by_the_price_that_triggers_it() -> None:
    floor = holding()
    floor.ticker(markPrice="60200")
    assert guard(floor, stopLoss="60100").ret_code == 10001
    assert guard(floor, stopLoss="60100", slTriggerBy="MarkPrice").ret_code == 0


def test_only_partial_guards_have_limit_orders() -> None:
    floor = holding()
    answer = guard(floor, takeProfit="61000", tpOrderType="Limit", tpLimitPrice="60900")
    assert (answer.ret_code, "Partial" in answer.ret_msg) == (10001, True)


def test_cancelling_one_of_a_bound_pair_cancels_both_and_a_moved_one_goes_alone() -> None:
    floor = holding()
    guard(floor, stopLoss="59000", takeProfit="61000")
    first = waiting(floor)[0]["orderId"]
    events = floor.post("order/cancel", symbol=SYMBOL, orderId=first).events
    assert [o["orderStatus"] for o in items(events, "order")] == ["Deactivated", "Deactivated"]
    assert (floor.position()["stopLoss"], floor.position()["takeProfit"]) == ("", "")
    guard(floor, stopLoss="59000", takeProfit="61000")
    moved = items(guard(floor, stopLoss="59500").events, "order")[0]["orderId"]
    events = floor.post("order/cancel", symbol=SYMBOL, orderId=moved).events
    assert [o["stopOrderType"] for o in items(events, "order")] == ["StopLoss"]
    assert floor.position()["takeProfit"] == "61000"


def test_one_of_a_bound_pair_that_is_amended_goes_alone() -> None:
    floor = holding()
    assert guard(floor, stopLoss="59000.00", takeProfit="61000.00").ret_code == 0
    stop = next(order for order in waiting(floor) if order["stopOrderType"] == "StopLoss")
    amended = floor.post("order/amend", symbol=SYMBOL, orderId=stop["orderId"], triggerPrice="58900.00")
    assert amended.ret_code == 0
    floor.post("order/cancel", symbol=SYMBOL, orderId=stop["orderId"])
    assert [order["stopOrderType"] for order in waiting(floor)] == ["TakeProfit"]


def test_partial_guards_stand_side_by_side_with_a_full_one() -> None:
    floor = holding("0.1")
    guard(floor, stopLoss="58000")
    for size, price in (("0.03", "61000"), ("0.05", "62000")):
        answer = guard(floor, "Partial", takeProfit=price, stopLoss="59000", tpSize=size, slSize=size)
        assert answer.ret_code == 0
        kinds = [(o["stopOrderType"], o["createType"], o["qty"], o["tpslMode"]) for o in items(answer.events, "order")]
        assert kinds == [
            ("PartialStopLoss", "CreateByPartialStopLoss", f"{Decimal(size):.3f}", "Partial"),
            ("PartialTakeProfit", "CreateByPartialTakeProfit", f"{Decimal(size):.3f}", "Partial"),
        ]
    assert len(waiting(floor)) == 5
    assert floor.position()["stopLoss"] == "58000"
    assert guard(floor, "Partial", takeProfit="63000", tpSize="0.021").ret_code == 110058
    assert guard(floor, "Partial", takeProfit="63000", tpSize="0.020").ret_code == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"takeProfit": "61000"},
        {"takeProfit": "61000", "tpSize": "0.0005"},
        {"takeProfit": "61000", "stopLoss": "59000", "tpSize": "0.02", "slSize": "0.03"},
        {"takeProfit": "61000", "tpSize": "0.02", "tpOrderType": "Limit"},
        {"takeProfit": "0", "tpSize": "0.02"},
        {"takeProfit": "61000.05", "tpSize": "0.02"},
        {"takeProfit": "61000", "tpSize": "0.02", "tpOrderType": "Iceberg"},
    ],
)
def test_a_wrong_partial_guard_is_refused_and_leaves_nothing(fields: dict[str, str]) -> None:
    floor = holding()
    assert guard(floor, "Partial", **fields).ret_code == 10001
    assert waiting(floor) == []


def test_a_request_adds_no_more_than_twenty_partial_guards() -> None:
    floor = holding("0.1")
    for _ in range(10):
        assert (
            guard(floor, "Partial", takeProfit="61000", stopLoss="59000", tpSize="0.001", slSize="0.001").ret_code == 0
        )
    assert guard(floor, "Partial", takeProfit="61000", tpSize="0.001").ret_code == 110061


def test_a_partial_stop_closes_its_part_and_takes_its_partner_along() -> None:
    floor = holding("0.1")
    guard(floor, "Partial", takeProfit="61000", stopLoss="59600", tpSize="0.03", slSize="0.03")
    guard(floor, "Partial", stopLoss="58000", slSize="0.05")
    floor.book(bids=[("60000.00", "0"), ("59999.90", "0"), ("59590", "5")])
    events = floor.trade("Sell", "59600", "1")
    orders = items(events, "order")
    assert [(o["stopOrderType"], o["orderStatus"]) for o in orders] == [
        ("PartialStopLoss", "Triggered"),
        ("PartialTakeProfit", "Deactivated"),
        ("PartialStopLoss", "Filled"),
    ]
    assert (orders[1]["cancelType"], orders[2]["cumExecQty"]) == ("CancelByTpSlTsClear", "0.03")
    assert floor.position()["size"] == "0.07"
    assert [o["qty"] for o in waiting(floor)] == ["0.050"]


def test_a_limit_target_rests_at_its_price_when_it_triggers() -> None:
    floor = holding("0.1")
    answer = guard(floor, "Partial", takeProfit="61000", tpSize="0.04", tpOrderType="Limit", tpLimitPrice="61100")
    shown = items(answer.events, "order")[0]
    assert (shown["orderType"], shown["price"], shown["timeInForce"]) == ("Limit", "61100.00", "GTC")
    orders = items(floor.trade("Buy", "61000", "1"), "order")
    assert [o["orderStatus"] for o in orders] == ["Triggered", "New"]
    assert orders[1]["reduceOnly"]
    filled = items(floor.trade("Buy", "61100.10", "1"), "execution")[0]
    assert (filled["execPrice"], filled["isMaker"], filled["closedSize"]) == ("61100.00", True, "0.04")


def test_the_newest_partial_guards_shrink_first_with_the_position() -> None:
    floor = holding("0.1")
    guard(floor, "Partial", stopLoss="59000", slSize="0.04")
    guard(floor, "Partial", stopLoss="58000", slSize="0.05")
    changed = items(floor.market("Sell", "0.03", reduceOnly=True).events, "order")[1:]
    assert [(o["triggerPrice"], o["qty"]) for o in changed] == [("58000", "0.030")]
    changed = items(floor.market("Sell", "0.04", reduceOnly=True).events, "order")[1:]
    assert [(o["triggerPrice"], o["orderStatus"], o["qty"]) for o in changed] == [
        ("58000", "Deactivated", "0.030"),
        ("59000", "Untriggered", "0.030"),
    ]
    gone = items(floor.market("Sell", "0.03", reduceOnly=True).events, "order")[1:]
    assert [(o["orderStatus"], o["cancelType"]) for o in gone] == [("Deactivated", "CancelByTpSlTsClear")]


def test_a_trailing_stop_follows_every_trade_and_closes_the_position_when_the_price_comes_back() -> None:
    floor = holding("0.1")
    answer = guard(floor, trailingStop="100")
    order = items(answer.events, "order")[0]
    assert (order["stopOrderType"], order["createType"], order["qty"]) == (
        "TrailingStop",
        "CreateByTrailingStop",
        "0.100",
    )
    assert (order["triggerPrice"], order["triggerBy"], order["triggerDirection"]) == ("59900.00", "LastPrice", 2)
    assert floor.position()["trailingStop"] == "100"
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0"), ("60300", "9")])
    assert floor.trade("Buy", "60250", "1") == []
    assert waiting(floor)[0]["triggerPrice"] == "60150.00"
    assert floor.trade("Sell", "60150.10", "1") == []
    assert waiting(floor)[0]["triggerPrice"] == "60150.00"
    orders = items(floor.trade("Sell", "60150", "1"), "order")
    assert [(o["stopOrderType"], o["orderStatus"]) for o in orders] == [
        ("TrailingStop", "Triggered"),
        ("TrailingStop", "Filled"),
    ]
    assert floor.position()["size"] == "0"


def test_a_peak_inside_one_frame_of_trades_moves_the_trailing_stop() -> None:
    floor = holding("0.1")
    guard(floor, trailingStop="100")
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0"), ("60300", "9")])
    now = floor.now_ns // MS
    peak = [
        {"T": now, "s": SYMBOL, "S": "Buy", "v": "1", "p": price, "i": price} for price in ("60050", "60200", "60090")
    ]
    events = floor.frame(f"publicTrade.{SYMBOL}", peak, "snapshot")
    assert [o["orderStatus"] for o in items(events, "order")] == ["Triggered", "Filled"]


def test_a_trailing_stop_waits_for_its_activation_price() -> None:
    floor = holding("0.1")
    order = items(guard(floor, trailingStop="100", activePrice="60500").events, "order")[0]
    assert order["triggerPrice"] == "60500"
    assert floor.trade("Sell", "59000", "0.001") == []
    assert waiting(floor)[0]["triggerPrice"] == "60500"
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0"), ("60600", "9")])
    assert floor.trade("Buy", "60500", "1") == []
    assert waiting(floor)[0]["triggerPrice"] == "60400.00"
    assert items(floor.trade("Sell", "60400", "1"), "order")[-1]["orderStatus"] == "Filled"


def test_a_shorts_trailing_stop_buys_back() -> None:
    floor = holding("0.1", "Sell")
    guard(floor, trailingStop="100", activePrice="59900")
    assert floor.trade("Sell", "59900", "0.001") == []
    assert waiting(floor)[0]["triggerPrice"] == "60000.00"
    assert items(floor.trade("Buy", "60000", "0.001"), "execution")[0]["side"] == "Buy"


def test_a_trailing_stop_is_changed_left_alone_and_cancelled() -> None:
    floor = holding("0.1")
    guard(floor, trailingStop="100")
    assert guard(floor, trailingStop="100").ret_code == 34040
    moved = guard(floor, trailingStop="150", activePrice="60500")
    assert (moved.ret_code, floor.position()["trailingStop"]) == (0, "150")
    assert guard(floor, trailingStop="150", activePrice="60500").ret_code == 34040
    assert items(guard(floor, activePrice="60600").events, "order")[0]["triggerPrice"] == "60600"
    assert len(waiting(floor)) == 1
    gone = items(guard(floor, trailingStop="0").events, "order")[0]
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")
    assert floor.position()["trailingStop"] == "0"
    assert guard(floor, trailingStop="0").ret_code == 34040


@pytest.mark.parametrize(
    "fields",
    [
        {"trailingStop": "100.05"},
        {"trailingStop": "60000"},
        {"trailingStop": "-1"},
        {"activePrice": "60500"},
        {"trailingStop": "100", "activePrice": "59000"},
        {"trailingStop": "100", "activePrice": "60500.05"},
    ],
)
def test_a_wrong_trailing_stop_is_refused(fields: dict[str, str]) -> None:
    floor = holding()
    assert guard(floor, **fields).ret_code == 10001
    assert waiting(floor) == []


def test_the_trailing_stop_follows_the_positions_size_and_goes_with_it() -> None:
    floor = holding("0.1")
    guard(floor, trailingStop="100")
    floor.market(qty="0.05")
    assert waiting(floor)[0]["qty"] == "0.150"
    gone = items(floor.market("Sell", "0.15", reduceOnly=True).events, "order")[1]
    assert (gone["stopOrderType"], gone["cancelType"]) == ("TrailingStop", "CancelByTpSlTsClear")


def late() -> Floor:
    """Hold 0.1 where every request takes 5 ms to take effect."""
    floor = Floor(order_latency_ns=5 * MS)
    floor.trade("Buy", "60000.00", "0.001")
    assert floor.market("Buy", "0.1").ret_code == 0
    pass_time(floor)
    return floor


def pass_time(floor: Floor) -> list[dict[str, Any]]:
    """Let what is on its way take effect; give the orders that were told."""
    floor.now_ns += 5 * MS
    return items(floor.core.on_time(floor.now_ns), "order")


def test_a_guard_takes_effect_after_the_latency_like_an_order() -> None:
    floor = late()
    answer = guard(floor, stopLoss="59000", trailingStop="100")
    assert (answer.ret_code, answer.events, waiting(floor)) == (0, [], [])
    assert guard(floor, stopLoss="61000").ret_code == 10001
    assert [order["stopOrderType"] for order in pass_time(floor)] == ["StopLoss", "TrailingStop"]
    assert [order["stopOrderType"] for order in waiting(floor)] == ["TrailingStop", "StopLoss"]
    assert guard(floor, stopLoss="59000").ret_code == 34040
    assert guard(floor, stopLoss="0", trailingStop="0").ret_code == 0
    assert len(waiting(floor)) == 2
    assert {order["cancelType"] for order in pass_time(floor)} == {"CancelByTpSlTsClear"}
    assert waiting(floor) == []


def test_a_guard_whose_position_has_gone_or_turned_meanwhile_is_not_set() -> None:
    for sold in ("0.1", "0.15"):
        floor = late()
        floor.market("Sell", sold)
        assert guard(floor, stopLoss="59000").ret_code == 0
        floor.now_ns += 10 * MS
        told = items(floor.core.on_time(floor.now_ns), "position")
        assert len(told) == 1, "the sale alone"
        assert waiting(floor) == []


def test_a_part_that_the_position_has_not_any_more_when_it_takes_effect_shrinks() -> None:
    floor = late()
    floor.market("Sell", "0.06")
    assert guard(floor, "Partial", takeProfit="61000", tpSize="0.08").ret_code == 0
    pass_time(floor)
    assert [order["qty"] for order in waiting(floor)] == ["0.040"]


def test_of_parts_that_are_on_their_way_together_none_goes_beyond_the_twenty() -> None:
    floor = late()
    for _ in range(21):
        assert guard(floor, "Partial", takeProfit="61000", tpSize="0.001").ret_code == 0
    pass_time(floor)
    pass_time(floor)
    assert len(waiting(floor)) == 20
    assert guard(floor, "Partial", takeProfit="61000", tpSize="0.001").ret_code == 110061


def test_a_flip_clears_the_old_sides_guards() -> None:
    floor = holding("0.02")
    guard(floor, stopLoss="59000", trailingStop="100")
    guard(floor, "Partial", takeProfit="61000", tpSize="0.01")
    events = floor.market("Sell", "0.05").events
    assert {o["cancelType"] for o in items(events, "order")[1:]} == {"CancelByTpSlTsClear"}
    assert waiting(floor) == []


@given(GUARD_STEPS)
@settings(max_examples=120, deadline=None)
def test_protection_never_exceeds_the_position_and_always_stands_on_its_closing_side(
    steps: list[tuple[Any, ...]],
) -> None:
    floor = Floor(balance="100000")
    floor.trade("Buy", "60000.00", "0.001")
    for step in steps:
        play(floor, step)
        position = floor.position()
        size = Decimal(position["size"])
        closing = {"Buy": "Sell", "Sell": "Buy", "": None}[position["side"]]
        covered: dict[str, Decimal] = {}
        for order in floor.get("order/realtime", symbol=SYMBOL, orderFilter="StopOrder", limit="50").result["list"]:
            assert order["side"] == closing
            kind = order["stopOrderType"]
            if kind.startswith("Partial"):
                covered[kind] = covered.get(kind, Decimal(0)) + Decimal(order["qty"])
            else:
                assert Decimal(order["qty"]) == size
                assert kind not in covered, "one full guard of a kind"
                covered[kind] = size
        assert all(qty <= size for qty in covered.values())
