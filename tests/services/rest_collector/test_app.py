from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.rest_collector.app import RestCollector
from services.rest_collector.core import Kind
from services.rest_collector.settings import Settings
from tests.services.rest_collector.test_core import INSTRUMENT, SYMBOL
from tests.services.venue.little_market import dripping
from tests.services.venue.little_market import running as venue_running
from tests.support import eventually
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.reference import ClockOffset, InstrumentChanged, RiskTier, VenueStatus
from undertow.contracts.metrics import REST_FAILURES
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.bybit.http import BybitHttp
from undertow.runtime.clock import ManualClock
from undertow.runtime.service import Runtime


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("UNDERTOW_VENUE__REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("UNDERTOW_SYMBOLS", "BTCUSDT")
    monkeypatch.setenv("UNDERTOW_COLLECT__REQUESTS_PER_SECOND", "80")
    return Settings()


async def kinds(store, topic):
    return {type(delivery.message) for delivery in await MemoryBus("test", store).since(topic, "0-0")}


async def test_the_facts_of_the_paper_venue_reach_the_bus_before_its_market_starts(settings, tmp_path):
    store = Store()
    async with venue_running(tape=dripping(tmp_path / "drip.rawlines"), start="on_command") as client:
        runtime = Runtime("rest_collector", settings, client.venue.clock)
        url = str(client.session._base_url)
        collector = RestCollector(settings, runtime, MemoryBus("c/1", store), BybitHttp(url, runtime.clock))
        assert collector.unready_reason()
        life = asyncio.create_task(collector.run())
        await eventually(lambda: collector.unready_reason() is None)
        await eventually(lambda: kinds(store, Topic(VENUE)))
        found = await eventually(lambda: _both(store))
        assert found
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


async def _both(store):
    reference, venue = await kinds(store, Topic(REFERENCE, symbol="BTCUSDT")), await kinds(store, Topic(VENUE))
    return {InstrumentChanged, RiskTier} <= reference and {VenueStatus, ClockOffset} <= venue


async def test_failures_are_counted_and_survived(settings, monkeypatch):
    monkeypatch.setattr("undertow.exchange.bybit.http.backoff", lambda *_: iter([0.0] * 9))
    runtime = Runtime("rest_collector", settings)
    venue = BybitHttp("http://127.0.0.1:1", runtime.clock)
    collector = RestCollector(settings, runtime, MemoryBus("c/1", Store()), venue)
    life = asyncio.create_task(collector.run())
    failures = runtime.metrics.counter(REST_FAILURES, kind="instrument")
    await eventually(failures._value.get)
    assert not life.done()
    assert collector.unready_reason()
    life.cancel()
    with suppress(asyncio.CancelledError):
        await life


class Pages:
    """A venue of one symbol that keeps the paths it was asked for."""

    def __init__(self, status=200, results=None):
        self.clock = ManualClock(1_767_225_600_000_000_000)
        self.asked = []
        self.status = status
        self.results = results or {"/v5/market/instruments-info": {"list": [INSTRUMENT]}}

    async def answer(self, request):
        self.asked.append(request.path)
        time = {"timeNano": str(self.clock.now_ns() + 250)}
        result = self.results.get(request.path, {"symbol": SYMBOL, "list": [], **time})
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result}, status=self.status)


@asynccontextmanager
async def collecting(monkeypatch, pages):
    monkeypatch.setenv("UNDERTOW_SYMBOLS", SYMBOL)
    app = web.Application()
    app.router.add_get("/{path:.*}", pages.answer)
    async with TestServer(app) as server:
        settings, store = Settings(), Store()
        runtime = Runtime("rest_collector", settings, pages.clock)
        circuit = Circuit(pages.clock, steady=lambda: pages.clock.now_ns() / 1e9)
        venue = BybitHttp(str(server.make_url("")).rstrip("/"), pages.clock, budget=circuit)
        collector = RestCollector(settings, runtime, MemoryBus("c/1", store), venue)
        life = asyncio.create_task(collector.run())
        try:
            yield collector, runtime, store
        finally:
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life


def failed(runtime, kind):
    return runtime.metrics.counter(REST_FAILURES, kind=kind)._value.get()


async def found(store, topic, kind):
    messages = [delivery.message for delivery in await MemoryBus("test", store).since(topic, "0-0")]
    return [message for message in messages if isinstance(message, kind)]


async def test_after_a_403_nothing_is_asked_for_ten_minutes(settings, monkeypatch):
    pages = Pages(status=403)
    async with collecting(monkeypatch, pages) as (collector, runtime, _):
        await eventually(lambda: all(failed(runtime, kind) for kind in Kind))
        assert len(pages.asked) == 1
        assert collector.unready_reason()
        pages.status = 200
        pages.clock.advance(601)
        await eventually(lambda: collector.unready_reason() is None)


async def test_an_endpoint_that_answers_nonsense_does_not_stop_the_others(settings, monkeypatch):
    pages = Pages()
    pages.results["/v5/market/risk-limit"] = {"list": [{"id": "first"}]}
    async with collecting(monkeypatch, pages) as (collector, runtime, store):
        await eventually(lambda: failed(runtime, Kind.RISK_TIERS))
        await eventually(lambda: collector.unready_reason() is None)
        await eventually(lambda: found(store, Topic(VENUE), ClockOffset))
        assert [failed(runtime, kind) for kind in Kind if kind is not Kind.RISK_TIERS] == [0] * (len(Kind) - 1)


async def test_filters_are_published_again_when_the_venue_changes_them(settings, monkeypatch):
    topic, pages = Topic(REFERENCE, symbol=SYMBOL), Pages()
    async with collecting(monkeypatch, pages) as (_, _, store):
        await eventually(lambda: found(store, topic, InstrumentChanged))
        changed = {**INSTRUMENT, "priceFilter": {**INSTRUMENT["priceFilter"], "tickSize": "0.0005"}}
        pages.results["/v5/market/instruments-info"] = {"list": [changed]}
        pages.clock.advance(301)
        before, after = await eventually(lambda: _two(store, topic))
        assert (str(before.tick_size), str(after.tick_size)) == ("0.0001", "0.0005")


async def _two(store, topic):
    facts = await found(store, topic, InstrumentChanged)
    return facts if len(facts) == 2 else None
