"""The shell of the snapshotter: streams in, Parquet out, acknowledged only when it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pyarrow as pa

from services.snapshotter.claims import claimed
from services.snapshotter.core import Batch, Flush, SnapshotCore, encoded
from services.snapshotter.reporter import Reporter
from services.snapshotter.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.ports import Bus, Delivery, Reader, Topic
from undertow.contracts.metrics import (
    SNAPSHOT_COMPACTIONS,
    SNAPSHOT_FLUSH_SECONDS,
    SNAPSHOT_FLUSHES_REFUSED,
    SNAPSHOT_ROWS,
    SNAPSHOT_ROWS_KNOWN,
    SNAPSHOT_ROWS_LOST,
)
from undertow.contracts.streams import STREAMS, Stream
from undertow.runtime.clock import steady_ns, wall_ns
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.memory import give_back
from undertow.runtime.retry import backoff
from undertow.runtime.service import Runtime
from undertow.storage.address import open_store
from undertow.storage.errors import StorageError, StoreRefusedError, StoreTakenError, short
from undertow.storage.schema import table_of
from undertow.storage.settings import ROOT_VARIABLE
from undertow.storage.store import Part, Store
from undertow.storage.tidy import Housekeeper, Rules

GROUP: Final = "snapshotter"
CONSUMER: Final = "0"
"""A key has one reader, whichever process that is, so that what one has left is at once the next one's."""
RETRY_FIRST_S: Final = 0.5
RETRY_LONGEST_S: Final = 15.0
"""Wall seconds between two tries to store what the store has refused."""
LOOK_EVERY_S: Final = 1.0
"""Market seconds, at most, between two looks whether a flush is due."""
TRIM_EVERY_S: Final = 10.0
"""Wall seconds between two trimmings of the streams."""
UNHURRIED_S: Final = 0.05
"""Wall seconds between two reads: few large batches leave the cores to those on an order's way."""


class Snapshotter:
    """Stores every stream."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, store: Store) -> None:
        self._settings = settings
        self._runtime = runtime
        self._bus = bus
        told = settings.snapshot
        self._claims = claimed(store, settings)
        self._housekeeper = Housekeeper(
            store.files, self._claims.all, Rules(told.most_files, told.grace_seconds, told.keep_days)
        )
        self._core = SnapshotCore(round(told.flush_seconds * 1e9), told.flush_rows, self._claims.stored)
        self._reporter = Reporter(store, told) if settings.is_first_shard else None
        self._unacked: list[Delivery] = []
        self._reading = False
        self._refusal = ""
        self._flushing = asyncio.Lock()
        self._begun: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failed = False
        runtime.metrics.counter(SNAPSHOT_FLUSHES_REFUSED)
        for stream in STREAMS:
            runtime.metrics.counter(SNAPSHOT_ROWS_LOST, stream=stream.name)  # a 0 from the start can be alerted on

    def unready_reason(self) -> str | None:
        """Ready when it reads, and the store takes what it is given."""
        return self._refusal or (None if self._reading else "not connected to the bus yet")

    async def run(self) -> None:
        """Read, gather, flush; on the way out write what waits.

        Raises:
            ConfigurationError: another process has opened one of our writers; what we have not stored is not acknowledged.
        """
        topics = [topic for stream in STREAMS for topic in self._topics(stream)]
        reader = self._bus.reader(GROUP, CONSUMER, topics, batch=1024)
        work = (self._read(reader), self._flush_when_due(reader), self._trim(topics), self._tidy())
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await self._flush(reader)
            await self._bus.close()
            self._claims.give_up()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _read(self, reader: Reader) -> None:
        self._reading = True
        async for batch in reader.batches():
            known = self._core.add(batch, self._runtime.clock.now_ns())
            self._unacked.extend(batch)
            if known:
                self._runtime.metrics.counter(SNAPSHOT_ROWS_KNOWN).inc(known)
            if self._core.is_due(self._runtime.clock.now_ns()):
                await self._flush(reader)
            await asyncio.sleep(UNHURRIED_S)

    async def _flush_when_due(self, reader: Reader) -> None:
        look_s = min(LOOK_EVERY_S, self._settings.snapshot.flush_seconds)
        while True:
            await self._runtime.clock.sleep(look_s)
            if self._core.is_due(self._runtime.clock.now_ns()):
                await self._flush(reader)

    async def _trim(self, topics: list[Topic]) -> None:
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            try:
                for topic in topics:
                    await self._bus.trim(topic, GROUP)
            except (BusAwayError, BusRefusedError) as error:
                self._runtime.log.warning("streams_not_trimmed", reason=str(error))

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._settings.snapshot.tidy_seconds)
            try:
                now_ns = self._runtime.clock.now_ns()
                done = await asyncio.to_thread(self._housekeeper.tidy, now_ns, steady_ns() / 1e9)
                self._runtime.metrics.counter(SNAPSHOT_COMPACTIONS).inc(done.written)
                if done.written:
                    await asyncio.to_thread(give_back)
                if self._reporter is not None:
                    await asyncio.to_thread(self._reporter.report, now_ns)
            except (OSError, StorageError) as error:  # the rows are safe; the next round tries again
                self._runtime.survived("tidying_failed", error)

    async def _flush(self, reader: Reader) -> None:
        """Store what waits; once begun it runs to its end, even if whoever asked is cancelled."""
        flushing = asyncio.create_task(self._store(reader), name="store")
        self._begun.add(flushing)
        flushing.add_done_callback(self._begun.discard)
        await asyncio.shield(flushing)

    async def _store(self, reader: Reader) -> None:
        async with self._flushing:
            if self._failed:  # what the memory says is stored is not: nothing may count any more in this process
                return
            flushes, acked = self._core.take(), self._unacked
            self._unacked = []
            self._failed = True
            begin = wall_ns()
            for flush in flushes:
                if not await self._committed(flush):
                    return
            if flushes:
                await asyncio.to_thread(give_back)
                self._runtime.metrics.histogram(SNAPSHOT_FLUSH_SECONDS).observe((wall_ns() - begin) / 1e9)
            self._failed = False
            reader.ack(acked)

    async def _committed(self, flush: Flush) -> bool:
        """Store one writer's rows, as often as it takes; False when we are stopped before that. Nothing is read meanwhile."""
        writer = self._claims.writers[flush.writer]
        waits = backoff(RETRY_FIRST_S, RETRY_LONGEST_S)
        while True:
            try:
                done = await asyncio.to_thread(writer.commit, _parts(flush.batches), encoded(flush.memory))
            except StoreTakenError as error:
                raise ConfigurationError(ROOT_VARIABLE, error.rule, error.remedy) from None
            except (OSError, StoreRefusedError) as error:
                self._runtime.metrics.counter(SNAPSHOT_FLUSHES_REFUSED).inc()
                reason = f"the store refuses: {short(error)}"
                if reason != self._refusal:
                    self._refusal = reason
                    self._runtime.survived("flush_refused", error, writer=flush.writer)
                with suppress(TimeoutError):  # a wait that a stop ends early
                    await asyncio.wait_for(self._stopping.wait(), next(waits))
                if self._stopping.is_set():
                    return False
            else:
                self._refusal = ""
                self._housekeeper.note(done.files)
                self._runtime.metrics.counter(SNAPSHOT_ROWS).inc(done.rows)
                self._tell_losses(flush)
                return True

    def _tell_losses(self, flush: Flush) -> None:
        for lost in flush.lost:
            self._runtime.metrics.counter(SNAPSHOT_ROWS_LOST, stream=lost.stream).inc(lost.rows)
            self._runtime.log.error(
                "rows_lost", key=lost.key, producer=lost.producer, first=lost.first, last=lost.last, rows=lost.rows
            )

    def _topics(self, stream: Stream) -> list[Topic]:
        of_no_symbol = ("",) if self._settings.is_first_shard else ()
        symbols = self._settings.own_symbols if "{symbol}" in stream.pattern else of_no_symbol
        sources = stream.writers if "{source}" in stream.pattern else ("",)
        return [Topic(stream, symbol=symbol, source=source) for symbol in symbols for source in sources]


def build(settings: Settings, runtime: Runtime) -> Snapshotter:
    """Choose the real implementations."""
    pa.set_memory_pool(
        pa.system_memory_pool()
    )  # Arrow's own keep what is free to themselves, and `give_back` cannot reach it
    store = open_store(settings.snapshot)
    bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
    return Snapshotter(settings, runtime, bus, store)


def _parts(batches: tuple[Batch, ...]) -> Iterator[Part]:
    for batch in batches:
        yield Part(batch.place, table_of(batch.kind, batch.rows))
