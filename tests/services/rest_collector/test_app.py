from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.rest_collector.app import RestCollector
from services.rest_collector.core import Kind
from services.rest_collector.settings import Settings
from tests.services.rest_collector.test_core import ITEM, TIERS
from tests.support import eventually, recorded
from undertow.bus.memory import MemoryBus
from undertow.bus.ports import Topic
from undertow.contracts.messages.reference import ClockOffset, InstrumentChanged, RiskTier, VenueStatus
from undertow.contracts.metrics import REST_FAILURES, REST_REQUESTS
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.bybit.http import BybitHttp
from undertow.runtime.clock import ManualClock
from undertow.runtime.service import Runtime

NOW = 1_767_225_600_000_000_000
MS = 1_000_000
REFERENCE_OF = Topic(REFERENCE, symbol="BTCUSDT")


class Pages:
    """A venue of one symbol; answers can be exchanged, and everything that was asked is kept."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.asked: list[tuple[str, dict[str, str], float]] = []
        self.status = 200
        row = {"openInterest": "100", "singleOpenInterest": "50", "timestamp": str(NOW // MS)}
        rate = {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": str(NOW // MS)}
        ratio = {"symbol": "BTCUSDT", "buyRatio": "0.6", "sellRatio": "0.4", "timestamp": str(NOW // MS)}
        self.results: dict[str, Any] = {
            "/v5/market/instruments-info": {"list": [ITEM]},
            "/v5/market/open-interest": {"symbol": "BTCUSDT", "list": [row]},
            "/v5/market/funding/history": {"list": [rate]},
            "/v5/market/account-ratio": {"list": [ratio]},
            "/v5/market/risk-limit": {"list": TIERS},
            "/v5/system/status": {"list": []},
        }

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query), time.monotonic()))
        if self.status != 200:
            return web.Response(status=self.status, text="<html>")
        time_page = {"timeNano": str(self.clock.now_ns() + 250 * MS)}
        result = time_page if request.path == "/v5/market/time" else self.results[request.path]
        body = {"retCode": 0, "retMsg": "OK", "result": result, "time": 1}
        return web.json_response(body)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _, _ in self.asked)


@pytest.fixture
def pages():
    return Pages()


@pytest.fixture
def settings(monkeypatch):
    for name, value in {
        "BUS__URL": "redis://127.0.0.1:1/0",
        "VENUE__REST_URL": "http://127.0.0.1:1",
        "SYMBOLS": "BTCUSDT",
        "COLLECT__REQUESTS_PER_SECOND": "84",
    }.items():
        monkeypatch.setenv(f"UNDERTOW_{name}", value)
    return Settings()


class Rig:
    def __init__(self, pages: Pages, settings: Settings, url: str) -> None:
        self.pages = pages
        self.bus = MemoryBus("rest_collector/1")
        self.runtime = Runtime("rest_collector", settings, pages.clock)
        self.collector = RestCollector(settings, self.runtime, self.bus, BybitHttp(url, pages.clock))

    async def published(self, topic: Topic, kind: type = object) -> list[Any]:
        return [d.message for d in await self.bus.since(topic, "0-0") if isinstance(d.message, kind)]

    async def has_measured(self, count: int) -> bool:
        return len(await self.published(VENUE_TOPIC, ClockOffset)) >= count

    def failures(self, kind: Kind) -> float:
        return self.runtime.metrics.counter(REST_FAILURES, kind=kind)._value.get()


VENUE_TOPIC = Topic(VENUE)


@contextlib.asynccontextmanager
async def running(pages: Pages, settings: Settings):
    app = web.Application()
    app.router.add_get("/{path:.*}", pages.answer)
    async with TestServer(app) as server:
        rig = Rig(pages, settings, str(server.make_url("")).rstrip("/"))
        life = asyncio.create_task(rig.collector.run())
        try:
            yield rig
        finally:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life


async def test_all_slow_facts_of_a_symbol_and_of_the_venue_are_published(pages, settings):
    async with running(pages, settings) as rig:
        assert rig.collector.unready_reason() == "the instruments have not been published yet"
        await eventually(lambda: rig.has_measured(1))
        await eventually(lambda: len(pages.asked) == 7)
        facts = await eventually(lambda: all_of(rig, 5))
        assert [type(fact).__name__ for fact in facts] == [
            "InstrumentChanged",
            "OpenInterest",
            "Funding",
            "LongShortRatio",
            "RiskTier",
        ]
        assert rig.collector.unready_reason() is None
        (status,) = await rig.published(VENUE_TOPIC, VenueStatus)
        assert status.operational
        (offset,) = await rig.published(VENUE_TOPIC, ClockOffset)
        assert (offset.offset_ns, offset.uncertainty_ns) == (250 * MS, 0)
        assert rig.runtime.metrics.counter(REST_REQUESTS, kind=Kind.CLOCK)._value.get() == 1


async def all_of(rig: Rig, count: int) -> list[Any] | None:
    facts = await rig.published(REFERENCE_OF)
    return facts if len(facts) >= count else None


async def test_each_endpoint_is_asked_for_its_symbol_and_nothing_is_asked_before_it_is_due(pages, settings):
    async with running(pages, settings) as rig:
        await eventually(lambda: all_of(rig, 5))
        await eventually(lambda: rig.has_measured(1))
        await eventually(lambda: len(pages.asked) == 7)
        queries = {path: query for path, query, _ in pages.asked}
        assert queries["/v5/market/open-interest"] == {
            "category": "linear",
            "symbol": "BTCUSDT",
            "intervalTime": "5min",
            "limit": "50",
        }
        assert queries["/v5/system/status"] == {}
        pages.clock.advance(10)
        await eventually(lambda: rig.has_measured(2))
        assert len(pages.asked) == 8


async def test_an_instrument_is_published_again_when_the_venue_changes_it(pages, settings):
    async with running(pages, settings) as rig:
        await eventually(lambda: all_of(rig, 5))
        pages.clock.advance(300)
        await eventually(lambda: pages.count("/v5/market/instruments-info") == 2)
        changed = ITEM | {"priceFilter": ITEM["priceFilter"] | {"tickSize": "0.50"}}
        pages.results["/v5/market/instruments-info"] = {"list": [changed]}
        pages.clock.advance(300)
        before, after = await eventually(lambda: two_of(rig, InstrumentChanged))
        assert (str(before.tick_size), str(after.tick_size)) == ("0.10", "0.50")


async def two_of(rig: Rig, kind: type) -> list[Any] | None:
    facts = await rig.published(REFERENCE_OF, kind)
    return facts if len(facts) == 2 else None


async def test_one_endpoint_that_answers_nonsense_does_not_stop_the_others(pages, settings):
    pages.results["/v5/market/risk-limit"] = {"list": [{"id": "first"}]}
    async with running(pages, settings) as rig:
        await eventually(lambda: rig.failures(Kind.RISK_TIERS) == 1)
        await eventually(lambda: all_of(rig, 4))
        assert await rig.published(REFERENCE_OF, RiskTier) == []
        assert rig.collector.unready_reason() is None


async def test_after_a_403_not_one_request_is_sent_for_ten_minutes(pages, settings):
    pages.status = 403
    async with running(pages, settings) as rig:
        await eventually(lambda: all(rig.failures(kind) == 1 for kind in Kind))
        assert len(pages.asked) == 1
        assert rig.collector.unready_reason() == "the instruments have not been published yet"
        pages.status = 200
        pages.clock.advance(601)
        await eventually(lambda: all_of(rig, 5))
        assert rig.collector.unready_reason() is None


async def test_requests_keep_the_distance_of_the_budget(pages, settings, monkeypatch):
    monkeypatch.setenv("UNDERTOW_COLLECT__REQUESTS_PER_SECOND", "25")
    async with running(pages, Settings()):
        await eventually(lambda: len(pages.asked) == 7)
    times = [at for _, _, at in pages.asked]
    assert times[-1] - times[0] >= 6 * 0.04


async def test_the_recorded_list_of_instruments_makes_the_collector_ready(pages, settings):
    with gzip.open(recorded("bybit/instruments-info-linear-20260809.json.gz")) as file:
        items = json.load(file)["result"]["list"]
    pages.results["/v5/market/instruments-info"] = {"list": [i for i in items if i["symbol"] == "BTCUSDT"]}
    async with running(pages, settings) as rig:
        (fact,) = await eventually(lambda: rig.published(REFERENCE_OF, InstrumentChanged))
        assert (str(fact.tick_size), str(fact.min_notional)) == ("0.10", "5")
        await eventually(lambda: rig.collector.unready_reason() is None)


@pytest.mark.parametrize("value", ["0", "85", "-1", "often"])
def test_a_budget_that_is_no_budget_is_refused(settings, monkeypatch, value):
    monkeypatch.setenv("UNDERTOW_COLLECT__REQUESTS_PER_SECOND", value)
    with pytest.raises(ValueError, match="requests_per_second"):
        Settings()
