"""Isolated margin: a position can lose what it holds, and no more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.venue.answers import WOULD_LIQUIDATE, Answer, PrivateEvent
from tests.services.venue.floor import MS, SYMBOL, Floor, items
from undertow.domain.money import fee_for
from undertow.matching import money as kernel

TAKER = Decimal("0.00055")


def mode(floor: Floor, name: str) -> Answer:
    return floor.post("account/set-margin-mode", setMarginMode=name)


class IsolatedFloor(Floor):
    """The same floor, `u1` in isolated mode."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        assert mode(self, "ISOLATED_MARGIN").ret_code == 0

    def margin(self, amount: str, **body: Any) -> Answer:
        return self.post("position/add-margin", symbol=SYMBOL, margin=amount, **body)

    def free(self) -> Decimal:
        coin = self.coin()
        return Decimal(coin["walletBalance"]) - Decimal(coin["totalPositionIM"]) - Decimal(coin["totalOrderIM"])


def leverage(floor: Floor, buy: str, sell: str | None = None) -> int:
    return floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage=buy, sellLeverage=sell or buy).ret_code


def test_the_mode_is_the_accounts_and_shown_in_its_info() -> None:
    floor = IsolatedFloor()
    assert floor.get("account/info").result["marginMode"] == "ISOLATED_MARGIN"
    assert mode(floor, "ISOLATED_MARGIN").ret_code == 110026
    assert mode(floor, "REGULAR_MARGIN").result == {"reasons": []}
    assert floor.get("account/info").result["marginMode"] == "REGULAR_MARGIN"


def test_portfolio_margin_is_refused_with_a_reason() -> None:
    refused = mode(Floor(), "PORTFOLIO_MARGIN")
    assert refused.ret_code == 3400045
    assert refused.result == {
        "reasons": [{"reasonCode": "3400045", "reasonMsg": "Portfolio margin is not offered here"}]
    }


def test_a_balance_that_does_not_cover_the_margins_blocks_the_isolated_mode() -> None:
    floor = Floor(balance="1000")
    floor.market(qty="0.1")
    floor.ticker(markPrice="63000")
    assert floor.create(qty="0.08").ret_code == 0
    refused = mode(floor, "ISOLATED_MARGIN")
    assert (refused.ret_code, refused.result["reasons"][0]["reasonMsg"]) == (
        3400045,
        "The balance does not cover the margins of positions and orders in this mode",
    )
    assert floor.get("account/info").result["marginMode"] == "REGULAR_MARGIN"
    floor.post("order/cancel-all", symbol=SYMBOL)
    assert mode(floor, "ISOLATED_MARGIN").ret_code == 0


def test_a_position_that_would_be_liquidated_at_once_blocks_the_isolated_mode() -> None:
    floor = Floor()
    leverage(floor, "50")
    floor.market(qty="0.1")
    floor.ticker(markPrice="59000")
    reasons = mode(floor, "ISOLATED_MARGIN").result["reasons"]
    assert reasons[0]["reasonMsg"] == "A position would be liquidated at once in this mode"
    assert floor.position()["size"] == "0.1"


def test_the_margin_is_entry_value_by_leverage_and_the_fee_of_closing_at_bankruptcy() -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    entry = Decimal("6000.01")
    expected = entry / 10 + fee_for(Decimal("0.1"), Decimal("60000.1") * Decimal("0.9"), TAKER)
    assert Decimal(floor.position()["positionIM"]) == expected
    floor.ticker(markPrice="61000")
    assert Decimal(floor.position()["positionIM"]) == expected
    assert floor.position()["positionBalance"] == floor.position()["positionIM"]


def test_what_only_cross_margin_has_is_empty_in_the_wallet() -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    item = floor.get("account/wallet-balance", accountType="UNIFIED").result["list"][0]
    assert (item["accountIMRate"], item["totalAvailableBalance"], item["totalMaintenanceMargin"]) == ("", "", "")
    assert item["totalWalletBalance"] == item["coin"][0]["walletBalance"]


def test_profit_that_is_not_realised_carries_no_new_risk() -> None:
    floor = IsolatedFloor(balance="1000")
    floor.market(qty="0.15")
    floor.ticker(markPrice="66000")
    assert floor.create(qty="0.02").ret_code == 110007
    assert mode(floor, "REGULAR_MARGIN").ret_code == 0
    assert floor.create(qty="0.02").ret_code == 0


@pytest.mark.parametrize(("side", "sign"), [("Buy", 1), ("Sell", -1)])
def test_it_is_liquidated_at_the_price_of_the_formula_and_the_rest_of_the_account_is_left_alone(
    side: str, sign: int
) -> None:
    floor = IsolatedFloor()
    floor.book([("3000.00", "99")], [("3000.01", "99")], snapshot=True, symbol="ETHUSDT")
    floor.ticker("ETHUSDT", markPrice="3000.00", lastPrice="3000.00")
    floor.market(qty="1", symbol="ETHUSDT")
    floor.market(side, qty="0.15")
    floor.create(price="50000.00", qty="0.001")
    floor.post("order/create", symbol="ETHUSDT", side="Buy", orderType="Limit", qty="1", price="2900.00")
    position = floor.position()
    entry, tier = Decimal(position["avgPrice"]), Decimal("0.005")
    expected = entry * (1 - sign * Decimal("0.1")) / (1 - sign * tier)
    assert 0 <= sign * (Decimal(position["liqPrice"]) - expected) < Decimal("0.1")
    before = Decimal(floor.coin()["walletBalance"])
    step = sign * Decimal("0.2")
    assert floor.ticker(markPrice=str(Decimal(position["liqPrice"]) + step)) == []
    events = floor.ticker(markPrice=str(Decimal(position["liqPrice"]) - step))
    assert [o["symbol"] for o in items(events, "order")] == [SYMBOL, SYMBOL]
    assert items(events, "order")[0]["cancelType"] == "CancelByPrepareLiq"
    assert items(events, "execution")[0]["execType"] == "BustTrade"
    lost = before - Decimal(floor.coin()["walletBalance"])
    assert 0 <= Decimal(position["positionIM"]) - lost < Decimal("0.02")
    assert floor.position("ETHUSDT")["size"] == "1"
    assert len(floor.get("order/realtime", symbol="ETHUSDT").result["list"]) == 1


def test_the_formula_of_the_protocol_page_gives_its_own_example() -> None:
    floor = IsolatedFloor(balance="100000")
    floor.book([("19999.90", "9")], [("20000.00", "9")], snapshot=True)
    floor.ticker(markPrice="20000.00", indexPrice="20000.00", lastPrice="20000.00")
    leverage(floor, "50")
    floor.market(qty="1")
    assert floor.position()["liqPrice"] == "19698.5"


def test_margin_added_moves_the_liquidation_price_and_can_be_taken_back() -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    before = floor.position()
    answer = floor.margin("100")
    assert answer.ret_code == 0
    assert Decimal(answer.result["positionIM"]) == Decimal(before["positionIM"]) + 100
    moved = Decimal(before["liqPrice"]) - Decimal(answer.result["liqPrice"])
    assert abs(moved - 1000 / Decimal("0.995")) < Decimal("0.1")
    assert floor.margin("-100.00000001").ret_code == 10001
    floor.ticker(markPrice="59000.1")
    assert floor.margin("-0.01").ret_code == 10001
    floor.ticker(markPrice="60000.1")
    assert floor.margin("-100").ret_code == 0
    assert floor.position()["positionIM"] == before["positionIM"]


@pytest.mark.parametrize(
    ("amount", "code"),
    [("0", 110027), ("10000", 110012), ("ten", 10001), ("--1", 10001), ("0.000000001", 10001), ("", 10001)],
)
def test_margin_that_cannot_be_added_is_refused(amount: str, code: int) -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    assert floor.margin(amount).ret_code == code


def test_margin_is_added_to_an_isolated_position_only() -> None:
    floor = Floor()
    floor.market()
    assert floor.post("position/add-margin", symbol=SYMBOL, margin="1").ret_code == 10001
    assert floor.post("position/set-auto-add-margin", symbol=SYMBOL, autoAddMargin=1).ret_code == 10001
    assert IsolatedFloor().margin("1").ret_code == 10001
    assert IsolatedFloor().margin("1", positionIdx=1).ret_msg == "position idx not match position mode"


def test_a_part_closed_takes_its_share_of_the_added_margin_along() -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    floor.margin("100")
    floor.market("Sell", "0.025", reduceOnly=True)
    entry = Decimal("6000.01") * Decimal("0.75")
    own = entry / 10 + fee_for(Decimal("0.075"), Decimal("60000.1") * Decimal("0.9"), TAKER)
    assert Decimal(floor.position()["positionIM"]) == own + 75
    floor.market("Sell", "0.075", reduceOnly=True)
    assert floor.position()["positionIM"] == "0"
    floor.market(qty="0.1")
    assert Decimal(floor.position()["positionIM"]) < 604


def test_a_position_may_add_margin_by_itself_before_it_would_be_liquidated() -> None:
    floor = IsolatedFloor(balance="2000")
    floor.market(qty="0.1")
    auto = {"symbol": SYMBOL, "autoAddMargin": 1}
    assert [floor.post("position/set-auto-add-margin", **auto).ret_code for _ in range(2)] == [0, 110027]
    assert floor.post("position/set-auto-add-margin", symbol=SYMBOL, autoAddMargin="1").ret_code == 10001
    assert floor.position()["autoAddMargin"] == 1
    floor.ticker(markPrice="54000")
    assert floor.position()["size"] == "0.1"
    added = Decimal("600.01")
    assert Decimal(floor.position()["positionIM"]) == added + Decimal("600.001") + Decimal("2.97000495")
    floor.ticker(markPrice="48000")
    assert 0 < floor.free() < 200
    floor.ticker(markPrice="42000")
    assert floor.free() == 0
    events = floor.ticker(markPrice="40000")
    assert items(events, "execution")[0]["execType"] == "BustTrade"
    assert 0 <= Decimal(floor.coin()["walletBalance"]) < Decimal("0.02")


def test_funding_that_the_free_balance_cannot_pay_comes_out_of_the_positions_margin() -> None:
    floor = IsolatedFloor(balance="1000")
    floor.market(qty="0.16")
    before, free = Decimal(floor.position()["positionIM"]), floor.free()
    floor.ticker(fundingRate="0.005", nextFundingTime=str(floor.now_ns // MS + 2))
    floor.now_ns += 5 * MS
    floor.core.on_time(floor.now_ns)
    paid = Decimal(48)
    assert free < paid
    assert floor.free() == 0
    assert Decimal(floor.position()["positionIM"]) == before - (paid - free)


def test_a_position_whose_margin_paid_for_anothers_loss_is_liquidated_with_it() -> None:
    floor = IsolatedFloor()
    floor.book(bids=[("60000.00", "20.000")], asks=[("60000.10", "20.000")], snapshot=True)
    floor.book(bids=[("3000.00", "100.00")], asks=[("3000.01", "100.00")], snapshot=True, symbol="ETHUSDT")
    floor.ticker("ETHUSDT", lastPrice="3000.00", markPrice="3000.00", indexPrice="3000.00")
    assert leverage(floor, "100") == 0
    assert floor.create("Buy", "14.00", orderType="Market", symbol="ETHUSDT").ret_code == 0
    assert floor.market("Buy", "7.900").ret_code == 0
    floor.book(bids=[("58800.00", "20.000")], asks=[("58800.10", "20.000")], snapshot=True)  # the mark has not followed
    floor.ticker(indexPrice="58800.00")
    assert floor.market("Sell", "7.900", reduceOnly=True).ret_code == 0
    assert (floor.position()["size"], floor.position("ETHUSDT")["size"]) == ("0", "0")
    assert [row["execType"] for row in items(floor.events, "execution")][-1] == "BustTrade"


def two_positions() -> IsolatedFloor:
    """Long 0.1 BTC at 100 times and 1 ETH at 10 times on 400 USDT, of which some 30 are free."""
    floor = IsolatedFloor(balance="400")
    floor.book(bids=[("3000.00", "9")], asks=[("3000.01", "9")], snapshot=True, symbol="ETHUSDT")
    floor.ticker(symbol="ETHUSDT", markPrice="3000.00", indexPrice="3000.00", lastPrice="3000.00")
    assert leverage(floor, "100") == 0
    assert floor.market(qty="0.1").ret_code == 0
    assert floor.market(symbol="ETHUSDT", qty="1").ret_code == 0
    assert 0 < floor.free() < 40
    return floor


def funded(floor: Floor, rate: str) -> list[PrivateEvent]:
    """Let a stamp of BTCUSDT pass."""
    floor.ticker(fundingRate=rate, nextFundingTime=str(floor.now_ns // MS + 2))
    floor.now_ns += 5 * MS
    return floor.core.on_time(floor.now_ns)


@pytest.mark.parametrize("mark", ["60000.00", "60400.00"])
def test_funding_that_another_positions_margin_pays_ends_that_position_at_once(mark: str) -> None:
    floor = two_positions()
    floor.ticker(markPrice=mark)
    busts = [row["symbol"] for row in items(funded(floor, "0.0642"), "execution") if row["execType"] == "BustTrade"]
    # the payer itself lives where its profit is a stake
    assert busts == (["ETHUSDT"] if mark == "60400.00" else [SYMBOL, "ETHUSDT"])
    assert floor.position("ETHUSDT")["size"] == "0"


def test_funding_that_leaves_a_debt_is_made_good_by_the_fund_though_the_payer_lives() -> None:
    floor = two_positions()
    floor.ticker(markPrice="60600.00")
    funded(floor, "0.09")
    assert (floor.position()["size"], floor.position("ETHUSDT")["size"]) == ("0.1", "0")
    assert Decimal(floor.coin()["walletBalance"]) >= 0
    assert floor.core.insurance_fund < 1_000_000


def test_a_fee_that_another_positions_margin_pays_ends_that_position_at_once() -> None:
    floor = two_positions()
    floor.core._accounts["u1"].taker_rate = 6_500_000  # 6.5 %
    busts = [
        row["symbol"]
        for row in items(floor.market("Sell", "0.1").events, "execution")
        if row["execType"] == "BustTrade"
    ]
    assert busts == ["ETHUSDT"]


def test_margin_is_not_taken_back_when_that_would_liquidate_the_position() -> None:
    floor = IsolatedFloor(balance="100000")
    assert leverage(floor, "100") == 0
    assert floor.market(qty="2").ret_code == 0
    assert floor.margin("5000").ret_code == 0
    tiers = floor.core._markets[SYMBOL].tiers
    tiers[:, 2] = 2_000_000  # maintenance of 2 %, more than the leverage asks for
    assert floor.margin("-4900").ret_code == WOULD_LIQUIDATE
    assert floor.position()["size"] == "2"
    assert floor.margin("-1000").ret_code == 0


def test_long_and_short_may_have_different_leverage_only_when_isolated_and_hedged() -> None:
    floor = IsolatedFloor()
    assert leverage(floor, "10", "20") == 10001
    assert floor.post("position/switch-mode", symbol=SYMBOL, mode=3).ret_code == 0
    assert [leverage(floor, "10", "20"), leverage(floor, "10", "20")] == [0, 110043]
    assert [p["leverage"] for p in floor.get("position/list", symbol=SYMBOL).result["list"]] == ["10", "20"]
    floor.market("Sell", "0.1", positionIdx=2)
    assert Decimal(floor.get("position/list", symbol=SYMBOL).result["list"][1]["positionIM"]) < 310
    assert mode(floor, "REGULAR_MARGIN").ret_code == 0
    assert [p["leverage"] for p in floor.get("position/list", symbol=SYMBOL).result["list"]] == ["10", "10"]


def test_of_a_hedge_only_the_losing_side_is_liquidated_and_only_its_orders_end() -> None:
    floor = IsolatedFloor()
    floor.post("position/switch-mode", symbol=SYMBOL, mode=3)
    floor.market("Buy", "0.1", positionIdx=1)
    floor.market("Sell", "0.1", positionIdx=2)
    floor.create("Sell", "0.1", "66000.00", positionIdx=1)
    floor.create("Buy", "0.1", "50000.00", positionIdx=2)
    events = floor.ticker(markPrice="54000")
    assert [o["positionIdx"] for o in items(events, "order")] == [1, 1]
    assert [p["size"] for p in floor.get("position/list", symbol=SYMBOL).result["list"]] == ["0", "0.1"]
    assert len(floor.get("order/realtime", symbol=SYMBOL).result["list"]) == 1


def test_leverage_that_would_liquidate_an_isolated_position_is_refused() -> None:
    floor = IsolatedFloor()
    floor.market(qty="0.1")
    floor.ticker(markPrice="58000")
    assert [leverage(floor, "50"), leverage(floor, "20")] == [110040, 0]
    assert floor.position()["leverage"] == "20"


def test_orders_of_an_isolated_account_hold_the_fee_of_closing_at_bankruptcy() -> None:
    floor = IsolatedFloor()
    floor.create("Sell", "0.1", "60001.00")
    value = 600_010_000_000
    own = int(kernel.isolated_initial(-value, 1_000, 55_000)) + int(kernel.share_up(value, 55_000))
    assert Decimal(floor.coin()["totalOrderIM"]) == Decimal(own).scaleb(-8)
