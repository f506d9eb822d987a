from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from services.rest_collector.app import RestCollector
from services.rest_collector.settings import Settings
from tests.services.venue.little_market import dripping
from tests.services.venue.little_market import running as venue_running
from tests.support import eventually
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.reference import ClockOffset, InstrumentChanged, RiskTier, VenueStatus
from undertow.contracts.metrics import REST_FAILURES
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.bybit.http import BybitHttp
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
