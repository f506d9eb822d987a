"""A trading day on the whole venue, in process, in which every shape occurs; what the venue said, by the name of its example.

Two markets at ten times the pace: in the first a resting buy is filled by the tape and funding is due every two and a half seconds; in the
second the mark price falls by a fifth again and again, until the account is liquidated.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
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
    ticker,
    trade,
    write_tape,
)
from tests.support import eventually

RATE = 10.0
LENGTH_MS = 600_000
FUNDING_MS = 2_500
SYMBOL = {"category": "linear", "symbol": "BTCUSDT"}
LINEAR = "category=linear&symbol=BTCUSDT"
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


class Heard:
    """What the venue said, by the name of the example that it should be like."""

    def __init__(self) -> None:
        self.messages: dict[str, list[Any]] = defaultdict(list)

    def add(self, name: str, message: Mapping[str, Any]) -> Any:
        body = {key: value for key, value in message.items() if key not in ("headers", "status")}
        self.messages[name].append(body)
        return body

    async def listen(self, wire: Wire, category: str) -> None:
        """Take topic frames until cancelled."""
        while True:
            frame = await wire.hear()
            topic = str(frame.get("topic", ""))
            kind = topic.partition(".")[0]
            if topic in PRIVATE:
                self.add(f"private {topic}", frame)
            elif kind in ("orderbook", "tickers") and not (category == "spot" and kind == "tickers"):
                self.add(f"topic {kind} {frame['type']}", frame)
            elif kind:
                spelt = category == "spot" and kind in ("tickers", "publicTrade")
                self.add(f"{'spot ' if spelt else ''}topic {kind}", frame)


async def day(folder: Path) -> dict[str, list[Any]]:
    """Live through it."""
    heard = Heard()
    async with running(tape=calm_tape(folder / "calm.rawlines"), rate=RATE, ip_limit=False) as client:
        await trading(client, heard)
        await public_pages(client, heard)
    async with running(tape=falling_tape(folder / "falling.rawlines"), rate=RATE, ip_limit=False) as client:
        await liquidation(client, heard)
    return heard.messages


def calm_tape(path: Path) -> Path:
    frames = [(0, book()), (1, ticker(**OWN_TICKER, nextFundingTime=_due(0)))]
    for at_ms in range(50, LENGTH_MS, 50):
        frames.append((at_ms, trade(at_ms)))
        if at_ms % 500 == 0:
            frames += [
                (at_ms, _liquidations(at_ms)),
                (at_ms, book(at_ms, kind="delta", u=2 + at_ms, asks=[["65010.00", str(at_ms)]])),
            ]
            frames += [
                (at_ms, ticker(at_ms, kind="delta", nextFundingTime=_due(at_ms), indexPrice=f"{65000 + at_ms % 7}.00"))
            ]
    return write_tape(path, frames)


def falling_tape(path: Path) -> Path:
    frames = [(0, book()), (1, ticker(**OWN_TICKER))]
    for at_ms in range(500, LENGTH_MS, 500):
        price = "52000.00" if at_ms % 4000 == 0 else "65000.00"
        frames.append((at_ms, ticker(at_ms, kind="delta", markPrice=price, indexPrice=price)))
    return write_tape(path, frames)


async def trading(client: Client, heard: Heard) -> None:
    """Use every private endpoint and every operation of the three sockets."""
    await eventually(lambda: client.has_sent(2))
    async with _ears(client, heard):
        heard.add("GET /v5/position/list", await client.get("/v5/position/list", LINEAR))
        await _account(client, heard)
        await _orders(client, heard)
        await _trade_socket(client, heard)
        await eventually(lambda: _seen(heard, "private execution", execType="Trade", isMaker=True))
        await eventually(lambda: _seen(heard, "private execution", execType="Funding"))
        stop = {**SYMBOL, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "60000.00"}
        heard.add("POST /v5/position/trading-stop", await client.post("/v5/position/trading-stop", stop))
        heard.add("GET /v5/position/list", await client.get("/v5/position/list", LINEAR))
        await client.post("/v5/order/create", order(side="Sell", orderType="Market", qty="0.001", timeInForce="IOC"))
        for path in ("order/realtime", "order/history", "execution/list"):
            heard.add(f"GET /v5/{path}", await client.get(f"/v5/{path}", f"{LINEAR}&limit=50"))
        log = await client.get("/v5/account/transaction-log", "accountType=UNIFIED&limit=50")
        heard.add("GET /v5/account/transaction-log", log)
        for name in (
            "topic kline",
            "topic priceLimit",
            "topic allLiquidation",
            "topic orderbook delta",
            "topic tickers delta",
        ):
            await eventually(lambda name=name: _occurs(heard, name))
        for name in ("spot topic tickers", "spot topic publicTrade"):
            await eventually(lambda name=name: _occurs(heard, name))


async def liquidation(client: Client, heard: Heard) -> None:
    """Hold more than the account can bear when the mark falls."""
    async with _ears(client, heard, public=False):
        for _ in range(200):
            await client.post("/v5/order/create", order(orderType="Market", qty="1.000", timeInForce="IOC"))
            if await _seen(heard, "private execution", execType="BustTrade"):
                break
            await asyncio.sleep(0.05)  # the next fall comes with the tape, a try between two falls is enough
        await eventually(lambda: _seen(heard, "private execution", execType="BustTrade"))
        for path in ("order/history", "execution/list", "position/list"):
            heard.add(f"GET /v5/{path}", await client.get(f"/v5/{path}", LINEAR))


async def public_pages(client: Client, heard: Heard) -> None:
    """Read every public page."""
    market = "/v5/market/"
    for name, query in {
        "time": "",
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
        heard.add(f"GET {market}{name}", await client.page(f"{market}{name}?{query}"))
    for name in ("instruments-info", "orderbook", "tickers", "kline", "recent-trade"):
        query = "category=spot&symbol=BTCUSDT&interval=1"
        heard.add(f"spot GET {market}{name}", await client.page(f"{market}{name}?{query}"))
    heard.add("GET /v5/system/status", await client.page("/v5/system/status"))
    heard.add("refusal", await client.page(f"{market}kline?{LINEAR}&interval=2"))
    heard.add("refusal", await client.page(f"{market}insurance"))
    heard.add("refusal", await client.page(f"{market}nothing"))


async def _account(client: Client, heard: Heard) -> None:
    leverage = {**SYMBOL, "buyLeverage": "20", "sellLeverage": "20"}
    for path, body in {
        "position/set-leverage": leverage,
        "position/switch-mode": {**SYMBOL, "mode": 0},
        "account/set-margin-mode": {"setMarginMode": "PORTFOLIO_MARGIN"},
        "account/set-limit-px-action": {"category": "linear", "modifyEnable": True},
        "account/demo-apply-money": {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "100"}]},
    }.items():
        heard.add(f"POST /v5/{path}", await client.post(f"/v5/{path}", body))
    gift = {"adjustType": 0, "utaDemoApplyMoney": [{"coin": "USDT", "amountStr": "100"}]}
    heard.add("refusal rate limit", await client.post("/v5/account/demo-apply-money", gift))
    heard.add("refusal", await client.post("/v5/position/set-leverage", leverage))
    for path, query in {
        "account/wallet-balance": "accountType=UNIFIED",
        "account/fee-rate": LINEAR,
        "account/info": "",
        "user/query-api": "",
    }.items():
        heard.add(f"GET /v5/{path}", await client.get(f"/v5/{path}", query))


async def _orders(client: Client, heard: Heard) -> None:
    async def post(path: str, body: dict[str, Any]) -> None:
        heard.add(f"POST /v5/{path}", await client.post(f"/v5/{path}", body))

    far = order(qty="0.001", price="60000.00")
    await post("order/create", order(orderLinkId="maker", qty="0.020", stopLoss="59000.00", takeProfit="70000.00"))
    await post("order/create", {**far, "orderLinkId": "moved"})
    await post("order/amend", {**SYMBOL, "orderLinkId": "moved", "price": "60001.00"})
    await post("order/cancel", {**SYMBOL, "orderLinkId": "moved"})
    heard.add("refusal", await client.post("/v5/order/cancel", {**SYMBOL, "orderLinkId": "moved"}))
    heard.add("refusal", await client.post("/v5/order/create", order(qty="1000.000", price="64000.00")))
    await client.post("/v5/order/create", order(orderLinkId="crossing", price="65010.00"))
    await client.post(
        "/v5/order/create", {**far, "triggerPrice": "63000.00", "triggerDirection": 2, "orderLinkId": "stop"}
    )
    links = [{"symbol": "BTCUSDT", "orderLinkId": link} for link in ("one", "two")]
    await post(
        "order/create-batch",
        {"category": "linear", "request": [{**far, **links[0]}, {**far, **links[1], "qty": "0.0001"}]},
    )
    await post(
        "order/amend-batch", {"category": "linear", "request": [{**link, "price": "60002.00"} for link in links]}
    )
    await post("order/cancel-batch", {"category": "linear", "request": links})
    await post("order/create", {**far, "orderLinkId": "open"})
    heard.add("GET /v5/order/realtime", await client.get("/v5/order/realtime", LINEAR))
    await post("order/cancel-all", {**SYMBOL, "orderFilter": "StopOrder"})


async def _trade_socket(client: Client, heard: Heard) -> None:
    far = order(qty="0.001", price="60000.00")
    link = {"symbol": "BTCUSDT", "orderLinkId": "t1"}
    batch = {"symbol": "BTCUSDT", "orderLinkId": "t2"}
    operations = {
        "order.create": {**far, **link},
        "order.amend": {**SYMBOL, **link, "price": "60001.00"},
        "order.cancel": {**SYMBOL, **link},
        "order.create-batch": {"category": "linear", "request": [{**far, **batch}, {**far, "qty": "0.0001"}]},
        "order.amend-batch": {"category": "linear", "request": [{**batch, "price": "60001.00"}]},
        "order.cancel-batch": {"category": "linear", "request": [batch]},
    }
    async with client.socket("/v5/trade", auth=False) as stranger:
        wrong = {"reqId": "a0", "op": "auth", "args": [client.key, client.now_ms + 5000, "00"]}
        heard.add("trade auth refused", await stranger.ask(wrong))
    async with client.socket("/v5/trade") as wire:
        heard.add("trade auth", {"reqId": "a1", **wire.auth_reply})  # the little client sends none, so none comes back
        heard.add("trade ping", await wire.ask({"op": "ping"}))
        for number, (operation, body) in enumerate(operations.items()):
            header = {"X-BAPI-TIMESTAMP": str(client.now_ms), "X-BAPI-RECV-WINDOW": "5000"}
            request = {"reqId": f"r{number}", "header": header, "op": operation, "args": [body]}
            heard.add(f"trade {operation}", await wire.ask(request))
        header = {"X-BAPI-TIMESTAMP": str(client.now_ms), "X-BAPI-RECV-WINDOW": "5000"}
        gone = {"reqId": "gone", "header": header, "op": "order.cancel", "args": [{**SYMBOL, **link}]}
        heard.add("trade refused", await wire.ask(gone))


@contextlib.asynccontextmanager
async def _ears(client: Client, heard: Heard, *, public: bool = True) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        private = await stack.enter_async_context(client.socket("/v5/private"))
        heard.add("private auth", private.auth_reply)
        heard.add("private ping", await private.ask({"op": "ping", "req_id": "p1"}))
        heard.add("private subscribe", await private.ask({"op": "subscribe", "args": list(PRIVATE)}))
        listening = [asyncio.create_task(heard.listen(private, "private"))]
        if public:
            stranger = await stack.enter_async_context(client.socket("/v5/private", auth=False))
            heard.add("private auth refused", await stranger.ask({"op": "auth", "args": [client.key, 1, "00"]}))
            for category, kinds in (("linear", LINEAR_KINDS), ("spot", SPOT_KINDS)):
                wire = await stack.enter_async_context(client.socket(f"/v5/public/{category}", auth=False))
                await _control(wire, heard)
                await wire.connection.send_json({"op": "subscribe", "args": [f"{kind}.BTCUSDT" for kind in kinds]})
                listening.append(asyncio.create_task(heard.listen(wire, category)))
        try:
            yield
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


async def _control(wire: Wire, heard: Heard) -> None:
    topics = {"args": ["kline.720.BTCUSDT"]}
    heard.add("socket ping", await wire.ask({"op": "ping", "req_id": "p"}))
    heard.add("socket subscribe", await wire.ask({"op": "subscribe", "req_id": "s", **topics}))
    heard.add("socket unsubscribe", await wire.ask({"op": "unsubscribe", "req_id": "u", **topics}))
    heard.add("socket refused", await wire.ask({"op": "subscribe", "req_id": "w", "args": ["orderbook.500.BTCUSDT"]}))


async def _occurs(heard: Heard, name: str) -> bool:
    return bool(heard.messages[name])


async def _seen(heard: Heard, name: str, **fields: Any) -> bool:
    items = (item for message in heard.messages[name] for item in message["data"])
    return any(all(item[key] == value for key, value in fields.items()) for item in items)


def _due(at_ms: int) -> str:
    return str(ORIGIN_NS // MS + (at_ms // FUNDING_MS + 1) * FUNDING_MS)


def _liquidations(at_ms: int) -> dict[str, Any]:
    now = ORIGIN_NS // MS + at_ms
    one = {"T": now - 100, "s": "BTCUSDT", "S": "Buy", "v": "0.500", "p": "64800.00"}
    return {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": now, "data": [one]}
