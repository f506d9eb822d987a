"""The guardian's program in virtual time: from the command until the venue says flat, by seeds, and in a market that runs fast."""

from __future__ import annotations

import asyncio

import pytest

from services.guardian.app import GuardianApp
from services.guardian.rules import Phase
from services.guardian.settings import Settings
from tests.services.guardian.rough_venue import LIMIT, Http, RoughVenue, Socket
from tests.services.guardian.test_core import beat
from tests.services.position_manager.facts import stopped
from tests.virtual.loop import VirtualLoop
from undertow.runtime.service import Runtime

SEEDS = 200


class Loop(VirtualLoop):
    """What would be done in a thread is done at once."""

    def run_in_executor(self, _executor, work, *args):
        done = self.create_future()
        done.set_result(work(*args))
        return done


class LoopClock:
    """Market time is the loop's."""

    def __init__(self, loop, rate=1.0):
        self.loop = loop
        self.rate = rate

    def now_ns(self):
        return int(self.loop.time() * self.rate * 1e9)

    async def sleep(self, market_seconds):
        await asyncio.sleep(market_seconds / self.rate)


class Kept:
    """A checkpoint in memory."""

    def __init__(self):
        self.memory = None

    def load(self):
        return self.memory

    def save(self, memory):
        self.memory = memory


async def trial(venue, clock, *, banned=False):
    """Kill, and give the seconds until nothing is held and no entry rests, and until the guardian has swept the stops and seen it twice."""
    http, socket, settings = Http(venue), Socket(venue), Settings(venue={"rest_url": "http://venue"})
    app = GuardianApp(Runtime("guardian", settings, clock), settings, http, [socket, http], Kept())
    task = asyncio.create_task(app.run())
    while app.unready_reason():  # noqa: ASYNC110 - of virtual time, which costs nothing
        await asyncio.sleep(0.1)
    await asyncio.sleep(venue.random.random())  # wherever the rhythm of looks stands
    venue.banned = banned
    for times in venue.seen.values():
        times.clear()
    began = venue.now_s()
    await app._on_kill(b'{"who":"anna","why":"drill"}', {})
    while app.core.phase is not Phase.HALTED and not (venue.banned and venue.is_bare):
        assert venue.now_s() - began < 60, "it gave up"
        await asyncio.sleep(0.01)
    ended = venue.now_s() - began
    await stopped(task)
    return (venue.flat_at or began) - began, ended


def in_virtual_time(seed, trouble, **how):
    loop = Loop(seed)
    venue = RoughVenue(seed, trouble, loop.time)
    try:
        return venue, loop.run_until_complete(trial(venue, LoopClock(loop), **how))
    finally:
        loop.close()


def p99(values):
    return sorted(values)[int(len(values) * 0.99) - 1]


@pytest.mark.parametrize(("trouble", "bound_s"), [(0.0, 1.0), (0.5, 4.0)], ids=["healthy", "half of the answers"])
def test_from_the_command_to_flat(trouble, bound_s):
    flat, halted = [], []
    for seed in range(SEEDS):
        venue, (flat_s, halted_s) = in_virtual_time(seed, trouble)
        assert not any(venue.held.values())
        assert not venue.resting
        assert not venue.overshot  # no stop went before its position
        assert venue.busiest("create") <= LIMIT
        assert venue.busiest("cancel") <= LIMIT
        assert venue.busiest("query") <= 50
        flat.append(flat_s)
        halted.append(halted_s)
    figures = f"flat p50 {sorted(flat)[SEEDS // 2]:.2f} p99 {p99(flat):.2f} s, seen and swept p99 {p99(halted):.2f} s"
    assert p99(flat) < bound_s, figures


@pytest.mark.parametrize("seed", range(20))
def test_a_banned_address_is_flat_by_the_socket(seed):
    venue, (_, ended_s) = in_virtual_time(seed, 0.0, banned=True)
    assert venue.is_bare
    assert "stop" in venue.resting  # nobody sees that it is flat: what protects it stays
    assert ended_s < 1
    assert max(venue.busiest("create"), venue.busiest("cancel")) <= LIMIT


@pytest.mark.parametrize("rate", [1.0, 10.0, 30.0])
def test_however_fast_the_market_runs_the_view_stays_fresh_and_silence_is_noticed(rate):
    loop = Loop(1)
    venue, clock = RoughVenue(1, 0.0, loop.time), LoopClock(loop, rate)
    settings = Settings(venue={"rest_url": "http://venue"})
    app = GuardianApp(Runtime("guardian", settings, clock), settings, Http(venue), [Http(venue)], Kept())
    permitted = []

    async def beat_and_fall_silent():
        while app.unready_reason():  # noqa: ASYNC110 - of virtual time, which costs nothing
            await asyncio.sleep(0.1)
        for sequence in range(100):
            for service in ("position_manager", "order_router"):
                told = beat("a", sequence, venue.held, tuple(venue.resting), service)
                permit = app.core.on_heartbeat(told, clock.now_ns())
            permitted.append(permit.entries_permitted)
            await clock.sleep(0.5)
        assert app.core.phase is Phase.ACTIVE
        await clock.sleep(3.0)
        await asyncio.sleep(0.5)
        assert "no heartbeat" in app.core.memory.reason

    async def guarded():
        task = asyncio.create_task(app.run())
        try:
            await beat_and_fall_silent()
        finally:
            await stopped(task)

    try:
        loop.run_until_complete(guarded())
    finally:
        loop.close()
    assert all(permitted)
