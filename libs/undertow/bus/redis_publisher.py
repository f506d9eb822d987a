"""Publishing to Redis: pipelined XADDs, nothing forgotten while Redis is away, nothing lost when it crashes within the window.

On a cluster each key has a publisher of its own; those of one node share its connection, so what they send together leaves together.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
import msgspec

from undertow.bus.budget import OutageBudget
from undertow.bus.codec import Stamper
from undertow.bus.entries import ENTRY_FIELD
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.outbox import Letter, Outbox
from undertow.bus.ports import Topic
from undertow.bus.resp import Command, Connection, Link, Replies, is_astray
from undertow.bus.settings import PublisherSettings
from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.base import Message
from undertow.domain.time import NS_PER_MS
from undertow.runtime.retry import backoff

LOOK_BACK: Final = 64
CATCH_UP_BATCH: Final = 512


class RedisPublisher:
    """One lane of `Lanes`.

    Confirmed means that Redis has answered. While connected, what is posted is confirmed by its answer; while Redis is away it waits here
    until the task that connects sends it. A node that says that the key is elsewhere is as good as away.

    Args:
        link: the way to its keys.
        producer: service name and boot id.
        settings: limits.
        budget: what its streams keep for readers that are away; shared with the other lanes.
        wall_ns: stamps the hops.
    """

    def __init__(
        self,
        link: Link,
        producer: str,
        settings: PublisherSettings,
        budget: OutageBudget,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._link = link
        self._producer = producer
        self._wall_ns = wall_ns
        self._stamper = Stamper(producer, wall_ns)
        self._budget = budget
        self._outbox = Outbox(settings.unconfirmed_limit, int(settings.republish_window_s * 1e9))
        self._header = msgspec.msgpack.Decoder(Envelope[msgspec.Raw])
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._refused: BusRefusedError | None = None
        self._lost_ns: int | None = None
        self._refused_letters: set[Letter] = set()  # by a node that has not got their key
        self._astray = False
        self._left: Connection | None = None  # it led astray, and may still answer what was asked before that

    @property
    def unconfirmed(self) -> int:
        """How many messages Redis has not confirmed."""
        return self._outbox.unconfirmed

    def post(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> asyncio.Future[Replies] | None:
        """Number and send without waiting; None while Redis is away, when the task that connects will send them.

        Raises:
            BusOverflowError: Redis has been away for too long.
        """
        self._outbox.require_room(len(items))
        letters = []
        for topic, message, hops in items:
            key = topic.key
            number, raw = self._stamper.seal(key, message, hops)
            bound = self._budget.bound(key, number, len(raw), topic.stream.maxlen, self._wall_ns() // NS_PER_MS)
            letters.append(Letter(key, number, raw, bound))
        self._outbox.add(letters)
        return None if self._connection is None else self._send(self._connection, letters)

    async def confirmed(self, posted: asyncio.Future[Replies] | None) -> None:
        """Wait until Redis has answered what was posted, or is away.

        Raises:
            BusRefusedError: Redis does not accept the message.
        """
        if posted is not None:
            with contextlib.suppress(BusAwayError):
                _raise_refusal(await posted)

    async def connected(self) -> bool:
        """Say whether messages reach Redis now; connect when there was no connection yet, so that the first message need not.

        Raises:
            BusRefusedError: Redis does not accept the login.
        """
        return await self._connected() is not None

    async def flush(self, timeout_s: float) -> bool:
        """Wait until Redis has confirmed everything; False when it has not within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for wait_s in backoff(0.005, 0.05):
                    await self._connected()
                    if not self._outbox.unconfirmed:
                        return True
                    await asyncio.sleep(wait_s)
        return not self._outbox.unconfirmed

    async def close(self) -> None:
        """Send nothing any more; what is unconfirmed is lost. The connection is its owner's."""
        if self._connection is not None:
            self._connection.on_lost.remove(self._lost)
            self._connection = None
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})

    def _send(self, connection: Connection, letters: Sequence[Letter]) -> asyncio.Future[Replies]:
        def settle(replies: Replies) -> None:
            refused = [letter for letter, reply in zip(letters, replies, strict=True) if is_astray(reply)]
            if refused:
                self._astray = True
                self._refused_letters.update(refused)
            if not self._astray:
                self._outbox.confirm(len(replies), self._wall_ns())
                self._refused_letters.difference_update(letters)
            elif self._connection is connection:
                connection.on_lost.remove(self._lost)
                self._left = connection
                self._link.distrust()
                self._lost()

        return connection.request([_xadd(letter) for letter in letters], settle=settle)

    async def _connected(self) -> Connection | None:
        if self._connection is not None:
            return self._connection
        if self._connecting is None or self._connecting.done():
            attempted = self._reconnect()
            await attempted.wait()
        if self._refused is not None:
            refused, self._refused = self._refused, None
            raise refused
        return self._connection

    def _lost(self) -> None:
        assert self._connection is not None  # noqa: S101 - who calls this has just had it
        self._lost_ns = self._wall_ns() - round(self._connection.unanswered_s * 1e9)
        self._connection = None
        self._reconnect()

    def _reconnect(self) -> asyncio.Event:
        attempted = asyncio.Event()
        self._connecting = asyncio.create_task(self._connect(attempted), name="bus publisher connects")
        return attempted

    async def _connect(self, attempted: asyncio.Event) -> None:
        try:
            for wait_s in backoff(0.02, 1.0):
                try:
                    connection = await self._link.once()
                    await self._catch_up(connection)
                except (BusAwayError, BusRefusedError) as error:
                    if isinstance(error, BusRefusedError):
                        if not is_astray(error):
                            raise
                        self._link.distrust()
                    attempted.set()
                    await asyncio.sleep(wait_s)
                else:
                    return
        except BusRefusedError as error:
            self._refused = error
        finally:
            attempted.set()

    async def _catch_up(self, connection: Connection) -> None:
        if self._left is not None:
            with contextlib.suppress(BusAwayError):
                await self._left.ask(("PING",))  # answered after all that was asked of it before
            self._left = None
        keys = self._outbox.keys()
        if keys:
            replies = await connection.ask(*(("XREVRANGE", key, "+", "-", "COUNT", LOOK_BACK) for key in keys))
            survived = {key: self._last_number(entries) for key, entries in zip(keys, replies, strict=True)}
            self._outbox.missing(survived, self._lost_ns or self._wall_ns(), self._refused_letters)
        self._astray = False
        while self._outbox.unconfirmed:
            _raise_refusal(await self._send(connection, self._outbox.waiting(CATCH_UP_BATCH)))
            if self._astray:
                self._link.distrust()
                raise BusAwayError("the key moved while catching up")
        if not connection.alive:
            raise BusAwayError("lost again while catching up")
        connection.on_lost.append(self._lost)
        self._connection, self._lost_ns = connection, None

    def _last_number(self, entries: Sequence[Any]) -> int:
        for _, fields in entries:  # newest first
            with contextlib.suppress(msgspec.MsgspecError):
                envelope = self._header.decode(fields[1])
                if envelope.producer == self._producer:
                    return envelope.sequence
        return 0


def _xadd(letter: Letter) -> Command:
    bound = letter.bound
    removal: tuple[str | int, ...] = ()
    if bound.before_ms is not None:
        removal = ("MINID", "~", bound.before_ms)
    elif bound.length is not None:
        removal = ("MAXLEN", "~", bound.length)
    return ("XADD", letter.key, *removal, "*", ENTRY_FIELD, letter.raw)


def _raise_refusal(replies: Replies) -> None:
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError) and not is_astray(reply):
            raise BusRefusedError(str(reply))
