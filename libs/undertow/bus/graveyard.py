"""Burying what cannot be decoded: on Redis, with a limit for each reader."""

from __future__ import annotations

from collections.abc import Sequence

from undertow.bus.deadletters import DEAD_LETTER_MAXLEN, dead_key
from undertow.bus.errors import PoisonLimitError
from undertow.bus.ports import Topic, Watch
from undertow.bus.resp import Command, Connection, Replies
from undertow.bus.routes import Routes, asked


class Graveyard:
    """Where one reader buries.

    Args:
        routes: the ways to the dead-letter streams.
        watch: told of each.
        limit: undecodable entries after which the reader stops.
    """

    def __init__(self, routes: Routes, watch: Watch, limit: int) -> None:
        self._routes = routes
        self._watch = watch
        self._limit = limit
        self._buried = 0

    async def bury(self, topic: Topic, entry_id: str, fields: Sequence[bytes], reason: str) -> None:
        """Write an entry to the dead letters of its stream.

        Raises:
            BusAwayError: Redis is away.
        """
        key = dead_key(topic.stream.name)
        letter = ("raw", fields[1], "reason", reason, "key", topic.key, "id", entry_id)
        append: Command = ("XADD", key, "MAXLEN", "~", DEAD_LETTER_MAXLEN, "*", *letter)

        async def write(connection: Connection) -> Replies:
            return await connection.ask(append)

        await asked(self._routes.link(key), write)

    def count(self, topic: Topic, reason: str) -> None:
        """Count one that is buried and acknowledged.

        Raises:
            PoisonLimitError: it is one too many.
        """
        self._watch.dead_letter(topic.stream.name)
        self._buried += 1
        if self._buried > self._limit:
            raise PoisonLimitError(f"{self._buried} entries could not be decoded, the last on {topic.key}: {reason}")
