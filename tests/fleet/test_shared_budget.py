"""Acceptance: collectors that share one budget never exceed the venue's limits, and a ban of one silences the whole fleet.

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
from undertow.exchange.errors import BannedError, VenueError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import credentials_for

LIMIT, OURS = 600, 420
SLOW = [
    {"action": "rate_limit", "endpoint": "market/*", "probability": 0.02, "reset_ms": [50, 300]},
    {"action": "answer_slowly", "endpoint": "market/*", "probability": 0.2, "delay_ms": [10, 400]},
    {"action": "http", "endpoint": "market/*", "status": 502, "probability": 0.02},
]
LEAST = {f"UNDERTOW_COLLECT__{kind.upper()}_SECONDS": "0.000000001" for kind in Kind}


class Fleet:
    """Three collectors, and a signer of either rank, on one venue and one Redis."""

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

    async def admitted(self, count):
        return (await self.counts())["admitted"] >= count

    async def was_busy(self, count):
        return (await self.counts())["busiest_window"] >= count

    async def be_banned(self):
        """One of the fleet meets a 403; return when it has told the others."""
        ban = {"action": "ban", "endpoint": "market/*", "count": 1}
        async with self.client.session.post("/control/faults", json=ban) as answer:
            assert answer.status == 200
        member = self.member(Priority.ORDERS)
        self.banned_at = asyncio.get_running_loop().time()
        with pytest.raises(BannedError):
            await member.server_time_ns()
        await eventually(lambda: not member._budget._telling)

    def member(self, rank):
        key, clock = credentials_for(Mode.PAPER, "router", {}), self.client.venue.clock
        http = BybitHttp(self.url, clock, key, budget=SharedBudget(self.redis_url, self.url, clock, rank))
        self.members.append(http)
        return http

    async def sign(self, rank):
        http = self.member(rank)
        while True:
            try:
                await http.wallet()
                self.answers[rank] += 1
            except VenueError as error:
                self.refusals.append(error.code)
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
async def a_fleet(redis_server, tape, monkeypatch, *, rate, every=None, is_banned=False):
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
        if is_banned:
            await fleet.be_banned()
        tasks = [asyncio.create_task(fleet.collect(number, settings)) for number in range(3)]
        tasks += [asyncio.create_task(fleet.sign(rank)) for rank in fleet.answers]
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
    """Give how many requests arrive within wall seconds, after those on their way and what was granted before."""
    await asyncio.sleep(2 * FRESH_S)  # the time within which a ban is known to all, twice
    before = await fleet.counts()
    await asyncio.sleep(seconds)
    after = await fleet.counts()
    return sum(after[name] - before[name] for name in ("admitted", "refused"))


async def test_three_greedy_collectors_stay_within_the_venues_limits_and_stop_when_it_bans_the_address(
    redis_server, tmp_path, monkeypatch
):
    tape = dripping(tmp_path / "drip.rawlines")
    async with a_fleet(redis_server, tape, monkeypatch, rate=1.0) as fleet:
        await eventually(lambda: fleet.was_busy(LIMIT / 2), 30.0)
        clean = await fleet.counts()
        async with fleet.client.session.post("/control/faults", json=SLOW) as answer:
            assert answer.status == 200
        await eventually(lambda: fleet.admitted(clean["admitted"] + 150), 30.0)
        counts = await fleet.counts()
        assert counts["busiest_window"] <= OURS
        assert counts["refused"] == 0
        assert sum(fleet.failures("rate_limited"))
        assert min(fleet.answers.values()) > 20
        assert fleet.refusals == []

        assert 403 in await burst(fleet.client, LIMIT + 50)
        assert await silent_for(fleet, 1.0) == 0
        assert max(fleet.failures("banned")) <= 8


async def test_after_a_403_no_process_sends_anything_for_the_venues_ten_minutes(redis_server, tmp_path, monkeypatch):
    tape, rate = dripping(tmp_path / "drip.rawlines", 1), 200.0
    async with a_fleet(redis_server, tape, monkeypatch, rate=rate, every=10.0, is_banned=True) as fleet:
        at_ban = await fleet.counts()
        await eventually(lambda: min(fleet.failures("banned")))  # each collector heard of it before its first request
        left_s = fleet.banned_at + 600.0 / rate - asyncio.get_running_loop().time()
        await asyncio.sleep(left_s - 0.3)
        assert await fleet.counts() == at_ban
        assert set(fleet.answers.values()) == {0}
        assert set(fleet.refusals) == {403}
        await eventually(lambda: fleet.admitted(at_ban["admitted"] + 60))  # and then they go on
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
def processes(port, redis_url, rate):
    started = []

    def start(module, **more):
        command = [sys.executable, "-m", f"services.{module}"]
        started.append(subprocess.Popen(command, env=environment(port, redis_url, **more), stdout=subprocess.DEVNULL))

    try:
        start("venue", UNDERTOW_HTTP__PORT=str(port), UNDERTOW_PAPER__RATE=str(rate))
        for _ in range(3):
            start("rest_collector")
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(10)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_three_collector_processes_stay_within_the_limits_for_a_minute_and_silent_for_the_whole_ban(redis_server):
    (port,) = free_ports(1)
    with processes(port, redis_server.url, rate=10.0) as started:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def counts():
                with contextlib.suppress(aiohttp.ClientError, json.JSONDecodeError):
                    async with session.get("/control/stats") as answer:
                        return (await answer.json())["http"]
                return None

            async def admitted(count):
                seen = await counts()
                return seen and seen["admitted"] >= count

            await eventually(lambda: admitted(2_000), 60.0)
            async with session.post("/control/faults", json=SLOW) as answer:
                assert answer.status == 200
            await eventually(lambda: admitted(8_000), 120.0)
            seen = await counts()
            assert seen["refused"] == 0
            assert seen["busiest_window"] <= OURS

            async with session.post("/control/faults", json={"action": "ban", "count": 1}) as answer:
                assert answer.status == 200
            await asyncio.sleep(1.0)  # what was on its way arrives
            before = await counts()
            await asyncio.sleep(600.0 / 10.0 - 2.0)  # nearly the whole ban, of which the silence is asserted
            assert await counts() == before
            await eventually(lambda: admitted(before["admitted"] + 500), 30.0)
            assert not [process for process in started if process.poll() is not None]
