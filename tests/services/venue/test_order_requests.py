"""Kinds of order beside the plain limit: conditional, at the best price, tolerant, closing, beyond the largest; and asking before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.services.venue.floor import MS, SYMBOL, Floor, items

DEEP = [("60000.00", "3000")], [("60000.10", "3000")]


def statuses(events: list[Any]) -> list[str]:
    return [order["orderStatus"] for order in items(events, "order")]


@pytest.mark.parametrize("by", ["LastPrice", "MarkPrice", "IndexPrice"])
@pytest.mark.parametrize(("direction", "trigger", "passes"), [(1, "60500", "60500.00"), (2, "59500", "59500.00")])
def test_a_conditional_order_waits_for_the_price_it_names(by: str, direction: int, trigger: str, passes: str) -> None:
    floor = Floor()
    answer = floor.create(triggerPrice=trigger, triggerDirection=direction, triggerBy=by, price="59000.00")
    shown = items(answer.events, "order")[0]
    assert (shown["orderStatus"], shown["stopOrderType"], shown["createType"]) == (
        "Untriggered",
        "Stop",
        "CreateByStopOrder",
    )
    names = {"LastPrice": "lastPrice", "MarkPrice": "markPrice", "IndexPrice": "indexPrice"}
    for other in set(names) - {by}:
        assert floor.ticker(**{names[other]: passes}) == []
        floor.ticker(**{names[other]: "60000.00"})
    assert statuses(floor.ticker(**{names[by]: passes})) == ["Triggered", "New"]


def test_a_conditional_market_order_takes_when_it_triggers() -> None:
    floor = Floor()
    floor.market(qty="0.02", triggerPrice="60500", triggerDirection=1)
    events = floor.trade("Buy", "60500", "0.001")
    assert statuses(events) == ["Triggered", "Filled"]
    assert items(events, "execution")[0]["execQty"] == "0.02"


def test_a_conditional_order_waits_while_its_price_is_unknown() -> None:
    floor = Floor()
    conditional = {"symbol": "ETHUSDT", "triggerPrice": "3000", "triggerDirection": 2, "triggerBy": "IndexPrice"}
    assert floor.create(qty="0.1", price="2900.00", **conditional).ret_code == 0
    assert floor.ticker("ETHUSDT", markPrice="2990") == []
    assert statuses(floor.ticker("ETHUSDT", indexPrice="2990")) == ["Triggered", "New"]


def test_a_market_order_that_triggers_on_an_empty_book_is_cancelled() -> None:
    floor = Floor()
    floor.market(qty="0.02", triggerPrice="60500", triggerDirection=1)
    floor.book(snapshot=True)
    ended = items(floor.ticker(lastPrice="60500"), "order")[-1]
    assert (ended["orderStatus"], ended["rejectReason"], ended["price"]) == (
        "Cancelled",
        "EC_NoImmediateQtyToFill",
        "0",
    )


def test_a_contract_that_does_not_trade_takes_no_order() -> None:
    floor = Floor()
    floor.core._markets[SYMBOL].status = "PreLaunch"
    assert floor.create().ret_code == 110074


def test_a_trigger_price_that_has_come_is_refused_also_when_amended() -> None:
    floor = Floor()
    order_id = floor.create(triggerPrice="60500", triggerDirection=1, price="59000.00").result["orderId"]
    amend = {"symbol": SYMBOL, "orderId": order_id}
    answer = floor.post("order/amend", **amend, triggerPrice="60000.00")
    assert (answer.ret_code, answer.ret_msg) == (
        110092,
        "expect Rising, but trigger_price[60000.00] <= current[60000.00]",
    )
    floor.ticker(indexPrice="60600")
    assert floor.post("order/amend", **amend, triggerBy="IndexPrice").ret_code == 110092
    assert floor.post("order/amend", **amend, triggerBy="MarkPrice", triggerPrice="60400").ret_code == 0
    assert (floor.order(order_id)["triggerBy"], floor.order(order_id)["triggerPrice"]) == ("MarkPrice", "60400")
    resting = floor.create().result["orderId"]
    assert floor.post("order/amend", symbol=SYMBOL, orderId=resting, triggerPrice="60400").ret_code == 10001


def test_an_amended_price_beyond_the_price_limit_is_repriced_unless_the_account_asked_otherwise() -> None:
    floor = Floor()
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0")])
    order_id = floor.create(qty="0.01").result["orderId"]
    amend = {"symbol": SYMBOL, "orderId": order_id}
    assert floor.post("order/amend", **amend, price="90000.00").ret_code == 0
    limit = Decimal(floor.order(order_id)["price"])
    assert 60_000 < limit < 61_000
    assert floor.post("order/amend", **amend, price="60000.00").ret_code == 0
    floor.post("account/set-limit-px-action", modifyEnable=False)
    assert floor.post("order/amend", **amend, price="90000.00").ret_code == 110121
    assert floor.post("order/amend", **amend, price=f"{limit:.2f}").ret_code == 0


def test_a_reduce_only_limit_is_held_to_the_price_limit_too() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    order_id = floor.create("Sell", "0.02", "100.00", reduceOnly=True).result["orderId"]
    assert floor.order(order_id)["price"] == "59400.00"
    assert floor.order(order_id)["avgPrice"] == "60000"


def test_a_conditional_order_that_closes_everything_is_amended_and_closes() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    closing = {"reduceOnly": True, "closeOnTrigger": True, "triggerPrice": "59500", "triggerDirection": 2}
    order_id = floor.market("Sell", "0", **closing).result["orderId"]
    assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, triggerPrice="59700").ret_code == 0
    assert (floor.order(order_id)["triggerPrice"], floor.order(order_id)["qty"]) == ("59700", "0.000")
    assert items(floor.trade("Sell", "59700", "0.001"), "order")[-1]["cumExecQty"] == "0.02"


def test_ten_conditional_orders_are_the_most_and_guards_do_not_count() -> None:
    floor = Floor()
    floor.market(stopLoss="59000", takeProfit="61000")
    conditional = {"triggerPrice": "65000", "triggerDirection": 1, "price": "59000.00"}
    for _ in range(10):
        assert floor.create(**conditional).ret_code == 0
    assert floor.create(**conditional).ret_code == 110009
    assert floor.create().ret_code == 0


def test_a_conditional_order_holds_no_margin_and_is_cancelled_if_it_cannot_be_afforded_when_it_triggers() -> None:
    floor = Floor(balance="1000")
    floor.create(qty="1", triggerPrice="60500", triggerDirection=1, price="59000.00")
    assert floor.coin()["totalOrderIM"] == "0"
    events = floor.ticker(lastPrice="60500")
    assert statuses(events) == ["Triggered", "Cancelled"]
    ended = items(events, "order")[1]
    assert (ended["rejectReason"], ended["cumExecQty"]) == ("EC_Others", "0")
    assert floor.coin()["totalOrderIM"] == "0"


def test_a_triggered_limit_beyond_the_price_limit_is_repriced() -> None:
    floor = Floor()
    order_id = floor.create(qty="0.01", triggerPrice="60500", triggerDirection=1, price="90000.00").result["orderId"]
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0")])
    floor.ticker(lastPrice="60500")
    assert floor.order(order_id)["orderStatus"] == "New"
    assert Decimal(floor.order(order_id)["price"]) < 61_000


def test_close_on_trigger_only_ever_reduces() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    floor.create("Sell", "0.05", triggerPrice="59500", triggerDirection=2, closeOnTrigger=True, price="59400.00")
    events = floor.trade("Sell", "59500", "0.001")
    assert items(events, "order")[-1]["cumExecQty"] == "0.02"
    assert floor.position()["size"] == "0"


@pytest.mark.parametrize(
    ("side", "book_side", "level", "price"),
    [
        ("Buy", "Queue", "1", "60000.00"),
        ("Buy", "Queue", "2", "59999.90"),
        ("Sell", "Queue", "2", "60000.20"),
        ("Buy", "Counterparty", "1", "60000.10"),
        ("Sell", "Counterparty", "2", "59999.90"),
    ],
)
def test_a_bbo_order_takes_its_price_from_the_book(side: str, book_side: str, level: str, price: str) -> None:
    floor = Floor()
    answer = floor.create(side, price="", bboSideType=book_side, bboLevel=level)
    order = items(answer.events, "order")[0]
    assert (order["price"], order["createType"]) == (price, "CreateByBboOrder")
    assert order["orderStatus"] == ("New" if book_side == "Queue" else "Filled")


@pytest.mark.parametrize(
    ("side", "kind", "amount", "filled", "price"),
    [
        ("Buy", "TickSize", "1", "5", "60000.20"),
        ("Buy", "TickSize", "10", "5", "60001.10"),
        ("Sell", "TickSize", "1", "5", "59999.90"),
        ("Buy", "Percent", "0.01", "5", "60006.10"),
        ("Sell", "Percent", "0.01", "5", "59994.00"),
        ("Buy", "Percent", "10", "5", "60600.00"),
    ],
)
def test_a_tolerant_market_order_fills_no_further_than_it_tolerates(
    side: str, kind: str, amount: str, filled: str, price: str
) -> None:
    floor = Floor(balance="10000000")
    tolerance = {"slippageToleranceType": kind, "slippageTolerance": amount}
    order = items(floor.market(side, "6", **tolerance).events, "order")[0]
    assert (order["price"], order["cumExecQty"], order["orderStatus"]) == (price, filled, "Cancelled")
    assert {key: order[key] for key in tolerance} == tolerance


def test_a_tolerance_cuts_off_the_levels_behind_it() -> None:
    floor = Floor(balance="10000000")
    floor.book(asks=[("60000.20", "0"), ("60000.40", "3.000")])
    order = items(floor.market(qty="6", slippageToleranceType="TickSize", slippageTolerance="2").events, "order")[0]
    assert order["cumExecQty"] == "2"


@pytest.mark.parametrize(
    ("kind", "amount", "code"),
    [
        ("TickSize", "0", 110108),
        ("TickSize", "10001", 110108),
        ("TickSize", "1.5", 110108),
        ("Percent", "0.005", 110109),
        ("Percent", "10.01", 110109),
        ("Percent", "0.015", 110109),
        ("Percent", "", 10001),
        ("", "1", 10001),
        ("Bps", "1", 10001),
    ],
)
def test_a_wrong_tolerance_is_refused(kind: str, amount: str, code: int) -> None:
    assert Floor().market(slippageToleranceType=kind, slippageTolerance=amount).ret_code == code


def test_a_conditional_market_order_has_no_tolerance() -> None:
    tolerance = {"slippageToleranceType": "TickSize", "slippageTolerance": "1"}
    assert Floor().market(triggerPrice="60500", triggerDirection=1, **tolerance).ret_code == 10001


@pytest.mark.parametrize("smp", ["None", "CancelMaker", "CancelTaker", "CancelBoth"])
def test_our_own_orders_never_meet_so_no_smp_type_cancels_anything(smp: str) -> None:
    floor = Floor()
    resting = floor.create(qty="0.1", price="60000.00", smpType=smp).result["orderId"]
    taker = items(floor.create("Sell", "0.1", "60000.00", timeInForce="IOC", smpType=smp).events, "order")[0]
    assert (taker["orderStatus"], taker["smpType"], taker["smpOrderId"]) == ("Filled", smp, "")
    assert (floor.order(resting)["orderStatus"], floor.order(resting)["cumExecQty"]) == ("New", "0")


def big_position() -> Floor:
    floor = Floor(balance="100000000", tiers=False)
    floor.book(*DEEP, snapshot=True)
    largest = int(floor.core._markets[SYMBOL].max_market_qty)
    floor.market(qty=str(largest))
    floor.market(qty=str(largest // 2))
    return floor


def test_quantity_zero_closes_no_more_than_the_largest_order() -> None:
    floor = big_position()
    largest = floor.core._markets[SYMBOL].max_market_qty
    before = Decimal(floor.position()["size"])
    order = items(floor.market("Sell", "0", reduceOnly=True, closeOnTrigger=True).events, "order")[0]
    assert Decimal(order["cumExecQty"]) == largest
    assert Decimal(floor.position()["size"]) == before - largest


def test_a_reduce_only_order_beyond_the_largest_is_split_and_only_the_first_piece_has_the_link_id() -> None:
    floor = big_position()
    largest = floor.core._markets[SYMBOL].max_market_qty
    size = Decimal(floor.position()["size"])
    answer = floor.market("Sell", f"{size * 2}", reduceOnly=True, orderLinkId="close")
    orders = items(answer.events, "order")
    assert [Decimal(o["cumExecQty"]) for o in orders] == [largest, size - largest]
    assert [o["orderLinkId"] for o in orders] == ["close", ""]
    assert orders[0]["orderId"] == answer.result["orderId"]
    assert (floor.position()["size"], floor.core.orders_accepted) == ("0", 3)
    assert floor.market("Buy", f"{size * 2}").ret_code == 10001


def test_a_conditional_reduce_only_order_is_split_within_the_ten_that_are_allowed() -> None:
    floor = big_position()
    largest = floor.core._markets[SYMBOL].max_market_qty
    conditional = {"triggerPrice": "59500", "triggerDirection": 2, "reduceOnly": True}
    assert floor.market("Sell", str(largest * 11), **conditional).ret_code == 110009
    assert floor.market("Sell", str(largest * 3), **conditional).ret_code == 0
    assert len(floor.get("order/realtime", symbol=SYMBOL).result["list"]) == 3


def test_what_is_only_asked_or_refused_takes_no_used_link_id_from_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.venue.accounts.HISTORY", 3)
    floor = Floor()
    assert floor.market(orderLinkId="used").ret_code == 0
    floor.core._accounts["u1"].links.clear()  # as once so many more have closed
    for number in range(3):
        body = {"side": "Buy", "orderType": "Limit", "qty": "0.1", "price": "60000.00", "orderLinkId": f"asked{number}"}
        assert floor.post("order/pre-check", symbol=SYMBOL, **body).ret_code == 0
        assert floor.create(qty="90.000", orderLinkId=f"refused{number}").ret_code == 110007
    assert floor.create(orderLinkId="used").ret_code == 110072


def test_a_pre_check_gives_the_rates_before_and_after_and_leaves_nothing() -> None:
    floor = Floor()
    answer = floor.post(
        "order/pre-check",
        symbol=SYMBOL,
        side="Buy",
        orderType="Limit",
        qty="0.1",
        price="60000.00",
        orderLinkId="asked",
    )
    assert (answer.ret_code, answer.events) == (0, [])
    assert {key: type(value) for key, value in answer.result.items()} == {
        "orderId": str,
        "orderLinkId": str,
        **dict.fromkeys(("preImrE4", "preMmrE4", "postImrE4", "postMmrE4"), int),
    }
    assert answer.result["orderLinkId"] == "asked"
    assert (answer.result["preImrE4"], answer.result["preMmrE4"]) == (0, 0)
    floor.create(qty="0.1")
    assert answer.result["postImrE4"] == int(Decimal(floor.coin()["totalOrderIM"]))
    floor.trade("Sell", "59999.90", "1")
    assert answer.result["postMmrE4"] == int(Decimal(floor.coin()["totalPositionMM"]))
    assert floor.get("order/realtime", orderLinkId="asked").result["list"] == []
    assert floor.create(orderLinkId="asked").ret_code == 0


def test_a_refused_pre_check_names_the_order_and_for_want_of_money_the_rates() -> None:
    floor = Floor()
    wanted = {"symbol": SYMBOL, "side": "Buy", "orderType": "Market", "qty": "5", "orderLinkId": "big"}
    answer = floor.post("order/pre-check", **wanted)
    assert (answer.ret_code, answer.result) == (110007, {})
    assert set(answer.ret_ext) == {"future_order_id", "future_order_link_id", "post_imr_e4", "post_mmr_e4"}
    assert (answer.ret_ext["future_order_link_id"], answer.ret_ext["post_imr_e4"] > 10_000) == ("big", True)
    answer = floor.post("order/pre-check", **(wanted | {"qty": "0.0001"}))
    assert (answer.ret_code, set(answer.ret_ext)) == (10001, {"future_order_id", "future_order_link_id"})
    assert floor.post("order/pre-check", **wanted, triggerPrice="61000", triggerDirection=1).ret_code == 10001
    assert floor.core.duplicate_link_ids_refused == 0


def test_a_pre_check_is_for_cross_margin() -> None:
    floor = Floor()
    assert floor.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").ret_code == 0
    wanted = {"symbol": SYMBOL, "side": "Buy", "orderType": "Market", "qty": "0.01"}
    assert floor.post("order/pre-check", **wanted).ret_code == 10001


def test_a_pre_check_of_an_order_that_only_reduces_changes_no_rate() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    wanted = {"symbol": SYMBOL, "side": "Sell", "orderType": "Market", "qty": "0.1", "reduceOnly": True}
    rates = floor.post("order/pre-check", **wanted).result
    assert (rates["preImrE4"], rates["preMmrE4"]) == (rates["postImrE4"], rates["postMmrE4"])
    assert rates["preImrE4"] > 0


RATES = ("preImrE4", "preMmrE4", "postImrE4", "postMmrE4")


def pre_checked(floor: Floor, side: str, qty: str, **how: Any) -> tuple[int, ...]:
    """Initial and maintenance rate before and after; 10,000 USDT or near it, so a unit is near 1 USDT."""
    order = {"symbol": SYMBOL, "side": side, "orderType": "Limit", "qty": qty, "price": "60000.00"} | how
    answer = floor.post("order/pre-check", **order)
    assert answer.ret_code == 0, answer.ret_msg
    return tuple(answer.result[name] for name in RATES)


def rates_of(floor: Floor) -> tuple[int, int]:
    coin = floor.coin()
    initial = Decimal(coin["totalPositionIM"]) + Decimal(coin["totalOrderIM"])
    return tuple(int(part * 10_000 / Decimal(coin["equity"])) for part in (initial, Decimal(coin["totalPositionMM"])))


def test_a_pre_check_of_a_plain_order_that_closes_the_position_changes_no_rate() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    now = rates_of(floor)
    for closing in ({"price": "60500.00"}, {"orderType": "Market"}):
        assert pre_checked(floor, "Sell", "0.1", **closing) == (*now, *now)
    assert floor.position()["size"] == "0.1"


def test_a_pre_check_of_an_order_that_turns_the_position_counts_what_stands_after_it() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    _, before, _, after = pre_checked(floor, "Sell", "0.3")
    floor.market("Sell", "0.3")
    assert before < after
    assert abs(after - rates_of(floor)[1]) <= 1


def test_a_pre_check_counts_the_orders_that_are_open_already_as_filled_first() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    now = rates_of(floor)
    floor.create("Sell", "0.1", "60000.10")
    assert rates_of(floor) == now  # it closes what is held
    initial, maintenance = pre_checked(floor, "Sell", "0.2", price="60000.10")[2:]
    floor.create("Sell", "0.2", "60000.10")
    assert initial == rates_of(floor)[0] > now[0]
    floor.trade("Buy", "60600.00", "9")
    assert floor.position()["size"] == "0.2"
    assert now[1] < maintenance
    assert abs(maintenance - rates_of(floor)[1]) <= 1


def test_a_pre_check_of_an_order_behind_others_of_its_side_adds_what_it_adds_itself() -> None:
    alone, behind = Floor(), Floor()
    behind.create(qty="0.2", price="60000.00")
    first, second = (pre_checked(floor, "Buy", "0.1") for floor in (alone, behind))
    assert second[3] - second[1] == first[3] - first[1] > 0


def test_a_pre_check_reckons_with_the_price_that_the_limit_leaves() -> None:
    floor = Floor()
    floor.book(asks=[("60000.10", "0"), ("60000.20", "0")])
    assert pre_checked(floor, "Buy", "0.1", price="90000.00") == pre_checked(floor, "Buy", "0.1", price="60600.00")


def test_disconnect_cancel_all_is_not_for_an_ordinary_account() -> None:
    floor = Floor()
    path = "order/disconnected-cancel-all"
    assert floor.post(path, product="DERIVATIVES", timeWindow=10).ret_code == 10005
    for wrong in ({"timeWindow": 2}, {"timeWindow": 301}, {"timeWindow": "10"}, {}, {"product": "X", "timeWindow": 9}):
        assert floor.post(path, **wrong).ret_code == 10001
    assert floor.get("account/query-dcp-info").result == {"dcpInfos": []}


def test_cancel_all_tells_conditional_orders_from_guards() -> None:
    floor = Floor()
    floor.market(stopLoss="59000")
    resting = floor.create(price="59500.00").result["orderId"]
    stop = floor.create(triggerPrice="61000", triggerDirection=1, price="58000.00").result["orderId"]

    def cancelled(**how: str) -> list[str]:
        return [row["orderId"] for row in floor.post("order/cancel-all", symbol=SYMBOL, **how).result["list"]]

    assert floor.post("order/cancel-all", symbol=SYMBOL, stopOrderType="TakeProfit").ret_code == 10001
    assert cancelled(orderFilter="StopOrder", stopOrderType="Stop") == [stop]
    assert cancelled(orderFilter="Order", stopOrderType="Stop") == [resting]
    assert len(cancelled(orderFilter="StopOrder")) == 1
    assert floor.position()["stopLoss"] == ""


def test_cancel_all_ends_every_kind_when_no_filter_is_given() -> None:
    floor = Floor()
    floor.trade("Buy", "60000.00", "0.001")
    floor.market(stopLoss="59000", takeProfit="61000")
    floor.post("position/trading-stop", symbol=SYMBOL, tpslMode="Full", positionIdx=0, trailingStop="100")
    floor.create(price="59500.00")
    floor.create(triggerPrice="61000", triggerDirection=1, price="58000.00")
    answer = floor.post("order/cancel-all", settleCoin="USDT")
    assert len(answer.result["list"]) == 5
    assert len(items(answer.events, "order")) == 5
    assert {o["cancelType"] for o in items(answer.events, "order")} == {"CancelByUser"}
    assert floor.get("order/realtime", symbol=SYMBOL).result["list"] == []


def test_a_cancel_that_crosses_the_fill_is_told_on_the_stream() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create().result["orderId"]
    floor.core.on_time(floor.now_ns + 5 * MS)
    floor.now_ns += 5 * MS
    assert floor.post("order/cancel", symbol=SYMBOL, orderId=order_id).ret_code == 0
    first = items(floor.trade("Sell", "59999.90", "1"), "order")[0]
    second = items(floor.core.on_time(floor.now_ns + 5 * MS), "order")[0]
    says = ("orderId", "orderStatus", "cancelType", "rejectReason", "cumExecQty")
    assert [first[key] for key in says] == [order_id, "Filled", "UNKNOWN", "EC_NoError", "0.01"]
    assert [second[key] for key in says] == [
        order_id,
        "Filled",
        "CancelByUser",
        "EC_OrigClOrdIDDoesNotExist",
        "0.01",
    ]
    assert (floor.order(order_id)["cancelType"], floor.order(order_id)["rejectReason"]) == ("UNKNOWN", "EC_NoError")


def test_two_cancels_on_the_way_end_an_order_once() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create().result["orderId"]
    for _ in range(2):
        assert floor.post("order/cancel", symbol=SYMBOL, orderId=order_id).ret_code == 0
    assert statuses(floor.core.on_time(floor.now_ns + 9 * MS)) == ["New", "Cancelled"]


def test_an_order_that_became_too_dear_on_its_way_is_rejected() -> None:
    floor = Floor(balance="1000", order_latency_ns=5 * MS)
    floor.market(qty="0.1")
    floor.core.on_time(floor.now_ns + 5 * MS)
    floor.now_ns += 5 * MS
    order_id = floor.create(qty="0.06").result["orderId"]
    assert Decimal(floor.coin()["totalOrderIM"]) > 0
    floor.ticker(markPrice="59500")
    floor.core.on_time(floor.now_ns + 9 * MS)
    floor.now_ns += 9 * MS
    order = floor.order(order_id)
    assert (order["orderStatus"], order["rejectReason"]) == ("Rejected", "EC_Others")
    assert floor.coin()["totalOrderIM"] == "0"


def test_two_amendments_on_the_way_do_not_undo_each_other() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    order_id = floor.create(qty="0.1").result["orderId"]
    floor.post("order/amend", symbol=SYMBOL, orderId=order_id, qty="0.05")
    floor.post("order/amend", symbol=SYMBOL, orderId=order_id, price="59990.00")
    floor.core.on_time(floor.now_ns + 9 * MS)
    assert (floor.order(order_id)["qty"], floor.order(order_id)["price"]) == ("0.050", "59990.00")
