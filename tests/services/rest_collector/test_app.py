from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.rest_collector import app
from services.rest_collector.app import RestCollector
from services.rest_collector.kinds import Kind
from services.rest_collector.settings import Settings
from tests.services.rest_collector.test_core import INSTRUMENT, SYMBOL, TICKER
from tests.services.venue.little_market import dripping
from tests.services.venue.little_market import running as venue_running
from tests.support import eventually
from undertow.bus.errors import BusAwayError, BusOverflowError, BusRefusedError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.reference import (
    ClockOffset,
    DayTicker,
    Funding,
    InstrumentChanged,
    NextFunding,
    OpenInterest,
    RiskTier,
    VenueStatus,
)
from undertow.contracts.metrics import (
    REFERENCE_AGE,
    REFERENCE_FACTS,
    REFERENCE_SKIPPED,
    REST_FAILURES,
    REST_REQUESTS,
    VENUE_CLOCK_OFFSET,
)
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.bybit.http import BybitHttp
from undertow.runtime.clock import ManualClock
from undertow.runtime.service import Runtime

NOW = 1_767_225_600_000_000_000
MS = 1_000_000
BOOTS = itertools.count()
HOUR = 3_600 * 10**9


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("UNDERTOW_VENUE__REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("UNDERTOW_SYMBOLS", SYMBOL)
    monkeypatch.setattr("services.rest_collector.schedule.FIRST_REST_NS", 10 * MS)
    monkeypatch.setattr(app, "TICK_S", 0.01)


@asynccontextmanager
async def living(url, clock, bus):
    settings = Settings()
    runtime = Runtime("rest_collector", settings, clock)
    circuit = Circuit(clock, steady=lambda: clock.now_ns() / 1e9)
    collector = RestCollector(settings, runtime, bus, BybitHttp(url, clock, timeout_s=0.5, budget=circuit), circuit)
    life = asyncio.create_task(collector.run())
    try:
        yield collector, runtime
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


class Pages:
    """A venue of one symbol with an hour of open interest; keeps what it was asked."""

    def __init__(self):
        self.clock = ManualClock(NOW)
        self.asked = []
        self.status, self.missing = 200, ""
        self.codes = {}
        self.results = {
            "/v5/market/instruments-info": {"list": [INSTRUMENT]},
            "/v5/market/tickers": {"list": [TICKER]},
        }
        self.interest = [NOW // MS - ago for ago in range(0, 3_600_000, 300_000)]

    def count(self, page):
        return sum(path.endswith(page) for path, _ in self.asked)

    async def answer(self, request):
        query = {name: values[0] for name, values in parse_qs(request.query_string).items()}
        self.asked.append((request.path, query))
        if request.path == self.missing:
            return web.Response(status=404)
        code, headers = self.codes.get(request.path, (0, {}))
        answer = {"retCode": code, "retMsg": "OK", "result": self.result(request.path, query)}
        return web.json_response(answer, status=self.status, headers=headers)

    def result(self, path, query):
        if path in self.results:
            return self.results[path]
        if path == "/v5/market/open-interest":
            shown = [at for at in self.interest if int(query["startTime"]) <= at <= int(query["endTime"])][:200]
            rows = [{"openInterest": "1", "timestamp": str(at)} for at in shown]
            return {"symbol": query["symbol"], "list": rows}
        return {"list": [], "timeNano": str(self.clock.now_ns() + 250)}


@pytest.fixture
async def pages():
    return Pages()


@pytest.fixture
def store():
    return Store()


@asynccontextmanager
async def collecting(pages, store):
    service = web.Application()
    service.router.add_get("/{path:.*}", pages.answer)
    async with TestServer(service) as server:
        url = str(server.make_url("")).rstrip("/")
        async with living(url, pages.clock, MemoryBus(f"rest_collector/{next(BOOTS)}", store)) as (collector, runtime):
            yield collector, runtime


def failed(runtime, kind, reason):
    return runtime.metrics.counter(REST_FAILURES, kind=kind, reason=reason)._value.get()


async def found(store, topic, kind):
    messages = [delivery.message for delivery in await MemoryBus("test", store).since(topic, "0-0")]
    return [message for message in messages if isinstance(message, kind)]


REFERENCES = Topic(REFERENCE, symbol=SYMBOL)


async def test_the_facts_of_the_paper_venue_reach_the_bus_before_and_after_its_market_starts(
    store, tmp_path, monkeypatch
):
    monkeypatch.setenv("UNDERTOW_SYMBOLS", "BTCUSDT")
    for kind in ("TICKER", "OPEN_INTEREST", "STATUS"):
        monkeypatch.setenv(f"UNDERTOW_COLLECT__{kind}_SECONDS", "0.1")
    topic = Topic(REFERENCE, symbol="BTCUSDT")
    async with venue_running(tape=dripping(tmp_path / "drip.rawlines"), start="on_command") as client:
        url, clock = str(client.session._base_url), client.venue.clock
        async with living(url, clock, MemoryBus("c/1", store)) as (collector, _):
            assert collector.unready_reason()
            await eventually(lambda: collector.unready_reason() is None)
            for kind in (InstrumentChanged, RiskTier):
                assert await eventually(lambda k=kind: found(store, topic, k))
            for kind in (VenueStatus, ClockOffset):
                assert await eventually(lambda k=kind: found(store, Topic(VENUE), k))
            await client.start()
            for kind in (OpenInterest, NextFunding, DayTicker):
                assert await eventually(lambda k=kind: found(store, topic, k))
            announced = {"action": "maintenance", "title": "upgrade", "from_ms": 3_600_000, "for_ms": 1_000}
            async with client.session.post("/control/faults", json=announced) as answer:
                assert answer.status == 200
            status = await eventually(lambda: _announced(store))
            assert (status.operational, status.maintenance) == (True, "upgrade")
            assert status.begin_ns > status.ts_event + 3_500 * 10**9


async def _announced(store):
    last = (await found(store, Topic(VENUE), VenueStatus))[-1]
    return last if last.maintenance else None


async def test_every_kind_is_asked_for_and_what_is_new_published(pages, store):
    async with collecting(pages, store) as (collector, runtime):
        await eventually(lambda: collector.unready_reason() is None)
        assert len(await eventually(lambda: found(store, REFERENCES, OpenInterest))) == 12
        assert await eventually(lambda: found(store, REFERENCES, NextFunding))
        offset = (await eventually(lambda: found(store, Topic(VENUE), ClockOffset)))[0]
        assert (offset.offset_ns, offset.uncertainty_ns, offset.readings) == (250, 0, 5)
        assert runtime.metrics.gauge(VENUE_CLOCK_OFFSET)._value.get() == 250 / 10**9
        await eventually(lambda: all(runtime.metrics.counter(REST_REQUESTS, kind=kind)._value.get() for kind in Kind))
        assert runtime.metrics.counter(REFERENCE_FACTS, kind=Kind.OPEN_INTEREST)._value.get() == 12


async def test_shards_share_the_symbols_and_the_first_asks_for_what_concerns_the_venue(pages, store, monkeypatch):
    monkeypatch.setenv("UNDERTOW_SYMBOLS", f"BTCUSDT,{SYMBOL}")
    monkeypatch.setenv("UNDERTOW_SHARD", "1/2")
    async with collecting(pages, store) as (collector, _):
        await eventually(lambda: collector.unready_reason() is None and pages.count("risk-limit"))
        assert await eventually(lambda: _so_many(store, 12))
        assert not pages.count("system/status") + pages.count("market/time")
        assert {query["symbol"] for _, query in pages.asked if "symbol" in query} == {SYMBOL}
    assert await found(store, Topic(VENUE), VenueStatus | ClockOffset) == []


async def test_a_restart_goes_on_after_the_last_row_that_was_published(pages, store):
    async with collecting(pages, store):
        await eventually(lambda: found(store, REFERENCES, OpenInterest))
    pages.asked.clear()
    pages.clock.advance(600)
    pages.interest = [NOW // MS + 600_000, NOW // MS + 300_000, *pages.interest]
    async with collecting(pages, store) as (collector, _):
        await eventually(lambda: pages.count("open-interest") and collector.unready_reason() is None)
        rows = await eventually(lambda: _so_many(store, 14))
    assert [row.ts_event // MS for row in rows] == sorted(pages.interest)
    assert len(await found(store, REFERENCES, InstrumentChanged)) == 1


async def _so_many(store, count):
    rows = await found(store, REFERENCES, OpenInterest)
    return rows if len(rows) == count else None


async def test_what_lies_too_far_back_is_said_to_be_left_out(pages, store, monkeypatch):
    monkeypatch.setenv("UNDERTOW_COLLECT__BACKFILL_HOURS", "0.5")
    old = OpenInterest(ts_event=NOW - 2 * HOUR, ts_recv=NOW, symbol=SYMBOL, open_interest=1)
    await MemoryBus("rest_collector/0", store).publish(REFERENCES, old)
    async with collecting(pages, store) as (_, runtime):
        rows = await eventually(lambda: _so_many(store, 8))
        assert [row.ts_event for row in rows[1:]] == [at * MS for at in reversed(pages.interest[:7])]
        skipped = runtime.metrics.counter(REFERENCE_SKIPPED, kind=Kind.OPEN_INTEREST)
        assert skipped._value.get() == pytest.approx(5_400)


async def test_a_venue_that_cannot_be_reached_is_survived(store):
    async with living("http://127.0.0.1:1", ManualClock(NOW), MemoryBus("c/1", store)) as (collector, runtime):
        await eventually(lambda: failed(runtime, Kind.INSTRUMENT, "unreachable") > 2)
        assert "have not been published" in collector.unready_reason()


async def test_after_a_403_nothing_is_asked_for_ten_minutes(pages, store):
    pages.status = 403
    async with collecting(pages, store) as (collector, runtime):
        await eventually(lambda: failed(runtime, Kind.INSTRUMENT, "banned"))
        under_way = len(pages.asked)
        assert under_way <= 4  # as many as may be under way at once
        assert "banned our address for 600 s" in collector.unready_reason()
        pages.status = 200
        pages.clock.advance(599)
        await asyncio.sleep(0.05)  # some ticks
        assert len(pages.asked) == under_way
        pages.clock.advance(2)
        await eventually(lambda: collector.unready_reason() is None)


async def test_an_endpoint_that_answers_nonsense_does_not_stop_the_others(pages, store):
    pages.results["/v5/market/risk-limit"] = {"list": [{"id": "first"}]}
    async with collecting(pages, store) as (collector, runtime):
        await eventually(lambda: failed(runtime, Kind.RISK_TIERS, "malformed"))
        await eventually(lambda: collector.unready_reason() is None)
        await eventually(lambda: found(store, Topic(VENUE), ClockOffset))
        assert not any(failed(runtime, kind, "malformed") for kind in Kind if kind is not Kind.RISK_TIERS)


async def test_a_page_that_the_venue_has_not_does_not_make_it_unready(pages, store):
    pages.missing = "/v5/system/status"
    async with collecting(pages, store) as (collector, runtime):
        await eventually(lambda: failed(runtime, Kind.STATUS, "absent"))
        await eventually(lambda: collector.unready_reason() is None)
        assert pages.count("system/status") == 1


async def test_a_rate_limit_is_waited_for_and_a_refused_time_stamp_has_the_clock_read(pages, store):
    pages.codes["/v5/market/open-interest"] = (10006, {"X-Bapi-Limit-Reset-Timestamp": str(NOW // MS + 60_000)})
    pages.codes["/v5/market/funding/history"] = (10002, {})
    async with collecting(pages, store) as (_, runtime):
        await eventually(lambda: failed(runtime, Kind.FUNDING, "clock") > 1)
        assert failed(runtime, Kind.OPEN_INTEREST, "rate_limited") == 1
        assert pages.count("open-interest") == 1
        await eventually(lambda: pages.count("market/time") > 5)  # out of turn: the market stands still


async def test_filters_are_published_again_when_the_venue_changes_them(pages, store):
    async with collecting(pages, store):
        await eventually(lambda: found(store, REFERENCES, InstrumentChanged))
        changed = {**INSTRUMENT, "priceFilter": {**INSTRUMENT["priceFilter"], "tickSize": "0.0005"}}
        pages.results["/v5/market/instruments-info"] = {"list": [changed]}
        pages.clock.advance(301)
        before, after = await eventually(lambda: _two(store))
        assert (str(before.tick_size), str(after.tick_size)) == ("0.0001", "0.0005")
        assert after.changed == ("tick_size",)


async def _two(store):
    facts = await found(store, REFERENCES, InstrumentChanged)
    return facts if len(facts) == 2 else None


async def test_a_kind_that_is_not_answered_for_long_makes_it_unready(pages, store):
    async with collecting(pages, store) as (collector, runtime):
        await eventually(lambda: collector.unready_reason() is None)
        await eventually(lambda: found(store, Topic(VENUE), ClockOffset))
        pages.status = 503
        pages.clock.advance(400)
        await eventually(lambda: failed(runtime, Kind.STATUS, "server"))
        assert collector.unready_reason() == "no answer for too long about open_interest, status, clock"
        assert f'{REFERENCE_AGE.name}{{kind="status",mode="paper",service="rest_collector"}} 400.0' in str(
            runtime.metrics.render()
        )
        pages.status = 200
        await eventually(lambda: collector.unready_reason() is None)


class Sick(MemoryBus):
    """A bus that is away at first, and then refuses some messages."""

    away, refusals = 2, 2

    async def tail(self, topic, count):
        if self.away:
            self.away -= 1
            raise BusAwayError("away")
        return await super().tail(topic, count)

    async def publish_many(self, items):
        if self.refusals and any(isinstance(message, Funding | OpenInterest) for _, message, _ in items):
            self.refusals -= 1
            raise BusRefusedError("OOM")
        await super().publish_many(items)


class Narrow(MemoryBus):
    """A bus that takes no more than 1,000 messages at once, and has no room for some symbols at first."""

    away = frozenset({REFERENCES.key})

    async def publish_many(self, items):
        if len(items) > 1_000:
            raise BusOverflowError("too many", {topic.key for topic, _, _ in items})
        await super().publish_many([item for item in items if item[0].key not in self.away])
        refused, self.away = self.away & {topic.key for topic, _, _ in items}, frozenset()
        if refused:
            raise BusOverflowError("full", refused)


async def test_a_long_series_is_published_in_portions_and_what_the_bus_took_is_not_given_again(
    pages, store, monkeypatch
):
    monkeypatch.setenv("UNDERTOW_SYMBOLS", f"BTCUSDT,{SYMBOL}")
    pages.interest = [NOW // MS - 1_000 * ago for ago in range(2_500)]
    pages.results["/v5/market/instruments-info"] = {"list": [INSTRUMENT, {**INSTRUMENT, "symbol": "BTCUSDT"}]}
    service = web.Application()
    service.router.add_get("/{path:.*}", pages.answer)
    async with (
        TestServer(service) as server,
        living(str(server.make_url("")).rstrip("/"), pages.clock, Narrow("c/1", store)) as (_, runtime),
    ):
        assert await eventually(lambda: _so_many(store, 2_500))
        assert await eventually(lambda: found(store, REFERENCES, InstrumentChanged))
        assert failed(runtime, Kind.INSTRUMENT, "bus") == 1
        assert len(await found(store, Topic(REFERENCE, symbol="BTCUSDT"), InstrumentChanged)) == 1


async def test_nothing_is_asked_before_the_bus_says_what_was_published_and_nothing_lost_that_it_refuses(pages, store):
    service = web.Application()
    service.router.add_get("/{path:.*}", pages.answer)
    async with (
        TestServer(service) as server,
        living(str(server.make_url("")).rstrip("/"), pages.clock, Sick("c/1", store)) as (collector, runtime),
    ):
        assert "what was published last is not known" in collector.unready_reason()
        assert await eventually(lambda: _so_many(store, 12))
        assert failed(runtime, Kind.OPEN_INTEREST, "bus") == 2
