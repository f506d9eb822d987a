from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.server import serve

from services.macro_collector import app
from services.macro_collector.app import MacroCollector
from services.macro_collector.settings import Settings
from tests.services.macro_collector.test_read import PLAIN
from tests.support import eventually
from undertow.bus.errors import BusAwayError, BusOverflowError, BusRefusedError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.macro import MacroValue, NeighbourLiquidation
from undertow.contracts.metrics import MACRO_AGE, MACRO_FAILURES, MACRO_STALE, MACRO_VALUES
from undertow.contracts.streams import MACRO
from undertow.domain.order import Side
from undertow.runtime.service import Runtime

FORCED = {
    "e": "forceOrder",
    "E": 1760000000999,
    "o": {
        "s": "BTCUSDT",
        "S": "SELL",
        "q": "0.014",
        "p": "59910.5",
        "ap": "59950.0",
        "X": "FILLED",
        "z": "0.014",
        "T": 1760000000993,
    },
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(app, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(app, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(app, "LOOK_EVERY_S", 0.01)
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("UNDERTOW_SYMBOLS", "BTCUSDT")


@asynccontextmanager
async def collecting(monkeypatch, store=None, bus=MemoryBus, **told):
    for name, value in told.items():
        monkeypatch.setenv(f"UNDERTOW_MACRO__{name.upper()}", value)
    settings, store = Settings(), store or Store()
    runtime = Runtime("macro_collector", settings)
    collector = MacroCollector(settings, runtime, bus("macro_collector/1", store))
    life = asyncio.create_task(collector.run())

    async def facts():
        return [each.message for each in await MemoryBus("test", store).since(Topic(MACRO), "0-0")]

    try:
        yield runtime, facts
        assert collector.unready_reason() is None
        assert not life.done()
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


@asynccontextmanager
async def serving(answers):
    """A site whose pages answer what `answers` says now: bytes, or a status."""

    async def page(request):
        answer = answers[request.path]
        return web.Response(status=answer) if isinstance(answer, int) else web.Response(body=answer)

    site = web.Application()
    site.router.add_get("/{tail:.*}", page)
    async with TestServer(site) as server:
        yield str(server.make_url("/"))


def value(runtime, spec, **labels):
    of = runtime.metrics.counter if spec in (MACRO_FAILURES, MACRO_VALUES) else runtime.metrics.gauge
    return of(spec, **labels)._value.get()


async def test_a_dead_source_holds_up_no_other_and_lives_again_by_itself(monkeypatch):
    answers = {"/good": b'{"v":"1.5","t":1760000000}', "/bad": 503}
    async with serving(answers) as url:
        sources = [
            {**PLAIN, "name": name, "url": f"{url}{name}", "value": "v", "time": "t", "stale_seconds": 10**8}
            for name in ("bad", "good")
        ]
        async with collecting(monkeypatch, sources=json.dumps(sources)) as (runtime, facts):
            await eventually(facts)
            await eventually(lambda: value(runtime, MACRO_FAILURES, source="bad") >= 3)
            await eventually(lambda: value(runtime, MACRO_STALE, source="bad", symbol=""))
            assert [fact.source for fact in await facts()] == ["good"]
            for broken in (b"<html>", b'{"w":1}', b"x" * (app.LARGEST_ANSWER + 1)):
                seen = value(runtime, MACRO_FAILURES, source="bad")
                answers["/bad"] = broken
                await eventually(lambda seen=seen: value(runtime, MACRO_FAILURES, source="bad") > seen + 1)
            answers["/bad"] = b'{"v":2,"t":1760000001}'
            await eventually(lambda: value(runtime, MACRO_VALUES, source="bad"))
            last = (await facts())[-1]
            assert isinstance(last, MacroValue)
            assert (last.source, last.value, last.ts_event) == ("bad", 2, 1760000001 * 10**9)
            await eventually(lambda: not value(runtime, MACRO_STALE, source="bad", symbol=""))
            assert value(runtime, MACRO_AGE, source="bad", symbol="") > 0


async def test_a_source_that_never_comes_to_an_end_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(app, "TIMEOUT_S", 0.02)

    async def drip(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):  # whoever asked has hung up
            while True:
                await answer.write(b" ")
                await asyncio.sleep(0.005)  # faster than any single wait for bytes is given up
        return answer

    site = web.Application()
    site.router.add_get("/", drip)
    async with TestServer(site) as server:
        source = {**PLAIN, "name": "slow", "url": str(server.make_url("/")), "value": "v"}
        async with collecting(monkeypatch, sources=json.dumps([source])) as (runtime, _):
            await eventually(lambda: value(runtime, MACRO_FAILURES, source="slow") >= 2)


class Full(MemoryBus):
    """A bus that is away at first, and then refuses some values."""

    away = 2
    refusals = [BusOverflowError("full"), BusRefusedError("OOM")]  # noqa: RUF012 - of one test's one bus

    async def tail(self, topic, count):
        if self.away:
            self.away -= 1
            raise BusAwayError("away")
        return await super().tail(topic, count)

    async def publish(self, topic, message, *, hops=()):
        if self.refusals:
            raise self.refusals.pop()
        await super().publish(topic, message, hops=hops)


async def test_a_value_that_the_bus_did_not_take_is_told_later_and_a_restart_does_not_repeat_it(monkeypatch):
    async with serving({"/x": b'{"v":1,"t":1760000000}'}) as url:
        source = {**PLAIN, "url": f"{url}x", "value": "v", "time": "t", "stale_seconds": 10**8}
        store = Store()
        for bus in (Full, MemoryBus):
            async with collecting(monkeypatch, store, bus, sources=json.dumps([source])) as (runtime, facts):
                await eventually(facts)
                assert value(runtime, MACRO_FAILURES, source="x") == (2 if bus is Full else 0)
                await eventually(lambda runtime=runtime: value(runtime, MACRO_AGE, source="x", symbol="") > 0)
                assert len(await facts()) == 1


async def test_the_neighbours_liquidations_of_our_symbols_are_told_with_the_side_of_the_position(monkeypatch):
    foreign = {**FORCED, "o": {**FORCED["o"], "s": "PEPEUSDT"}}
    frames = [json.dumps(FORCED), json.dumps(foreign), "garbage", json.dumps({"stream": "x", "data": FORCED})]
    connections = []

    async def peer(connection):
        connections.append(connection)
        for frame in frames:
            await connection.send(frame)
        await connection.wait_closed()

    async with serve(peer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        told = {"ready_made": "binance_liquidations", "binance_stream_url": f"ws://127.0.0.1:{port}"}
        async with collecting(monkeypatch, **told) as (runtime, facts):
            await eventually(lambda: value(runtime, MACRO_VALUES, source="binance_liquidations") == 2)
            first, second = await facts()
            assert isinstance(first, NeighbourLiquidation)
            assert first.position_side is second.position_side is Side.BUY
            assert (first.symbol, str(first.price), str(first.size)) == ("BTCUSDT", "59950.0", "0.014")
            assert value(runtime, MACRO_FAILURES, source="binance_liquidations") == 1
            await connections[0].close()
            await eventually(lambda: value(runtime, MACRO_VALUES, source="binance_liquidations") == 4)
