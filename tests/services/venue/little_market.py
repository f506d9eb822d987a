"""A small hand-made tape, and a client that signs by itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from services.venue.app import Venue, build
from services.venue.market_choice import Choice
from services.venue.settings import PaperSettings, Settings
from undertow.runtime.service import Runtime

ORIGIN_NS = 1_786_310_820_000_000_000
MS = 1_000_000


def book(at_ms: int = 0, *, kind: str = "snapshot", u: int = 1, bids: Any = None, asks: Any = None) -> dict[str, Any]:
    data = {
        "s": "BTCUSDT",
        "b": [["65000.00", "5.000"], ["64999.90", "3.000"]] if bids is None else bids,
        "a": [["65000.10", "5.000"], ["65000.20", "3.000"]] if asks is None else asks,
        "u": u,
        "seq": 1000 + u,
    }
    now = ORIGIN_NS // MS + at_ms
    return {"topic": "orderbook.200.BTCUSDT", "type": kind, "ts": now, "data": data, "cts": now}


def ticker(at_ms: int = 0, *, kind: str = "snapshot", **fields: str) -> dict[str, Any]:
    full = {
        "symbol": "BTCUSDT",
        "lastPrice": "65000.00",
        "markPrice": "65000.00",
        "indexPrice": "65000.00",
        "openInterest": "100.000",
        "singleOpenInterest": "50.000",
        "fundingRate": "0.0001",
        "nextFundingTime": "1786320000000",
    }
    data = {**(full if kind == "snapshot" else {"symbol": "BTCUSDT"}), **fields}
    return {"topic": "tickers.BTCUSDT", "type": kind, "data": data, "cs": 77, "ts": ORIGIN_NS // MS + at_ms}


def trade(at_ms: int, price: str = "64990.00", size: str = "9.000", side: str = "Sell") -> dict[str, Any]:
    now = ORIGIN_NS // MS + at_ms
    one = {"T": now, "s": "BTCUSDT", "S": side, "v": size, "p": price, "L": "MinusTick", "i": f"t{at_ms}", "BT": False}
    return {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": now,
        "data": [{**one, "RPI": False, "seq": at_ms}],
    }


def write_tape(path: Path, frames: Sequence[tuple[int, dict[str, Any]]]) -> Path:
    lines = [f"{ORIGIN_NS + at_ms * MS} {json.dumps(frame, separators=(',', ':'))}" for at_ms, frame in frames]
    path.write_text("\n".join(lines) + "\n")
    return path


def dripping(path: Path, seconds: int = 60) -> Path:
    """A book, a ticker, then every 50 ms a sale at 64990 that reaches any resting buy above."""
    frames = [(0, book()), (1, ticker())]
    frames += [(at_ms, trade(at_ms)) for at_ms in range(50, seconds * 1000, 50)]
    return write_tape(path, frames)


@contextlib.asynccontextmanager
async def running(
    *, symbols: Sequence[str] | None = None, at_port: int = 0, choice: Choice | None = None, **paper: Any
) -> AsyncIterator[Client]:
    settings = Settings(paper=PaperSettings(**paper), **({} if symbols is None else {"symbols": symbols}))
    runtime = Runtime("venue", settings)
    with socket.create_server(("127.0.0.1", at_port)) as listener:
        runtime.listener = listener
        venue = build(settings, runtime) if choice is None else Venue(settings, runtime, choice)
        life = asyncio.create_task(venue.run())
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as session:
                client = Client(session, venue)
                client.life = life
                yield client
        finally:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Client:
    """Speaks as a key of the account; signs from the protocol page alone."""

    def __init__(self, session: aiohttp.ClientSession, venue: Venue, key: str = "paper-router") -> None:
        self.session = session
        self.venue = venue
        self.key = key
        self.life: asyncio.Task[None] | None = None

    def as_key(self, key: str) -> Client:
        return Client(self.session, self.venue, key)

    @property
    def now_ms(self) -> int:
        return self.venue.clock.now_ms()

    def headers(self, payload: str, *, timestamp: int | None = None, window: str | None = "5000") -> dict[str, str]:
        stamp = str(self.now_ms if timestamp is None else timestamp)
        head = {"X-BAPI-API-KEY": self.key, "X-BAPI-TIMESTAMP": stamp}
        if window is not None:
            head["X-BAPI-RECV-WINDOW"] = window
        return {**head, "X-BAPI-SIGN": signature(f"{self.key}-secret", f"{stamp}{self.key}{window or ''}{payload}")}

    async def page(self, path: str) -> dict[str, Any]:
        async with self.session.get(path) as answer:
            return await answer.json()

    async def status(self, path: str) -> int:
        async with self.session.get(path) as answer:
            return answer.status

    async def get(self, path: str, query: str, **how: Any) -> dict[str, Any]:
        target = URL(f"{path}?{query}", encoded=True)
        async with self.session.get(target, headers=self.headers(query, **how)) as answer:
            return {**await answer.json(), "headers": answer.headers, "status": answer.status}

    async def post(self, path: str, body: Any, **how: Any) -> dict[str, Any]:
        raw = body if isinstance(body, str) else json.dumps(body)
        head = {**self.headers(raw, **how), "Content-Type": "application/json"}
        async with self.session.post(path, data=raw, headers=head) as answer:
            return {**await answer.json(), "headers": answer.headers, "status": answer.status}

    async def start(self) -> None:
        async with self.session.post("/control/start") as answer:
            assert answer.status == 200

    async def stats(self) -> dict[str, Any]:
        return await self.page("/control/stats")

    async def has_sent(self, count: int) -> bool:
        return (await self.stats())["frames_sent"] >= count

    @contextlib.asynccontextmanager
    async def socket(self, path: str, *, auth: bool = True) -> AsyncIterator[Wire]:
        async with self.session.ws_connect(path, max_msg_size=0) as connection:
            wire = Wire(connection)
            if auth:
                expires = self.now_ms + 5000
                args = [self.key, expires, signature(f"{self.key}-secret", f"GET/realtime{expires}")]
                wire.auth_reply = await wire.ask({"op": "auth", "args": args})
            yield wire


class Wire:
    """A WebSocket that speaks JSON."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self.auth_reply: dict[str, Any] = {}

    async def ask(self, message: Any) -> dict[str, Any]:
        await self.connection.send_str(message if isinstance(message, str) else json.dumps(message))
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        return json.loads(await self.raw())

    async def raw(self) -> str:
        return await asyncio.wait_for(self.connection.receive_str(), 10)

    async def until(self, topic: str) -> dict[str, Any]:
        while True:
            message = await self.hear()
            if message.get("topic") == topic:
                return message


def order(**changes: Any) -> dict[str, Any]:
    plain = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.010",
        "price": "64995.00",
        "timeInForce": "PostOnly",
    }
    return {**plain, **changes}


def request(
    operation: str, body: dict[str, Any], *, now_ms: int, request_id: str = "r1", window: str = "5000"
) -> dict[str, Any]:
    """Give a request as the trade socket takes it."""
    header = {"X-BAPI-TIMESTAMP": str(now_ms), "X-BAPI-RECV-WINDOW": window}
    return {"reqId": request_id, "header": header, "op": operation, "args": [body]}
