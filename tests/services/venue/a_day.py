"""A trading day on the whole venue, in process, in which every shape occurs; what the venue said, by the name of its example.

Two markets at ten times the pace: in the first a resting buy is filled by the tape and funding is due every two and a half seconds; in the
second, in hedge mode, the mark price falls by a fifth again and again, until the account is liquidated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.services.venue.little_market import (
    MS,
    ORIGIN_NS,
    Client,
    Wire,
    book,
    order,
    running,
    signature,
    ticker,
    trade,
    write_tape,
)
from tests.support import eventually

RATE = 10.0
WINDOW = "60000"  # at ten times the pace a busy machine is soon late
LENGTH_MS = 600_000
FUNDING_MS = 2_500
SYMBOL = {"category": "linear", "symbol": "BTCUSDT"}
LINEAR = "category=linear&symbol=BTCUSDT"
FAR = order(qty="0.001", price="60000.00")
LINEAR_KINDS = (
    *("orderbook.1", "orderbook.50", "orderbook.200", "orderbook.1000", "publicTrade", "tickers"),
    *("kline.1", "kline.W", "kline.M", "allLiquidation", "priceLimit"),
)
SPOT_KINDS = ("orderbook.1", "orderbook.50", "orderbook.200", "publicTrade", "tickers", "kline.5")
PRIVATE = ("order", "execution", "position", "wallet")
OWN_TICKER = {
    "tickDirection": "ZeroPlusTick",
    "price24hPcnt": "0.001624",
    "prevPrice24h": "65008.70",
    "highPrice24h": "65282.30",
    "lowPrice24h": "64694.40",
    "prevPrice1h": "65083.80",
    "openInterestValue": "3899996265.01",
    "singleOpenInterestValue": "1949998132.50",
    "turnover24h": "1142118412.9021",
    "volume24h": "17573.9120",
    "fundingIntervalHour": "8",
    "fundingCap": "0.005",
    "bid1Price": "65000.00",
    "bid1Size": "5.000",
    "ask1Price": "65000.10",
    "ask1Size": "5.000",
    "preOpenPrice": "",
    "preQty": "",
    "curPreListingPhase": "",
}
"""What a recorded ticker snapshot has besides the little one's fields."""


async def day(folder: Path) -> dict[str, list[Any]]:
    """Live through it."""
    heard: dict[str, list[Any]] = defaultdict(list)
    async with running(tape=calm_tape(folder / "calm.rawlines"), rate=RATE, ip_limit=False) as client:
        trader = Trader(client, heard)
        await trading(trader)
        await public_pages(trader)
    async with running(tape=falling_tape(folder / "falling.rawlines"), rate=RATE, ip_limit=False) as client:
        await liquidation(Trader(client, heard))
    return heard


def calm_tape(path: Path) -> Path:
    frames = [(0, book()), (1, ticker(**OWN_TICKER, nextFundingTime=_due(0)))]
    for at_ms in range(50, LENGTH_MS, 50):
        frames.append((at_ms, trade(at_ms)))
        if at_ms % 500 == 0:
            asks, index = [["65010.00", str(at_ms)]], f"{65000 + at_ms % 7}.00"
            frames += [(at_ms, _liquidations(at_ms)), (at_ms, book(at_ms, kind="delta", u=2 + at_ms, asks=asks))]
            frames += [(at_ms, ticker(at_ms, kind="delta", nextFundingTime=_due(at_ms), indexPrice=index))]
    return write_tape(path, frames)


def falling_tape(path: Path) -> Path:
    frames = [(0, book()), (1, ticker(**OWN_TICKER))]
    for at_ms in range(500, LENGTH_MS, 500):
        price = "52000.00" if at_ms % 4000 == 0 else "65000.00"
        frames.append((at_ms, ticker(at_ms, kind="delta", markPrice=price, indexPrice=price)))
    return write_tape(path, frames)


class Trader:
    """A client that files what it hears under the name of the example that it should be like."""

    def __init__(self, client: Client, heard: dict[str, list[Any]]) -> None:
        self.client = client
        self.heard = heard

    async def get(self, path: str, query: str = "") -> None:
        """Ask a private page."""
        self.file(f"GET /v5/{path}", await self.client.get(f"/v5/{path}", query, window=WINDOW))

    async def post(self, path: str, body: dict[str, Any], name: str = "") -> None:
        """Change something."""
        self.file(name or f"POST /v5/{path}", await self.client.post(f"/v5/{path}", body, window=WINDOW))

    async def page(self, path: str, query: str = "", name: str = "") -> None:
        """Read a public page."""
        self.file(name or f"GET /v5/{path}", await self.client.page(f"/v5/{path}?{query}"))

    async def control(self, path: str, body: dict[str, Any]) -> None:
        """Use the control API."""
        async with self.client.session.post(f"/control/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    def file(self, name: str, message: dict[str, Any]) -> None:
        """Keep a message without what is HTTP's."""
        self.heard[name].append({key: value for key, value in message.items() if key not in ("headers", "status")})

    async def listen(self, wire: Wire, category: str) -> None:
        """File topic frames until the socket is closed."""
        async for message in wire.connection:
            frame = json.loads(message.data)
            topic = str(frame.get("topic", ""))
            kind = topic.partition(".")[0]
            prefix = "spot " if category == "spot" and kind in ("tickers", "publicTrade") else ""
            if topic in PRIVATE:
                self.file(f"private {topic}", frame)
            elif kind in ("orderbook", "tickers") and not prefix:
                self.file(f"topic {kind} {frame['type']}", frame)
            elif kind:
                self.file(f"{prefix}topic {kind}", frame)

    async def until(self, name: str, **fields: Any) -> None:
        """Wait for a message, or for one that has an item with these fields."""
        await eventually(lambda: self.has(name, **fields))

    def has(self, name: str, **fields: Any) -> bool:
        items = (item for message in self.heard[name] for item in (message["data"] if fields else [{}]))
        return any(all(item[key] == value for key, value in fields.items()) for item in items)


async def trading(trader: Trader) -> None:
    """Use every private endpoint and every operation of the sockets."""
    await eventually(lambda: trader.client.has_sent(2))
    async with ears(trader):
        await trader.get("position/list", LINEAR)
        await account(trader)
        await orders(trader)
        await trade_socket(trader)
        await trader.until("private execution", execType="Trade", isMaker=True)
        await trader.until("private execution", execType="Funding")
        stop = {**SYMBOL, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "60000.00"}
        await trader.post("position/trading-stop", stop)
        await trader.post("position/trading-stop", {**stop, "stopLoss": "60000.00", "trailingStop": "3000.00"})
        sizes = {"tpSize": "0.005", "slSize": "0.005", "takeProfit": "69000.00", "stopLoss": "58000.00"}
        limit = {"tpOrderType": "Limit", "tpLimitPrice": "69001.00"}
        await trader.post("position/trading-stop", {**stop, "tpslMode": "Partial", **sizes, **limit})
        await trader.get("position/list", LINEAR)
        sale = order(side="Sell", orderType="Market", qty="0.001", timeInForce="IOC")
        await trader.post("order/create", sale)
        for path in ("order/realtime", "order/history", "execution/list"):
            await trader.get(path, f"{LINEAR}&limit=50")
        await trader.get("account/transaction-log", "accountType=UNIFIED&limit=50")
        await trader.get("position/closed-pnl", LINEAR)
        await isolated_margin(trader)
        for name in ("kline", "priceLimit", "allLiquidation", "orderbook delta", "tickers delta"):
            await trader.until(f"topic {name}")
        for name in ("tickers", "publicTrade"):
            await trader.until(f"spot topic {name}")


async def isolated_margin(trader: Trader) -> None:
    """Add margin to the position alone, then lose a part of it to deleveraging."""
    await trader.post("account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"})
    await trader.post("position/set-auto-add-margin", {**SYMBOL, "autoAddMargin": 1, "positionIdx": 0})
    await trader.post("position/add-margin", {**SYMBOL, "margin": "10", "positionIdx": 0})
    await trader.get("position/list", LINEAR)
    await trader.get("account/wallet-balance", "accountType=UNIFIED")
    await trader.control("adl", {"key": trader.client.key, "symbol": "BTCUSDT", "qty": "0.001"})
    await trader.until("private execution", execType="AdlTrade")


async def hedge(trader: Trader) -> None:
    """Hold both sides."""
    await eventually(lambda: trader.client.has_sent(2))
    await trader.post("position/switch-mode", {"category": "linear", "coin": "USDT", "mode": 3})
    for index, side in ((1, "Buy"), (2, "Sell")):
        taking = order(side=side, positionIdx=index, orderType="Market", qty="0.010", timeInForce="IOC")
        await trader.post("order/create", taking)
        await trader.until("private position", positionIdx=index, size="0.01")
    await trader.get("position/list", LINEAR)


async def maintenance(trader: Trader) -> None:
    """Be told of it on the socket and on the page."""
    async with trader.client.socket("/v5/public/misc/status", auth=False) as wire:
        await wire.ask({"op": "subscribe", "args": ["system.status"]})
        await trader.control("faults", {"action": "maintenance", "from_ms": 60_000, "for_ms": 1_000})
        trader.file("topic system.status", await wire.hear())
    await trader.page("system/status")


async def liquidation(trader: Trader) -> None:
    """Hold more than the account can bear when the mark falls."""
    bet = order(orderType="Market", qty="1.000", timeInForce="IOC", positionIdx=1)

    async def is_liquidated() -> bool:
        await trader.client.post("/v5/order/create", bet, window=WINDOW)  # nothing to buy with, or too late, is as good
        return trader.has("private execution", execType="BustTrade")

    async with ears(trader, public=False):
        await hedge(trader)
        await eventually(is_liquidated)
        for path in ("order/history", "execution/list", "position/list"):
            await trader.get(path, LINEAR)
    await maintenance(trader)


async def public_pages(trader: Trader) -> None:
    """Read every public page."""
    for name, query in {
        "time": "",
        "insurance": "",
        "instruments-info": "category=linear",
        "orderbook": LINEAR,
        "tickers": LINEAR,
        "kline": f"{LINEAR}&interval=1",
        "mark-price-kline": f"{LINEAR}&interval=60",
        "index-price-kline": f"{LINEAR}&interval=D",
        "premium-index-price-kline": f"{LINEAR}&interval=M",
        "recent-trade": LINEAR,
        "open-interest": f"{LINEAR}&intervalTime=5min",
        "funding/history": LINEAR,
        "account-ratio": f"{LINEAR}&period=1h",
        "risk-limit": "category=linear",
        "price-limit": LINEAR,
    }.items():
        await trader.page(f"market/{name}", query)
    for name in ("instruments-info", "orderbook", "tickers", "kline", "recent-trade"):
        await trader.page(f"market/{name}", "category=spot&symbol=BTCUSDT&interval=1", f"spot GET /v5/market/{name}")
    await trader.page("system/status")
    for path, query in (("kline", f"{LINEAR}&interval=2"), ("adlAlert", ""), ("nothing", "")):
        await trader.page(f"market/{path}", query, "refusal")


async def account(trader: Trader) -> None:
    """Set up the account, ask about it, and be refused."""
    leverage = {**SYMBOL, "buyLeverage": "20", "sellLeverage": "20"}
    gift = {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "100"}]}
    await trader.post("position/set-leverage", leverage)
    await trader.post("position/set-leverage", leverage, "refusal")
    await trader.post("position/switch-mode", {**SYMBOL, "mode": 0})
    await trader.post("account/set-margin-mode", {"setMarginMode": "PORTFOLIO_MARGIN"})
    await trader.post("account/set-limit-px-action", {"category": "linear", "modifyEnable": True})
    await trader.post("account/demo-apply-money", gift)
    await trader.post("account/demo-apply-money", gift, "refusal rate limit")
    await trader.get("account/wallet-balance", "accountType=UNIFIED")
    await trader.get("account/fee-rate", LINEAR)
    await trader.get("account/info")
    await trader.get("user/query-api")
    await trader.get("asset/coin/query-info")
    await trader.get("account/query-dcp-info")
    await trader.post("order/disconnected-cancel-all", {"timeWindow": 10})


async def orders(trader: Trader) -> None:
    """Place, move and cancel, alone and in batches; one order rests for the tape to fill, one would take, one waits for its price."""
    links = [{"symbol": "BTCUSDT", "orderLinkId": link} for link in ("one", "two")]
    moved = {**SYMBOL, "orderLinkId": "moved"}
    protected = order(orderLinkId="maker", qty="0.020", stopLoss="59000.00", takeProfit="70000.00")
    await trader.post("order/create", protected)
    await trader.post("order/create", {**FAR, "orderLinkId": "moved"})
    await trader.post("order/amend", {**moved, "price": "60001.00"})
    await trader.post("order/cancel", moved)
    await trader.post("order/cancel", moved, "refusal")
    await trader.post("order/create", order(qty="1000.000", price="64000.00"), "refusal")
    await trader.post("order/create", order(orderLinkId="crossing", price="65010.00"))
    await trader.post("order/create", {**FAR, "triggerPrice": "63000.00", "triggerDirection": 2, "orderLinkId": "stop"})
    batches = {
        "create": [{**FAR, **links[0]}, {**FAR, **links[1], "qty": "0.0001"}],
        "amend": [{**link, "price": "60002.00"} for link in links],
        "cancel": links,
    }
    for name, request in batches.items():
        await trader.post(f"order/{name}-batch", {"category": "linear", "request": request})
    await trader.post("order/pre-check", {**FAR, "orderLinkId": "thought"})
    await trader.post("order/create", {**FAR, "orderLinkId": "open"})
    await trader.get("order/realtime", LINEAR)
    await trader.post("order/cancel-all", {**SYMBOL, "orderFilter": "StopOrder"})


async def trade_socket(trader: Trader) -> None:
    """Do the same over the trade socket."""
    client, link = trader.client, {"symbol": "BTCUSDT", "orderLinkId": "t1"}
    batch = {"symbol": "BTCUSDT", "orderLinkId": "t2"}
    operations = {
        "order.create": {**FAR, **link},
        "order.amend": {**SYMBOL, **link, "price": "60001.00"},
        "order.cancel": {**SYMBOL, **link},
        "order.create-batch": {"category": "linear", "request": [{**FAR, **batch}, {**FAR, "qty": "0.0001"}]},
        "order.amend-batch": {"category": "linear", "request": [{**batch, "price": "60001.00"}]},
        "order.cancel-batch": {"category": "linear", "request": [batch]},
    }

    def request(number: int, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        header = {"X-BAPI-TIMESTAMP": str(client.now_ms), "X-BAPI-RECV-WINDOW": WINDOW}
        return {"reqId": f"r{number}", "header": header, "op": operation, "args": [body]}

    async with client.socket("/v5/trade", auth=False) as wire:
        expires = client.now_ms + 60_000
        right = signature(f"{client.key}-secret", f"GET/realtime{expires}")
        for name, signed in (("trade auth refused", "00"), ("trade auth", right)):
            trader.file(name, await wire.ask({"reqId": "a1", "op": "auth", "args": [client.key, expires, signed]}))
        trader.file("trade ping", await wire.ask({"op": "ping"}))
        for number, (operation, body) in enumerate(operations.items()):
            trader.file(f"trade {operation}", await wire.ask(request(number, operation, body)))
        trader.file("trade refused", await wire.ask(request(99, "order.cancel", {**SYMBOL, **link})))


@contextlib.asynccontextmanager
async def ears(trader: Trader, *, public: bool = True) -> AsyncIterator[None]:
    """Listen to every topic meanwhile."""
    client = trader.client
    async with contextlib.AsyncExitStack() as stack:
        private = await stack.enter_async_context(client.socket("/v5/private"))
        trader.file("private auth", private.auth_reply)
        trader.file("private ping", await private.ask({"op": "ping", "req_id": "p1"}))
        trader.file("private subscribe", await private.ask({"op": "subscribe", "args": list(PRIVATE)}))
        listening = [asyncio.create_task(trader.listen(private, "private"))]
        if public:
            stranger = await stack.enter_async_context(client.socket("/v5/private", auth=False))
            trader.file("private auth refused", await stranger.ask({"op": "auth", "args": [client.key, 1, "00"]}))
            for category, kinds in (("linear", LINEAR_KINDS), ("spot", SPOT_KINDS)):
                wire = await stack.enter_async_context(client.socket(f"/v5/public/{category}", auth=False))
                await control(trader, wire)
                await wire.connection.send_json({"op": "subscribe", "args": [f"{kind}.BTCUSDT" for kind in kinds]})
                listening.append(asyncio.create_task(trader.listen(wire, category)))
        yield
    await asyncio.gather(*listening)


async def control(trader: Trader, wire: Wire) -> None:
    """Speak every control frame of a public socket."""
    for name, message in {
        "ping": {"op": "ping"},
        "subscribe": {"op": "subscribe", "args": ["kline.720.BTCUSDT"]},
        "unsubscribe": {"op": "unsubscribe", "args": ["kline.720.BTCUSDT"]},
        "refused": {"op": "subscribe", "args": ["orderbook.500.BTCUSDT"]},
    }.items():
        reply = await wire.ask({"req_id": "c", **message})
        while "topic" in reply:  # a candle of the moment
            reply = await wire.hear()
        trader.file(f"socket {name}", reply)


def _due(at_ms: int) -> str:
    return str(ORIGIN_NS // MS + (at_ms // FUNDING_MS + 1) * FUNDING_MS)


def _liquidations(at_ms: int) -> dict[str, Any]:
    now = ORIGIN_NS // MS + at_ms
    one = {"T": now - 100, "s": "BTCUSDT", "S": "Buy", "v": "0.500", "p": "64800.00"}
    return {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": now, "data": [one]}
