"""Shards over one store: each symbol is stored by one of them, and what is known of it follows it to whoever has it next."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.snapshotter.app import GROUP, Snapshotter
from services.snapshotter.settings import Settings, SnapshotSettings
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.market import Resync
from undertow.contracts.messages.reference import ClockOffset
from undertow.contracts.streams import MARKET, VENUE
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import BusSettings
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store as Rows

Eventually = Callable[..., Awaitable[Any]]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
SNAPSHOT = SnapshotSettings(flush_seconds=0.01, tidy_seconds=0.05, most_files=2, grace_seconds=0)


def made(
    folder: Path, store: Store, shard: str = "0/1", symbols: tuple[str, ...] = SYMBOLS, instance: str = "0"
) -> Snapshotter:
    settings = Settings(
        mode=Mode.DEMO,
        bus=BusSettings(url="unix:///none"),
        snapshot=SNAPSHOT,
        symbols=symbols,
        shard=shard,
        instance=instance,
    )
    return Snapshotter(settings, Runtime("snapshotter", settings), MemoryBus("s/1", store), Rows(LocalFiles(folder)))


def fact(symbol: str, number: int) -> Resync:
    return Resync(ts_event=number, ts_recv=number, symbol=symbol)


def stored(folder: Path) -> Counter[tuple[str, int]]:
    if not any(folder.rglob("*.parquet")):
        return Counter()
    rows: Counter[tuple[str, int]] = Counter()
    try:
        for kind in (Resync, ClockOffset):
            table = Rows(LocalFiles(folder)).dataset(kind).to_table(columns=["stream_key", "producer_sequence"])
            rows.update(zip(*(table.column(n).to_pylist() for n in (0, 1)), strict=True))
    except FileNotFoundError:  # replaced, and no grace in these tests: a reader asks again
        return stored(folder)
    return rows


async def killed(snapshotter: Snapshotter, task: asyncio.Task[None]) -> None:
    """End without a last flush: what was read and not acknowledged stays with the group."""
    snapshotter._failed = True
    task.cancel()
    await asyncio.wait({task})
    snapshotter._claims.give_up()


async def test_each_stream_is_stored_by_exactly_one_shard(tmp_path: Path, eventually: Eventually) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    for symbol in SYMBOLS:
        await bus.publish_many([(Topic(MARKET, symbol=symbol), fact(symbol, n), ()) for n in range(3)])
    await bus.publish(Topic(VENUE), ClockOffset(ts_event=1, ts_recv=1, offset_ns=1, uncertainty_ns=1))
    shards = [made(tmp_path, store, f"{index}/3") for index in range(3)]
    tasks = [asyncio.create_task(shard.run()) for shard in shards]
    wanted = {f"market:{{{symbol}}}": 3 for symbol in SYMBOLS} | {"venue": 1}
    await eventually(lambda: Counter(key for key, _ in stored(tmp_path).elements()) == wanted)
    assert [sorted(shard._claims.stored) for shard in shards] == [
        ["snapshotter-BTCUSDT", "snapshotter-all"],
        ["snapshotter-ETHUSDT"],
        ["snapshotter-SOLUSDT"],
    ]
    assert sum(shard._reporter is not None for shard in shards) == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_kills_at_any_moment_with_another_number_of_shards_each_time_store_every_row_once(
    tmp_path: Path, eventually: Eventually
) -> None:
    chance = random.Random(7)
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    published: Counter[str] = Counter()

    async def publish(symbol: str) -> None:
        published[symbol] += 1
        await bus.publish(Topic(MARKET, symbol=symbol), fact(symbol, published[symbol]))

    for life in range(8):
        count = chance.randint(1, 3)
        shards = [made(tmp_path, store, f"{i}/{count}", instance=str(life)) for i in range(count)]
        tasks = [asyncio.create_task(shard.run()) for shard in shards]
        before = sum(stored(tmp_path).values())
        for _ in range(30):
            await publish(chance.choice(SYMBOLS))
        await eventually(
            lambda before=before: sum(stored(tmp_path).values()) > before
        )  # so that there is something to forget
        for _ in range(10):
            await publish(chance.choice(SYMBOLS))
        await asyncio.gather(*(killed(shard, task) for shard, task in zip(shards, tasks, strict=True)))
    last = asyncio.create_task(made(tmp_path, store).run())
    wanted = Counter(
        {(f"market:{{{symbol}}}", n): 1 for symbol, count in published.items() for n in range(1, count + 1)}
    )
    await eventually(lambda: stored(tmp_path) == wanted)
    for symbol in SYMBOLS:
        assert await bus.acked_position(GROUP, Topic(MARKET, symbol=symbol))
    last.cancel()
    await asyncio.wait({last})


def test_a_shard_whose_symbol_another_number_of_shards_still_has_is_refused_and_holds_nothing(tmp_path: Path) -> None:
    old = made(tmp_path, Store(), "1/2")  # ETHUSDT
    with pytest.raises(ConfigurationError, match="another process writes there as snapshotter-ETHUSDT; stop it, or"):
        made(tmp_path, Store(), "0/1")
    made(tmp_path, Store(), "0/3")._claims.give_up()
    old._claims.give_up()
    made(tmp_path, Store(), "0/1")._claims.give_up()


async def test_what_a_symbol_has_left_is_tidied_by_the_first_shard_when_the_fleet_drops_it(
    tmp_path: Path, eventually: Eventually
) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    task = asyncio.create_task(made(tmp_path, store).run())
    for number in (1, 2, 3):
        await bus.publish(Topic(MARKET, symbol="SOLUSDT"), fact("SOLUSDT", number))
        await eventually(lambda number=number: sum(stored(tmp_path).values()) == number)
    task.cancel()
    await asyncio.wait({task})
    fewer = made(tmp_path, Store(), "0/2", SYMBOLS[:2])
    assert list(fewer._claims.left) == ["snapshotter-SOLUSDT"]
    other = made(tmp_path, Store(), "1/2", SYMBOLS[:2])
    assert list(other._claims.left) == []
    other._claims.give_up()
    task = asyncio.create_task(fewer.run())
    await eventually(lambda: len(list(tmp_path.rglob("*.parquet"))) == 1)
    assert sum(stored(tmp_path).values()) == 3
    task.cancel()
    await asyncio.wait({task})
