"""The venue's money: funding, margin, liquidation, and sums that come out to the last decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.answers import PrivateEvent
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor, items, topics
from undertow.domain.money import fee_for, funding_for
from undertow.domain.order import Side
from undertow.domain.position import Position
from undertow.matching.fills import PESSIMISTIC, PROBABILISTIC

HOUR_NS = 3_600_000 * MS


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


def test_closed_pnl_of_a_round_trip_contains_both_fees() -> None:
    floor = Floor()
    floor.market(qty="0.1")
    order = items(floor.market("Sell", qty="0.1", reduceOnly=True).events, "order")[0]
    fees = fee_for(Decimal("0.1"), Decimal("60000.1"), Decimal("0.00055")) + fee_for(
        Decimal("0.1"), Decimal(60_000), Decimal("0.00055")
    )
    assert Decimal(order["closedPnl"]) == Decimal("-0.01") - fees
    assert Decimal(floor.position()["cumRealisedPnl"]) == Decimal(order["closedPnl"])


PRICES = st.integers(599_994, 600_006).map(lambda ticks: f"{Decimal(ticks) / 10:.2f}")
QTYS = st.integers(1, 400).map(lambda lots: f"{Decimal(lots) / 1000:.3f}")
SIDES = st.sampled_from(["Buy", "Sell"])
STEPS = st.one_of(
    st.tuples(
        st.just("create"),
        st.sampled_from(["u1", "u2"]),
        st.fixed_dictionaries(
            {
                "side": SIDES,
                "qty": QTYS,
                "price": PRICES,
                "orderType": st.sampled_from(["Limit", "Limit", "Market"]),
                "timeInForce": st.sampled_from(["GTC", "PostOnly", "IOC", "FOK"]),
                "reduceOnly": st.sampled_from([False, False, True]),
            }
        ),
        st.sampled_from(["", "Full", "Partial"]),
    ),
    st.tuples(st.just("trade"), SIDES, PRICES, QTYS),
    st.tuples(st.just("trade"), SIDES, PRICES, st.sampled_from(["2.005", "2.3", "9"])),
    st.tuples(st.just("book"), PRICES, QTYS),
    st.tuples(
        st.just("mark"),
        st.sampled_from([5_300_001, 5_799_999, 5_990_012, 6_000_000, 6_010_003, 6_200_000, 6_800_000]).map(
            lambda cents: str(Decimal(cents) / 100)
        ),
    ),
    st.tuples(st.just("fund")),
    st.tuples(st.just("cancel"), st.sampled_from(["u1", "u2"]), st.integers(0, 30)),
    st.tuples(st.just("amend"), st.sampled_from(["u1", "u2"]), st.integers(0, 30), PRICES, QTYS),
)
FLOWS = st.lists(STEPS, min_size=20, max_size=50)


def play(flow: list[tuple[Any, ...]], **options: Any) -> Floor:
    floor = Floor(balance="2000", **options)
    for step in flow:
        kind = step[0]
        if kind == "create":
            body = dict(step[2])
            if step[3] and not body["reduceOnly"]:
                body["tpslMode"] = step[3]
                body["stopLoss"] = "58000.00" if body["side"] == "Buy" else "62000.00"
                body["slTriggerBy"] = "MarkPrice"
            floor.post("order/create", step[1], symbol=SYMBOL, **body)
        elif kind == "trade":
            floor.trade(step[1], step[2], step[3])
        elif kind == "book":
            ask = f"{Decimal(step[1]) + Decimal('0.10'):.2f}"
            floor.book(bids=[(step[1], step[2])], asks=[(ask, step[2])], snapshot=True)
        elif kind == "mark":
            floor.ticker(markPrice=step[1])
        elif kind == "fund":
            floor.ticker(nextFundingTime=str(floor.now_ns // MS + 2))
            floor.now_ns += 5 * MS
            floor.events += floor.core.on_time(floor.now_ns)
        else:
            known = [o["orderId"] for o in floor.get("order/realtime", step[1], symbol=SYMBOL).result["list"]]
            if known:
                body = {"symbol": SYMBOL, "orderId": known[step[2] % len(known)]}
                if kind == "amend":
                    floor.post("order/amend", step[1], **body, price=step[3], qty=step[4])
                else:
                    floor.post("order/cancel", step[1], **body)
    floor.events += floor.core.on_time(floor.now_ns + HOUR_NS // 1000)
    return floor


def executions_of(floor: Floor, uid: str) -> list[dict[str, Any]]:
    return items([event for event in floor.events if event.uid == uid], "execution")


def position_from(executions: list[dict[str, Any]]) -> Position:
    """What our own books make of the venue's executions alone."""
    position = Position(symbol=SYMBOL)
    for row in executions:
        qty, price, fee = (Decimal(row[key]) for key in ("execQty", "execPrice", "execFee"))
        position = (
            position.after_funding(-fee)
            if row["execType"] == "Funding"
            else position.after_fill(Side(row["side"]), qty, price, fee)
        )
    return position


@given(FLOWS, st.sampled_from([0, 3 * MS]), st.sampled_from([PESSIMISTIC, PROBABILISTIC]))
@settings(max_examples=200, deadline=None)
def test_executions_positions_wallet_and_log_agree_to_the_last_decimal(
    flow: list[tuple[Any, ...]], latency_ns: int, model: int
) -> None:
    floor = play(flow, order_latency_ns=latency_ns, queue_model=model)
    for uid in ("u1", "u2"):
        position = position_from(executions_of(floor, uid))
        shown, ledger = floor.position(uid=uid), floor.core.ledger(uid)
        sign = {"Buy": 1, "Sell": -1, "": 0}[shown["side"]]
        assert position.qty == sign * Decimal(shown["size"])
        assert position.realised == Decimal(ledger["realised"])
        assert position.fees == Decimal(ledger["fees"])
        assert position.funding == Decimal(ledger["funding"])
        wallet = Decimal(floor.coin(uid)["walletBalance"])
        assert wallet == 2_000 + position.realised - position.fees + position.funding
        assert Decimal(floor.coin(uid)["unrealisedPnl"]) == position.unrealised(floor.core.mark(SYMBOL))
        assert wallet >= 0 or not position.is_flat
        later = floor.now_ns + HOUR_NS
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            found = floor.core.get(uid, "/v5/account/transaction-log", {"limit": "50", "cursor": cursor}, later).result
            rows += found["list"]
            cursor = found["nextPageCursor"]
            if not cursor:
                break
        assert wallet == sum(Decimal(row["change"]) for row in rows)
        for row in rows:
            parts = Decimal(row["cashFlow"]) + Decimal(row["funding"]) - Decimal(row["fee"])
            assert Decimal(row["change"]) == parts
        balance = Decimal(0)
        for row in reversed(rows):
            balance += Decimal(row["change"])
            assert balance == Decimal(row["cashBalance"])


@given(FLOWS)
@settings(max_examples=60, deadline=None)
def test_no_fill_is_worse_than_its_limit_and_fees_and_funding_follow_the_rules(flow: list[tuple[Any, ...]]) -> None:
    floor = play(flow)
    for uid in ("u1", "u2"):
        for row in executions_of(floor, uid):
            qty, price, fee = (Decimal(row[key]) for key in ("execQty", "execPrice", "execFee"))
            sign = 1 if row["side"] == "Buy" else -1
            if row["execType"] == "Funding":
                assert -fee == funding_for(sign * qty, price, Decimal(row["feeRate"]))
                continue
            assert sign * price <= sign * Decimal(row["orderPrice"])
            assert fee == fee_for(qty, price, Decimal(row["feeRate"]))
            assert Decimal(row["execValue"]) == qty * price


@given(FLOWS)
@settings(max_examples=60, deadline=None)
def test_every_orders_last_event_is_what_a_query_says_and_its_fills_are_its_executions(
    flow: list[tuple[Any, ...]],
) -> None:
    floor = play(flow)
    for uid in ("u1", "u2"):
        mine = [event for event in floor.events if event.uid == uid]
        last: dict[str, dict[str, Any]] = {order["orderId"]: order for order in items(mine, "order")}
        filled: dict[str, Decimal] = {}
        for row in items(mine, "execution"):
            if row["execType"] != "Funding":
                filled[row["orderId"]] = filled.get(row["orderId"], Decimal(0)) + Decimal(row["execQty"])
        for order_id, order in last.items():
            assert Decimal(order["cumExecQty"]) == filled.get(order_id, Decimal(0)) <= Decimal(order["qty"])
            queried = floor.core.get(
                uid, "/v5/order/realtime", {"category": "linear", "orderId": order_id}, floor.now_ns
            ).result["list"][0]
            assert {key: order[key] for key in ("orderStatus", "qty", "cumExecQty")} == {
                key: queried[key] for key in ("orderStatus", "qty", "cumExecQty")
            }


@given(FLOWS, st.sampled_from([0, 3 * MS]))
@settings(max_examples=25, deadline=None)
def test_the_same_flow_twice_is_byte_identical(flow: list[tuple[Any, ...]], latency_ns: int) -> None:
    def written(events: list[PrivateEvent]) -> bytes:
        return msgspec.json.encode([(event.uid, event.topic, event.data) for event in events])

    assert written(play(flow, order_latency_ns=latency_ns).events) == written(
        play(flow, order_latency_ns=latency_ns).events
    )


@given(FLOWS)
@settings(max_examples=40, deadline=None)
def test_the_margin_balance_is_never_at_or_below_maintenance_after_a_mark(flow: list[tuple[Any, ...]]) -> None:
    floor = play([*flow, ("mark", "57000.01"), ("mark", "62999.99")])
    for uid in ("u1", "u2"):
        coin = floor.coin(uid)
        assert Decimal(coin["equity"]) > Decimal(coin["totalPositionMM"]) or coin["totalPositionMM"] == "0"


def test_the_opening_balance_is_the_first_row_of_the_log() -> None:
    floor = Floor()
    answer = floor.core.get("u1", "/v5/account/transaction-log", {}, floor.now_ns)
    assert [(row["type"], row["change"]) for row in answer.result["list"]] == [("TRANSFER_IN", "10000")]
    assert answer.result["list"][0]["transactionTime"] == str(ORIGIN_NS // MS)
