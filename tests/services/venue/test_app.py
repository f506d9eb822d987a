"""The whole venue: its clock and control, its markets, its process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import aiohttp
import pytest

from tests.services.venue.little_market import (
    ORIGIN_NS,
    Client,
    book,
    dripping,
    running,
    ticker,
    trade,
    write_tape,
)
from tests.support import eventually, recorded
from undertow.markets.spot import spot_label
from undertow.markets.tape import TapeSource

pytestmark = pytest.mark.usefixtures("starts_at_once")


# clock and control


async def test_time_stands_at_the_origin_until_the_market_is_started(client):
    assert await client.page("/control/clock") == {"origin_ns": ORIGIN_NS, "wall_origin_ns": None, "rate": 1.0}
    time = await client.page("/v5/market/time")
    assert time["result"] == {"timeSecond": str(ORIGIN_NS // 10**9), "timeNano": str(ORIGIN_NS)}
    assert time["time"] == ORIGIN_NS // 10**6
    assert (await client.stats())["frames_sent"] == 0


async def test_starting_twice_starts_once(client):
    await client.start()
    first = await client.page("/control/clock")
    await client.start()
    assert await client.page("/control/clock") == first
    assert first["wall_origin_ns"] is not None


async def test_a_subscriber_before_the_start_sees_the_very_first_frame(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        assert (await wire.ask({"op": "subscribe", "args": ["orderbook.200.BTCUSDT"]}))["success"]
        await client.start()
        assert await wire.hear() == book()


async def test_stats_name_the_market_and_its_end(tmp_path):
    tape = write_tape(tmp_path / "short.rawlines", [(0, book()), (1, ticker()), (2, trade(2))])
    async with running(tape=tape) as client:
        await eventually(lambda: client.has_sent(3))
        stats = await eventually(lambda: _finished(client))
        assert stats["market_label"] == "recorded short"
        assert (stats["frames_sent"], stats["frames_injected"], stats["frames_total"]) == (3, 0, 3)
        page = await client.page("/v5/market/orderbook?category=linear&symbol=BTCUSDT")
        assert page["result"]["b"] == [["65000.00", "5.000"], ["64999.90", "3.000"]]
        before = (await client.page("/v5/market/time"))["result"]["timeNano"]
        assert int((await client.page("/v5/market/time"))["result"]["timeNano"]) > int(before)


async def _finished(client):
    stats = await client.stats()
    return stats if stats["finished"] else None


async def test_the_ledger_is_there_for_a_known_key_only(client):
    ledger = await client.page("/control/ledger?key=paper-router")
    assert ledger["wallet"] == "10000"
    async with client.session.get("/control/ledger?key=nobody") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "key nobody is not known"})
    async with client.session.get("/control/ledger") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "query parameter key is missing"})


# whole markets


async def test_every_frame_of_the_recording_reaches_every_subscriber_byte_for_byte():
    tape = TapeSource(recorded("bybit/linear-20260809.rawlines.gz"))
    expected = [frame.raw.decode() for frame in tape.frames()]
    kinds = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
    topics = [f"{kind}.{symbol}" for kind in kinds for symbol in tape.symbols]
    async with running(tape=tape.path, rate=100.0, start="on_command") as client:
        async with (
            client.socket("/v5/public/linear", auth=False) as first,
            client.socket("/v5/public/linear", auth=False) as second,
        ):
            for wire in (first, second):
                assert (await wire.ask({"op": "subscribe", "args": topics}))["success"]
            await client.start()

            async def take(wire):
                return [await wire.raw() for _ in expected]

            one, two = await asyncio.gather(take(first), take(second))
        assert one == expected
        assert two == expected
        stats = await eventually(lambda: _finished(client))
        assert (stats["frames_sent"], stats["frames_total"], stats["frames_injected"]) == (2529, 2529, 0)


async def test_a_tape_with_planted_cascades_counts_them_apart():
    path = recorded("bybit/linear-20260809.rawlines.gz")
    async with running(tape=path, rate=500.0, inject=True, seed=3) as client:
        stats = await eventually(lambda: _finished(client))
        assert stats["frames_injected"] > 0
        assert stats["frames_sent"] - stats["frames_injected"] == 2529
        assert stats["frames_total"] == stats["frames_sent"]
        assert stats["market_label"] == "recorded linear-20260809 (cascades injected, seed 3)"


async def test_without_a_tape_the_market_is_generated_and_endless():
    async with running(rate=20.0) as client:
        await eventually(lambda: client.has_sent(200))
        stats = await client.stats()
        assert stats["frames_total"] is None
        assert stats["finished"] is False
        assert "generated" in stats["market_label"]
        page = await client.page("/v5/market/tickers?category=linear")
        assert {item["symbol"] for item in page["result"]["list"]} == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"}


# as a process


def environment(**paper: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ}
    return kept | {f"UNDERTOW_PAPER__{name.upper()}": value for name, value in paper.items()}


def launch(**paper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.venue"],
        env=environment(**paper),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_the_process_says_where_it_listens_answers_health_and_leaves_with_0_on_a_signal(tmp_path):
    process = launch(tape=str(dripping(tmp_path / "drip.rawlines")))
    try:
        port = json.loads(await asyncio.to_thread(process.stdout.readline))["port"]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            client = Client(session, None)
            await eventually(lambda: _is_ready(client), seconds=30)
            assert await client.status("/healthz") == 200
            version = await client.page("/version")
            assert (version["market"], version["spot_market"]) == ("recorded drip", spot_label(7))
            async with session.get("/metrics") as answer:
                assert 'service="venue"' in await answer.text()
            assert await client.status("/nothing") == 404
            await eventually(lambda: client.has_sent(2))
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors


async def _is_ready(client):
    try:
        return await client.status("/readyz") == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize(
    ("paper", "words"),
    [
        ({"tape": "CORRUPT"}, ["UNDERTOW_PAPER__TAPE", "line 1", "record it again"]),
        ({"tape": "/nowhere/tape.gz"}, ["UNDERTOW_PAPER__TAPE", "/nowhere/tape.gz", "check the path"]),
        ({"inject": "true"}, ["UNDERTOW_PAPER__INJECT", "there is none"]),
    ],
)
def test_bad_settings_end_the_process_with_4_and_one_line(tmp_path, paper, words):
    corrupt = tmp_path / "corrupt.rawlines"
    corrupt.write_text("what is this\n")
    process = launch(**{name: value.replace("CORRUPT", str(corrupt)) for name, value in paper.items()})
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if not line.startswith("{")]
    assert process.returncode == 4
    assert len(lines) == 1
    assert lines[0].startswith("undertow: configuration: ")
    for word in words:
        assert word in lines[0]
