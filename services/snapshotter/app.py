"""The shell of the snapshotter: streams in, Parquet out, acknowledged only when it is on disk."""

from __future__ import annotations

import asyncio

from services.snapshotter.core import SnapshotCore
from services.snapshotter.settings import Settings
from services.snapshotter.store import SnapshotStore
from undertow.bus import open_bus
from undertow.bus.ports import Bus, Delivery, Reader, Topic
from undertow.contracts.metrics import SNAPSHOT_FLUSH_SECONDS, SNAPSHOT_ROWS, SNAPSHOT_ROWS_KNOWN
from undertow.contracts.streams import STREAMS, Stream
from undertow.runtime.clock import wall_ns
from undertow.runtime.service import Runtime

UNHURRIED_S = 0.05
"""Wall seconds between two reads: few large batches leave the cores to those on an order's way."""


class Snapshotter:
    """Stores every stream."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, store: SnapshotStore) -> None:
        self._settings = settings
        self._runtime = runtime
        self._bus = bus
        self._store = store
        self._core = SnapshotCore(
            flush_ns=round(settings.snapshot.flush_seconds * 1e9),
            flush_rows=settings.snapshot.flush_rows,
            stored=store.open(),
        )
        self._unacked: list[Delivery] = []
        self._reading = False
        self._flushing = asyncio.Lock()

    def unready_reason(self) -> str | None:
        """Ready when it reads."""
        return None if self._reading else "not connected to the bus yet"

    async def run(self) -> None:
        """Read, gather, flush; on the way out write what waits."""
        topics = [topic for stream in STREAMS for topic in self._topics(stream)]
        reader = self._bus.reader("snapshotter", self._settings.instance, topics, batch=1024)
        flusher = asyncio.create_task(self._flush_when_due(reader), name="flush")
        try:
            self._reading = True
            async for batch in reader.batches():
                known = self._core.add(batch, self._runtime.clock.now_ns())
                self._unacked.extend(batch)
                if known:
                    self._runtime.metrics.counter(SNAPSHOT_ROWS_KNOWN).inc(known)
                if self._core.is_due(self._runtime.clock.now_ns()):
                    await self._flush(reader)
                await asyncio.sleep(UNHURRIED_S)
        finally:
            flusher.cancel()
            await self._flush(reader)
            await self._bus.close()

    async def _flush_when_due(self, reader: Reader) -> None:
        while True:
            await self._runtime.clock.sleep(1.0)
            if self._core.is_due(self._runtime.clock.now_ns()):
                await self._flush(reader)

    async def _flush(self, reader: Reader) -> None:
        async with self._flushing:
            parts, acked = self._core.take(), self._unacked
            self._unacked = []
            begin = wall_ns()
            if parts:
                stored = self._core.stored_after(parts)
                rows = await asyncio.to_thread(self._store.write, parts, stored)
                self._core.stored = stored
                self._runtime.metrics.counter(SNAPSHOT_ROWS).inc(rows)
                self._runtime.metrics.histogram(SNAPSHOT_FLUSH_SECONDS).observe((wall_ns() - begin) / 1e9)
            reader.ack(acked)

    def _topics(self, stream: Stream) -> list[Topic]:
        symbols = self._settings.symbols if "{symbol}" in stream.pattern else ("",)
        sources = stream.writers if "{source}" in stream.pattern else ("",)
        return [Topic(stream, symbol=symbol, source=source) for symbol in symbols for source in sources]


def build(settings: Settings, runtime: Runtime) -> Snapshotter:
    """Choose the real implementations."""
    bus = open_bus(settings.bus.url, runtime.producer, watch=runtime.bus_watch)
    return Snapshotter(settings, runtime, bus, SnapshotStore(settings.snapshot.root))
