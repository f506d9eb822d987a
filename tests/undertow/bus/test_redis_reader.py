from __future__ import annotations

import asyncio

from tests.support import eventually
from undertow.bus.codec import Stamper
from undertow.bus.errors import BusAwayError
from undertow.bus.graveyard import Graveyard
from undertow.bus.ports import Topic
from undertow.bus.redis_reader import RedisReader
from undertow.bus.settings import ReaderSettings, Unwatched
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.streams import CONTROL

TOPIC = Topic(CONTROL, source="admin")
HALT = Command(ts_event=1, ts_recv=1, command_id="c1", verb=Verb.HALT, who="anna", why="drill")


class Pending:
    """A connection, its link, the routes: one command and one bad entry are pending; burying fails once, by the loss of the connection."""

    def __init__(self) -> None:
        _, raw = Stamper("admin/1", lambda: 1).seal(TOPIC.key, HALT, ())
        self.entries = [[b"1-0", [b"m", raw]], [b"2-0", [b"m", b"\xc1"]]]
        self.buried = 0
        self.is_lost = False

    def link(self, key):
        return self

    async def once(self):
        return self

    async def patiently(self):
        self.is_lost = False
        return self

    def close(self):
        """Nothing is open."""

    async def request(self, commands, *, patience_s=0.0):
        if commands[-1][0] == "XREADGROUP":
            await asyncio.Event().wait()
        return [b"OK"] * len(commands)

    async def ask(self, *commands):
        if self.is_lost:
            raise BusAwayError("not connected")
        match commands[0]:
            case ("XINFO", *_):
                return [[[b"name", b"g", b"last-delivered-id", b"0-0", b"pending", 0]]]
            case ("XREADGROUP", *_, "0-0"):
                return [[[TOPIC.key.encode(), self.entries]]]
            case ("XADD", *_):
                self.buried += 1
                if self.buried == 1:
                    self.is_lost = True
                    raise BusAwayError("connection lost")
        return [[b"0-0", []] if command[0] == "XAUTOCLAIM" else None for command in commands]


async def test_a_connection_lost_while_an_entry_is_buried_loses_none_of_its_neighbours():
    pending = Pending()
    reader = RedisReader(
        pending,
        "g",
        "0",
        [TOPIC],
        batch=10,
        from_start=True,
        settings=ReaderSettings(),
        watch=Unwatched(),
        graveyard=Graveyard(pending, Unwatched(), limit=100),
        publisher_behind=lambda: False,
        wall_ns=lambda: 2,
    )
    got = []

    async def read():
        async for batch in reader.batches():
            got.extend(delivery.message for delivery in batch)
            reader.ack(batch)

    reading = asyncio.create_task(read())
    try:
        await eventually(lambda: got == [HALT])
        await eventually(lambda: pending.buried == 2)
    finally:
        reading.cancel()
        await asyncio.wait({reading})
