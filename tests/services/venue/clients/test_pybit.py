"""The installed pybit trades a day on the venue: over TLS, under Bybit's names, by its own rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pybit import unified_trading as pybit
from pybit.exceptions import InvalidRequestError

from tests.services.venue.clients.running_venue import OPENING, RunningVenue, until

BTC: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT"}


def limit(price: str, qty: str = "0.010", **more: Any) -> dict[str, Any]:
    return {**BTC, "side": "Buy", "orderType": "Limit", "price": price, "qty": qty, "timeInForce": "GTC", **more}


class Bot:
    """A bot on pybit: three sockets, one HTTP session, and what it believes from its streams alone."""

    def __init__(self, venue: RunningVenue, key: str) -> None:
        self.venue, self.key = venue, key
        signed = {"testnet": False, "api_key": key, "api_secret": f"{key}-secret"}
        self.http = pybit.HTTP(**signed)
        self.http.client.verify = venue.ca_file
        self.orders: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, dict[str, Any]] = {}
        self.wallets: list[dict[str, Any]] = []
        self.public: list[dict[str, Any]] = []
        self._open: list[Any] = []
        self.trade = self._kept(pybit.WebSocketTrading(**signed))
        until(lambda: self.trade.auth)
        private = self._kept(pybit.WebSocket(channel_type="private", **signed))
        until(lambda: private.auth)
        private.order_stream(lambda message: self._by(self.orders, "orderId", message))
        private.execution_stream(lambda message: self._by(self.executions, "execId", message))
        private.position_stream(lambda message: self._by(self.positions, "symbol", message))
        private.wallet_stream(lambda message: self.wallets.extend(message["data"]))

    def _kept(self, socket: Any) -> Any:
        self._open.append(socket)
        return socket

    def listen(self) -> None:
        """Subscribe to the public topics."""
        public = self._kept(pybit.WebSocket(channel_type="linear", testnet=False))
        for depth in (1, 50, 200, 1000):
            public.orderbook_stream(depth, "BTCUSDT", self.public.append)
        public.kline_stream(5, "BTCUSDT", self.public.append)
        public.trade_stream("BTCUSDT", self.public.append)
        public.ticker_stream("BTCUSDT", self.public.append)
        public.all_liquidation_stream("BTCUSDT", self.public.append)

    def close(self) -> None:
        for socket in self._open:
            socket.exit()
        self.http.client.close()

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Ask the trade socket and wait for its answer, whichever it is."""
        answers: list[dict[str, Any]] = []
        getattr(self.trade, operation)(answers.append, answers.append, **request)
        return until(lambda: answers)[0]

    def status(self, order_id: str) -> str:
        return self.orders.get(order_id, {}).get("orderStatus", "")

    def size(self) -> str:
        return self.positions.get("BTCUSDT", {}).get("size", "0")

    def agrees(self) -> bool:
        """Answer whether what the streams said, what HTTP says and what the venue's core says are one."""
        truth = self.venue.ledger(self.key)
        rows = list(self.executions.values())
        signs = {"Buy": 1, "Sell": -1, "": 0}
        moved = sum(signs[row["side"]] * Decimal(row["execQty"]) for row in rows if row["execType"] != "Funding")
        held = signs[self.positions["BTCUSDT"]["side"]] * Decimal(self.size())
        earned = sum(Decimal(row["execPnl"]) - Decimal(row["execFee"]) for row in rows)
        wallet = self.http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
        history = self._all(self.http.get_order_history, limit=50)
        still_open = self._all(self.http.get_open_orders, settleCoin="USDT", limit=50)
        position = self.http.get_positions(**BTC)["result"]["list"][0]
        told = {"orders": {order_id: row["orderStatus"] for order_id, row in dict(self.orders).items()}}
        asked = {"orders": {row["orderId"]: row["orderStatus"] for row in history + still_open}}
        told |= {"executions": set(self.executions), "wallet": self.wallets[-1]["coin"][0]["walletBalance"]}
        executed = self._all(self.http.get_executions, limit=100)
        asked |= {"executions": {row["execId"] for row in executed}, "wallet": wallet["totalWalletBalance"]}
        told |= {"position": (self.positions["BTCUSDT"]["side"], self.size())}
        asked |= {"position": (position["side"], position["size"])}
        core = (Decimal(truth["wallet"]), Decimal(truth["positions"].get("BTCUSDT", "0")), truth["open_orders"])
        ours = (Decimal(wallet["totalWalletBalance"]), held, len(still_open))
        return told == asked and ours == core and moved == held and Decimal(OPENING) + earned == core[0]

    def _all(self, page: Any, **query: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            result = page(category="linear", cursor=cursor, **query)["result"]
            rows += result["list"]
            cursor = result["nextPageCursor"]
            if not cursor:
                return rows

    @staticmethod
    def _by(kept: dict[str, dict[str, Any]], key: str, message: dict[str, Any]) -> None:
        kept.update((row[key], row) for row in message["data"])


@pytest.fixture
def bot(venue, request):
    bot = Bot(venue, request.param)
    yield bot
    bot.close()


@pytest.mark.parametrize("bot", ["pybit-day"], indirect=True)
def test_pybit_trades_a_day(bot: Bot):
    venue, http = bot.venue, bot.http
    bot.listen()

    # reads
    assert abs(int(http.get_server_time()["result"]["timeSecond"]) * 1000 - http.get_server_time()["time"]) < 5_000
    first = http.get_instruments_info(category="linear", limit=1)["result"]
    second = http.get_instruments_info(category="linear", limit=1, cursor=first["nextPageCursor"])["result"]
    assert [page["list"][0]["symbol"] for page in (first, second)] == ["BTCUSDT", "ETHUSDT"]
    assert second["nextPageCursor"] == ""
    assert http.get_api_key_information()["result"]["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 5
    assert http.get_fee_rates(**BTC)["result"]["list"][0]["takerFeeRate"] == "0.00055"
    assert http.get_coin_info(coin="USDT")["result"]["rows"][0]["coin"] == "USDT"
    assert http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["totalWalletBalance"] == OPENING
    for page in (http.get_tickers, http.get_orderbook, http.get_risk_limit, http.get_public_trade_history):
        assert page(**BTC)["retCode"] == 0
    for page in (http.get_kline, http.get_mark_price_kline, http.get_index_price_kline):
        assert page(**BTC, interval=1)["retCode"] == 0
    assert http.get_premium_index_price_kline(**BTC, interval=1)["retCode"] == 0
    assert http.get_price_limit(symbol="BTCUSDT")["result"]["buyLmt"] == "65650.00"
    assert http.set_leverage(**BTC, buyLeverage="20", sellLeverage="20")["retCode"] == 0
    with pytest.raises(InvalidRequestError, match="110043"):
        http.set_leverage(**BTC, buyLeverage="20", sellLeverage="20")

    # places, amends and cancels over HTTP, one by one and in batches
    one = http.place_order(**limit("64000.00", orderLinkId="day-1"))["result"]["orderId"]
    until(lambda: bot.status(one) == "New")
    http.amend_order(**BTC, orderLinkId="day-1", price="64001.00", qty="0.020")
    until(lambda: (bot.orders[one]["price"], bot.orders[one]["qty"]) == ("64001.00", "0.020"))
    http.cancel_order(**BTC, orderId=one)
    until(lambda: bot.status(one) == "Cancelled")
    wanted = [{**limit(f"640{n}0.00"), "orderLinkId": f"batch-{n}"} for n in range(3)]
    made = http.place_batch_order(category="linear", request=wanted)
    ids = [row["orderId"] for row in made["result"]["list"]]
    assert [row["code"] for row in made["retExtInfo"]["list"]] == [0, 0, 0]
    until(lambda: [bot.status(each) for each in ids] == ["New"] * 3)
    changes = [{"symbol": "BTCUSDT", "orderId": each, "price": "63999.00"} for each in ids]
    assert len(http.amend_batch_order(category="linear", request=changes)["result"]["list"]) == 3
    ends = [{"symbol": "BTCUSDT", "orderId": each} for each in ids[:2]]
    assert len(http.cancel_batch_order(category="linear", request=ends)["result"]["list"]) == 2
    assert http.cancel_all_orders(**BTC)["result"]["list"][0]["orderId"] == ids[2]
    until(lambda: [bot.status(each) for each in ids] == ["Cancelled"] * 3)

    # the same over the trade socket
    placed = bot.ask("place_order", **limit("64000.00", timeInForce="PostOnly"))
    assert (placed["retCode"], placed["op"], placed["header"]["X-Bapi-Limit"]) == (0, "order.create", "60")
    two = placed["data"]["orderId"]
    assert bot.ask("amend_order", **BTC, orderId=two, qty="0.030")["retCode"] == 0
    until(lambda: bot.orders.get(two, {}).get("qty") == "0.030")
    assert bot.ask("cancel_order", **BTC, orderId=two)["retCode"] == 0
    assert bot.ask("cancel_order", **BTC, orderId=two)["retCode"] == 110001
    made = bot.ask("place_batch_order", category="linear", request=[limit("64000.00"), limit("64010.00")])
    ids = [row["orderId"] for row in made["data"]["list"]]
    changes = [{"symbol": "BTCUSDT", "orderId": each, "qty": "0.020"} for each in ids]
    assert bot.ask("amend_batch_order", category="linear", request=changes)["retCode"] == 0
    ends = [{"symbol": "BTCUSDT", "orderId": each} for each in ids]
    ended = bot.ask("cancel_batch_order", category="linear", request=ends)
    assert [row["code"] for row in ended["retExtInfo"]["list"]] == [0, 0]
    until(lambda: [bot.status(each) for each in (two, *ids)] == ["Cancelled"] * 3)

    # what the book decides: a post-only order that would take, a maker's fill, an order that takes what is there
    crossing = http.place_order(**limit("65000.10", timeInForce="PostOnly"))["result"]["orderId"]
    until(lambda: bot.status(crossing) == "Cancelled")
    assert bot.orders[crossing]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    resting = http.place_order(**limit("64990.00", timeInForce="PostOnly"))["result"]["orderId"]
    until(lambda: bot.status(resting) == "New")
    venue.tell(trade=["Sell", "64980.00", "9.000"])
    until(lambda: bot.status(resting) == "Filled")
    missed = http.place_order(**limit("64000.00", timeInForce="IOC"))["result"]["orderId"]
    until(lambda: bot.status(missed) == "Cancelled")
    assert bot.orders[missed]["rejectReason"] == "EC_NoImmediateQtyToFill"
    taking = http.place_order(**limit("65000.10", timeInForce="IOC", stopLoss="63000.00"))["result"]["orderId"]
    until(lambda: bot.status(taking) == "Filled")
    until(lambda: (bot.size(), bot.positions["BTCUSDT"]["stopLoss"]) == ("0.02", "63000.00"))
    http.set_trading_stop(**BTC, tpslMode="Full", positionIdx=0, takeProfit="67000.00", stopLoss="63500.00")
    until(lambda: bot.positions["BTCUSDT"]["takeProfit"] == "67000.00")

    # funding is collected, then half is closed by hand and half by the stop
    venue.tell(funding_in_ms=60, rate="-0.0001")
    until(lambda: any(row["execType"] == "Funding" for row in list(bot.executions.values())))
    paid = [row for row in bot.executions.values() if row["execType"] == "Funding"]
    assert [Decimal(row["execFee"]) for row in paid] == [Decimal("-0.13")]
    closing = {**BTC, "side": "Sell", "orderType": "Market", "qty": "0.010", "reduceOnly": True}
    http.place_order(**closing)
    until(lambda: bot.size() == "0.01")
    closed = http.get_closed_pnl(**BTC)["result"]["list"]
    assert [row["closedSize"] for row in closed] == ["0.01"]
    venue.tell(price="63400.00")
    venue.tell(trade=["Sell", "63400.00", "0.100"])
    until(lambda: bot.size() == "0")
    with pytest.raises(InvalidRequestError, match="110017"):
        http.place_order(**closing)

    # and everybody agrees
    until(bot.agrees)
    assert bot.venue.ledger(bot.key)["funding"] == "0.13"
    log = http.get_transaction_log(accountType="UNIFIED", limit=50)["result"]["list"]
    assert sum(Decimal(row["change"]) for row in log) == Decimal(bot.venue.ledger(bot.key)["wallet"])
    wanted = {f"orderbook.{depth}.BTCUSDT" for depth in (1, 50, 200, 1000)}
    wanted |= {"publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.5.BTCUSDT"}
    until(lambda: {message["topic"] for message in list(bot.public)} >= wanted)
    venue.tell(liquidation=["Buy", "63000.00", "1.500"])
    until(lambda: any(message["topic"] == "allLiquidation.BTCUSDT" for message in list(bot.public)))


@pytest.mark.parametrize("bot", ["pybit-fall"], indirect=True)
def test_pybit_is_liquidated(bot: Bot):
    bot.http.set_leverage(**BTC, buyLeverage="100", sellLeverage="100")
    resting = bot.http.place_order(**limit("60000.00", qty="0.001"))["result"]["orderId"]
    bot.http.place_order(**BTC, side="Buy", orderType="Market", qty="0.8")
    until(lambda: bot.size() == "0.8")
    feared = Decimal(bot.http.get_positions(**BTC)["result"]["list"][0]["liqPrice"])
    assert 63_000 < feared < 65_000
    bot.venue.tell(price=f"{feared - 20:.0f}.00")
    until(lambda: any(row["execType"] == "BustTrade" for row in list(bot.executions.values())))
    until(lambda: bot.size() == "0")
    busted = next(row for row in bot.executions.values() if row["execType"] == "BustTrade")
    assert bot.orders[busted["orderId"]]["createType"].startswith("CreateByTakeOver")
    assert (bot.status(resting), bot.orders[resting]["cancelType"]) == ("Cancelled", "CancelByPrepareLiq")
    until(bot.agrees)


@pytest.mark.parametrize("bot", ["pybit-alone"], indirect=True)
def test_pybit_trades_with_isolated_margin(bot: Bot):
    http = bot.http
    http.set_margin_mode(setMarginMode="ISOLATED_MARGIN")
    assert http.get_account_info()["result"]["marginMode"] == "ISOLATED_MARGIN"
    http.place_order(**BTC, side="Sell", orderType="Market", qty="0.010")
    until(lambda: bot.size() == "0.01")
    before = Decimal(http.get_positions(**BTC)["result"]["list"][0]["liqPrice"])
    http.add_or_reduce_margin(**BTC, margin="10", positionIdx=0)
    after = Decimal(http.get_positions(**BTC)["result"]["list"][0]["liqPrice"])
    assert 65_000 < before < after
    http.place_order(**BTC, side="Buy", orderType="Market", qty="0.010", reduceOnly=True)
    until(lambda: bot.size() == "0")
    http.set_margin_mode(setMarginMode="REGULAR_MARGIN")
    until(bot.agrees)


@pytest.mark.parametrize("where", [{"testnet": True}, {"testnet": False, "demo": True}, {"testnet": False}])
def test_pybit_finds_the_venue_under_the_names_of_every_environment(venue: RunningVenue, where: dict[str, bool]):
    http = pybit.HTTP(**where, api_key="pybit-day", api_secret="pybit-day-secret")
    http.client.verify = venue.ca_file
    assert http.get_account_info()["retCode"] == 0
    http.client.close()


def test_pybit_signs_with_rsa(venue: RunningVenue, rsa_pair: tuple[str, str]):
    http = pybit.HTTP(testnet=False, api_key="rsa", api_secret=rsa_pair[0], rsa_authentication=True)
    http.client.verify = venue.ca_file
    assert http.place_order(**limit("64000.00"))["retCode"] == 0
    assert http.cancel_all_orders(**BTC)["result"]["success"] == "1"
    http.client.close()
