from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from undertow.runtime.clock import ClockFollower, ClockReading, ManualClock, MarketClock, WallClock, wall_ns

SECOND = 1_000_000_000


def test_market_time_stands_still_until_the_market_starts() -> None:
    wall = 100 * SECOND
    clock = MarketClock(ClockReading(5, None, 2.0), wall=lambda: wall)
    assert (clock.now_ns(), clock.started) == (5, False)
    clock.set(ClockReading(5, 101 * SECOND, 2.0))
    assert (clock.now_ns(), clock.started) == (5, True)  # the start is still ahead
    wall = 104 * SECOND
    assert clock.now_ns() == 5 + 6 * SECOND


async def test_a_market_second_is_shorter_at_a_higher_rate() -> None:
    clock = MarketClock(ClockReading(0, time.time_ns(), 100.0))
    before_ns, market_ns = time.monotonic_ns(), clock.now_ns()
    await clock.sleep(2.0)
    assert clock.now_ns() - market_ns >= 2 * SECOND
    assert time.monotonic_ns() - before_ns < SECOND


async def test_sleep_waits_for_the_market_to_start() -> None:
    clock = MarketClock(ClockReading(0, None, 1000.0))
    sleeping = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0.05)  # in which the sleeper must not wake
    assert not sleeping.done()
    clock.set(ClockReading(0, time.time_ns(), 1000.0))
    async with asyncio.timeout(2):
        await sleeping


async def test_the_wall_clock_is_the_wall() -> None:
    clock = WallClock()
    before = wall_ns()
    await clock.sleep(0.001)
    assert before < clock.now_ns() <= wall_ns()
    assert clock.rate == 1.0


async def test_manual_time_wakes_sleepers_in_order() -> None:
    clock, woken = ManualClock(SECOND), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (2.0, 1.0, 0.0, 5.0)]
    await asyncio.sleep(0.01)
    assert woken == [0.0]
    tasks[1].cancel()
    clock.advance(3.0)
    await asyncio.sleep(0.01)
    assert woken == [0.0, 2.0]
    clock.set(10 * SECOND)
    await tasks[3]
    assert clock.now_ns() == 10 * SECOND


class Venue:
    """Answers `/control/clock` with whatever it is told."""

    def __init__(self) -> None:
        self.answer = b"nonsense"
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def venue() -> Any:
    made = Venue()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/control/clock"
        yield made


async def test_a_follower_waits_for_a_good_answer_and_keeps_following(
    venue: Any, eventually: Callable[..., Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undertow.runtime.clock.POLL_BEFORE_START_S", 0.01)
    follower = ClockFollower(venue.url)
    acquiring = asyncio.create_task(follower.acquire())
    await eventually(lambda: venue.asked > 2)
    assert not acquiring.done()
    venue.answer = msgspec.json.encode(ClockReading(7, None, 3.0))
    clock = await acquiring
    assert (clock.now_ns(), clock.rate, clock.started) == (7, 3.0, False)
    following = asyncio.create_task(follower.follow(clock))
    venue.answer = b"{}"
    await eventually(lambda: venue.asked > 6)
    venue.answer = msgspec.json.encode(ClockReading(7, time.time_ns(), 5.0))
    await eventually(lambda: clock.started)
    assert clock.rate == 5.0
    following.cancel()


async def test_nobody_there_is_no_reading() -> None:
    assert await ClockFollower("http://127.0.0.1:9/control/clock").read() is None
