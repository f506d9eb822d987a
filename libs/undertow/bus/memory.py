"""The bus within one process: for tests, simulation and one-process runs; held to the same conformance suite as Redis.

Messages pass through their bytes as on the wire. Entry ids are `N-0` with one counter for the whole store, so they are a function of
the order of publications alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from undertow.bus.budget import UNBOUND, Bound, OutageBudget
from undertow.bus.codec import Duplicates, Stamper, opened
from undertow.bus.deadletters import DEAD_LETTER_MAXLEN, DeadLetter, dead_key
from undertow.bus.errors import PoisonLimitError
from undertow.bus.ports import Delivery, GroupLag, Topic, Watch
from undertow.bus.settings import PublisherSettings, ReaderSettings, Unwatched
from undertow.contracts.messages.base import Message
from undertow.domain.time import NS_PER_MS

NODE: Final = 100
"""Entries go by so many, as in Redis."""


@dataclass
class Pending:
    """An entry that was delivered and not acknowledged."""

    consumer: str
    since_ns: int


@dataclass
class Group:
    """One consumer group on one key."""

    last: int
    pending: dict[int, Pending] = field(default_factory=dict)

    @property
    def acked(self) -> int:
        """Number up to which everything is acknowledged."""
        return min(self.pending) - 1 if self.pending else self.last


@dataclass
class Log:
    """One key."""

    numbers: list[int] = field(default_factory=list)  # ascending; one per entry
    raws: list[bytes] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)  # wall time of each entry
    groups: dict[str, Group] = field(default_factory=dict)

    def append(self, number: int, raw: bytes, now_ms: int, bound: Bound) -> None:
        """Append, and remove what the bound lets go."""
        self.numbers.append(number)
        self.raws.append(raw)
        self.times_ms.append(now_ms)
        if bound.before_ms is not None:
            self.remove(bisect_left(self.times_ms, bound.before_ms))
        elif bound.length is not None:
            self.remove(len(self.numbers) - bound.length)

    def remove(self, count: int) -> int:
        """Remove the oldest entries, in whole nodes as Redis does; give how many went."""
        count = max(count, 0) // NODE * NODE
        del self.numbers[:count], self.raws[:count], self.times_ms[:count]
        return count

    def get(self, number: int) -> bytes | None:
        """Give an entry, None when it has been trimmed."""
        at = bisect_left(self.numbers, number)
        return self.raws[at] if at < len(self.numbers) and self.numbers[at] == number else None

    def between(self, first: int, last: int) -> list[tuple[int, bytes]]:
        """Give the entries with first <= number <= last."""
        part = slice(bisect_left(self.numbers, first), bisect_right(self.numbers, last))
        return list(zip(self.numbers[part], self.raws[part], strict=True))


class Store:
    """What Redis is to the real bus: shared by every `MemoryBus` made on it."""

    def __init__(self) -> None:
        self.logs: dict[str, Log] = {}
        self.dead: dict[str, list[DeadLetter]] = {}
        self.counter = 0
        self.changed = asyncio.Event()

    def log(self, key: str) -> Log:
        """Give the log of a key, empty when new."""
        return self.logs.setdefault(key, Log())

    def append(self, key: str, raw: bytes, now_ms: int = 0, bound: Bound = UNBOUND) -> int:
        """Append raw bytes and wake the readers."""
        self.counter += 1
        self.log(key).append(self.counter, raw, now_ms, bound)
        self.changed.set()
        return self.counter

    def bury(self, letter: DeadLetter) -> None:
        """Keep what could not be decoded."""
        letters = self.dead.setdefault(dead_key(letter.stream), [])
        letters.append(letter)
        del letters[:-DEAD_LETTER_MAXLEN]


class MemoryBus:
    """One process' connection to a store.

    Args:
        producer: service name and boot id.
        store: shared with the other ends of the conversation; a new one by default.
        wall_ns: stamps the hops and measures idleness.
        watch: told of hops and dead letters.
        reading: limits of its readers.
        publishing: its outage budget.
    """

    def __init__(
        self,
        producer: str = "memory",
        store: Store | None = None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        watch: Watch | None = None,
        reading: ReaderSettings | None = None,
        publishing: PublisherSettings | None = None,
    ) -> None:
        publishing = publishing or PublisherSettings()
        self.store = store or Store()
        self._wall_ns = wall_ns
        self._watch = watch or Unwatched()
        self._reading = reading or ReaderSettings()
        self._stamper = Stamper(producer, wall_ns)
        self._budget = OutageBudget(publishing.outage_s, publishing.outage_bytes)

    async def publish(self, topic: Topic, message: Message, *, hops: tuple[int, ...] = ()) -> None:
        """See `Publisher.publish`."""
        await self.publish_many([(topic, message, hops)])

    async def publish_many(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> None:
        """See `Publisher.publish_many`."""
        for topic, message, hops in items:
            number, raw = self._stamper.seal(topic.key, message, hops)
            now_ms = self._wall_ns() // NS_PER_MS
            bound = self._budget.bound(topic.key, number, len(raw), topic.stream.maxlen, now_ms)
            self.store.append(topic.key, raw, now_ms, bound)

    def reader(
        self, group: str, consumer: str, topics: Sequence[Topic], *, batch: int = 256, from_start: bool = True
    ) -> MemoryReader:
        """See `Bus.reader`."""
        return MemoryReader(
            self.store, group, consumer, topics, batch, from_start, self._wall_ns, self._watch, self._reading
        )

    async def tail(self, topic: Topic, count: int) -> list[Delivery]:
        """See `History.tail`."""
        log = self.store.log(topic.key)
        return _history(topic, list(zip(log.numbers[-count:], log.raws[-count:], strict=True)))

    async def since(self, topic: Topic, entry_id: str, until: str = "+") -> list[Delivery]:
        """See `History.since`."""
        first = _number(entry_id)
        last = self.store.counter if until == "+" else _number(until)
        return _history(topic, self.store.log(topic.key).between(first, last))

    async def acked_position(self, group: str, topic: Topic) -> str:
        """See `Bus.acked_position`."""
        state = self.store.log(topic.key).groups.get(group)
        return "0-0" if state is None else f"{state.acked}-0"

    async def trim(self, topic: Topic, keeper: str) -> int:
        """See `Trimmer.trim`."""
        log = self.store.log(topic.key)
        if keeper not in log.groups:
            return 0
        done = bisect_right(log.numbers, min(group.acked for group in log.groups.values()))
        return log.remove(min(done, len(log.numbers) - topic.stream.maxlen))

    async def lags(self, topics: Sequence[Topic] | None = None) -> list[GroupLag]:
        """See `Bus.lags`."""
        rows: list[GroupLag] = []
        keys = sorted(self.store.logs) if topics is None else [topic.key for topic in topics]
        for key in dict.fromkeys(keys):
            log = self.store.log(key)
            length = len(log.numbers)
            if not log.groups:
                rows.append(GroupLag(key, "", length, 0, 0))
            for name, group in log.groups.items():
                lag = len(log.numbers) - bisect_right(log.numbers, group.last)
                rows.append(GroupLag(key, name, length, lag, len(group.pending)))
        return rows

    async def connected(self) -> bool:
        """See `Bus.connected`."""
        return True

    async def close(self) -> None:
        """See `Bus.close`."""


class MemoryReader:
    """See `Reader`."""

    def __init__(
        self,
        store: Store,
        group: str,
        consumer: str,
        topics: Sequence[Topic],
        batch: int,
        from_start: bool,
        wall_ns: Callable[[], int],
        watch: Watch,
        reading: ReaderSettings,
    ) -> None:
        self._store = store
        self._group = group
        self._consumer = consumer
        self._topics = tuple(topics)
        self._batch = batch
        self._wall_ns = wall_ns
        self._watch = watch
        self._reading = reading
        self._duplicates = {topic.key: Duplicates() for topic in topics}
        self._buried = 0
        self._copies: dict[tuple[str, str, int], list[int]] = {}  # of each fact that is held, all entries that carry it
        for topic in topics:
            log = store.log(topic.key)
            log.groups.setdefault(group, Group(last=0 if from_start else store.counter))

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `Reader.ack`."""
        for delivery in deliveries:
            key = delivery.topic.key
            own = (_number(delivery.entry_id),)
            for number in self._copies.pop((key, delivery.producer, delivery.sequence), own):
                self._done(key, number)

    async def batches(self) -> AsyncIterator[list[Delivery]]:
        """See `Reader.batches`."""
        own = [(topic, number) for topic in self._topics for number in self._owned(topic.key)]
        for at in range(0, len(own), self._batch):
            batch = self._taken(own[at : at + self._batch], fresh=False)
            if batch:
                yield batch
        while True:
            self._store.changed.clear()
            claimed = self._taken(self._claimed(), fresh=False)
            if claimed:
                yield claimed
            batch = self._taken(self._unread(), fresh=True)
            if batch:
                yield batch
            elif not claimed and not self._store.changed.is_set():
                await self._wait()

    async def _wait(self) -> None:
        # not `wait_for`, which on Python 3.11 can lose a cancellation that comes with the event
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._reading.claim_every_s):
                await self._store.changed.wait()

    def _group_of(self, key: str) -> Group:
        return self._store.log(key).groups[self._group]

    def _owned(self, key: str) -> list[int]:
        pending = self._group_of(key).pending
        return sorted(number for number, entry in pending.items() if entry.consumer == self._consumer)

    def _claimed(self) -> list[tuple[Topic, int]]:
        found: list[tuple[Topic, int]] = []
        now = self._wall_ns()
        idle_ns = int(self._reading.claim_idle_s * 1e9)
        for topic in self._topics:
            for number, entry in sorted(self._group_of(topic.key).pending.items()):
                if entry.consumer != self._consumer and now - entry.since_ns >= idle_ns and len(found) < self._batch:
                    found.append((topic, number))
        return found

    def _unread(self) -> list[tuple[Topic, int]]:
        found: list[tuple[Topic, int]] = []
        for topic in self._topics:
            group = self._group_of(topic.key)
            numbers = self._store.log(topic.key).numbers
            start = bisect_right(numbers, group.last)
            fresh = numbers[start : start + self._batch]
            if fresh:
                group.last = fresh[-1]
                found += [(topic, number) for number in fresh]
        return found

    def _taken(self, found: Sequence[tuple[Topic, int]], *, fresh: bool) -> list[Delivery]:
        batch: list[Delivery] = []
        for topic, number in found:
            key = topic.key
            self._group_of(key).pending[number] = Pending(self._consumer, self._wall_ns())
            raw = self._store.log(key).get(number)
            if raw is None:  # trimmed while it was pending
                self._done(key, number)
                continue
            try:
                delivery = opened(topic, f"{number}-0", raw)
            except msgspec.MsgspecError as error:
                self._bury(topic, number, raw, str(error))
                continue
            fact = (key, delivery.producer, delivery.sequence)
            if not self._duplicates[key].is_new(delivery):
                if fact in self._copies:  # in the application's hands: it is done when that one is
                    self._copies[fact].append(number)
                else:
                    self._done(key, number)
                continue
            self._copies[fact] = [number]
            if fresh:
                self._watch.delivered(topic.stream.name, (self._wall_ns() - delivery.hops[-1]) / 1e9)
            batch.append(delivery)
        return batch

    def _bury(self, topic: Topic, number: int, raw: bytes, reason: str) -> None:
        self._store.bury(DeadLetter(topic.stream.name, topic.key, f"{number}-0", reason, raw))
        self._done(topic.key, number)
        self._watch.dead_letter(topic.stream.name)
        self._buried += 1
        if self._buried > self._reading.poison_limit:
            raise PoisonLimitError(f"{self._buried} entries could not be decoded, the last on {topic.key}: {reason}")

    def _done(self, key: str, number: int) -> None:
        self._group_of(key).pending.pop(number, None)


def _number(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _history(topic: Topic, entries: Sequence[tuple[int, bytes]]) -> list[Delivery]:
    duplicates, found = Duplicates(), []
    for number, raw in entries:
        try:
            delivery = opened(topic, f"{number}-0", raw)
        except msgspec.MsgspecError:
            continue  # the group's reader buries and counts it
        if duplicates.is_new(delivery):
            found.append(delivery)
    return found
