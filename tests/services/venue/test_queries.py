"""What an account may read about its past: which span, how long kept, page by page; and what its orders closed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.venue.margin import liquidation_price
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor, items

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def later(floor: Floor, ms: int) -> None:
    floor.now_ns += ms * MS


def ids(floor: Floor, path: str, **params: str) -> list[str]:
    return [row["orderId"] for row in floor.get(path, **params).result["list"]]


def pages(floor: Floor, path: str, **params: str) -> list[dict[str, Any]]:
    rows, cursor = [], ""
    while True:
        result = floor.get(path, **params, cursor=cursor).result
        rows += result["list"]
        cursor = result["nextPageCursor"]
        if not cursor:
            return rows


def test_an_order_that_ended_without_a_fill_is_kept_a_day_and_one_with_a_fill_two_years() -> None:
    floor = Floor()
    filled = floor.market().result["orderId"]
    part = floor.create(qty="0.02").result["orderId"]
    floor.trade("Sell", "59999.90", "0.01")
    floor.post("order/cancel", symbol=SYMBOL, orderId=part)
    waited = floor.create(triggerPrice="65000", triggerDirection=1).result["orderId"]
    floor.post("order/cancel", symbol=SYMBOL, orderId=waited)
    assert ids(floor, "order/history") == [waited, part, filled]
    later(floor, DAY_MS + 10)
    assert ids(floor, "order/history") == [part, filled]
    assert ids(floor, "order/history", orderId=waited) == []
    later(floor, 7 * DAY_MS)
    assert ids(floor, "order/history") == []
    assert ids(floor, "order/history", orderId=part) == [part]
    start = floor.now_ns // MS - 9 * DAY_MS
    assert ids(floor, "order/history", startTime=str(start), endTime=str(start + 7 * DAY_MS)) == [part, filled]
    later(floor, 730 * DAY_MS)
    assert ids(floor, "order/history", orderId=part) == []


def test_the_history_tells_conditional_orders_from_others() -> None:
    floor = Floor()
    plain = floor.market().result["orderId"]
    triggered = floor.market(triggerPrice="60500", triggerDirection=1).result["orderId"]
    floor.trade("Buy", "60500", "0.001")
    assert ids(floor, "order/history", orderFilter="StopOrder") == [triggered]
    assert ids(floor, "order/history", orderFilter="Order") == [plain]
    assert ids(floor, "order/history", orderStatus="Filled") == [triggered, plain]
    assert floor.get("order/history", orderStatus="Done").ret_code == 10001
    assert floor.get("order/history", orderFilter="tpslOrder").ret_code == 10001


def test_the_recent_closed_orders_are_500_and_a_restart_forgets_them() -> None:
    floor = Floor(balance="100000")
    made = [floor.create(timeInForce="IOC", qty="0.001").result["orderId"] for _ in range(501)]
    kept = [row["orderId"] for row in pages(floor, "order/realtime", symbol=SYMBOL, openOnly="1", limit="50")]
    assert kept == made[:0:-1]
    assert ids(floor, "order/realtime", orderId=made[0]) == []
    assert ids(floor, "order/realtime", orderId=made[1]) == [made[1]]
    floor.core.forget_closed()
    assert ids(floor, "order/realtime", symbol=SYMBOL, openOnly="1") == []
    assert ids(floor, "order/realtime", orderId=made[1]) == []
    assert ids(floor, "order/history", orderId=made[0]) == [made[0]]


def test_open_only_is_0_or_1_and_0_shows_no_closed_order() -> None:
    floor = Floor()
    floor.market()
    resting = floor.create().result["orderId"]
    assert ids(floor, "order/realtime", symbol=SYMBOL, openOnly="0") == [resting]
    assert resting not in ids(floor, "order/realtime", symbol=SYMBOL, openOnly="1")
    assert floor.get("order/realtime", symbol=SYMBOL, openOnly="2").ret_code == 10001


@pytest.mark.parametrize(
    ("path", "days"),
    [("order/history", 7), ("execution/list", 7), ("position/closed-pnl", 7), ("account/transaction-log", 1)],
)
def test_a_missing_end_of_the_span_is_made_up_from_the_other(path: str, days: int) -> None:
    floor = Floor()
    floor.market()
    floor.market("Sell", reduceOnly=True)
    at = floor.now_ns // MS

    def count(**params: int) -> int:
        return len(floor.get(path, **{key: str(value) for key, value in params.items()}).result["list"])

    some = count()
    assert some > 0
    later(floor, 20 * DAY_MS)
    assert count() == 0
    assert count(startTime=at - days * DAY_MS + 10) == some
    assert count(startTime=at - days * DAY_MS - 10) < some
    assert count(endTime=at + days * DAY_MS - 10) == some
    assert count(endTime=at + days * DAY_MS + 10) == 0
    assert count(startTime=at - 10, endTime=at + 7 * DAY_MS - 10) == some
    for wrong in ({"startTime": "5", "endTime": "4"}, {"startTime": "1", "endTime": str(7 * DAY_MS + 2)}):
        assert floor.get(path, **wrong).ret_code == 10001


def test_an_orders_executions_are_found_whatever_else_is_asked() -> None:
    floor = Floor()
    order_id = floor.market(orderLinkId="mine").result["orderId"]
    other = floor.market().result["orderId"]
    later(floor, 20 * DAY_MS)
    assert ids(floor, "execution/list", orderId=order_id, orderLinkId="else", symbol="ETHUSDT") == [order_id]
    assert ids(floor, "execution/list", orderLinkId="mine", execType="Funding") == [order_id]
    assert ids(floor, "execution/list", orderId=other) == [other]
    later(floor, 730 * DAY_MS)
    assert ids(floor, "execution/list", orderId=order_id) == []


def test_executions_are_told_by_kind() -> None:
    floor = Floor()
    floor.market()
    floor.ticker(nextFundingTime=str(floor.now_ns // MS + 2))
    later(floor, 5)
    floor.core.on_time(floor.now_ns)
    kinds = [row["execType"] for row in floor.get("execution/list", execType="Funding").result["list"]]
    assert kinds == ["Funding"]
    assert floor.get("execution/list", execType="Gift").ret_code == 10001


def test_the_log_is_filtered_by_coin_type_and_base() -> None:
    floor = Floor()
    floor.market()
    log = "account/transaction-log"
    assert len(floor.get(log, baseCoin="BTC").result["list"]) == 1
    assert floor.get(log, baseCoin="ETH").result["list"] == []
    assert floor.get(log, transSubType="movePosition").result["list"] == []
    assert floor.get(log, currency="USDC").result["list"] == []
    assert [row["type"] for row in floor.get(log, accountType="UNIFIED").result["list"]] == ["TRADE"]
    assert floor.get(log, accountType="SPOT").ret_code == 10001


@given(st.lists(st.sampled_from(["open", "close", "fill"]), min_size=6, max_size=24), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_page_shows_every_order_that_stays_exactly_once_whatever_comes_and_goes(steps: list[str], limit: int) -> None:
    floor = Floor(balance="100000")
    stays = [floor.create(price=f"{50_000 + n}.00").result["orderId"] for n in range(6)]
    passing = [floor.create(price=f"{51_000 + n}.00").result["orderId"] for n in range(6)]
    more = [floor.create(price=f"{52_000 + n}.00").result["orderId"] for n in range(2)]
    seen, cursor = [], ""
    for step in [*steps, *["open"] * 40]:
        result = floor.get("order/realtime", symbol=SYMBOL, limit=str(limit), cursor=cursor).result
        seen += [row["orderId"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
        if step == "open":
            floor.create(price="53000.00", qty="0.001")
        elif step == "fill":
            floor.market(qty="0.001")
        elif passing:
            floor.post("order/cancel", symbol=SYMBOL, orderId=passing.pop())
    assert cursor == ""
    assert len(seen) == len(set(seen))
    assert [order for order in seen if order in {*stays, *more}] == [*more[::-1], *stays[::-1]]


@given(st.lists(st.sampled_from(["rest", "wait", "trigger", "fill", "cancel"]), min_size=4, max_size=20))
@example(["wait", "rest", "rest", "trigger"])
@settings(max_examples=40, deadline=None)
def test_pages_of_one_are_the_unpaged_list_while_orders_trigger_fill_and_cancel(steps: list[str]) -> None:
    floor = Floor(balance="100000")
    rises = 60_000
    for step in steps:
        listed = ids(floor, "order/realtime", symbol=SYMBOL, limit="50")
        if step == "rest":
            floor.create(qty="0.001")
        elif step == "wait":
            floor.create(qty="0.001", triggerPrice=f"{rises + 500}", triggerDirection=1)
        elif step == "trigger":
            rises += 1_000
            floor.ticker(lastPrice=f"{rises}")
        elif step == "fill":
            floor.trade("Sell", "59999.90", "0.001")
        elif listed:
            floor.post("order/cancel", symbol=SYMBOL, orderId=listed[len(listed) // 2])
        for only in ("0", "1"):
            asked = {"symbol": SYMBOL, "openOnly": only}
            paged = [row["orderId"] for row in pages(floor, "order/realtime", **asked, limit="1")]
            assert paged == ids(floor, "order/realtime", **asked, limit="50")


def test_a_page_of_positions_shows_what_is_held_though_what_the_page_before_showed_was_closed() -> None:
    floor = Floor()
    floor.book(bids=[("3000.00", "9")], asks=[("3000.10", "9")], snapshot=True, symbol="ETHUSDT")
    floor.ticker("ETHUSDT", lastPrice="3000.00", markPrice="3000.00", indexPrice="3000.00")
    floor.market()
    floor.market(symbol="ETHUSDT", qty="0.1")
    asked = {"settleCoin": "USDT", "limit": "1"}
    first = floor.get("position/list", **asked).result
    assert [row["symbol"] for row in first["list"]] == [SYMBOL]
    floor.market("Sell", reduceOnly=True)
    rest = floor.get("position/list", **asked, cursor=first["nextPageCursor"]).result
    assert [row["symbol"] for row in rest["list"]] == ["ETHUSDT"]


def test_closed_profit_and_loss_is_one_row_for_each_closing_order() -> None:
    floor = Floor()
    floor.market(qty="0.02")
    floor.market(qty="0.01", stopLoss="59000")
    floor.book(bids=[("60000.00", "0.005"), ("59999.90", "3")])
    order = items(floor.market("Sell", "0.015", reduceOnly=True).events, "order")[0]
    result = floor.get("position/closed-pnl", symbol=SYMBOL).result
    assert set(result) == {"category", "list", "nextPageCursor"}
    row = result["list"][0]
    assert set(row) == {
        *("symbol", "orderId", "side", "qty", "orderPrice", "orderType", "execType", "closedSize", "cumEntryValue"),
        *("avgEntryPrice", "cumExitValue", "avgExitPrice", "closedPnl", "fillCount", "leverage", "openFee", "closeFee"),
        *("createdTime", "updatedTime"),
    }
    assert {type(value) for value in row.values()} == {str}
    assert (row["orderId"], row["closedPnl"], row["fillCount"]) == (order["orderId"], order["closedPnl"], "2")
    assert (row["side"], row["qty"], row["closedSize"], row["execType"]) == ("Sell", "0.015", "0.015", "Trade")
    assert Decimal(row["avgEntryPrice"]) == Decimal("60000.1")
    assert Decimal(row["cumExitValue"]) == Decimal(order["cumExecValue"])
    gain = Decimal(row["cumExitValue"]) - Decimal(row["cumEntryValue"])
    assert Decimal(row["closedPnl"]) == gain - Decimal(row["openFee"]) - Decimal(row["closeFee"])
    assert row["leverage"] == "10"


def test_the_latest_close_comes_first_even_of_an_older_order() -> None:
    floor = Floor()
    floor.market(qty="0.05")
    older = floor.create("Sell", "0.02", "60001.00", reduceOnly=True).result["orderId"]
    floor.trade("Buy", "60001.10", "0.01")
    newer = floor.market("Sell", "0.01", reduceOnly=True).result["orderId"]
    assert ids(floor, "position/closed-pnl") == [newer, older]
    floor.trade("Buy", "60001.10", "0.01")
    assert ids(floor, "position/closed-pnl") == [older, newer]
    assert [row["orderId"] for row in pages(floor, "position/closed-pnl", limit="1")] == [older, newer]
    assert ids(floor, "position/closed-pnl", symbol="ETHUSDT") == []
    assert floor.get("position/closed-pnl", symbol="NOPE").ret_code == 10001
    assert floor.get("position/closed-pnl", limit="101").ret_code == 10001


def test_the_time_of_a_close_stays_that_of_its_last_fill_when_the_rest_of_its_order_is_cancelled() -> None:
    floor = Floor()
    floor.market(qty="0.05")
    order_id = floor.create("Sell", "0.02", "60001.00", reduceOnly=True).result["orderId"]
    floor.trade("Buy", "60001.10", "0.01")
    filled_ms = floor.now_ns // MS
    later(floor, DAY_MS)
    floor.post("order/cancel", symbol=SYMBOL, orderId=order_id)
    assert floor.order(order_id)["updatedTime"] == str(floor.now_ns // MS)
    around = {"startTime": str(filled_ms - 1), "endTime": str(filled_ms + 1)}
    assert [row["updatedTime"] for row in floor.get("position/closed-pnl", **around).result["list"]] == [str(filled_ms)]
    assert ids(floor, "position/closed-pnl", startTime=str(filled_ms + 2)) == []


def test_a_liquidation_is_among_the_closed() -> None:
    floor = Floor(balance="1000")
    floor.market(qty="0.15")
    floor.ticker(markPrice="40000")
    assert floor.get("position/closed-pnl").result["list"][0]["execType"] == "BustTrade"


def test_the_account_was_updated_when_its_margin_mode_or_a_position_mode_changed_last() -> None:
    floor = Floor()

    def updated() -> str:
        return floor.get("account/info").result["updatedTime"]

    assert updated() == str(ORIGIN_NS // MS)
    assert floor.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").ret_code == 0
    isolated = updated()
    assert isolated == str(floor.now_ns // MS) > str(ORIGIN_NS // MS)
    assert floor.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").ret_code == 110026
    assert updated() == isolated
    assert floor.post("position/switch-mode", symbol=SYMBOL, mode=3).ret_code == 0
    assert updated() == str(floor.now_ns // MS)


@pytest.mark.parametrize(
    ("side", "is_early"), [("Buy", lambda shown, true: shown >= true), ("Sell", lambda s, t: s <= t)]
)
def test_a_liquidation_price_stands_on_the_tick_before_the_one_that_liquidates(side: str, is_early: Any) -> None:
    floor = Floor(balance="1000")
    for qty in ("0.050", "0.037", "0.021"):
        assert floor.market(side, qty).ret_code == 0
        shown = Decimal(floor.position()["liqPrice"])
        holding = floor.core._accounts["u1"].holdings[SYMBOL, 0]
        true = liquidation_price(floor.core._accounts["u1"], holding)
        assert true is not None
        assert shown % Decimal("0.1") == 0
        assert is_early(shown, true)
        assert abs(shown - true) < Decimal("0.1")
