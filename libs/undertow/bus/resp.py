"""Redis over a bare asyncio protocol: hiredis packs and parses, replies resolve in the order of their requests.

Many requests may be under way on one connection (pipelining). A connection lives once; who needs a new one asks its `Link`. Several
may share a connection, and each learns of its end.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import hiredis

from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.runtime.retry import backoff

Command = tuple[Any, ...]
"""Arguments: str, bytes or int."""
Replies = list[Any]

DEFAULT_PORT: Final = 6379
CONNECT_TIMEOUT_S: Final = 2.0
WATCHDOG_S: Final = 0.5
NOT_YET: Final = object()
AWAY_WORDS: Final = ("LOADING", "MASTERDOWN", "OOM ", "MISCONF ", "READONLY ", "NOREPLICAS ")
"""How a server begins the refusal of what it will take later: it starts, its memory or its disk is full, or it is no master now."""
ASTRAY_WORDS: Final = ("MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN", *AWAY_WORDS)
"""How a node begins the refusal of a key that it does not serve, or not now; another node may, or the same one later."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis listens; `path` is set for a unix socket, `host` otherwise."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `redis://[USER:PASSWORD@]HOST[:PORT][/DB]` or `unix://[USER:PASSWORD@]/PATH[?db=N]`.

        Raises:
            ValueError: it is neither.
        """
        parts = urlsplit(url)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme == "unix" and parts.path:
            database = int(parts.query.removeprefix("db=") or 0)
            return cls(path=unquote(parts.path), username=username, password=password, database=database)
        if parts.scheme == "redis" and parts.hostname:
            return cls(
                host=parts.hostname,
                port=parts.port or DEFAULT_PORT,
                username=username,
                password=password,
                database=int(parts.path.strip("/") or 0),
            )
        raise ValueError(f"not a Redis address: {parts.scheme}://{parts.hostname or ''}")


@dataclass(slots=True)
class Waiting:
    """Replies that are still to come for one request."""

    expected: int
    replies: Replies
    future: asyncio.Future[Replies]
    settle: Callable[[Replies], None] | None
    asked: float
    deadline: float


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        answer_timeout_s: a request without an answer for this long ends the connection.

    Attributes:
        on_lost: each is called once when it ends.
        unanswered_s: at its end, how long its oldest request had been waiting.
    """

    def __init__(self, answer_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer_timeout_s = answer_timeout_s
        self._parser = hiredis.Reader(notEnoughData=NOT_YET)
        self._waiting: deque[Waiting] = deque()
        self._transport: asyncio.Transport | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self.on_lost: list[Callable[[], None]] = []
        self.unanswered_s = 0.0

    @property
    def alive(self) -> bool:
        """Whether requests can be made."""
        return self._transport is not None

    def request(
        self,
        commands: Sequence[Command],
        *,
        settle: Callable[[Replies], None] | None = None,
        patience_s: float = 0.0,
    ) -> asyncio.Future[Replies]:
        """Send commands in one write.

        Args:
            commands: at least one.
            settle: called with the replies as soon as they are there, also when nobody awaits the future any more.
            patience_s: how long the server was asked to block, on top of the time-out.

        Returns:
            A future of one reply per command; an error reply is a `hiredis.ReplyError` in its place. It fails with `BusAwayError` when
            the connection ends first.
        """
        future: asyncio.Future[Replies] = self._loop.create_future()
        if self._transport is None:
            future.set_exception(BusAwayError("not connected"))
            return future
        now = self._loop.time()
        deadline = now + self._answer_timeout_s + patience_s
        self._waiting.append(Waiting(len(commands), [], future, settle, now, deadline))
        self._transport.write(b"".join(hiredis.pack_command(command) for command in commands))
        return future

    async def ask(self, *commands: Command) -> Replies:
        """Send commands and give their replies.

        Raises:
            BusAwayError: the connection ended first.
            BusRefusedError: a reply is an error.
        """
        return checked(await self.request(commands))

    def close(self) -> None:
        """Disconnect; whoever waits gets `BusAwayError`."""
        if self._transport is not None:
            self._transport.abort()
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio calls this)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of it
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Parse what came (asyncio calls this)."""
        self._parser.feed(data)
        while (reply := self._parser.gets()) is not NOT_YET:
            head = self._waiting[0]
            head.replies.append(reply)
            if len(head.replies) == head.expected:
                self._waiting.popleft()
                if head.settle is not None:
                    head.settle(head.replies)
                if not head.future.done():
                    head.future.set_result(head.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio calls this)."""
        if self._transport is None:
            return
        self._transport = None
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._waiting:
            self.unanswered_s = self._loop.time() - self._waiting[0].asked
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(BusAwayError(f"connection lost: {exc or 'closed'}"))
                future.exception()  # an abandoned request is not worth a warning
        for tell in tuple(self.on_lost):
            tell()

    def _watch(self) -> None:
        if self._waiting and self._waiting[0].deadline < self._loop.time():
            self.close()
        else:
            self._watchdog = self._loop.call_later(WATCHDOG_S, self._watch)


def checked(replies: Replies) -> Replies:
    """Give the replies back.

    Raises:
        BusRefusedError: one is an error.
    """
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise BusRefusedError(str(reply))
    return replies


def is_astray(refusal: object) -> bool:
    """Answer whether a reply or an error says that the key is served elsewhere, or not now."""
    return isinstance(refusal, hiredis.ReplyError | BusRefusedError) and str(refusal).startswith(ASTRAY_WORDS)


async def connect(address: Address, answer_timeout_s: float) -> Connection:
    """Connect, log in, select the database.

    Raises:
        BusAwayError: nobody listens, or Redis is still loading.
        BusRefusedError: it does not let us in.
    """
    loop = asyncio.get_running_loop()

    def protocol() -> Connection:
        return Connection(answer_timeout_s)

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if address.path:
                _, connection = await loop.create_unix_connection(protocol, address.path)
            else:
                _, connection = await loop.create_connection(protocol, address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise BusAwayError(f"cannot connect: {error}") from error
    greeting: list[Command] = []
    if address.password:
        login = (address.username, address.password) if address.username else (address.password,)
        greeting.append(("AUTH", *login))
    if address.database:
        greeting.append(("SELECT", address.database))
    greeting.append(("PING",))
    try:
        await connection.ask(*greeting)
    except BusRefusedError as error:
        connection.close()
        if is_astray(error):
            raise BusAwayError(str(error)) from error
        raise
    return connection


class Link(ABC):
    """Gives a live connection to where something is kept, making a new one when the last has ended."""

    @abstractmethod
    async def once(self) -> Connection:
        """Give a live connection, trying once.

        Raises:
            BusAwayError: it cannot be had now.
            BusRefusedError: it never will be had.
        """

    async def patiently(self) -> Connection:
        """Give a live connection, trying until there is one.

        Raises:
            BusRefusedError: it never will be had.
        """
        for wait_s in backoff(0.02, 1.0):
            try:
                return await self.once()
            except BusAwayError:
                await asyncio.sleep(wait_s)
        raise AssertionError  # waits never end

    def distrust(self) -> None:  # noqa: B027 - a link to one address has nothing to look up
        """Look up anew where to connect: the last connection led astray."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""


class DirectLink(Link):
    """A link to one address."""

    def __init__(self, address: Address, answer_timeout_s: float) -> None:
        self._address = address
        self._answer_timeout_s = answer_timeout_s
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def once(self) -> Connection:
        """See `Link.once`."""
        async with self._lock:
            if self._connection is None or not self._connection.alive:
                self._connection = await connect(self._address, self._answer_timeout_s)
            return self._connection

    def close(self) -> None:
        """See `Link.close`."""
        if self._connection is not None:
            self._connection.close()
