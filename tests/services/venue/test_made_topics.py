"""The topics that the venue makes itself, over its sockets, on the recording."""

from __future__ import annotations

import json
from typing import Any

from tests.services.venue.little_market import Wire, running
from tests.support import eventually, recorded
from undertow.exchange.book import OrderBook
from undertow.markets.tape import TapeSource

TAPE = "bybit/linear-20260809.rawlines.gz"
LINEAR = [f"{kind}.SOLUSDT" for kind in ("orderbook.1", "orderbook.50", "orderbook.1000", "kline.5", "priceLimit")]
SPOT = [f"{kind}.SOLUSDT" for kind in ("orderbook.1", "orderbook.50", "publicTrade", "tickers", "kline.1")]


async def frames(end_ms: int) -> list[str]:
    """Play the recording; give what was sent on the made topics while it lasted, in order, linear before spot."""
    path, heard = recorded(TAPE), []
    async with (
        running(tape=path, rate=100.0, start="on_command") as client,
        client.socket("/v5/public/linear", auth=False) as linear,
        client.socket("/v5/public/spot", auth=False) as spot,
    ):
        for wire, topics in ((linear, LINEAR), (spot, SPOT)):
            assert (await wire.ask({"op": "subscribe", "args": topics}))["success"]
        await client.start()
        await eventually(lambda: client.venue.replay.finished)
        for wire in (linear, spot):
            heard += await _until_pong(wire)
    return [text for text in heard if json.loads(text)["ts"] <= end_ms]


async def _until_pong(wire: Wire) -> list[str]:
    await wire.connection.send_json({"op": "ping"})
    heard = []
    while "pong" not in (text := await wire.raw()):
        heard.append(text)
    return heard


async def test_the_same_market_twice_makes_the_same_frames_and_they_rebuild_its_book() -> None:
    tape = TapeSource(recorded(TAPE))
    end_ms = tape.end_ns // 1_000_000
    first, second = await frames(end_ms), await frames(end_ms)
    assert first == second
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for text in first:
        message = json.loads(text)
        by_topic.setdefault(message["topic"], []).append(message)
    assert set(by_topic) == {*LINEAR, *SPOT}
    pushes = by_topic["orderbook.1000.SOLUSDT"]
    assert [push["data"]["u"] for push in pushes] == list(range(1, len(pushes) + 1))
    made, own = OrderBook(1000), OrderBook(200)
    for push in pushes:
        _apply(made, push)
    for frame in tape.frames():  # a push holds every frame before its moment
        message = json.loads(frame.raw)
        if frame.at_ns < pushes[-1]["ts"] * 1_000_000 and message["topic"] == "orderbook.200.SOLUSDT":
            _apply(own, message)
    assert made.levels() == own.levels()


def _apply(book: OrderBook, message: dict[str, Any]) -> None:
    levels = [tuple(level) for level in message["data"]["b"]], [tuple(level) for level in message["data"]["a"]]
    (book.replace if message["type"] == "snapshot" else book.apply)(*levels)
