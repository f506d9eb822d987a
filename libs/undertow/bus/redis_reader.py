"""Reading from Redis as one consumer of a group: batched over all keys, acknowledgements sent with the next read.

After every connect the order is: groups (made where missing), what was acknowledged but perhaps not heard, own pending entries, what dead
consumers left, then what is new. A group that Redis lost is made again at the position up to which this reader has acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Final

import hiredis
import msgspec

from undertow.bus.codec import Duplicates, opened
from undertow.bus.entries import ENTRY_FIELD, before, group_states
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.graveyard import Graveyard
from undertow.bus.ports import Delivery, Topic, Watch, entry_order
from undertow.bus.resp import Command, Connection, Link, checked, is_astray
from undertow.bus.settings import ReaderSettings
from undertow.runtime.retry import backoff

RETRY_WORDS: Final = ("NOGROUP", "UNBLOCKED", "ERR The stream has been deleted")


class Shelf:
    """What this reader knows of one key."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.key = topic.key
        self.duplicates = Duplicates()
        self.held: dict[str, None] = {}  # delivered, not yet acknowledged by the application
        self.copies: dict[
            tuple[str, int], list[str]
        ] = {}  # of each fact that is held, the ids of all entries that carry it
        self.acks: list[str] = []  # acknowledged, not yet told to Redis
        self.last = ""  # last id delivered; "" before the group is known
        self.claim_from = "0-0"

    @property
    def position(self) -> str:
        """Id up to which everything is acknowledged."""
        return before(min(self.held, key=entry_order)) if self.held else self.last


class RedisReader:
    """See `Reader`.

    Args:
        link: a connection of its own, to the one place that has all its keys; it blocks.
        graveyard: for what cannot be decoded.
        publisher_behind: whether the publisher of this process waits for confirmations; acknowledgements stay back meanwhile, so that
            an effect is never lost after its cause was acknowledged.
    """

    def __init__(
        self,
        link: Link,
        group: str,
        consumer: str,
        topics: Sequence[Topic],
        *,
        batch: int,
        from_start: bool,
        settings: ReaderSettings,
        watch: Watch,
        graveyard: Graveyard,
        publisher_behind: Callable[[], bool],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._link = link
        self._group = group
        self._consumer = consumer
        self._batch = batch
        self._from_start = from_start
        self._settings = settings
        self._watch = watch
        self._graveyard = graveyard
        self._publisher_behind = publisher_behind
        self._wall_ns = wall_ns
        self._shelves = {topic.key.encode(): Shelf(topic) for topic in topics}
        self.keys = tuple(shelf.key for shelf in self._shelves.values())
        self._claim_at_s = 0.0
        self._closed = False

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `Reader.ack`."""
        for delivery in deliveries:
            shelf = self._shelves[delivery.topic.key.encode()]
            shelf.held.pop(delivery.entry_id, None)
            shelf.acks += shelf.copies.pop((delivery.producer, delivery.sequence), (delivery.entry_id,))

    async def batches(self) -> AsyncGenerator[list[Delivery], None]:
        """See `Reader.batches`.

        Raises:
            PoisonLimitError: too many entries could not be decoded.
            BusRefusedError: Redis does not accept the login or the command.
        """
        waits = backoff(0.02, 1.0)
        while True:
            connection = await self._link.patiently()
            try:
                await self._open_groups(connection)
                async for batch in self._session(connection):
                    yield batch
                    waits = backoff(0.02, 1.0)
            except BusAwayError:
                if self._closed:
                    return
            except BusRefusedError as error:
                if is_astray(error):
                    self._link.distrust()
                elif not str(error).startswith(RETRY_WORDS):
                    raise
                await asyncio.sleep(next(waits))

    async def flush(self, connection: Connection) -> None:
        """Send what is acknowledged on another connection (this one may be blocked).

        Raises:
            BusAwayError: Redis is away.
        """
        acks = self._take_acks()
        if acks:
            await connection.ask(*(self._xack(shelf, ids) for shelf, ids in acks))

    def close(self) -> None:
        """Disconnect; whoever reads comes to the end."""
        self._closed = True
        self._link.close()

    async def _open_groups(self, connection: Connection) -> None:
        start = "0-0" if self._from_start else "$"
        made = await connection.request(
            [
                ("XGROUP", "CREATE", shelf.key, self._group, shelf.position or start, "MKSTREAM")
                for shelf in self._shelves.values()
            ]
        )
        for reply in made:
            if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("BUSYGROUP"):
                raise BusRefusedError(str(reply))
        unknown = [shelf for shelf in self._shelves.values() if not shelf.last]
        for shelf in unknown:
            shelf.last = (await group_states(connection, shelf.key))[self._group].acked

    async def _session(self, connection: Connection) -> AsyncIterator[list[Delivery]]:
        await self.flush(connection)
        cursor = dict.fromkeys(self.keys, "0-0")
        while cursor:
            replies = await connection.ask(self._xreadgroup(tuple(cursor), tuple(cursor.values())))
            found = [(key, entries) for key, entries in replies[0] or () if entries]
            cursor = {self._shelves[key].key: entries[-1][0].decode() for key, entries in found}
            batch = await self._taken(connection, found, fresh=False)
            if batch:
                yield batch
        new = (">",) * len(self.keys)
        read = self._xreadgroup(self.keys, new, self._settings.block_ms)
        patience_s = self._settings.block_ms / 1000
        while True:
            if time.monotonic() >= self._claim_at_s:
                batch = await self._taken(connection, await self._claimed(connection), fresh=False)
                if batch:
                    yield batch
            acks = [] if self._publisher_behind() else self._take_acks()
            commands: list[Command] = [self._xack(shelf, ids) for shelf, ids in acks]
            commands.append(read)
            try:
                replies = await connection.request(commands, patience_s=patience_s)
            except BusAwayError:
                for shelf, ids in acks:
                    shelf.acks[:0] = ids
                raise
            checked(replies)
            if replies[-1]:
                batch = await self._taken(connection, replies[-1], fresh=True)
                if batch:
                    yield batch

    async def _claimed(self, connection: Connection) -> list[tuple[bytes, list[Any]]]:
        idle_ms = int(self._settings.claim_idle_s * 1000)
        more = False
        found = []
        replies = await connection.ask(
            *(
                ("XAUTOCLAIM", s.key, self._group, self._consumer, idle_ms, s.claim_from, "COUNT", self._batch)
                for s in self._shelves.values()
            )
        )
        for (key, shelf), reply in zip(self._shelves.items(), replies, strict=True):
            shelf.claim_from = reply[0].decode()
            more = more or shelf.claim_from != "0-0"
            entries = [entry for entry in reply[1] if entry is not None]  # 6.2 has nil where an entry was trimmed
            if entries:
                found.append((key, entries))
        self._claim_at_s = time.monotonic() + (0.0 if more else self._settings.claim_every_s)
        return found

    async def _taken(
        self, connection: Connection, found: Sequence[tuple[bytes, list[Any]]], *, fresh: bool
    ) -> list[Delivery]:
        batch: list[Delivery] = []
        now_ns = self._wall_ns()
        for key, entries in found:
            shelf = self._shelves[key]
            for raw_id, fields in entries:
                entry_id = raw_id.decode()
                if entry_id in shelf.held:
                    continue  # the application is at it
                if fresh:
                    shelf.last = entry_id
                if fields is None:  # trimmed while it was pending
                    shelf.acks.append(entry_id)
                    continue
                delivery = await self._opened(connection, shelf, entry_id, fields)
                if delivery is None:
                    continue
                fact = (delivery.producer, delivery.sequence)
                if not shelf.duplicates.is_new(delivery):
                    # what is in the application's hands may be in this entry alone, when Redis has lost the other
                    shelf.copies.get(fact, shelf.acks).append(entry_id)
                    continue
                shelf.held[entry_id] = None
                shelf.copies[fact] = [entry_id]
                batch.append(delivery)
                if fresh:
                    self._watch.delivered(shelf.topic.stream.name, (now_ns - delivery.hops[-1]) / 1e9)
        return batch

    async def _opened(
        self, connection: Connection, shelf: Shelf, entry_id: str, fields: Sequence[bytes]
    ) -> Delivery | None:
        try:
            if fields[0] != ENTRY_FIELD:
                raise msgspec.DecodeError(f"the entry's field is {fields[0]!r}, not {ENTRY_FIELD!r}")
            return opened(shelf.topic, entry_id, fields[1])
        except msgspec.MsgspecError as error:
            with contextlib.suppress(BusAwayError):  # then it stays pending; what came with it must not be lost
                await self._graveyard.bury(shelf.topic, entry_id, fields, str(error))
                await connection.ask(("XACK", shelf.key, self._group, entry_id))
                self._graveyard.count(shelf.topic, str(error))
            return None

    def _take_acks(self) -> list[tuple[Shelf, list[str]]]:
        taken = []
        for shelf in self._shelves.values():
            if shelf.acks:
                taken.append((shelf, shelf.acks))
                shelf.acks = []
        return taken

    def _xack(self, shelf: Shelf, ids: Sequence[str]) -> Command:
        return ("XACK", shelf.key, self._group, *ids)

    def _xreadgroup(self, keys: Sequence[str], ids: Sequence[str], block_ms: int | None = None) -> Command:
        block = () if block_ms is None else ("BLOCK", block_ms)
        return (
            "XREADGROUP",
            "GROUP",
            self._group,
            self._consumer,
            "COUNT",
            self._batch,
            *block,
            "STREAMS",
            *keys,
            *ids,
        )
