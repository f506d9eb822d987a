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
from undertow.contracts.metrics import SNAPSHOT_FLUSHES_REFUSED, SNAPSHOT_ROWS_LOST
from undertow.contracts.streams import MARKET
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.runtime.settings import BusSettings
from undertow.storage.errors import StoreRefusedError, StoreTakenError
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store as Rows

Eventually = Callable[..., Awaitable[Any]]
TOPIC = Topic(MARKET, symbol="BTCUSDT")
WRITER = "snapshotter-BTCUSDT"
SNAPSHOT = SnapshotSettings(flush_seconds=0.01)


def fact(number: int) -> Resync:
    return Resync(ts_event=number, ts_recv=number, symbol="BTCUSDT")


def made(folder: Path, store: Store) -> Snapshotter:
    settings = Settings(mode=Mode.DEMO, bus=BusSettings(url="unix:///none"), snapshot=SNAPSHOT, symbols=("BTCUSDT",))
    return Snapshotter(settings, Runtime("snapshotter", settings), MemoryBus("s/1", store), Rows(LocalFiles(folder)))


def stored(folder: Path) -> list[int]:
    return Rows(LocalFiles(folder)).dataset(Resync).to_table(columns=["ts_event"]).column(0).to_pylist()


def stored_there(folder: Path) -> list[int]:
    return sorted(stored(folder)) if any(folder.rglob("*.parquet")) else []


def counted(snapshotter: Snapshotter, name: str, **labels: str) -> float:
    about = {"service": "snapshotter", "mode": "demo", **labels}
    return snapshotter._runtime.metrics.registry.get_sample_value(name, about) or 0.0


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
    writer = snapshotter._claims.writers[WRITER]
    commit = writer.commit

    def slow(parts: Any, state: bytes) -> int:
        writing.set()
        go_on.wait(10)
        return commit(parts, state)

    writer.commit = slow  # type: ignore[method-assign]
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


def refusing(snapshotter: Snapshotter, error: Exception) -> threading.Event:
    """Let the store refuse until the event is set."""
    writer, again = snapshotter._claims.writers[WRITER], threading.Event()
    commit = writer.commit

    def refuse(parts: Any, state: bytes) -> Any:
        if again.is_set():
            return commit(parts, state)
        raise error

    writer.commit = refuse  # type: ignore[method-assign]
    return again


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), StoreRefusedError("s3://b refuses us to write", "give the keys")]
)
async def test_a_store_that_refuses_is_told_and_tried_again_and_nothing_is_acknowledged_before(
    tmp_path: Path, eventually: Eventually, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.snapshotter.app.RETRY_FIRST_S", 0.01)
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    snapshotter = made(tmp_path, store)
    again = refusing(snapshotter, error)
    await bus.publish(TOPIC, fact(1))
    task = asyncio.create_task(snapshotter.run())
    await eventually(lambda: counted(snapshotter, SNAPSHOT_FLUSHES_REFUSED.name) > 1)
    assert str(snapshotter.unready_reason()).startswith(f"the store refuses: {error}"[:40])
    assert await bus.acked_position(GROUP, TOPIC) == "0-0"
    await bus.publish(TOPIC, fact(2))
    again.set()
    await eventually(lambda: stored_there(tmp_path) == [1, 2])
    assert snapshotter.unready_reason() is None
    await ended(task)


async def test_a_stop_while_the_store_refuses_gives_up_and_the_rows_come_again(
    tmp_path: Path, eventually: Eventually
) -> None:
    store = Store()
    bus = MemoryBus("ingestor/1", store)
    snapshotter = made(tmp_path, store)
    refusing(snapshotter, OSError(28, "No space left on device"))
    await bus.publish(TOPIC, fact(1))
    task = asyncio.create_task(snapshotter.run())
    await eventually(lambda: counted(snapshotter, SNAPSHOT_FLUSHES_REFUSED.name))
    await ended(task)
    assert await bus.acked_position(GROUP, TOPIC) == "0-0"
    task = asyncio.create_task(made(tmp_path, store).run())
    await eventually(lambda: stored_there(tmp_path) == [1])
    await ended(task)


async def test_a_snapshotter_that_another_has_followed_ends_with_one_line(
    tmp_path: Path, eventually: Eventually
) -> None:
    snapshotter = made(tmp_path, store := Store())
    refusing(snapshotter, StoreTakenError("s3://b: other/7/x writes as snapshotter-BTCUSDT now", "stop it"))
    await MemoryBus("ingestor/1", store).publish(TOPIC, fact(1))
    with pytest.raises(ConfigurationError, match="writes as snapshotter-BTCUSDT now; stop it"):
        await asyncio.wait_for(snapshotter.run(), 10)


async def test_beyond_the_outage_budget_stored_and_lost_are_together_what_was_published(
    tmp_path: Path, eventually: Eventually
) -> None:
    store, clock = Store(), itertools.count(1, 10_000_000)  # ten milliseconds go by with each look at the clock
    bus = MemoryBus("ingestor/1", store, wall_ns=lambda: next(clock), publishing=PublisherSettings(outage_s=1.0))
    await bus.publish(TOPIC, fact(1))
    task = asyncio.create_task(made(tmp_path, store).run())
    await eventually(lambda: stored_there(tmp_path) == [1])
    await ended(task)
    for number in range(2, 1001):
        await bus.publish(TOPIC, fact(number))
    returned = made(tmp_path, store)
    task = asyncio.create_task(returned.run())
    await eventually(lambda: stored(tmp_path)[-1] == 1000)
    await ended(task)  # rows are on the disk a little before they are counted
    lost = counted(returned, SNAPSHOT_ROWS_LOST.name, stream="market")
    assert lost
    assert len(stored(tmp_path)) + lost == 1000


async def test_a_second_snapshotter_of_the_same_name_is_refused(tmp_path: Path) -> None:
    first = made(tmp_path, Store())
    with pytest.raises(ConfigurationError, match="another process writes there as snapshotter-BTCUSDT; stop it, or"):
        made(tmp_path, Store())
    first._claims.give_up()
    made(tmp_path, Store())._claims.give_up()


async def test_a_progress_that_is_none_of_ours_is_bad_configuration(tmp_path: Path) -> None:
    Rows(LocalFiles(tmp_path)).writer(WRITER).commit([], b'"mine"')
    with pytest.raises(ConfigurationError, match="none of ours"):
        made(tmp_path, Store())
