"""The installed ccxt trades a day on the venue, over HTTP alone: over TLS, under Bybit's names."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.services.venue.clients.running_venue import OPENING, RunningVenue, until

SYMBOL = "BTC/USDT:USDT"


def exchange(venue: RunningVenue, key: str) -> ccxt.bybit:
    return ccxt.bybit(
        {
            "apiKey": key,
            "secret": f"{key}-secret",
            "enableRateLimit": False,
            "requests_trust_env": True,  # takes the authority from REQUESTS_CA_BUNDLE
        }
    )


@pytest.fixture
def bot(venue, request):
    return exchange(venue, request.param)


def size(bot: ccxt.bybit) -> Decimal:
    return sum((Decimal(str(row["contracts"])) for row in bot.fetch_positions([SYMBOL])), Decimal(0))


def agrees(bot: ccxt.bybit, venue: RunningVenue) -> bool:
    """Answer whether ccxt's view of orders, positions and balance is that of the venue's core."""
    truth = venue.ledger(bot.apiKey)
    fills = [each["info"] for each in bot.fetch_my_trades(SYMBOL) + bot.fetch_my_liquidations(SYMBOL)]
    moved = sum(Decimal(each["execQty"]) * (1 if each["side"] == "Buy" else -1) for each in fills)
    held = sum(
        Decimal(str(row["contracts"])) * (1 if row["side"] == "long" else -1) for row in bot.fetch_positions([SYMBOL])
    )
    balance = bot.fetch_balance()["info"]["result"]["list"][0]["totalWalletBalance"]
    ledger = sum(Decimal(row["info"]["change"]) for row in bot.fetch_ledger())
    ours = (
        Decimal(balance),
        held,
        len(bot.fetch_open_orders(SYMBOL)),
        len(fills) + len(bot.fetch_funding_history(SYMBOL)),
    )
    core = (
        Decimal(truth["wallet"]),
        Decimal(truth["positions"].get("BTCUSDT", "0")),
        truth["open_orders"],
        truth["executions"],
    )
    return ours == core and moved == held and ledger == core[0]


@pytest.mark.parametrize("bot", ["ccxt-day"], indirect=True)
def test_ccxt_trades_a_day(venue: RunningVenue, bot: ccxt.bybit):
    # reads
    markets = bot.load_markets()
    assert markets[SYMBOL]["limits"]["amount"]["min"] == 0.001
    assert bot.fetch_status()["status"] == "ok"
    assert abs(bot.fetch_time() - bot.milliseconds()) < 5_000
    assert set(bot.fetch_currencies()) == {"BTC", "ETH", "USDT"}
    ticker = bot.fetch_ticker(SYMBOL)
    assert (ticker["bid"], ticker["ask"]) == (65000.0, 65000.1)
    assert bot.fetch_order_book(SYMBOL)["bids"][0] == [65000.0, 50.0]
    for page in (bot.fetch_trades, bot.fetch_ohlcv, bot.fetch_funding_rate, bot.fetch_open_interest_history):
        page(SYMBOL)
    for price in ("mark", "index", "premiumIndex"):
        bot.fetch_ohlcv(SYMBOL, params={"price": price})
    assert bot.fetch_market_leverage_tiers(SYMBOL)[0]["maxLeverage"] == 100.0
    assert bot.fetch_trading_fee(SYMBOL)["taker"] == 0.00055
    assert bot.fetch_margin_mode(SYMBOL)["marginMode"] == "cross"
    assert bot.fetch_balance()["USDT"]["total"] == float(OPENING)
    bot.set_leverage(20, SYMBOL)
    with pytest.raises(ccxt.BadRequest):
        bot.set_leverage(20, SYMBOL)
    with pytest.raises(ccxt.NoChange):
        bot.set_position_mode(hedged=False, symbol=SYMBOL)

    # places, amends and cancels, one by one and in batches
    one = bot.create_order(SYMBOL, "limit", "buy", 0.01, 64000, {"postOnly": True})["id"]
    bot.edit_order(one, SYMBOL, "limit", "buy", 0.02, 64001)
    shown = until(lambda: bot.fetch_open_order(one, SYMBOL))
    assert (shown["price"], shown["amount"], shown["status"], shown["postOnly"]) == (64001.0, 0.02, "open", True)
    bot.cancel_order(one, SYMBOL)
    until(lambda: bot.fetch_order(one, SYMBOL, {"acknowledged": True})["status"] == "canceled")
    with pytest.raises(ccxt.OrderNotFound):
        bot.cancel_order(one, SYMBOL)
    wanted = [{"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": 64000 + n} for n in range(3)]
    many = [each["id"] for each in bot.create_orders(wanted)]
    assert len(set(many)) == 3
    bot.edit_orders([{"id": each, **wanted[0], "price": 63990} for each in many])
    until(lambda: [each["price"] for each in bot.fetch_open_orders(SYMBOL)] == [63990.0] * 3)
    bot.cancel_orders(many[:2], SYMBOL)
    until(lambda: [each["id"] for each in bot.fetch_open_orders(SYMBOL)] == many[2:])
    bot.cancel_all_orders(SYMBOL)
    until(lambda: bot.fetch_open_orders(SYMBOL) == [])

    # what the book decides
    crossing = bot.create_order(SYMBOL, "limit", "buy", 0.01, 65000.1, {"postOnly": True})["id"]
    until(lambda: bot.fetch_order(crossing, SYMBOL, {"acknowledged": True})["status"] == "canceled")
    missed = bot.create_order(SYMBOL, "limit", "buy", 0.01, 64000, {"timeInForce": "IOC"})["id"]
    until(lambda: bot.fetch_order(missed, SYMBOL, {"acknowledged": True})["status"] == "canceled")
    bot.create_order(SYMBOL, "market", "buy", 0.02, None, {"stopLoss": {"triggerPrice": 63500}})
    until(lambda: size(bot) == Decimal("0.02"))
    (position,) = bot.fetch_positions([SYMBOL])
    assert (position["side"], position["leverage"], position["stopLossPrice"]) == ("long", 20.0, 63500.0)
    assert [each["stopLossPrice"] for each in bot.fetch_open_orders(SYMBOL, params={"trigger": True})] != []
    trigger = bot.create_order(
        SYMBOL, "limit", "buy", 0.01, 62000, {"triggerPrice": 62100, "triggerDirection": "descending"}
    )
    assert trigger["id"] in {each["id"] for each in bot.fetch_open_orders(SYMBOL, params={"trigger": True})}
    bot.cancel_order(trigger["id"], SYMBOL, {"trigger": True})

    # funding is collected, then half is closed by hand and half by the stop
    venue.tell(funding_in_ms=60, rate="-0.0001")
    funded = until(lambda: bot.fetch_funding_history(SYMBOL))
    assert [row["amount"] for row in funded] == [-0.13]  # ccxt hands the fee on: what was received is negative
    bot.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    until(lambda: size(bot) == Decimal("0.01"))
    assert len(bot.fetch_positions_history([SYMBOL])) == 1
    venue.tell(price="63400.00")
    venue.tell(trade=["Sell", "63400.00", "0.100"])
    until(lambda: size(bot) == 0)
    with pytest.raises(ccxt.ExchangeError, match="110017"):
        bot.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    until(lambda: agrees(bot, venue))


@pytest.mark.parametrize("bot", ["ccxt-fall"], indirect=True)
def test_ccxt_sees_its_liquidation(venue: RunningVenue, bot: ccxt.bybit):
    bot.load_markets()
    bot.set_leverage(100, SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        bot.create_order(SYMBOL, "market", "sell", 50)
    bot.create_order(SYMBOL, "market", "sell", 0.8)
    until(lambda: size(bot) == Decimal("0.8"))
    (position,) = bot.fetch_positions([SYMBOL])
    assert position["side"] == "short"
    assert 65_000 < position["liquidationPrice"] < 67_000
    venue.tell(price=f"{position['liquidationPrice'] + 20:.0f}.00")
    (busted,) = until(lambda: bot.fetch_my_liquidations(SYMBOL))
    assert (busted["contracts"], busted["info"]["side"]) == (0.8, "Buy")
    until(lambda: size(bot) == 0)
    until(lambda: agrees(bot, venue))


@pytest.mark.parametrize("bot", ["ccxt-hedge"], indirect=True)
def test_ccxt_holds_both_sides_at_once(venue: RunningVenue, bot: ccxt.bybit):
    bot.load_markets()
    bot.set_position_mode(hedged=True, symbol=SYMBOL)
    with pytest.raises(ccxt.BadRequest):
        bot.create_order(SYMBOL, "market", "buy", 0.01)  # names no side of the hedge
    bot.create_order(SYMBOL, "market", "buy", 0.01, None, {"hedged": True})
    bot.create_order(SYMBOL, "market", "sell", 0.03, None, {"hedged": True})
    held = until(lambda: _sides(bot) if len(_sides(bot)) == 2 else None)
    assert held == {"long": 0.01, "short": 0.03}
    with pytest.raises(ccxt.ExchangeError, match="110024"):
        bot.set_position_mode(hedged=False, symbol=SYMBOL)
    bot.create_order(SYMBOL, "market", "sell", 0.01, None, {"hedged": True, "reduceOnly": True})
    bot.create_order(SYMBOL, "market", "buy", 0.03, None, {"hedged": True, "reduceOnly": True})
    until(lambda: _sides(bot) == {})
    bot.set_position_mode(hedged=False, symbol=SYMBOL)
    until(lambda: agrees(bot, venue))


def _sides(bot: ccxt.bybit) -> dict[str, float]:
    return {row["side"]: row["contracts"] for row in bot.fetch_positions([SYMBOL]) if row["contracts"]}


@pytest.mark.parametrize(("choose", "how"), [("enable_demo_trading", "enable"), ("set_sandbox_mode", "enabled")])
def test_ccxt_finds_the_venue_under_the_names_of_demo_and_testnet(venue: RunningVenue, choose: str, how: str):
    bot = exchange(venue, "ccxt-day")
    getattr(bot, choose)(**{how: True})
    assert bot.fetch_balance()["USDT"]["total"] > 0


def test_what_ccxt_reads_of_a_refusal_is_its_own_kind_of_error(venue: RunningVenue):
    wrong = exchange(venue, "nobody")
    with pytest.raises(ccxt.AuthenticationError):
        wrong.fetch_balance()
    misspelt = exchange(venue, "ccxt-day")
    misspelt.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        misspelt.fetch_balance()


def test_every_number_that_ccxt_parsed_came_from_a_text(venue: RunningVenue):
    info: dict[str, Any] = exchange(venue, "ccxt-day").fetch_ticker(SYMBOL)["info"]
    assert all(isinstance(value, str) for value in info.values())
