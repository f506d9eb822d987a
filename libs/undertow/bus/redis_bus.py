"""The bus on Redis Streams (6.2 and later)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from undertow.bus.codec import Duplicates, opened
from undertow.bus.deadletters import DEAD_PREFIX
from undertow.bus.entries import ENTRY_FIELD, count_after, group_states
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.ports import Delivery, GroupLag, Topic, Watch
from undertow.bus.redis_publisher import RedisPublisher
from undertow.bus.redis_reader import RedisReader
from undertow.bus.resp import Address, Connection, Link
from undertow.bus.settings import PublisherSettings, ReaderSettings, Unwatched
from undertow.contracts.messages.base import Message

HISTORY_PAGE: Final = 2000
SCAN_PAGE: Final = 1000
CLOSE_TIMEOUT_S: Final = 1.0


class RedisBus:
    """See `Bus`. One connection publishes, one asks, and each reader has its own.

    Args:
        url: see `Address.parse`.
        producer: service name and boot id.
        watch: told of hops and dead letters.
        reading: limits of readers.
        publishing: limits of the publisher.
        wall_ns: the wall clock.

    Raises:
        ValueError: the url is not an address of Redis.
    """

    def __init__(
        self,
        url: str,
        producer: str,
        *,
        watch: Watch | None = None,
        reading: ReaderSettings | None = None,
        publishing: PublisherSettings | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._address = Address.parse(url)
        self._watch = watch or Unwatched()
        self._reading = reading or ReaderSettings()
        self._publishing = publishing or PublisherSettings()
        self._wall_ns = wall_ns
        self._publisher = RedisPublisher(self._link(), producer, self._publishing, wall_ns)
        self._asking = self._link()
        self._readers: list[RedisReader] = []

    async def publish(self, topic: Topic, message: Message, *, hops: tuple[int, ...] = ()) -> None:
        """See `Publisher.publish`."""
        await self._publisher.publish_many(((topic, message, hops),))

    async def publish_many(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> None:
        """See `Publisher.publish_many`."""
        await self._publisher.publish_many(items)

    def reader(
        self, group: str, consumer: str, topics: Sequence[Topic], *, batch: int = 256, from_start: bool = True
    ) -> RedisReader:
        """See `Bus.reader`."""
        reader = RedisReader(
            self._link(),
            group,
            consumer,
            topics,
            batch=batch,
            from_start=from_start,
            settings=self._reading,
            watch=self._watch,
            publisher_behind=lambda: bool(self._publisher.unconfirmed),
            wall_ns=self._wall_ns,
        )
        self._readers.append(reader)
        return reader

    async def tail(self, topic: Topic, count: int) -> list[Delivery]:
        """See `History.tail`.

        Raises:
            BusAwayError: Redis is away.
        """
        connection = await self._asking.once()
        (entries,) = await connection.ask(("XREVRANGE", topic.key, "+", "-", "COUNT", count))
        return _history(topic, entries[::-1])

    async def since(self, topic: Topic, entry_id: str, until: str = "+") -> list[Delivery]:
        """See `History.since`.

        Raises:
            BusAwayError: Redis is away.
        """
        connection = await self._asking.once()
        found: list[Any] = []
        start = entry_id
        while True:
            (entries,) = await connection.ask(("XRANGE", topic.key, start, until, "COUNT", HISTORY_PAGE))
            found += entries
            if len(entries) < HISTORY_PAGE:
                return _history(topic, found)
            start = f"({entries[-1][0].decode()}"

    async def acked_position(self, group: str, topic: Topic) -> str:
        """See `Bus.acked_position`.

        Raises:
            BusAwayError: Redis is away.
        """
        connection = await self._asking.once()
        try:
            states = await group_states(connection, topic.key)
        except BusRefusedError:  # no such key
            return "0-0"
        return states[group].acked if group in states else "0-0"

    async def lags(self, topics: Sequence[Topic] | None = None) -> list[GroupLag]:
        """See `Bus.lags`.

        Raises:
            BusAwayError: Redis is away.
        """
        connection = await self._asking.once()
        rows: list[GroupLag] = []
        keys = await _stream_keys(connection) if topics is None else [topic.key for topic in topics]
        for key in dict.fromkeys(keys):
            (length,) = await connection.ask(("XLEN", key))
            try:
                states = await group_states(connection, key)
            except BusRefusedError:  # no such key
                states = {}
            if not states:
                rows.append(GroupLag(key, "", length, 0, 0))
            for name, state in states.items():
                lag = await count_after(connection, key, state.delivered)
                rows.append(GroupLag(key, name, length, lag, state.pending))
        return rows

    async def connected(self) -> bool:
        """See `Bus.connected`."""
        try:
            await (await self._asking.once()).ask(("PING",))
            return await self._publisher.connected()
        except (BusAwayError, BusRefusedError):
            return False

    async def close(self) -> None:
        """See `Bus.close`."""
        if self._publisher.unconfirmed:
            await self._publisher.flush(CLOSE_TIMEOUT_S)
        with contextlib.suppress(BusAwayError, BusRefusedError):
            for reader in self._readers:
                if not self._publisher.unconfirmed:
                    await reader.flush(await self._asking.once())
        for reader in self._readers:
            reader.close()
        await self._publisher.close()
        self._asking.close()

    def _link(self) -> Link:
        return Link(self._address, self._publishing.answer_timeout_s)


async def _stream_keys(connection: Connection) -> list[str]:
    keys: list[str] = []
    cursor = b"0"
    while True:
        ((cursor, found),) = await connection.ask(("SCAN", cursor, "COUNT", SCAN_PAGE, "TYPE", "stream"))
        keys += [key.decode() for key in found]
        if cursor == b"0":
            return sorted(key for key in keys if not key.startswith(DEAD_PREFIX))


def _history(topic: Topic, entries: Sequence[Any]) -> list[Delivery]:
    duplicates, found = Duplicates(), []
    for entry_id, fields in entries:
        if fields[0] != ENTRY_FIELD:
            continue  # the group's reader buries and counts it
        try:
            delivery = opened(topic, entry_id.decode(), fields[1])
        except msgspec.MsgspecError:
            continue
        if duplicates.is_new(delivery):
            found.append(delivery)
    return found
