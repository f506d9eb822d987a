"""What the tests of the misbehaving venue share: faults by the control API, and the fleet's own clients as the victims."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from tests.services.venue.little_market import Client, Wire
from tests.support import eventually
from undertow.domain.order import OrderType, Side, TimeInForce
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.models import OrderRequest
from undertow.runtime.settings import Credentials

KEY = Credentials(api_key="paper-router", api_secret=SecretStr("paper-router-secret"))
CREATE, CANCEL_ALL = "/v5/order/create", "/v5/order/cancel-all"
BOOK = "orderbook.200.BTCUSDT"
MARKET = {"category": "linear", "symbol": "BTCUSDT"}
TIME = "/v5/market/time"


async def add(client: Client, **fault: Any) -> str:
    async with client.session.post("/control/faults", json=fault) as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return str(body["faults"][0]["id"])


async def remove(client: Client, name: str) -> None:
    async with client.session.delete(f"/control/faults/{name}") as answer:
        assert answer.status == 200


async def struck(client: Client, action: str) -> int:
    return (await client.stats())["faults_struck"].get(action, 0)


async def base(client: Client) -> str:
    async with client.session.get("/control/clock") as answer:
        return str(answer.url.origin())


async def open_links(client: Client) -> list[str]:
    listed = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    return [each["orderLinkId"] for each in listed["result"]["list"]]


def resting(order_id: str) -> OrderRequest:
    return OrderRequest(
        order_id=order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=Decimal("0.001"),
        price=Decimal(64000),
        time_in_force=TimeInForce.POST_ONLY,
        reduce_only=False,
    )


@contextlib.asynccontextmanager
async def rest(client: Client, timeout_s: float = 5.0) -> AsyncIterator[BybitHttp]:
    each = BybitHttp(await base(client), client.venue.clock, KEY, timeout_s=timeout_s)
    try:
        yield each
    finally:
        await each.close()


@contextlib.asynccontextmanager
async def trading(client: Client) -> AsyncIterator[BybitTradeSocket]:
    url = (await base(client)).replace("http", "ws") + "/v5/trade"
    each = BybitTradeSocket(url, KEY, VenueClock(client.venue.clock))
    life = asyncio.create_task(each.run())
    try:
        await eventually(lambda: each.is_connected)
        yield each
    finally:
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life


async def subscribed(wire: Wire, topic: str = BOOK) -> None:
    await wire.connection.send_json({"op": "subscribe", "args": [topic], "req_id": "s"})
    while (await wire.hear()).get("req_id") != "s":
        pass


async def has_orders(client: Client, count: int) -> bool:
    return (await client.page("/control/ledger?key=paper-router"))["open_orders"] == count


async def book_page(client: Client) -> dict[str, Any]:
    return (await client.page("/v5/market/orderbook?category=linear&symbol=BTCUSDT"))["result"]
