"""The shell on the memory bus: what it stores, acknowledges and leaves to its next life."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.snapshotter.app import GROUP, Snapshotter
from services.snapshotter.settings import Settings, SnapshotSettings
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.bus.settings import PublisherSettings
from undertow.contracts.messages.market import Resync
from undertow.contracts.metrics import SNAPSHOT_ROWS_LOST
from undertow.contracts.streams import MARKET
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import BusSettings
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store as Rows

Eventually = Callable[..., Awaitable[Any]]
TOPIC = Topic(MARKET, symbol="BTCUSDT")
SNAPSHOT = SnapshotSettings(flush_seconds=0.01)


def fact(number: int) -> Resync:
    return Resync(ts_event=number, ts_recv=number, symbol="BTCUSDT")


def made(folder: Path, store: Store) -> Snapshotter:
    settings = Settings(mode=Mode.DEMO, bus=BusSettings(url="unix:///none"), snapshot=SNAPSHOT, symbols=("BTCUSDT",))
    return Snapshotter(settings, Runtime("snapshotter", settings), MemoryBus("s/1", store), Rows(LocalFiles(folder)))


def stored(folder: Path) -> list[int]:
    return Rows(LocalFiles(folder)).dataset(Resync).to_table(columns=["ts_event"]).column(0).to_pylist()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def test_what_was_read_is_stored_and_then_acknowledged(tmp_path: Path, eventually: Eventually) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    await bus.publish_many([(TOPIC, fact(number), ()) for number in range(5)])
    task = asyncio.create_task(made(tmp_path, store).run())

    async def acknowledged() -> bool:
        return await bus.acked_position(GROUP, TOPIC) == "5-0"

    await eventually(acknowledged)
    assert stored(tmp_path) == [0, 1, 2, 3, 4]
    await ended(task)


async def test_a_stop_in_the_middle_of_a_flush_waits_for_it_and_loses_nothing(
    tmp_path: Path, eventually: Eventually
) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    snapshotter = made(tmp_path, store)
    writing, go_on = threading.Event(), threading.Event()
    commit = snapshotter._writer.commit

    def slow(parts: Any, state: bytes) -> int:
        writing.set()
        go_on.wait(10)
        return commit(parts, state)

    snapshotter._writer.commit = slow  # type: ignore[method-assign]
    await bus.publish(TOPIC, fact(1))
    task = asyncio.create_task(snapshotter.run())
    await eventually(writing.is_set)
    await bus.publish(TOPIC, fact(2))
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({task})
    await ended(asyncio.create_task(made(tmp_path, store).run()))
    later = asyncio.create_task(made(tmp_path, store).run())
    await eventually(lambda: stored(tmp_path) == [1, 2])
    await ended(later)


async def test_a_disk_that_refuses_ends_it_and_the_rows_come_again(tmp_path: Path, eventually: Eventually) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    snapshotter = made(tmp_path, store)
    commit, calls = snapshotter._writer.commit, []

    def full_once(parts: Any, state: bytes) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return commit(parts, state)

    snapshotter._writer.commit = full_once  # type: ignore[method-assign]
    await bus.publish(TOPIC, fact(1))
    with pytest.raises(OSError, match="No space left"):
        await asyncio.wait_for(snapshotter.run(), 10)
    assert len(calls) == 1  # nothing may count after rows were given up
    task = asyncio.create_task(made(tmp_path, store).run())
    await eventually(lambda: any(tmp_path.rglob("*.parquet")) and stored(tmp_path) == [1])
    await ended(task)


async def test_beyond_the_outage_budget_stored_and_lost_are_together_what_was_published(
    tmp_path: Path, eventually: Eventually
) -> None:
    store, clock = Store(), itertools.count(1, 10_000_000)  # ten milliseconds go by with each look at the clock
    bus = MemoryBus("ingestor/1", store, wall_ns=lambda: next(clock), publishing=PublisherSettings(outage_s=1.0))
    await bus.publish(TOPIC, fact(1))
    task = asyncio.create_task(made(tmp_path, store).run())
    await eventually(lambda: any(tmp_path.rglob("*.json")))
    await ended(task)
    for number in range(2, 1001):
        await bus.publish(TOPIC, fact(number))
    returned = made(tmp_path, store)
    task = asyncio.create_task(returned.run())
    await eventually(lambda: stored(tmp_path)[-1] == 1000)
    await ended(task)  # rows are on the disk a little before they are counted
    lost = returned._runtime.metrics.registry.get_sample_value(
        SNAPSHOT_ROWS_LOST.name, {"service": "snapshotter", "mode": "demo", "stream": "market"}
    )
    assert lost
    assert len(stored(tmp_path)) + lost == 1000


async def test_a_second_snapshotter_of_the_same_name_is_refused(tmp_path: Path) -> None:
    first = made(tmp_path, Store())
    with pytest.raises(ConfigurationError, match="another process writes there as snapshotter-0"):
        made(tmp_path, Store())
    first._writer.close()
    made(tmp_path, Store())._writer.close()


async def test_a_progress_that_is_none_of_ours_is_bad_configuration(tmp_path: Path) -> None:
    Rows(LocalFiles(tmp_path)).writer("snapshotter-0").commit([], b'"mine"')
    with pytest.raises(ConfigurationError, match="none of ours"):
        made(tmp_path, Store())
