"""The snapshotter is killed at random moments and Redis with it; what is stored is what was published, each row once.

Facts are numbered; a publisher sends them all the time and is told by Redis that it has them. Meanwhile a watcher reads every file that can
be seen, and the whole store as a reader would. `UNDERTOW_TEST_SEED` chooses the moments.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from tests.conftest import RedisServer
from tests.support import eventually
from undertow.bus.ports import Topic
from undertow.bus.redis_bus import RedisBus
from undertow.contracts.messages.market import Kline, Resync
from undertow.contracts.streams import MARKET
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store

ROOT = Path(__file__).parents[3]
SYMBOLS = ("BTCUSDT", "ETHUSDT")
HOUR_NS = 3_600_000_000_000
POWER_CUT = "cut redis' power"
"""A killed process loses nothing that the kernel has; without power the last second goes (`appendfsync everysec`)."""
Fact = tuple[str, int]


def fact(symbol: str, number: int) -> Resync | Kline:
    at = number * HOUR_NS // 500  # a new hour now and then, so that compaction has work
    if number % 3:
        return Resync(ts_event=at, ts_recv=at, symbol=symbol)
    prices = dict.fromkeys(("open", "high", "low", "close", "volume", "turnover"), str(number))
    return Kline(ts_event=at, ts_recv=at, symbol=symbol, interval="1", start_ns=at, confirmed=True, **prices)


def stored(store: Store) -> list[Fact]:
    found: list[Fact] = []
    for kind in (Resync, Kline):
        table = store.dataset(kind).to_table(columns=["symbol", "producer_sequence"])
        found += zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)
    return found


@dataclass
class Publishing:
    """Sends numbered facts of all symbols until it is told to stop."""

    bus: RedisBus
    published: Counter[str] = field(default_factory=Counter)
    told_to_stop: bool = False

    async def run(self) -> None:
        while not self.told_to_stop:
            items = []
            for symbol in SYMBOLS:
                first = self.published[symbol] + 1
                items += [(Topic(MARKET, symbol=symbol), fact(symbol, first + n), ()) for n in range(5)]
            await self.bus.publish_many(items)
            self.published.update(dict.fromkeys(SYMBOLS, 5))
            await asyncio.sleep(0.02)  # the pace of the publisher

    @property
    def facts(self) -> list[Fact]:
        return sorted((symbol, number + 1) for symbol, count in self.published.items() for number in range(count))


class Watcher(threading.Thread):
    """Reads what can be seen, all the time: each file once, and the whole store as a reader does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.store = Store(LocalFiles(folder))
        self.ended = threading.Event()
        self.read: set[Path] = set()
        self.rounds = 0
        self.shrunk = 0
        self.most = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self.ended.wait(0.3):
            for path in set(self.folder.rglob("*.parquet")) - self.read:
                try:
                    pq.read_table(path)
                    self.read.add(path)
                except FileNotFoundError:  # replaced, or of a commit that was never finished
                    continue
                except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
                    self.wrong.append(f"{path}: {error}")
            try:
                rows = Counter(stored(self.store))
            except FileNotFoundError:  # replaced and past its grace while we read: a reader asks again
                continue
            self.wrong += [f"{row} is there {times} times" for row, times in rows.items() if times > 1]
            if len(rows) < self.most:
                self.wrong.append(f"{self.most} rows were there, now {len(rows)}")
            self.most = max(self.most, len(rows))
            self.rounds += 1


class Victims:
    """The snapshotter's processes: one, or shards."""

    def __init__(self, folder: Path, url: str, log: Path) -> None:
        self.log = log
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("UNDERTOW_")},
            "UNDERTOW_MODE": "demo",  # market time is wall time
            "UNDERTOW_SYMBOLS": ",".join(SYMBOLS),
            "UNDERTOW_BUS__URL": url,
            "UNDERTOW_SNAPSHOT__ROOT": str(folder),
            "UNDERTOW_SNAPSHOT__FLUSH_SECONDS": "0.2",
            "UNDERTOW_SNAPSHOT__TIDY_SECONDS": "0.2",
            "UNDERTOW_SNAPSHOT__MOST_FILES": "3",
            "UNDERTOW_SNAPSHOT__GRACE_SECONDS": "3",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, shards: int) -> None:
        with self.log.open("ab") as log:
            self.processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "services.snapshotter"],
                    cwd=ROOT,
                    env=self.environment | {"UNDERTOW_SHARD": f"{index}/{shards}"},
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
                for index in range(shards)
            ]

    def end(self, number: signal.Signals) -> list[int]:
        for process in self.processes:
            process.send_signal(number)
        codes = [process.wait(20) for process in self.processes]
        self.processes = []
        return codes


async def moment(chance: random.Random, folder: Path) -> None:
    """Wait for a random time; then, two times in three, for the moment at which a file is being written or a commit is made."""
    await asyncio.sleep(chance.uniform(0.2, 2.5))
    what = chance.choice(("any", "writing", "committed"))

    def committed() -> list[bytes]:
        return [path.read_bytes() for path in sorted((folder / "_progress").glob("*.json"))]

    before, until = committed(), asyncio.get_running_loop().time() + 3
    while asyncio.get_running_loop().time() < until and what != "any":
        if (what == "writing" and any(folder.rglob("*.parquet.part"))) or (
            what == "committed" and committed() != before
        ):
            return
        await asyncio.sleep(0.001)  # one look and the next


LONG: Final = (pytest.mark.long, pytest.mark.timeout(900))


@pytest.mark.parametrize(
    ("kills", "most_shards"),
    [(1, 1), pytest.param(100, 1, marks=LONG), pytest.param(20, len(SYMBOLS), marks=LONG)],
)
async def test_killed_at_random_moments_it_stores_every_fact_once(
    kills: int, most_shards: int, redis_server: RedisServer, tmp_path: Path
):
    """With several shards there is another number of them after each kill."""
    seed = int(os.environ.get("UNDERTOW_TEST_SEED", "1"))
    print(f"UNDERTOW_TEST_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    folder = tmp_path / "store"
    victims, watcher = Victims(folder, redis_server.url, tmp_path / "log"), Watcher(folder)
    bus = RedisBus(redis_server.url, "ingestor/boot")
    publishing = Publishing(bus)
    sending = asyncio.create_task(publishing.run())
    watcher.start()
    ends = Counter[str]()
    try:
        for kill in range(kills):
            victims.start(chance.randint(1, most_shards))
            if kill == 0:
                await eventually(lambda: watcher.most, 30)  # so that there is something to lose
            await moment(chance, folder)
            how = chance.choice(("", "kill redis", "shut redis down", POWER_CUT)) if kill % 2 else POWER_CUT
            ends[how or "redis lives"] += 1
            if how:
                redis_first = chance.random() < 0.5
                if not redis_first:
                    victims.end(signal.SIGKILL)
                log = redis_server.folder / "appendonly.aof"
                on_disk = log.stat().st_size
                if how == POWER_CUT:
                    await asyncio.sleep(chance.uniform(0.1, 0.9))
                redis_server.signal(signal.SIGTERM if how == "shut redis down" else signal.SIGKILL)
                redis_server.process.wait(20)
                if how == POWER_CUT:
                    os.truncate(log, on_disk)
                await asyncio.sleep(chance.uniform(0.0, 1.0))
                redis_server.start()
                if redis_first:
                    await asyncio.sleep(chance.uniform(0.0, 1.0))
                    victims.end(signal.SIGKILL)
            else:
                victims.end(signal.SIGKILL)
        publishing.told_to_stop = True  # not cancelled: what it was sending is acknowledged and counted
        await sending
        victims.start(most_shards)
        await eventually(lambda: not bus._publisher.unconfirmed, 30)  # now all is acknowledged
        wanted = len(publishing.facts)
        await eventually(lambda: watcher.most >= wanted or watcher.wrong, 60)
        assert watcher.wrong == []
        assert victims.end(signal.SIGTERM) == [0] * most_shards
    finally:
        sending.cancel()
        watcher.ended.set()
        watcher.join(30)
        victims.end(signal.SIGKILL)
        await bus.close()
    found = sorted(stored(Store(LocalFiles(folder))))
    print(  # noqa: T201 - the figures
        f"{kills} kills ({dict(ends)}), {wanted} facts acknowledged, {len(found)} rows stored, "
        f"{len(watcher.read)} files and {watcher.rounds} times the whole store read meanwhile"
    )
    assert watcher.wrong == []
    assert watcher.rounds > 3
    assert found == publishing.facts
    assert "rows_lost" not in victims.log.read_text()
    assert not list(folder.rglob("*.part"))
