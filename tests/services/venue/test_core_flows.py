"""What holds whatever the accounts and the market do."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from hypothesis import given, settings

from tests.services.venue.floor import SYMBOL, displayed, items, mark
from tests.services.venue.flows import FLOWS, TERMS, TIERS, UIDS, FlowFloor, Step, Terms, play, written
from undertow.domain.money import fee_for, funding_for
from undertow.domain.order import Side
from undertow.domain.position import Position

ZERO = Decimal(0)
TAKER = Decimal("0.00055")
CAME_TOO_LATE = "EC_OrigClOrdIDDoesNotExist"
"""Of a cancel that crossed the last fill; the stream says it with the filled order once more, no query does."""


def decimals(row: dict[str, Any], *keys: str) -> list[Decimal]:
    return [Decimal(row[key]) for key in keys]


def told(floor: FlowFloor, uid: str, topic: str) -> list[dict[str, Any]]:
    return items([event for event in floor.events if event.uid == uid], topic)


def index_of(floor: FlowFloor, uid: str, row: dict[str, Any], orders: dict[str, dict[str, Any]]) -> int:
    """Which position an execution belongs to; that of funding is told by its side alone."""
    if row["execType"] == "Funding":
        return floor.index(uid, 1 if row["side"] == "Buy" else 2)
    return int(orders[row["orderId"]]["positionIdx"])


def books_of(floor: FlowFloor, uid: str) -> tuple[dict[int, Position], Decimal]:
    """What books in Decimal make of the venue's executions alone: positions, and fees in MNT."""
    orders = {order["orderId"]: order for order in told(floor, uid, "order")}
    positions: dict[int, Position] = {index: Position(symbol=SYMBOL) for index in floor.held(uid)}
    elsewhere = ZERO
    for row in told(floor, uid, "execution"):
        index = index_of(floor, uid, row, orders)
        qty, price, fee = decimals(row, "execQty", "execPrice", "execFee")
        if row["feeCurrency"] != "USDT":
            elsewhere, fee = elsewhere + fee, ZERO
        positions[index] = (
            positions[index].after_funding(-fee)
            if row["execType"] == "Funding"
            else positions[index].after_fill(Side(row["side"]), qty, price, fee)
        )
    return positions, elsewhere


@given(FLOWS, TERMS)
@settings(max_examples=40, deadline=None)
def test_the_executions_add_up_to_the_position_of_each_index(flow: list[Step], terms: Terms) -> None:
    floor = play(flow, terms)
    for uid in UIDS:
        for index, position in books_of(floor, uid)[0].items():
            shown = floor.held(uid)[index]
            sign = {"Buy": 1, "Sell": -1, "": 0}[shown["side"]]
            assert position.qty == sign * Decimal(shown["size"])
            assert Decimal(shown["unrealisedPnl"]) == position.unrealised(mark(floor.core, SYMBOL))
            result = position.realised - position.fees + position.funding
            assert Decimal(shown["cumRealisedPnl"]) == result
            if floor.index(uid, 1):
                assert sign in {0, 1 if index == 1 else -1}


@given(FLOWS, TERMS)
@settings(max_examples=40, deadline=None)
def test_the_wallet_changes_by_result_fees_funding_and_transfers_to_the_last_decimal(
    flow: list[Step], terms: Terms
) -> None:
    floor = play(flow, terms)
    for uid in UIDS:
        positions, elsewhere = books_of(floor, uid)
        wallets, ledger = floor.wallets(uid), floor.core.ledger(uid)
        transfers = dict.fromkeys(wallets, ZERO)
        running = dict.fromkeys(wallets, ZERO)
        for row in floor.log(uid):
            coin, kind = row["currency"], row["type"]
            cash_flow, funding, fee, change, balance = decimals(
                row, "cashFlow", "funding", "fee", "change", "cashBalance"
            )
            assert change == cash_flow + funding - fee
            running[coin] += change
            assert balance == running[coin]
            transfers[coin] += change if kind in {"TRANSFER_IN", "TRANSFER_OUT"} else ZERO
        assert running == {coin: Decimal(shown["walletBalance"]) for coin, shown in wallets.items()}
        realised, fees, funding = (
            sum((getattr(p, name) for p in positions.values()), ZERO) for name in ("realised", "fees", "funding")
        )
        assert running["USDT"] == realised - fees + funding + transfers["USDT"]
        assert [realised, fees, funding, transfers["USDT"]] == decimals(
            ledger, "realised", "fees", "funding", "transfers"
        )
        if "MNT" in wallets:
            assert running["MNT"] == transfers["MNT"] - elsewhere


@given(FLOWS, TERMS)
@settings(max_examples=30, deadline=None)
def test_no_fill_is_worse_than_its_limit_and_fees_and_funding_follow_the_rules(flow: list[Step], terms: Terms) -> None:
    floor = play(flow, terms)
    for uid in UIDS:
        for row in told(floor, uid, "execution"):
            qty, price, fee, rate = decimals(row, "execQty", "execPrice", "execFee", "feeRate")
            sign = 1 if row["side"] == "Buy" else -1
            if row["execType"] == "Funding":
                assert -fee == funding_for(sign * qty, price, rate)
                continue
            assert sign * price <= sign * Decimal(row["orderPrice"])
            assert Decimal(row["execValue"]) == qty * price
            if row["feeCurrency"] == "USDT":
                assert fee == fee_for(qty, price, rate)


@given(FLOWS, TERMS)
@settings(max_examples=25, deadline=None)
def test_reduce_only_never_increases_and_an_order_ends_as_its_last_event_says(flow: list[Step], terms: Terms) -> None:
    floor = play(flow, terms)
    for uid in UIDS:
        last = {
            order["orderId"]: order for order in told(floor, uid, "order") if order["rejectReason"] != CAME_TOO_LATE
        }
        filled = dict.fromkeys(last, ZERO)
        for row in told(floor, uid, "execution"):
            if row["execType"] == "Funding":
                continue
            filled[row["orderId"]] += Decimal(row["execQty"])
            if last[row["orderId"]]["reduceOnly"]:
                assert row["closedSize"] == row["execQty"]
        for order_id, order in last.items():
            assert Decimal(order["cumExecQty"]) == filled[order_id] <= Decimal(order["qty"])
            queried = floor.get("order/realtime", uid, orderId=order_id).result["list"][0]
            assert {key: queried[key] for key in order.keys() & queried.keys() - {"tpslMode"}} == {
                key: order[key] for key in order.keys() & queried.keys() - {"tpslMode"}
            }


def up(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.00000001"), ROUND_CEILING)


def check_twin(floor: FlowFloor) -> None:
    """Margins and totals in Decimal, from what the positions show alone."""
    price = mark(floor.core, SYMBOL)
    for uid in UIDS:
        isolated = floor.get("account/info", uid).result["marginMode"] == "ISOLATED_MARGIN"
        margins = maintenances = ZERO
        for shown in floor.held(uid).values():
            margin, maintenance, size, cost, leverage = decimals(
                shown, "positionIM", "positionMM", "size", "positionValue", "leverage"
            )
            margins, maintenances = margins + margin, maintenances + maintenance
            if not size:
                assert (margin, maintenance) == (ZERO, ZERO)
                continue
            value, own = size * price, up(cost / leverage)
            tier = next(tier for tier in TIERS if value <= Decimal(tier["riskLimitValue"]))
            assert shown["riskId"] == tier["id"]
            fee_of = (cost - own if shown["side"] == "Buy" else cost + own) if isolated else value
            needed = up(value * Decimal(tier["maintenanceMargin"])) - Decimal(tier["mmDeduction"] or 0)
            assert maintenance == max(ZERO, needed) + up(fee_of * TAKER)
            if not isolated:
                assert margin == up(value / leverage) + up(value * TAKER)
        coin = floor.wallets(uid)["USDT"]
        assert [margins, maintenances] == decimals(coin, "totalPositionIM", "totalPositionMM")


@given(FLOWS, TERMS)
@settings(max_examples=40, deadline=None)
def test_margins_equal_those_of_a_slow_twin_in_decimal(flow: list[Step], terms: Terms) -> None:
    play(flow, terms, check_twin)


def check_margins(floor: FlowFloor) -> None:
    """No account owes anything, and what must be liquidated is."""
    bids, asks = displayed(floor.core, SYMBOL, 1)
    assert not bids or not asks or bids[0][0] < asks[0][0]
    assert floor.core.insurance_fund >= 0
    for uid in UIDS:
        coin, positions = floor.wallets(uid)["USDT"], floor.held(uid).values()
        wallet, equity, maintenance, margins = decimals(
            coin, "walletBalance", "equity", "totalPositionMM", "totalPositionIM"
        )
        if floor.get("account/info", uid).result["marginMode"] == "ISOLATED_MARGIN":
            assert wallet >= margins >= 0
            for position in positions:
                own, result, needed = decimals(position, "positionIM", "unrealisedPnl", "positionMM")
                assert own + result > needed or position["size"] == "0"
        else:
            assert equity > maintenance or (equity >= 0 == maintenance)


@given(FLOWS, TERMS)
@settings(max_examples=60, deadline=None)
def test_no_margin_balance_is_ever_negative_and_the_shown_book_never_crossed(flow: list[Step], terms: Terms) -> None:
    play(flow, terms, check_margins)


def check_accepted(floor: FlowFloor) -> None:
    """What was accepted is covered, or needs no more than there was before."""
    if floor.accepted is not None:
        uid, before = floor.accepted
        margin, funds = floor.margins(uid)
        assert margin <= max(funds, before), floor.accepted
    floor.accepted = None


@given(FLOWS, TERMS)
@settings(max_examples=60, deadline=None)
def test_after_every_order_that_is_accepted_the_funds_cover_the_initial_margin(flow: list[Step], terms: Terms) -> None:
    play(flow, terms, check_accepted)


@given(FLOWS, TERMS)
@settings(max_examples=10, deadline=None)
def test_the_same_flow_twice_is_byte_identical(flow: list[Step], terms: Terms) -> None:
    assert written(play(flow, terms)) == written(play(flow, terms))
