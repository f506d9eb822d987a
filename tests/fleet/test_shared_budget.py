"""Acceptance: collectors that share one budget never exceed the venue's limits, and a ban of one silences the whole fleet, sockets too.

The venue counts what arrives. Processes are whole services in this loop, or (long) processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys

import aiohttp
import pytest

from services.cli.fleet import free_ports
from services.ingestor.app import build as build_ingestor
from services.ingestor.settings import Settings as IngestorSettings
from services.rest_collector.app import build
from services.rest_collector.kinds import Kind
from services.rest_collector.settings import Settings
from tests.services.venue.little_market import dripping
from tests.services.venue.little_market import running as venue_running
from tests.support import eventually
from undertow.contracts.metrics import REST_FAILURES
from undertow.domain.state import Mode
from undertow.exchange.budget.ports import Priority
from undertow.exchange.budget.shared import FRESH_S, SharedBudget
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.public_ws import BybitPublicStream
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.errors import AccessError, BannedError, VenueError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import credentials_for

LIMIT, OURS = 600, 420
SOCKETS = 3
REQUEST, HANDSHAKE = "request", "handshake"
KEY = credentials_for(Mode.PAPER, "router", {})
SLOW = [
    {"action": "rate_limit", "endpoint": "market/*", "probability": 0.02, "reset_ms": [50, 300]},
    {"action": "answer_slowly", "endpoint": "market/*", "probability": 0.2, "delay_ms": [10, 400]},
    {"action": "http", "endpoint": "market/*", "status": 502, "probability": 0.02},
]
LEAST = {f"UNDERTOW_COLLECT__{kind.upper()}_SECONDS": "0.000000001" for kind in Kind}


class Fleet:
    """Three collectors, a signer of either rank, an ingestor and a router's two sockets, on one venue and one Redis."""

    def __init__(self, client, redis_url):
        self.client = client
        self.url = str(client.session._base_url).rstrip("/")
        self.redis_url = redis_url
        self.runtimes = []
        self.members = []
        self.answers = dict.fromkeys((Priority.ORDERS, Priority.TRUTH), 0)
        self.refusals = []
        self.banned_at = 0.0

    async def counts(self):
        return (await self.client.stats())["http"]

    async def handshakes(self):
        return (await self.client.stats())["handshakes"]

    async def arrived(self):
        """Give how many requests and handshakes the venue has seen, whatever it answered."""
        return [
            sum(each[name] for name in ("admitted", "refused"))
            for each in (await self.counts(), await self.handshakes())
        ]

    async def admitted(self, count):
        return (await self.counts())["admitted"] >= count

    async def connected(self, count):
        return (await self.handshakes())["admitted"] >= count

    async def was_busy(self, count):
        return (await self.counts())["busiest_window"] >= count

    async def misbehave(self, *faults):
        async with self.client.session.post("/control/faults", json=faults) as answer:
            assert answer.status == 200

    async def be_banned(self, at):
        """One of the fleet meets a 403; return when it has told the others."""
        member = self.member(Priority.ORDERS)
        self.banned_at = asyncio.get_running_loop().time()
        if at == HANDSHAKE:
            await self.misbehave({"action": "ban", "where": "public", "endpoint": "connect", "count": 1})
            stream = BybitPublicStream(self.socket_url("public/linear"), [["tickers.BTCUSDT"]], budget=member._budget)
            async with contextlib.aclosing(stream.events()) as events:
                assert "BannedError" in (await anext(events)).reason
        else:
            await self.misbehave({"action": "ban", "endpoint": "market/*", "count": 1})
            with pytest.raises(BannedError):
                await member.server_time_ns()
        await eventually(lambda: not member._budget._telling)

    def socket_url(self, path):
        return f"{self.url.replace('http', 'ws')}/v5/{path}"

    def budget(self, rank):
        return SharedBudget(self.redis_url, self.url, self.client.venue.clock, rank)

    def member(self, rank):
        http = BybitHttp(self.url, self.client.venue.clock, KEY, budget=self.budget(rank))
        self.members.append(http)
        return http

    async def listen(self):
        """Keep a private and a trade socket, as the router does."""
        http = self.member(Priority.ORDERS)
        how = {"key": KEY, "clock": http.venue_clock, "budget": http._budget}
        feed = BybitPrivateFeed(self.socket_url("private"), **how)
        trade = BybitTradeSocket(self.socket_url("trade"), **how)

        async def follow():
            async for _ in feed.events():
                pass

        async def keep(connected):
            while True:
                with contextlib.suppress(
                    AccessError
                ):  # at a high rate a login expires within milliseconds of wall time
                    await connected()

        await asyncio.gather(keep(follow), keep(trade.run))

    async def ingest(self):
        settings = IngestorSettings()
        await build_ingestor(settings, Runtime("ingestor", settings, self.client.venue.clock)).run()

    async def sign(self, rank):
        http = self.member(rank)
        while True:
            code = 0
            try:
                await http.wallet()
            except VenueError as error:
                code = error.code
                self.refusals.append(code)
            self.answers[rank] += code != 403  # another refusal is an answer: at a high rate a signature comes too late
            await asyncio.sleep(0.1)  # the pace of the one who asks

    async def collect(self, number, settings):
        runtime = Runtime("rest_collector", settings, self.client.venue.clock)
        self.runtimes.append(runtime)
        await build(settings, runtime).run()

    def failures(self, reason):
        """Give how many each collector has met."""
        return [
            sum(runtime.metrics.counter(REST_FAILURES, kind=kind, reason=reason)._value.get() for kind in Kind)
            for runtime in self.runtimes
        ]


@contextlib.asynccontextmanager
async def a_fleet(redis_server, tape, monkeypatch, *, rate, every=None, banned_at=None):
    async with venue_running(tape=tape, rate=rate) as client:
        fleet = Fleet(client, redis_server.url)
        for name, value in {
            **(LEAST if every is None else dict.fromkeys(LEAST, str(every))),
            "UNDERTOW_COLLECT__CONCURRENCY": "8",
            "UNDERTOW_BUS__URL": redis_server.url,
            "UNDERTOW_VENUE__REST_URL": fleet.url,
            "UNDERTOW_SYMBOLS": "BTCUSDT",
        }.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        await eventually(lambda: client.venue.clock.is_open)
        if banned_at:
            await fleet.be_banned(banned_at)
        tasks = [asyncio.create_task(fleet.collect(number, settings)) for number in range(3)]
        tasks += [asyncio.create_task(fleet.sign(rank)) for rank in fleet.answers]
        tasks += [asyncio.create_task(fleet.ingest()), asyncio.create_task(fleet.listen())]
        try:
            yield fleet
            assert not [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for http in fleet.members:
                await http.close()


async def burst(client, count):
    """Somebody else behind our address asks too much."""

    async def ask():
        async with client.session.get("/v5/market/time") as answer:
            return answer.status

    return await asyncio.gather(*(ask() for _ in range(count)))


async def silent_for(fleet, seconds):
    """Lose all sockets; say whether nothing arrives within wall seconds, after what was on its way or granted before."""
    await asyncio.sleep(2 * FRESH_S)  # the time within which a ban is known to all, twice
    before = await fleet.arrived()
    await fleet.misbehave({"action": "close_sockets"})
    await asyncio.sleep(seconds)
    return await fleet.arrived() == before


async def hushed_until(fleet, until_s, before):
    """See again and again until the end of a ban that nothing has arrived; give how often."""
    loop, looks = asyncio.get_running_loop(), 0
    while True:
        now = await fleet.arrived()
        if loop.time() >= until_s:
            return looks
        assert now == before
        looks += 1
        await asyncio.sleep(0.05)  # the pace at which it is looked at


async def test_three_greedy_collectors_stay_within_the_venues_limits_and_stop_when_it_bans_the_address(
    redis_server, tmp_path, monkeypatch
):
    tape = dripping(tmp_path / "drip.rawlines")
    async with a_fleet(redis_server, tape, monkeypatch, rate=1.0) as fleet:
        await eventually(lambda: fleet.was_busy(LIMIT / 2), 30.0)
        clean = await fleet.counts()
        await fleet.misbehave(*SLOW)
        await eventually(lambda: fleet.admitted(clean["admitted"] + 150), 30.0)
        await eventually(lambda: fleet.connected(SOCKETS))
        counts = await fleet.counts()
        assert counts["busiest_window"] <= OURS
        assert counts["refused"] == 0
        assert sum(fleet.failures("rate_limited"))
        assert min(fleet.answers.values()) > 20
        assert fleet.refusals == []

        assert 403 in await burst(fleet.client, LIMIT + 50)
        assert await silent_for(fleet, 1.0)
        assert max(fleet.failures("banned")) <= 8


@pytest.mark.parametrize("banned_at", [REQUEST, HANDSHAKE])
async def test_after_a_403_no_process_asks_or_connects_for_the_venues_ten_minutes(
    redis_server, tmp_path, monkeypatch, banned_at
):
    tape, rate = dripping(tmp_path / "drip.rawlines", 1), 200.0
    async with a_fleet(redis_server, tape, monkeypatch, rate=rate, every=10.0, banned_at=banned_at) as fleet:
        at_ban, requests, knocks = await fleet.arrived(), await fleet.counts(), await fleet.handshakes()
        await eventually(lambda: min(fleet.failures("banned")))  # each collector heard of it before its first request
        assert await hushed_until(fleet, fleet.banned_at + 600.0 / rate, at_ban) > 3
        assert set(fleet.answers.values()) == {0}
        assert set(fleet.refusals) == {403}
        await eventually(lambda: fleet.admitted(requests["admitted"] + 60))  # and then they go on
        await eventually(lambda: fleet.connected(knocks["admitted"] + SOCKETS))
        await eventually(lambda: min(fleet.answers.values()))


def environment(port, redis_url, **more):
    venue = f"http://127.0.0.1:{port}"
    return {
        **os.environ,
        **LEAST,
        "UNDERTOW_BUS__URL": redis_url,
        "UNDERTOW_VENUE__REST_URL": venue,
        "UNDERTOW_CLOCK__URL": f"{venue}/control/clock",
        "UNDERTOW_COLLECT__CONCURRENCY": "16",
        "UNDERTOW_LOG__LEVEL": "error",
        **more,
    }


@contextlib.contextmanager
def processes(port, redis_url, home, rate):
    started = []

    def start(module, **more):
        command = [sys.executable, "-m", f"services.{module}"]
        started.append(subprocess.Popen(command, env=environment(port, redis_url, **more), stdout=subprocess.DEVNULL))

    try:
        start("venue", UNDERTOW_HTTP__PORT=str(port), UNDERTOW_PAPER__RATE=str(rate))
        for _ in range(3):
            start("rest_collector")
        start("ingestor")
        for module in ("order_router", "position_manager"):
            start(module, UNDERTOW_STATE_DIR=str(home / module), UNDERTOW_GUARDIAN__URL="http://127.0.0.1:1")
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(10)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_processes_of_a_fleet_stay_within_the_limits_for_a_minute_and_silent_for_the_whole_ban(
    redis_server, tmp_path
):
    (port,) = free_ports(1)
    with processes(port, redis_server.url, tmp_path, rate=10.0) as started:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def counts(what="http"):
                with contextlib.suppress(aiohttp.ClientError, json.JSONDecodeError):
                    async with session.get("/control/stats") as answer:
                        return (await answer.json())[what]
                return None

            async def admitted(count, what="http"):
                seen = await counts(what)
                return seen and seen["admitted"] >= count

            async def misbehave(*faults):
                async with session.post("/control/faults", json=faults) as answer:
                    assert answer.status == 200

            await eventually(lambda: admitted(1_000), 120.0)
            await eventually(lambda: admitted(SOCKETS, "handshakes"), 60.0)
            await misbehave(*SLOW)
            await eventually(lambda: admitted(6_200), 180.0)
            seen = await counts()
            assert seen["refused"] == 0
            assert seen["busiest_window"] <= OURS

            await misbehave({"action": "ban", "count": 1})
            await asyncio.sleep(1.0)  # what was on its way arrives
            before, knocks = await counts(), await counts("handshakes")
            await misbehave({"action": "close_sockets"})
            await asyncio.sleep(600.0 / 10.0 - 2.0)  # nearly the whole ban, of which the silence is asserted
            assert (await counts(), await counts("handshakes")) == (before, knocks)
            await eventually(lambda: admitted(before["admitted"] + 500), 30.0)
            await eventually(lambda: admitted(knocks["admitted"] + SOCKETS, "handshakes"), 30.0)
            assert not [process for process in started if process.poll() is not None]
