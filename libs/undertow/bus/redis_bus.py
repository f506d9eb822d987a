"""The bus on Redis Streams (6.2 and later): one server or a cluster."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from undertow.bus.codec import Duplicates, opened
from undertow.bus.deadletters import DEAD_PREFIX
from undertow.bus.entries import ENTRY_FIELD, after, count_after, group_states
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.graveyard import Graveyard
from undertow.bus.lanes import Lanes
from undertow.bus.merged import MergedReader
from undertow.bus.ports import Delivery, GroupLag, Reader, Topic, Watch, entry_order
from undertow.bus.redis_reader import RedisReader
from undertow.bus.resp import Connection
from undertow.bus.routes import asked, routes_to
from undertow.bus.settings import PublisherSettings, ReaderSettings, Unwatched
from undertow.contracts.messages.base import Message

T = TypeVar("T")
HISTORY_PAGE: Final = 2000
SCAN_PAGE: Final = 1000
CLOSE_TIMEOUT_S: Final = 1.0


class RedisBus:
    """See `Bus`. To each node one connection publishes and one asks; each reader has its own.

    Args:
        url: see `routes_to`.
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
        self._watch = watch or Unwatched()
        self._reading = reading or ReaderSettings()
        self._publishing = publishing or PublisherSettings()
        self._wall_ns = wall_ns
        self._asking = routes_to(url, self._publishing.answer_timeout_s)
        self._sending = self._asking.apart()
        self._publisher = Lanes(self._sending, producer, self._publishing, wall_ns)
        self._readers: list[RedisReader] = []

    async def publish(self, topic: Topic, message: Message, *, hops: tuple[int, ...] = ()) -> None:
        """See `Publisher.publish`."""
        await self._publisher.publish_many(((topic, message, hops),))

    async def publish_many(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> None:
        """See `Publisher.publish_many`."""
        await self._publisher.publish_many(items)

    def reader(
        self, group: str, consumer: str, topics: Sequence[Topic], *, batch: int = 256, from_start: bool = True
    ) -> Reader:
        """See `Bus.reader`."""
        topic_of = {topic.key: topic for topic in topics}
        graveyard = Graveyard(self._asking, self._watch, self._reading.poison_limit)
        parts = [
            RedisReader(
                self._asking.apart().link(share[0]),
                group,
                consumer,
                [topic_of[key] for key in share],
                batch=batch,
                from_start=from_start,
                settings=self._reading,
                watch=self._watch,
                graveyard=graveyard,
                publisher_behind=lambda: bool(self._publisher.unconfirmed),
                wall_ns=self._wall_ns,
            )
            for share in self._asking.shares(list(topic_of))
        ]
        self._readers += parts
        return parts[0] if len(parts) == 1 else MergedReader(parts)

    async def tail(self, topic: Topic, count: int) -> list[Delivery]:
        """See `History.tail`.

        Raises:
            BusAwayError: Redis is away.
        """

        async def ask(connection: Connection) -> list[Any]:
            (entries,) = await connection.ask(("XREVRANGE", topic.key, "+", "-", "COUNT", count))
            return list(entries)

        return _history(topic, (await self._asked(topic.key, ask))[::-1])

    async def since(self, topic: Topic, entry_id: str, until: str = "+") -> list[Delivery]:
        """See `History.since`.

        Raises:
            BusAwayError: Redis is away.
        """

        async def ask(connection: Connection) -> list[Any]:
            found: list[Any] = []
            start = entry_id
            while True:
                (entries,) = await connection.ask(("XRANGE", topic.key, start, until, "COUNT", HISTORY_PAGE))
                found += entries
                if len(entries) < HISTORY_PAGE:
                    return found
                start = f"({entries[-1][0].decode()}"

        return _history(topic, await self._asked(topic.key, ask))

    async def acked_position(self, group: str, topic: Topic) -> str:
        """See `Bus.acked_position`.

        Raises:
            BusAwayError: Redis is away.
        """
        states = await self._asked(topic.key, lambda connection: group_states(connection, topic.key))
        return states[group].acked if group in states else "0-0"

    async def trim(self, topic: Topic, keeper: str) -> int:
        """See `Trimmer.trim`; removes whole nodes, so up to a node more than the length stays.

        Raises:
            BusAwayError: Redis is away.
        """
        return await self._asked(topic.key, partial(_trim, topic, keeper))

    async def lags(self, topics: Sequence[Topic] | None = None) -> list[GroupLag]:
        """See `Bus.lags`.

        Raises:
            BusAwayError: Redis is away.
        """
        if topics is None:
            found = [await _stream_keys(await node.once()) for node in await self._asking.links(())]
            keys = sorted(key for each in found for key in each)
        else:
            keys = list(dict.fromkeys(topic.key for topic in topics))
        rows = [await self._asked(key, partial(_lags_of, key)) for key in keys]
        return [row for each in rows for row in each]

    async def connected(self) -> bool:
        """See `Bus.connected`."""
        try:
            in_use = (*self._publisher.keys, *(key for reader in self._readers for key in reader.keys))
            for node in await self._asking.links(in_use):
                await (await node.once()).ask(("PING",))
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
                    await reader.flush(await self._asking.link(reader.keys[0]).once())
        for reader in self._readers:
            reader.close()
        await self._publisher.close()
        await self._sending.close()
        await self._asking.close()

    async def _asked(self, key: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
        return await asked(self._asking.link(key), ask)


async def _stream_keys(connection: Connection) -> list[str]:
    keys: list[str] = []
    cursor = b"0"
    while True:
        ((cursor, found),) = await connection.ask(("SCAN", cursor, "COUNT", SCAN_PAGE, "TYPE", "stream"))
        keys += [key.decode() for key in found]
        if cursor == b"0":
            return [key for key in keys if not key.startswith(DEAD_PREFIX)]


async def _lags_of(key: str, connection: Connection) -> list[GroupLag]:
    (length,) = await connection.ask(("XLEN", key))
    states = await group_states(connection, key)
    return [
        GroupLag(key, name, length, await count_after(connection, key, state.delivered), state.pending)
        for name, state in states.items()
    ] or [GroupLag(key, "", length, 0, 0)]


async def _trim(topic: Topic, keeper: str, connection: Connection) -> int:
    (length,) = await connection.ask(("XLEN", topic.key))
    excess = length - topic.stream.maxlen
    if excess <= 0:
        return 0
    states = await group_states(connection, topic.key)
    if keeper not in states:
        return 0
    first_needed = after(min((state.acked for state in states.values()), key=entry_order))
    (removed,) = await connection.ask(("XTRIM", topic.key, "MINID", "~", first_needed, "LIMIT", excess))
    return int(removed)


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
