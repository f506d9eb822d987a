"""Exits on the real paper venue's core: what the router's requests mean there."""

from __future__ import annotations

from decimal import Decimal

from tests.services.venue.floor import Floor
from tests.undertow.exchange.bybit.test_parse import request
from undertow.domain.order import OrderType, Side, TimeInForce
from undertow.exchange.bybit import parse


def test_an_exit_of_everything_closes_the_whole_position_whatever_its_size():
    floor = Floor()
    floor.market("Buy", "0.013")
    exit_ = request(
        symbol="BTCUSDT", side=Side.SELL, order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, reduce_only=True,
        closes_all=True, qty=Decimal("0.0135"), order_id="ex-1",
    )  # fmt: skip
    assert floor.post("order/create", **parse.order_body(exit_)).ret_code == 0
    assert floor.position()["size"] == "0"
    [sent] = floor.get("order/history", orderLinkId="ex-1").result["list"]
    assert sent["cumExecQty"] == "0.013"


def test_a_market_exit_beside_a_resting_one_closes_no_more_than_there_is():
    floor = Floor()
    floor.market("Buy", "0.013")
    resting = request(
        symbol="BTCUSDT", side=Side.SELL, price=Decimal("60000.10"), qty=Decimal("0.013"), reduce_only=True, order_id="ex-1"
    )  # fmt: skip
    harder = request(
        symbol="BTCUSDT", side=Side.SELL, order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, reduce_only=True,
        qty=Decimal("0.013"), order_id="ex-2",
    )  # fmt: skip
    assert floor.post("order/create", **parse.order_body(resting)).ret_code == 0
    assert floor.post("order/create", **parse.order_body(harder)).ret_code == 0
    assert floor.position()["size"] == "0"
    floor.trade("Buy", "60001.00", "50.000")
    assert floor.position()["size"] == "0"
    assert floor.get("order/realtime", settleCoin="USDT").result["list"] == []
