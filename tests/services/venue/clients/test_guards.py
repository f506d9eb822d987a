"""The installed pybit and ccxt protect their positions on the venue: partial and trailing stops, brackets, conditional orders."""

from __future__ import annotations

from decimal import Decimal

from pybit import unified_trading as pybit

from tests.services.venue.clients.running_venue import RunningVenue, until
from tests.services.venue.clients.test_ccxt import SYMBOL, agrees, exchange, size
from tests.services.venue.clients.test_pybit import BTC


def test_ccxt_guards_a_position_and_a_trailing_stop_closes_it(venue: RunningVenue):
    bot = exchange(venue, "ccxt-guards")
    bot.load_markets()
    bot.create_order(
        SYMBOL,
        "market",
        "buy",
        0.02,
        None,
        {"stopLoss": {"triggerPrice": 64000, "price": 63900}, "takeProfit": {"triggerPrice": 66000, "price": 66100}},
    )
    until(lambda: size(bot) == Decimal("0.02"))
    pair = bot.fetch_open_orders(SYMBOL, params={"trigger": True})
    assert {(each["stopLossPrice"], each["takeProfitPrice"], each["type"]) for each in pair} == {
        (64000.0, None, "limit"),
        (None, 66000.0, "limit"),
    }
    bot.create_order(SYMBOL, "market", "sell", 0, None, {"stopLossPrice": 63000, "takeProfitPrice": 67000})
    bot.create_order(SYMBOL, "market", "sell", 0.02, None, {"trailingAmount": "200"})
    (position,) = bot.fetch_positions([SYMBOL])
    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (63000.0, 67000.0)
    assert position["info"]["trailingStop"] == "200"
    assert len(bot.fetch_open_orders(SYMBOL, params={"trigger": True})) == 5
    venue.tell(price="65300.00")
    venue.tell(trade=["Buy", "65300.00", "0.100"])
    until(lambda: bot.fetch_ticker(SYMBOL)["last"] == 65300.0)
    venue.tell(price="65100.00")
    until(lambda: size(bot) == 0)
    until(lambda: bot.fetch_open_orders(SYMBOL, params={"trigger": True}) == [])
    (closed,) = bot.fetch_positions_history([SYMBOL])
    assert closed["info"]["execType"] == "Trade"
    until(lambda: agrees(bot, venue))


def test_pybit_sets_amends_and_clears_what_protects_it(venue: RunningVenue):
    key = "pybit-guards"
    bot = pybit.HTTP(testnet=False, api_key=key, api_secret=f"{key}-secret")
    bot.client.verify = venue.ca_file
    bbo = {"side": "Buy", "orderType": "Limit", "qty": "0.020", "bboSideType": "Counterparty", "bboLevel": "2"}
    rates = bot.pre_check_order(**BTC, **(bbo | {"bboLevel": "1"}))["result"]
    assert rates["preImrE4"] == 0 < rates["postMmrE4"] < rates["postImrE4"]
    bot.place_order(**BTC, **bbo, stopLoss="64000", tpslMode="Partial")
    until(lambda: bot.get_positions(**BTC)["result"]["list"][0]["size"] == "0.02")
    bot.set_trading_stop(
        **BTC,
        tpslMode="Partial",
        positionIdx=0,
        takeProfit="66000",
        tpSize="0.010",
        tpOrderType="Limit",
        tpLimitPrice="66100",
    )
    waiting = bot.get_open_orders(**BTC, orderFilter="StopOrder")["result"]["list"]
    assert [(row["stopOrderType"], row["qty"], row["price"]) for row in waiting] == [
        ("PartialTakeProfit", "0.010", "66100.00"),
        ("PartialStopLoss", "0.020", "0"),
    ]
    bot.amend_order(**BTC, orderId=waiting[1]["orderId"], triggerPrice="64500")
    conditional = {"side": "Buy", "orderType": "Market", "qty": "0.010", "triggerPrice": "70000", "triggerDirection": 1}
    own = bot.place_order(**BTC, **conditional)["result"]["orderId"]
    gone = bot.cancel_all_orders(**BTC, orderFilter="StopOrder", stopOrderType="Stop")["result"]["list"]
    assert [row["orderId"] for row in gone] == [own]
    venue.tell(price="64500.00")
    venue.tell(trade=["Sell", "64500.00", "0.100"])
    until(lambda: bot.get_positions(**BTC)["result"]["list"][0]["size"] == "0")
    until(lambda: bot.get_open_orders(**BTC)["result"]["list"] == [])
    (row,) = bot.get_closed_pnl(**BTC)["result"]["list"]
    assert (row["orderId"], row["closedSize"]) == (waiting[1]["orderId"], "0.02")
    history = {order["orderId"]: order for order in bot.get_order_history(**BTC)["result"]["list"]}
    assert history[row["orderId"]]["createType"] == "CreateByPartialStopLoss"
    assert history[waiting[0]["orderId"]]["cancelType"] == "CancelByTpSlTsClear"
    bot.client.close()
