"""What money, risk tiers and leverage allow: an order, a change of it, a change of leverage."""

from __future__ import annotations

from decimal import Decimal

from tests.services.venue.floor import MS, SYMBOL, Floor, items


def rich(**options: int) -> Floor:
    floor = Floor(balance="100000000", **options)
    floor.book(bids=[("60000.00", "4000.000")], asks=[("60000.10", "4000.000")], snapshot=True)
    return floor


def tight() -> Floor:
    """A market whose one tier ends at 50,000 USDT."""
    floor = Floor(balance="100000")
    floor.core._markets[SYMBOL].tiers[-1, 0] = 50_000 * 10**8
    floor.core._markets[SYMBOL].tiers = floor.core._markets[SYMBOL].tiers[-1:]
    return floor


def test_fills_before_the_first_mark_are_shown_and_break_nothing() -> None:
    floor = Floor(marked=False)
    assert floor.market(qty="0.010").ret_code == 0
    floor.create(side="Buy", price="59999.90", qty="0.010")
    floor.trade("Sell", "59999.90", "9")
    assert (floor.position()["size"], floor.position()["adlRankIndicator"]) == ("0.02", 1)


def test_before_the_first_mark_a_position_is_worth_what_it_cost_then_what_was_last_traded() -> None:
    floor = Floor(balance="1000", marked=False)
    assert floor.market(qty="0.100").ret_code == 0
    assert (floor.position()["unrealisedPnl"], floor.coin()["unrealisedPnl"]) == ("0", "0")
    assert floor.create(price="59000.00", qty="0.010").ret_code == 0
    floor.trade("Sell", "59990.10", "0.001")
    assert (floor.position()["unrealisedPnl"], floor.position()["markPrice"]) == ("-1", "0")
    assert Decimal(floor.coin()["equity"]) == Decimal(floor.coin()["walletBalance"]) - 1
    assert floor.create(price="59000.00", qty="0.010").ret_code == 0
    floor.ticker(markPrice="60010.10")
    assert floor.position()["unrealisedPnl"] == "1"
    floor.trade("Sell", "59990.10", "0.001")
    assert floor.position()["unrealisedPnl"] == "1"


def test_no_last_price_liquidates_or_pays_funding_but_a_first_mark_equal_to_it_does() -> None:
    floor = Floor(balance="1000", marked=False)
    assert floor.market(qty="0.100").ret_code == 0
    floor.ticker(lastPrice="45000.00", fundingRate="0.0001", nextFundingTime=str(floor.now_ns // MS + 2))
    floor.now_ns += 5 * MS
    assert floor.core.on_time(floor.now_ns) == []
    assert (floor.position()["size"], floor.position()["unrealisedPnl"]) == ("0.1", "-1500.01")
    events = floor.ticker(markPrice="45000.00")
    assert floor.position()["size"] == "0"
    assert "BustTrade" in [row["execType"] for row in items(events, "execution")]


def test_an_isolated_position_is_liquidated_whether_or_not_another_market_has_a_mark() -> None:
    floor = Floor()
    assert floor.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").ret_code == 0
    floor.book(bids=[("3000.00", "9")], asks=[("3000.01", "9")], snapshot=True, symbol="ETHUSDT")
    assert floor.market(qty="0.100").ret_code == 0
    assert floor.market(symbol="ETHUSDT", qty="0.10").ret_code == 0
    floor.ticker(markPrice="50000.00")
    assert (floor.position()["size"], floor.position("ETHUSDT")["size"]) == ("0", "0.1")


def test_a_position_near_the_limit_of_the_last_tier_can_be_closed_by_a_plain_order() -> None:
    floor = tight()
    assert floor.market("Buy", "0.800").ret_code == 0
    assert floor.market("Buy", "0.100").ret_code == 110090
    assert floor.market("Sell", "0.800").ret_code == 0
    assert floor.position()["size"] == "0"


def test_open_orders_count_together_towards_the_last_tier() -> None:
    floor = tight()
    first = floor.create(price="59000.00", qty="0.500").result["orderId"]
    assert floor.create(price="59000.00", qty="0.500").ret_code == 110090
    assert floor.create("Sell", price="61000.00", qty="0.500").ret_code == 0
    assert floor.post("order/amend", symbol=SYMBOL, orderId=first, qty="0.900").ret_code == 110090
    assert floor.post("order/amend", symbol=SYMBOL, orderId=first, qty="0.800").ret_code == 0


def test_an_amendment_meets_the_leverage_of_its_size_as_an_order_does() -> None:
    floor = rich()
    floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="100", sellLeverage="100")
    qty = "400.000"
    assert floor.create(price="59000.00", qty=qty).ret_code == 110086
    order_id = floor.create(price="59000.00", qty="0.010").result["orderId"]
    assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, qty=qty).ret_code == 110086


def test_leverage_meets_the_open_orders_too() -> None:
    floor = rich()
    floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="5", sellLeverage="5")
    assert floor.create(price="59000.00", qty="400.000").ret_code == 0
    assert floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="100", sellLeverage="100").ret_code == 110013


def test_leverage_can_be_lowered_on_a_position_that_has_grown_beyond_the_last_tier() -> None:
    floor = tight()
    assert floor.market("Buy", "0.800").ret_code == 0
    floor.ticker(markPrice="63000.00")
    assert floor.post("position/set-leverage", symbol=SYMBOL, buyLeverage="5", sellLeverage="5").ret_code == 0


def test_of_two_amendments_on_their_way_the_second_meets_what_the_first_has_taken() -> None:
    floor = Floor(balance="1000", order_latency_ns=5 * MS)
    ids = [floor.create(price="59000.00", qty="0.010").result["orderId"] for _ in range(2)]
    floor.now_ns += 10 * MS
    floor.core.on_time(floor.now_ns)
    for order_id in ids:
        assert floor.post("order/amend", symbol=SYMBOL, orderId=order_id, qty="0.150", price="59100.00").ret_code == 0
    floor.now_ns += 10 * MS
    told = items(floor.core.on_time(floor.now_ns), "order")
    first, second = ("0.150", "59100.00", "New"), ("0.010", "59000.00", "New")
    assert [(order["qty"], order["price"], order["orderStatus"]) for order in told] == [first, second]
    assert [floor.order(order_id)["qty"] for order_id in ids] == ["0.150", "0.010"]


def test_what_an_order_would_lose_at_once_against_the_mark_must_be_there_too() -> None:
    # 0.164 at 10 times needs 994.8 of 1,000, but would leave 945 to carry a position that needs 984
    for side, mark in (("Buy", "59700.00"), ("Sell", "60300.00")):
        for order in ({"orderType": "Market"}, {"price": "60000.10" if side == "Buy" else "60000.00"}):
            floor = Floor(balance="1000")
            floor.ticker(markPrice=mark, indexPrice=mark)
            assert floor.create(side, "0.164", **order).ret_code == 110007
            assert floor.create(side, "0.150", **order).ret_code == 0
            coin = floor.coin()
            assert Decimal(coin["totalPositionIM"]) <= Decimal(coin["equity"])
            at_mark = Floor(balance="1000")
            assert at_mark.create(side, "0.164", **order).ret_code == 0


def test_a_market_order_is_reckoned_at_the_levels_that_it_would_take() -> None:
    floor = Floor(balance="1000")
    floor.book(asks=[("60000.10", "0.001"), ("60000.20", "0"), ("60300.00", "3")])
    assert floor.market(qty="0.164").ret_code == 110007
    assert floor.market(qty="0.150").ret_code == 0
    coin = floor.coin()
    assert Decimal(coin["totalPositionIM"]) <= Decimal(coin["equity"])


def test_what_resting_orders_would_lose_when_they_fill_is_spoken_for() -> None:
    floor = Floor(balance="1000")
    assert floor.create(price="60000.00", qty="0.080").ret_code == 0
    floor.ticker(markPrice="59700.00", indexPrice="59700.00")
    assert floor.create(price="59700.00", qty="0.083").ret_code == 110007
    assert floor.create(price="59700.00", qty="0.070").ret_code == 0
    floor.trade("Sell", "59600.00", "99")
    coin = floor.coin()
    assert Decimal(coin["totalPositionIM"]) <= Decimal(coin["equity"])


def test_an_isolated_position_bears_its_own_loss_and_the_wallet_only_its_margin() -> None:
    floor = Floor(balance="1000")
    assert floor.post("account/set-margin-mode", setMarginMode="ISOLATED_MARGIN").ret_code == 0
    floor.ticker(markPrice="59700.00", indexPrice="59700.00")
    assert floor.market(qty="0.164").ret_code == 0
    coin = floor.coin()
    assert Decimal(coin["totalPositionIM"]) <= Decimal(coin["walletBalance"])


def test_a_market_order_on_its_way_holds_its_margin_as_a_limit_order_does() -> None:
    floor = Floor(balance="1000", order_latency_ns=5 * MS)
    assert floor.market(qty="0.100").ret_code == 0
    assert Decimal(floor.coin()["totalOrderIM"]) > 600
    assert floor.market(qty="0.100").ret_code == 110007
    assert floor.create(price="59000.00", qty="0.100").ret_code == 110007
    floor.now_ns += 10 * MS
    floor.core.on_time(floor.now_ns)
    assert (floor.position()["size"], floor.coin()["totalOrderIM"]) == ("0.1", "0")


def test_conditional_orders_on_their_way_count_as_waiting_and_hold_no_margin() -> None:
    floor = Floor(balance="1000", order_latency_ns=5 * MS)
    waiting = {"triggerPrice": "61000.00", "triggerDirection": 1, "price": "61000.00", "qty": "0.100"}
    codes = [floor.create(**waiting).ret_code for _ in range(11)]
    assert codes == [0] * 10 + [110009]
    assert floor.create(price="59000.00", qty="0.100").ret_code == 0
