"""What a client notices of the venue's core: orders from request to end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.services.venue.floor import MS, SYMBOL, Floor, displayed, items, mark, topics


def test_a_resting_order_is_acknowledged_shown_and_filled_as_maker() -> None:
    floor = Floor()
    answer = floor.create(orderLinkId="a-1", timeInForce="PostOnly")
    assert (answer.ret_code, answer.ret_msg) == (0, "OK")
    assert set(answer.result) == {"orderId", "orderLinkId"}
    assert topics(answer.events) == ["order", "position"]
    assert floor.order(answer.result["orderId"])["orderStatus"] == "New"
    events = floor.trade("Sell", "59999.90", "0.004")
    assert topics(events) == ["execution", "order", "position", "wallet"]
    assert items(events, "order")[0]["orderStatus"] == "PartiallyFilled"
    events = floor.trade("Sell", "59999.90", "1")
    execution, order = items(events, "execution")[0], items(events, "order")[0]
    assert (execution["execPrice"], execution["execQty"], execution["isMaker"]) == ("60000.00", "0.006", True)
    assert execution["execFee"] == "0.072"
    assert (order["orderStatus"], order["cumExecQty"], order["cumFeeDetail"]) == ("Filled", "0.01", {"USDT": "0.12"})
    assert floor.position()["size"] == "0.01"
    assert floor.coin()["walletBalance"] == "9999.88"


def test_a_post_only_order_that_would_take_is_acknowledged_and_then_cancelled() -> None:
    floor = Floor()
    answer = floor.create(price="60000.10", timeInForce="PostOnly")
    assert answer.ret_code == 0
    order = items(answer.events, "order")[0]
    assert (order["orderStatus"], order["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert (order["cumExecQty"], order["leavesQty"], order["cancelType"]) == ("0", "0", "UNKNOWN")


def test_a_market_order_walks_the_book_and_shows_its_protective_price() -> None:
    floor = Floor()
    answer = floor.market(qty="3")
    assert answer.ret_code == 110007
    answer = floor.market(qty="0.1")
    order = items(answer.events, "order")[0]
    assert topics(answer.events) == ["execution", "order", "position", "wallet"]
    assert (order["orderStatus"], order["avgPrice"], order["timeInForce"]) == ("Filled", "60000.1", "IOC")
    assert Decimal(order["price"]) > Decimal("60000.10")
    assert items(answer.events, "execution")[0]["feeRate"] == "0.00055"


def test_a_market_order_that_empties_the_displayed_depth_ends_cancelled_with_what_it_got() -> None:
    floor = Floor(balance="10000000")
    answer = floor.market(qty="7")
    order = items(answer.events, "order")[0]
    assert [e["execQty"] for e in items(answer.events, "execution")] == ["2", "3"]
    assert (order["orderStatus"], order["cumExecQty"], order["rejectReason"]) == ("Cancelled", "5", "EC_NoError")


@pytest.mark.parametrize(
    ("time_in_force", "reason"), [("IOC", "EC_NoImmediateQtyToFill"), ("FOK", "EC_NoEnoughQtyToFill")]
)
def test_an_order_that_may_not_rest_and_cannot_take_is_cancelled(time_in_force: str, reason: str) -> None:
    floor = Floor(balance="10000000")
    answer = (
        floor.create(price="60000.00", timeInForce="IOC")
        if time_in_force == "IOC"
        else floor.create(price="60000.10", qty="2.5", timeInForce="FOK")
    )
    order = items(answer.events, "order")[0]
    assert (order["orderStatus"], order["rejectReason"], order["cumExecQty"]) == ("Cancelled", reason, "0")


def test_a_limit_order_takes_what_is_there_and_rests_with_the_rest() -> None:
    floor = Floor(balance="10000000")
    answer = floor.create(qty="5", price="60000.10")
    order = items(answer.events, "order")[0]
    assert (order["orderStatus"], order["cumExecQty"], order["leavesQty"]) == ("PartiallyFilled", "2", "3")
    assert floor.book(asks=[("60000.30", "1")]) == []


REFUSALS: list[tuple[dict[str, Any], int]] = [
    ({"symbol": "NOPEUSDT"}, 10001),
    ({"side": "BUY"}, 10001),
    ({"qty": 1}, 10001),
    ({"qty": "1e-3"}, 10001),
    ({"qty": "0.0005"}, 10001),
    ({"qty": "0.0105"}, 10001),
    ({"qty": "2000"}, 10001),
    ({"price": "60000.05"}, 10001),
    ({"price": ""}, 10001),
    ({"price": "2000000.00"}, 110003),
    ({"price": "0.05"}, 110003),
    ({"price": "60.00", "qty": "0.001"}, 110094),
    ({"qty": "2"}, 110007),
    ({"reduceOnly": True}, 110017),
    ({"reduceOnly": "true"}, 10001),
    ({"reduceOnly": True, "stopLoss": "59000"}, 10001),
    ({"timeInForce": "GTX"}, 10001),
    ({"orderLinkId": "x" * 37}, 10001),
    ({"orderLinkId": "ä"}, 10001),
    ({"positionIdx": 1}, 10001),
    ({"stopLoss": "60000.10"}, 10001),
    ({"takeProfit": "59000"}, 10001),
    ({"tpslMode": "Half"}, 10001),
    ({"takeProfit": "61000", "tpOrderType": "Limit", "tpLimitPrice": "60900"}, 10001),
    ({"takeProfit": "61000", "tpOrderType": "Limit", "tpslMode": "Partial"}, 10001),
    ({"timeInForce": "RPI"}, 110119),
    ({"rpiTakerAccess": "yes"}, 10001),
    ({"smpType": "CancelAll"}, 10001),
    ({"bboSideType": "Queue"}, 10001),
    ({"bboSideType": "Queue", "bboLevel": "1"}, 10001),
    ({"bboSideType": "Queue", "bboLevel": "6", "price": ""}, 10001),
    ({"bboSideType": "Counterparty", "bboLevel": "3", "price": ""}, 110118),
    ({"slippageToleranceType": "TickSize", "slippageTolerance": "10"}, 10001),
    ({"triggerPrice": "61000"}, 10001),
    ({"triggerPrice": "61000", "triggerDirection": True}, 10001),
    ({"triggerPrice": "61000.05", "triggerDirection": 1}, 10001),
    ({"triggerPrice": "59000", "triggerDirection": 1}, 110092),
    ({"triggerPrice": "61000", "triggerDirection": 2}, 110093),
    ({"category": "spot"}, 10001),
]


@pytest.mark.parametrize(("change", "code"), REFUSALS)
def test_a_bad_order_is_refused_with_the_venues_code_and_leaves_nothing(change: dict[str, Any], code: int) -> None:
    floor = Floor()
    answer = floor.create(**change)
    assert (answer.ret_code, answer.result, answer.events) == (code, {}, [])
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []
    assert floor.core.orders_accepted == 0
    assert floor.create(orderLinkId="good").ret_code == 0


def test_the_usual_margin_refusal_has_the_usual_words() -> None:
    assert Floor().create(qty="2").ret_msg == "ab not enough for new order"


def test_an_order_that_only_closes_needs_no_margin_and_its_surplus_does() -> None:
    floor = Floor(balance="1000")
    floor.market(qty="0.15")
    assert floor.create("Sell", qty="0.15", price="60001.00").ret_code == 0
    assert floor.coin()["totalOrderIM"] == "0"
    assert floor.create("Sell", qty="0.15", price="60001.00").ret_code == 110007
    assert floor.create("Sell", qty="0.01", price="60001.00").ret_code == 0
    assert Decimal(floor.coin()["totalOrderIM"]) == Decimal("600.01") * (Decimal("0.1") + 2 * Decimal("0.00055"))


def test_a_link_id_is_used_once_even_after_its_order_ended() -> None:
    floor = Floor()
    floor.create(orderLinkId="once")
    floor.post("order/cancel", symbol=SYMBOL, orderLinkId="once")
    assert floor.create(orderLinkId="once").ret_code == 110072
    assert floor.core.duplicate_link_ids_refused == 1
    assert floor.core.orders_accepted == 1


def test_a_refused_orders_link_id_stays_free() -> None:
    floor = Floor()
    assert floor.create(orderLinkId="again", qty="2").ret_code == 110007
    assert floor.create(orderLinkId="again").ret_code == 0


def test_a_cancel_is_seen_on_the_stream_and_a_second_one_finds_nothing() -> None:
    floor = Floor()
    order_id = floor.create().result["orderId"]
    answer = floor.post("order/cancel", symbol=SYMBOL, orderId=order_id)
    assert answer.ret_code == 0
    order = items(answer.events, "order")[0]
    assert (order["orderStatus"], order["cancelType"]) == ("Cancelled", "CancelByUser")
    answer = floor.post("order/cancel", symbol=SYMBOL, orderId=order_id)
    assert (answer.ret_code, answer.ret_msg) == (110001, "order not exists or too late to cancel")
    assert floor.post("order/cancel", symbol=SYMBOL).ret_code == 10001
    assert floor.trade("Sell", "59999.90", "9") == []


def test_cancel_all_names_what_it_cancels() -> None:
    floor = Floor()
    made = [floor.create(price=f"{price}.00").result["orderId"] for price in (59_000, 59_500)]
    floor.create(triggerPrice="59000", triggerDirection=2, price="58000.00")
    answer = floor.post("order/cancel-all", settleCoin="USDT", orderFilter="Order")
    assert [row["orderId"] for row in answer.result["list"]] == made
    assert answer.result["success"] == "1"
    assert len(floor.post("order/cancel-all", baseCoin="BTC").result["list"]) == 1
    assert floor.post("order/cancel-all", symbol="ETHUSDT").result["list"] == []
    assert floor.post("order/cancel-all").ret_code == 10001


def test_a_smaller_amend_keeps_the_place_and_a_new_price_loses_it() -> None:
    floor = Floor()
    order_id = floor.create(qty="0.1").result["orderId"]
    floor.trade("Sell", "60000.00", "1.5")
    floor.post("order/amend", symbol=SYMBOL, orderId=order_id, qty="0.05")
    assert items(floor.trade("Sell", "60000.00", "0.51"), "execution")[0]["execQty"] == "0.01"
    other = floor.post("order/create", "u2", symbol=SYMBOL, side="Buy", orderType="Limit", qty="0.1", price="60000.00")
    floor.book(bids=[("60000.00", "0.001")])
    rows = items(floor.trade("Sell", "60000.00", "0.05"), "execution")
    assert [row["execQty"] for row in rows] == ["0.04", "0.009"]
    assert other.ret_code == 0
    floor.post("order/cancel-all", "u2", symbol=SYMBOL)
    order_id = floor.create(qty="0.04").result["orderId"]
    assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, price="59999.90").ret_code == 0
    assert floor.trade("Sell", "59999.90", "3") == []
    assert items(floor.trade("Sell", "59999.90", "1"), "execution")[0]["execQty"] == "0.04"


def test_an_amend_that_crosses_takes_and_a_post_only_one_is_cancelled() -> None:
    floor = Floor()
    order_id = floor.create().result["orderId"]
    answer = floor.post("order/amend", symbol=SYMBOL, orderId=order_id, price="60000.10")
    assert items(answer.events, "order")[0]["orderStatus"] == "Filled"
    order_id = floor.create(timeInForce="PostOnly").result["orderId"]
    answer = floor.post("order/amend", symbol=SYMBOL, orderId=order_id, price="60000.10")
    assert items(answer.events, "order")[0]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"qty": "0.004"}, 110064),
        ({"price": "60000.00"}, 10001),
        ({"qty": "2"}, 110007),
        ({"stopLoss": "59000"}, 110059),
        ({"orderId": "nope"}, 110001),
    ],
)
def test_a_bad_amend_is_refused(change: dict[str, Any], code: int) -> None:
    floor = Floor()
    order_id = floor.create().result["orderId"]
    floor.trade("Sell", "59999.90", "0.004")
    answer = floor.post("order/amend", **({"symbol": SYMBOL, "orderId": order_id} | change))
    assert (answer.ret_code, answer.events) == (code, [])


def test_a_batch_answers_item_by_item() -> None:
    floor = Floor()
    good = {"symbol": SYMBOL, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "60000.00"}
    wanted = [good | {"orderLinkId": "l1"}, good | {"orderLinkId": "l2", "qty": "2"}, "rubbish"]
    answer = floor.post("order/create-batch", request=wanted)
    assert answer.ret_code == 0
    assert [row["orderLinkId"] for row in answer.result["list"]] == ["l1", "l2", ""]
    assert [row["code"] for row in answer.ret_ext["list"]] == [0, 110007, 10001]
    assert answer.result["list"][1]["createAt"] == answer.result["list"][1]["orderId"] == ""
    answer = floor.post("order/amend-batch", request=[{"symbol": SYMBOL, "orderLinkId": "l1", "qty": "0.02"}])
    assert answer.ret_ext["list"] == [{"code": 0, "msg": "OK"}]
    answer = floor.post("order/cancel-batch", request=[{"symbol": SYMBOL, "orderLinkId": "l1"}])
    assert "createAt" not in answer.result["list"][0]
    assert floor.post("order/create-batch", request=[good] * 21).ret_code == 10001


def test_the_attached_stop_becomes_the_positions_and_closes_it_by_mark() -> None:
    floor = Floor()
    floor.create(stopLoss="59000", slTriggerBy="MarkPrice", orderLinkId="entry")
    stop = items(floor.trade("Sell", "59999.90", "1"), "order")[1]
    assert (stop["orderStatus"], stop["orderLinkId"], stop["stopOrderType"]) == ("Untriggered", "", "StopLoss")
    assert (stop["side"], stop["qty"], stop["triggerPrice"], stop["reduceOnly"]) == ("Sell", "0.010", "59000", True)
    assert floor.position()["stopLoss"] == "59000"
    assert floor.trade("Sell", "58000", "1") == []
    floor.book(bids=[("60000.00", "0"), ("59999.90", "0"), ("58990", "5")])
    events = floor.ticker(markPrice="58999.99")
    assert [item["orderStatus"] for item in items(events, "order")] == ["Triggered", "Filled"]
    assert items(events, "execution")[0]["execPrice"] == "58990.00"
    assert {item["orderId"] for item in items(events, "order")} == {stop["orderId"]}
    assert floor.position()["side"] == ""


def test_a_stop_follows_the_positions_size_and_goes_with_it() -> None:
    floor = Floor()
    floor.market(qty="0.02", stopLoss="59000")
    events = floor.market("Sell", "0.005", reduceOnly=True).events
    assert (items(events, "order")[1]["qty"], items(events, "order")[1]["orderStatus"]) == ("0.015", "Untriggered")
    events = floor.market("Sell", "0.015", reduceOnly=True).events
    gone = items(events, "order")[1]
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []


def test_trading_stop_sets_moves_and_clears() -> None:
    floor = Floor()
    stop = {"symbol": SYMBOL, "tpslMode": "Full", "positionIdx": 0, "slTriggerBy": "MarkPrice"}
    assert floor.post("position/trading-stop", **stop, stopLoss="59000").ret_code == 10001
    floor.market()
    assert topics(floor.post("position/trading-stop", **stop, stopLoss="59000").events) == ["order", "position"]
    assert floor.post("position/trading-stop", **stop, stopLoss="59000").ret_code == 34040
    moved = items(floor.post("position/trading-stop", **stop, stopLoss="59100", takeProfit="61000").events, "order")
    assert [order["triggerPrice"] for order in moved] == ["59100", "61000"]
    assert floor.post("position/trading-stop", **stop, stopLoss="60100").ret_code == 10001
    assert floor.post("position/trading-stop", **stop, stopLoss="0").ret_code == 0
    assert (floor.position()["stopLoss"], floor.position()["takeProfit"]) == ("", "61000")
    events = floor.trade("Buy", "61000", "1")
    assert items(events, "order")[-1]["createType"] == "CreateByTakeProfit"


def test_a_short_is_protected_from_above() -> None:
    floor = Floor()
    floor.market("Sell", stopLoss="61000", slTriggerBy="MarkPrice")
    assert floor.ticker(markPrice="60999.9") == []
    assert items(floor.ticker(markPrice="61000"), "execution")[0]["side"] == "Buy"


def test_a_conditional_order_waits_for_its_price_and_then_lives_like_any_other() -> None:
    floor = Floor()
    answer = floor.create(triggerPrice="60500", triggerDirection=1, triggerBy="MarkPrice", price="59000.00")
    assert items(answer.events, "order")[0]["orderStatus"] == "Untriggered"
    statuses = [o["orderStatus"] for o in items(floor.ticker(markPrice="60500"), "order")]
    assert statuses == ["Triggered", "New"]
    for _ in range(10):
        assert floor.create(triggerPrice="65000", triggerDirection=1, price="59000.00").ret_code == 0
    assert floor.create(triggerPrice="65000", triggerDirection=1, price="59000.00").ret_code == 110009


def test_a_conditional_order_can_be_moved_and_cancelled_before_it_triggers() -> None:
    floor = Floor()
    order_id = floor.create(triggerPrice="60500", triggerDirection=1, price="59000.00").result["orderId"]
    assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, triggerPrice="60600").ret_code == 0
    assert floor.order(order_id)["triggerPrice"] == "60600"
    events = floor.post("order/cancel", symbol=SYMBOL, orderId=order_id).events
    assert items(events, "order")[0]["orderStatus"] == "Deactivated"


def test_reduce_only_is_trimmed_at_entry_and_shrinks_with_the_position() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    assert floor.create("Buy", reduceOnly=True).ret_msg == "Reduce-only rule not satisfied"
    resting = floor.create("Sell", "0.05", "60001.00", reduceOnly=True).result["orderId"]
    assert floor.order(resting)["qty"] == "0.020"
    events = floor.market("Sell", "0.015", reduceOnly=True).events
    assert items(events, "order")[1]["qty"] == "0.005"
    events = floor.market("Sell", "0.015", reduceOnly=True).events
    assert items(events, "order")[0]["qty"] == "0.005"
    assert items(events, "order")[1]["cancelType"] == "CancelByReduceOnly"
    assert floor.position()["size"] == "0"


def test_two_reduce_only_orders_filled_by_one_trade_never_flip_the_position() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    for _ in range(2):
        floor.create("Sell", "0.015", "60001.00", reduceOnly=True)
    events = floor.trade("Buy", "60002.00", "9")
    assert [e["execQty"] for e in items(events, "execution")] == ["0.015", "0.005"]
    assert floor.position()["side"] == ""
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []


def test_a_trimmed_order_takes_no_more_of_the_next_trade_than_it_has_left() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    for _ in range(2):
        floor.create("Sell", "0.015", "60000.30", reduceOnly=True)
    floor.post("order/create", "u2", symbol=SYMBOL, side="Sell", orderType="Limit", qty="0.010", price="60000.30")
    floor.trade("Buy", "60000.30", "0.018")
    rows = items(floor.trade("Buy", "60000.30", "0.005"), "execution")
    assert [row["execQty"] for row in rows] == ["0.002", "0.003"]


def test_quantity_zero_closes_everything() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    assert floor.market("Sell", "0").ret_code == 10001
    answer = floor.market("Sell", "0", reduceOnly=True, closeOnTrigger=True)
    assert items(answer.events, "order")[0]["cumExecQty"] == "0.02"
    assert floor.position()["size"] == "0"


def test_a_limit_beyond_the_price_limit_is_repriced_unless_the_account_asked_otherwise() -> None:
    floor = Floor()
    order_id = floor.create("Sell", price="100.00", qty="0.06").result["orderId"]
    assert floor.order(order_id)["price"] == "59400.00"
    assert floor.post("account/set-limit-px-action", modifyEnable=False).ret_code == 0
    assert floor.create("Sell", price="100.00", qty="0.06").ret_code == 110120
    assert floor.create("Buy", price="61000.00").ret_code == 110121


def test_an_empty_book_has_no_price_for_a_market_order() -> None:
    floor = Floor()
    floor.book(snapshot=True)
    assert floor.market().ret_code == 110118
    assert displayed(floor.core, SYMBOL, 1) == ([], [])


def test_orders_take_effect_after_the_latency_in_their_order() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    answer = floor.create(orderLinkId="late")
    assert (answer.ret_code, answer.events) == (0, [])
    assert floor.get("order/realtime", orderLinkId="late").result["list"] == []
    assert floor.create(orderLinkId="late").ret_code == 110072
    assert floor.trade("Sell", "59999.90", "9") == []
    assert floor.post("order/cancel", symbol=SYMBOL, orderLinkId="late").events == []
    events = floor.core.on_time(floor.now_ns + 2 * MS)
    assert items(events, "order")[0]["orderStatus"] == "New"
    events = floor.core.on_time(floor.now_ns + 5 * MS)
    assert items(events, "order")[0]["orderStatus"] == "Cancelled"


@pytest.mark.parametrize("qty", ["0.119", "0.120"])
def test_an_amendment_that_more_has_filled_than_it_leaves_changes_nothing(qty: str) -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create(qty="0.249", price="59999.90").result["orderId"]
    floor.core.on_time(floor.now_ns + 5 * MS)
    floor.now_ns += 5 * MS
    assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, qty=qty).ret_code == 0
    floor.trade("Sell", "59999.90", "3.120")  # while it is on its way: 3.000 stood ahead of us
    floor.core.on_time(floor.now_ns + 5 * MS)
    found = floor.order(order_id)
    assert (found["orderStatus"], found["qty"], found["leavesQty"]) == ("PartiallyFilled", "0.249", "0.129")


def test_pages_are_newest_first_and_new_rows_shift_nothing() -> None:
    floor = Floor()
    made = [floor.create(price=f"{59_000 + n}.00").result["orderId"] for n in range(5)]
    first = floor.get("order/realtime", symbol=SYMBOL, limit="2").result
    assert [o["orderId"] for o in first["list"]] == made[:-3:-1]
    floor.create()
    second = floor.get("order/realtime", symbol=SYMBOL, limit="2", cursor=first["nextPageCursor"]).result
    assert [o["orderId"] for o in second["list"]] == made[2:0:-1]
    third = floor.get("order/realtime", symbol=SYMBOL, limit="2", cursor=second["nextPageCursor"]).result
    assert [o["orderId"] for o in third["list"]] == made[:1]
    assert third["nextPageCursor"] == ""
    assert floor.get("order/realtime", symbol=SYMBOL, cursor="nonsense").ret_code == 10001
    assert floor.get("order/realtime", symbol=SYMBOL, limit="51").ret_code == 10001
    assert floor.get("order/realtime").ret_code == 10001


def test_closed_orders_are_found_in_history_and_by_open_only_1() -> None:
    floor = Floor()
    order_id = floor.market(orderLinkId="done").result["orderId"]
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []
    assert floor.get("order/realtime", symbol=SYMBOL, openOnly="1").result["list"][0]["orderId"] == order_id
    assert floor.get("order/history", orderLinkId="done").result["list"][0]["orderStatus"] == "Filled"
    assert floor.get("order/history", orderStatus="Cancelled").result["list"] == []
    assert floor.get("order/history", startTime="1", endTime=str(9 * 86_400_000)).ret_code == 10001
    assert floor.get("order/history", symbol="ETHUSDT").result["list"] == []
    assert floor.get("order/history", baseCoin="ETH").result["list"] == []
    assert floor.get("order/history", orderFilter="nonsense").ret_code == 10001


def test_executions_are_found_by_order_and_by_time() -> None:
    floor = Floor()
    order_id = floor.market().result["orderId"]
    start = floor.now_ns // MS + 1
    floor.now_ns += 5 * MS
    other = floor.market(orderLinkId="b").result["orderId"]
    assert floor.get("execution/list", orderId=order_id).result["list"][0]["orderId"] == order_id
    assert [e["orderId"] for e in floor.get("execution/list", startTime=str(start)).result["list"]] == [other]
    assert floor.get("execution/list", orderLinkId="b").result["list"][0]["orderId"] == other
    assert floor.get("execution/list", startTime="soon").ret_code == 10001


def test_account_info_fee_rates_and_positions_answer() -> None:
    floor = Floor()
    floor.market()
    assert floor.get("account/info").result["marginMode"] == "REGULAR_MARGIN"
    rate = {"symbol": SYMBOL, "takerFeeRate": "0.00055", "makerFeeRate": "0.0002"}
    assert floor.get("account/fee-rate", symbol=SYMBOL).result["list"] == [rate]
    assert len(floor.get("account/fee-rate").result["list"]) == 2
    assert [p["symbol"] for p in floor.get("position/list", settleCoin="USDT").result["list"]] == [SYMBOL]
    assert floor.get("position/list").ret_code == 10001
    assert floor.get("position/list", symbol="NOPE").ret_code == 10001
    assert floor.get("account/wallet-balance").ret_code == 10001
    coins = floor.get("account/wallet-balance", accountType="UNIFIED", coin="BTC").result["list"][0]["coin"]
    assert coins == []
    assert floor.get("no/such").ret_code == floor.post("no/such").ret_code == 10017


def test_leverage_mode_and_margin_mode_answer_with_the_documented_codes() -> None:
    floor = Floor()

    def leverage(buy: str, sell: str) -> int:
        return floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage=buy, sellLeverage=sell).ret_code

    assert [leverage("10", "10"), leverage("20", "20"), leverage("20", "10"), leverage("101", "101")] == [
        110043,
        0,
        10001,
        110013,
    ]
    assert floor.position()["leverage"] == "20"
    assert floor.post("position/switch-mode", symbol=SYMBOL, mode=0).ret_code == 110025
    assert floor.post("position/switch-mode", coin="USDT", mode=1).ret_code == 10001
    assert floor.post("position/switch-mode", mode=0).ret_code == 10001
    assert floor.post("account/set-margin-mode", setMarginMode="REGULAR_MARGIN").ret_code == 110026
    assert floor.post("account/set-margin-mode", setMarginMode="CROSS").ret_code == 10001
    refused = floor.post("account/set-margin-mode", setMarginMode="PORTFOLIO_MARGIN")
    assert (refused.ret_code, list(refused.result)) == (3400045, ["reasons"])


def test_leverage_is_not_lowered_when_the_money_for_it_is_missing() -> None:
    floor = Floor(balance="1000")
    assert floor.market(qty="0.15").ret_code == 0
    answer = floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="2", sellLeverage="2")
    assert answer.ret_code == 110007
    assert floor.position()["leverage"] == "10"


def test_a_size_beyond_its_tier_needs_less_leverage() -> None:
    floor = Floor(balance="100000000")
    floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="100", sellLeverage="100")
    assert floor.create(qty="40").ret_code == 110086
    assert floor.create(qty="1500", price="600000.00").ret_code in {110086, 110090}
    assert floor.create(qty="30").ret_code == 0


def test_an_account_holds_at_most_500_active_orders_a_symbol() -> None:
    floor = Floor()
    for n in range(500):
        assert floor.create(qty="0.001", price=f"{50_000 + n}.00").ret_code == 0
    assert floor.create(qty="0.001", price="50000.00").ret_code == 110020


def test_a_reduce_only_stop_that_finds_no_position_is_cancelled() -> None:
    floor = Floor()
    floor.create("Sell", triggerPrice="59000", triggerDirection=2, price="58000.00", reduceOnly=True)
    events = floor.trade("Sell", "58999.90", "1")
    assert [order["orderStatus"] for order in items(events, "order")] == ["Triggered", "Cancelled"]
    assert items(events, "order")[1]["cancelType"] == "CancelByReduceOnly"


def test_the_link_id_of_an_open_order_stays_used_however_many_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.venue.accounts.HISTORY", 2)
    floor = Floor()
    floor.create(price="50000.00", orderLinkId="open")
    for number in range(4):
        floor.market(qty="0.001", orderLinkId=f"later-{number}")
    assert floor.create(price="50000.00", orderLinkId="open").ret_code == 110072


def test_of_orders_without_fills_the_oldest_are_forgotten_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.venue.accounts.UNFILLED", 2)
    floor = Floor()
    filled = floor.market(orderLinkId="filled").result["orderId"]
    gone = []
    for number in range(3):
        gone.append(floor.create(price="59000.00", orderLinkId=f"gone-{number}").result["orderId"])
        floor.post("order/cancel", symbol=SYMBOL, orderId=gone[-1])
    listed = floor.get("order/history", symbol=SYMBOL).result["list"]
    assert [row["orderId"] for row in listed] == [gone[2], gone[1], filled]
    assert [floor.create(price="59000.00", orderLinkId=f"gone-{number}").ret_code for number in range(3)] == [
        110072
    ] * 3


def test_the_oldest_closed_orders_are_forgotten_and_open_ones_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.venue.accounts.HISTORY", 3)
    floor = Floor()
    kept = floor.create(price="50000.00", orderLinkId="kept").result["orderId"]
    for n in range(5):
        floor.market(qty="0.001", orderLinkId=f"m{n}")
    assert floor.order(kept)["orderStatus"] == "New"
    assert floor.get("order/history", orderLinkId="m0").result["list"] == []
    assert len(floor.get("order/history").result["list"]) == 2


def test_frames_make_the_book_and_the_mark() -> None:
    floor = Floor()
    bids, asks = displayed(floor.core, SYMBOL, 1)
    assert (bids, asks) == ([(Decimal("60000.00"), Decimal(2))], [(Decimal("60000.10"), Decimal(2))])
    assert mark(floor.core, SYMBOL) == Decimal("60000.00")


def test_a_frame_of_another_kind_changes_nothing() -> None:
    floor = Floor()
    item = {"T": 1, "s": SYMBOL, "S": "Buy", "v": "1", "p": "60000"}
    assert floor.frame(f"allLiquidation.{SYMBOL}", [item], "snapshot") == []
