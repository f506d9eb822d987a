from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import aiohttp
import pytest

from services.venue.clock import START_DELAY_NS, VenueClock
from services.venue.settings import PaperSettings, Settings
from tests.services.venue.little_market import ORIGIN_NS, Client, book, order, running, ticker, trade, write_tape
from tests.support import eventually
from undertow.runtime.clock import ClockFollower
from undertow.runtime.errors import ConfigurationError

SECOND = 1_000_000_000


class Wall:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_a_recorded_origin_stands_until_the_start_and_then_runs_at_the_rate():
    wall = Wall(50 * SECOND)
    clock = VenueClock(7 * SECOND, 10.0, wall)
    wall.now_ns += 3 * SECOND
    assert (clock.now_ns(), clock.is_open) == (7 * SECOND, False)
    clock.start()
    wall.now_ns += START_DELAY_NS
    assert (clock.now_ns(), clock.is_open) == (7 * SECOND, True)
    wall.now_ns += SECOND
    assert clock.now_ns() == 17 * SECOND


def test_an_origin_of_now_is_the_wall_time_of_the_start_however_long_it_waited():
    wall = Wall(50 * SECOND)
    clock = VenueClock(None, 1.0, wall)
    assert clock.now_ns() == 50 * SECOND
    wall.now_ns += 90 * SECOND
    clock.start()
    wall.now_ns += START_DELAY_NS + SECOND
    assert clock.now_ns() == wall.now_ns


def test_recorded_frames_cannot_begin_now(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        Settings(paper=PaperSettings(origin="now", tape=tmp_path / "t.rawlines"))
    assert caught.value.variable == "UNDERTOW_PAPER__ORIGIN"


async def test_a_client_that_signs_with_the_wall_clock_trades_on_a_market_that_begins_now():
    async with running(origin="now") as client:
        await eventually(lambda: client.has_sent(4))
        ticker = (await client.page("/v5/market/tickers?category=linear&symbol=BTCUSDT"))["result"]["list"][0]
        body = order(price=str(round(float(ticker["lastPrice"]) * 0.995, 1)))
        placed = await client.post("/v5/order/create", body, timestamp=time.time_ns() // 1_000_000)
        assert placed["retCode"] == 0, placed
        async with client.socket("/v5/public/linear", auth=False) as wire:
            await wire.ask({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
            heard = await wire.until("publicTrade.BTCUSDT")
    assert abs(heard["ts"] - time.time_ns() // 1_000_000) < 60_000


@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0])
async def test_every_client_that_asks_for_the_time_is_told_the_same_clock(tmp_path, monkeypatch, rate):
    """Each answer lies between what the declared clock says before and after the question, and time never goes back."""
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)
    tape = write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker()), (2, trade(2))])
    async with running(tape=tape, rate=rate) as client:
        url = str(client.session._base_url).rstrip("/")
        await eventually(lambda: client.venue.clock.is_open)
        follower = await ClockFollower(f"{url}/control/clock").acquire()

        async def ask(session: aiohttp.ClientSession) -> list[int]:
            told = []
            for _ in range(10):
                earliest = follower.now_ns()
                page = await Client(session, client.venue).page("/v5/market/time")
                latest = follower.now_ns()
                nano = int(page["result"]["timeNano"])
                assert earliest <= nano <= latest
                assert page["result"]["timeSecond"] == str(nano // SECOND)
                assert nano // 1_000_000 <= page["time"] <= latest // 1_000_000
                told.append(nano)
            return told

        await eventually(lambda: follower.now_ns() > ORIGIN_NS)
        sessions = [aiohttp.ClientSession(url) for _ in range(4)]
        try:
            answers = await asyncio.gather(*map(ask, sessions))
        finally:
            await asyncio.gather(*(session.close() for session in sessions))
        assert all(earlier < later for told in answers for earlier, later in pairwise(told))
