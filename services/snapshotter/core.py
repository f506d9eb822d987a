"""What is stored where, and when: rows gather per partition until a flush is due, each row once. Pure.

A row is known by its stream key, its producer and the producer's number, whatever its entry id: after a crash of Redis the same row comes
again under another id, and ids may even go back. Per key and producer the numbers seen are remembered as ranges, one while nothing is
missing; what the memory says is stored together with the rows. A jump in the numbers is a loss and is told with the flush that reveals
it; numbers that come late are stored all the same.

Each symbol is stored by a writer of its own, and so is what has no symbol: rows, memory and lock follow the symbol to whichever process
stores it next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from undertow.bus.codec import Seen
from undertow.bus.ports import Delivery
from undertow.contracts.messages.base import Message
from undertow.storage.layout import NO_SYMBOL, Place, place_of

MOST_RANGES: Final = 64
"""Ranges remembered per key and producer; beyond it the oldest hole is closed, because no row may be stored twice."""
MOST_PRODUCERS: Final = 16
"""Producers remembered per key; a key has one writer at a time, so these are its last starts."""

FAMILY: Final = "snapshotter-"
"""How the names of our writers begin."""

Memory = dict[str, dict[str, list[tuple[int, int]]]]
"""Stream key → producer → ranges of its numbers that are stored."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A delivery as `undertow.storage` takes it."""

    delivery: Delivery

    @property
    def message(self) -> Any:
        """See `Row`."""
        return self.delivery.message

    @property
    def stream_key(self) -> str:
        """See `Row`."""
        return self.delivery.topic.key

    @property
    def entry_id(self) -> str:
        """See `Row`."""
        return self.delivery.entry_id

    @property
    def producer(self) -> str:
        """See `Row`."""
        return self.delivery.producer

    @property
    def sequence(self) -> int:
        """See `Row`."""
        return self.delivery.sequence

    @property
    def hops(self) -> tuple[int, ...]:
        """See `Row`."""
        return self.delivery.hops


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for one file, all of one kind of message."""

    place: Place
    kind: type[Message]
    rows: tuple[StoredRow, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """Numbers of a producer that never came.

    Attributes:
        stream: name of the stream.
        first: number of the first row that is missing.
        last: of the last one before the next that came.
    """

    stream: str
    key: str
    producer: str
    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Flush:
    """What waits for one writer, to be stored as one commit.

    Attributes:
        writer: its name.
        memory: what is known of the writer's keys once the batches are stored.
    """

    writer: str
    batches: tuple[Batch, ...]
    memory: Memory
    lost: tuple[Lost, ...]


class SnapshotCore:
    """Gathers deliveries until a flush is due.

    Args:
        flush_ns: longest time that a row waits, market ns.
        flush_rows: most rows that wait.
        stored: what the store knows at the start, by writer.
    """

    def __init__(self, flush_ns: int, flush_rows: int, stored: Mapping[str, Memory]) -> None:
        self._flush_ns = flush_ns
        self._flush_rows = flush_rows
        self._drawers = {writer: _Drawer(memory) for writer, memory in stored.items()}
        self._count = 0
        self._oldest_ns: int | None = None

    def add(self, deliveries: Iterable[Delivery], now_ns: int) -> int:
        """Take what was read; give how many of them are known already and so were left out."""
        known = 0
        for each in deliveries:
            if not self._drawers[writer_of(each.topic.symbol)].add(each):
                known += 1
                continue
            self._count += 1
            if self._oldest_ns is None:
                self._oldest_ns = now_ns
        return known

    def is_due(self, now_ns: int) -> bool:
        """Answer whether what waits should be written now."""
        if self._oldest_ns is None:
            return False
        return self._count >= self._flush_rows or now_ns - self._oldest_ns >= self._flush_ns

    def take(self) -> list[Flush]:
        """Give all that waits, writer by writer, and begin anew."""
        self._count, self._oldest_ns = 0, None
        return [drawer.take(writer) for writer, drawer in self._drawers.items() if drawer.waiting]


class _Drawer:
    """What is known and what waits of one writer."""

    def __init__(self, memory: Memory) -> None:
        self.waiting: dict[tuple[Place, type[Message]], list[StoredRow]] = {}
        self._lost: list[Lost] = []
        self._seen = {
            key: {producer: Seen(ranges) for producer, ranges in producers.items()} for key, producers in memory.items()
        }

    def add(self, delivery: Delivery) -> bool:
        if not self._is_new(delivery):
            return False
        message: Message = delivery.message
        self.waiting.setdefault((place_of(message), type(message)), []).append(StoredRow(delivery))
        return True

    def take(self, writer: str) -> Flush:
        batches = tuple(Batch(place, kind, tuple(rows)) for (place, kind), rows in self.waiting.items())
        memory = {
            key: {producer: seen.ranges for producer, seen in producers.items()}
            for key, producers in self._seen.items()
        }
        flush = Flush(writer, batches, memory, tuple(self._lost))
        self.waiting, self._lost = {}, []
        return flush

    def _is_new(self, delivery: Delivery) -> bool:
        key, producer, number = delivery.topic.key, delivery.producer, delivery.sequence
        producers = self._seen.get(key)
        if producers is None:  # a store that begins in the middle of a stream has lost nothing
            producers = self._seen[key] = {producer: Seen([(1, number - 1)] if number > 1 else ())}
        seen = producers.get(producer)
        if seen is None:
            seen = producers[producer] = Seen()
            if len(producers) > MOST_PRODUCERS:
                del producers[next(iter(producers))]
        expected = seen.last + 1
        if not seen.add(number):
            return False
        if number > expected:
            self._lost.append(Lost(delivery.topic.stream.name, key, producer, expected, number - 1))
            seen.settle(MOST_RANGES)
        return True


def writer_of(symbol: str) -> str:
    """Name the writer of the streams of a symbol, or ("") of those that have none."""
    return FAMILY + (symbol or NO_SYMBOL)


def encoded(memory: Memory) -> bytes:
    """Give a memory as the state of a commit."""
    return msgspec.json.encode(memory)


def decoded(state: bytes) -> Memory:
    """Read the state of the last commit; empty for a new store.

    Raises:
        msgspec.MsgspecError: it is no memory.
    """
    return msgspec.json.decode(state, type=Memory | None) or {}
