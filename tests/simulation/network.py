"""The network in memory: HTTP and WebSocket as our own clients use them, each message up to some milliseconds under way.

What is sent arrives, whatever becomes of its sender; what one connection carries keeps its order. Here end the real clients (`BybitHttp`,
`BybitTradeSocket`, `BybitPrivateFeed`, `HttpGuardian`) and begin the real doors of the venue and the guardian.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, Protocol

import httpx
import msgspec
from websockets.exceptions import ConnectionClosedError
from websockets.protocol import State

from tests.simulation.lives import LIFE

SHORTEST_S: Final = 0.000_2
LONGEST_S: Final = 0.003
CONNECT_TIMEOUT_S: Final = 5.0
CREATE: Final = "/v5/order/create"
WRITING: Final = "http11.send_request_headers.started"


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """What is begun here belongs to no process."""
    token = LIFE.set(None)
    try:
        yield
    finally:
        LIFE.reset(token)


@dataclass
class Sent:
    """A request as it arrives; what the venue's front asks of aiohttp's."""

    method: str
    raw_path: str
    headers: Mapping[str, str]
    body: bytes
    transport: Transport
    remote: str = "127.0.0.1"

    @property
    def path(self) -> str:
        return self.raw_path.partition("?")[0]

    async def read(self) -> bytes:
        return self.body


@dataclass
class Transport:
    """A connection that can be cut."""

    cut: Callable[[], None]

    def abort(self) -> None:
        self.cut()


@dataclass
class Answer:
    """What of `httpx.Response` our clients look at."""

    status_code: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def is_success(self) -> bool:
        return self.status_code == httpx.codes.OK

    @property
    def reason_phrase(self) -> str:
        return httpx.codes.get_reason_phrase(self.status_code)


class Server(Protocol):
    """Who answers HTTP."""

    async def answer(self, request: Sent) -> Answer:
        """Answer, sooner or later.

        Raises:
            ConnectionError: nobody listens.
        """
        ...


class Session(Protocol):
    """The venue's end of a socket."""

    send: Callable[[bytes], None]
    close: Callable[..., None]
    cut: Callable[[], None]

    def hear(self, message: Any) -> None: ...
    def malformed(self) -> None: ...
    def left(self) -> None: ...


class Network:
    """All ways.

    Args:
        loop: virtual time.
        chances: gives the chance of a channel.
        at_port: called where a process sends or receives.
        order_leaves: told the body of each order at the moment of its sending.
        order_refused: told its id when the answer is no.
        servers: by host.
        join: opens a session by path; may raise ConnectionError, or never return.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chances: Callable[[str], random.Random],
        at_port: Callable[[str], None],
        order_leaves: Callable[[dict[str, Any]], None],
        order_refused: Callable[[str], None],
        servers: Mapping[str, Server],
        join: Callable[[str, Transport], Awaitable[Session]],
    ) -> None:
        self.loop = loop
        self.chances = chances
        self.at_port = at_port
        self.order_leaves = order_leaves
        self.order_refused = order_refused
        self.servers = servers
        self.join = join
        self._under_way: set[asyncio.Task[None]] = set()

    def client(self, base_url: str = "", timeout: float = 5.0, **_: Any) -> HttpClient:
        """Make what stands for `httpx.AsyncClient`."""
        host = base_url.partition("//")[2]
        return HttpClient(self, host, timeout, self.chances(f"http {LIFE.get()} {host}"))

    @contextlib.asynccontextmanager
    async def open_socket(self, url: str, _proxy: str = "") -> AsyncIterator[Socket]:
        """Connect; stands for `open_socket` of the real clients."""
        path = url.partition("//")[2].partition("/")[2]
        socket = Socket(self, self.chances(f"socket {LIFE.get()} {path}"))
        await socket.connect("/" + path)
        try:
            yield socket
        finally:
            socket.transport.abort()

    def spawn(self, work: Any) -> None:
        """Let something happen that belongs to no process."""
        with outside():
            task = self.loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def close(self) -> None:
        """Forget what is under way."""
        for task in self._under_way:
            task._log_destroy_pending = False
            task.cancel()


class HttpClient:
    """As much of `httpx.AsyncClient` as our clients use."""

    def __init__(self, network: Network, host: str, timeout_s: float, chance: random.Random) -> None:
        self._network = network
        self._host = host
        self._timeout_s = timeout_s
        self._chance = chance

    def build_request(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        extensions: Mapping[str, Any] | None = None,
    ) -> Any:
        own, trace = (extensions or {}).get("timeout"), (extensions or {}).get("trace")
        return method, url, content, headers, own["read"] if own else self._timeout_s, trace

    async def send(self, request: Any) -> Answer:
        network = self._network
        network.at_port("http.send")
        if request[5] is not None:  # told when the bytes go out, as httpx tells it
            await request[5](WRITING, {"request": SimpleNamespace(method=request[0].encode())})
        order = msgspec.json.decode(request[2]) if request[1] == CREATE else None
        if order is not None:
            network.order_leaves(order)
        loop = network.loop
        answer: asyncio.Future[Answer] = loop.create_future()
        ways = (self._chance.uniform(SHORTEST_S, LONGEST_S), self._chance.uniform(SHORTEST_S, LONGEST_S))
        with outside():
            loop.call_later(ways[0], lambda: network.spawn(self._arrive(request, answer, ways[1])))
        network.at_port("http.send+")
        try:
            async with asyncio.timeout(request[4]):
                got = await answer
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        if order is not None and got.is_success and msgspec.json.decode(got.content)["retCode"]:
            network.order_refused(order["orderLinkId"])
        network.at_port("http.answer")
        return got

    async def post(self, path: str, content: bytes) -> Answer:
        return await self.send(("POST", path, content, {}, self._timeout_s, None))

    async def aclose(self) -> None:
        return

    async def _arrive(self, request: Any, answer: asyncio.Future[Answer], back_s: float) -> None:
        method, url, content, headers, *_ = request
        loop = self._network.loop

        def cut() -> None:
            loop.call_later(back_s, _fail, answer, httpx.RemoteProtocolError("the connection was cut"))

        server = self._network.servers[self._host]
        try:
            got = await server.answer(Sent(method, url, headers, content, Transport(cut)))
        except ConnectionError as error:
            loop.call_later(back_s, _fail, answer, httpx.ConnectError(str(error)))
        else:
            loop.call_later(back_s, _give, answer, got)


class Socket:
    """A client's end; as much of `ClientConnection` as our clients use."""

    def __init__(self, network: Network, chance: random.Random) -> None:
        self._network = network
        self._loop = network.loop
        self._chance = chance
        self._session: Session | None = None
        self._heard: deque[bytes] = deque()
        self._orders: dict[str, str] = {}  # by the id of their request
        self._waiter: asyncio.Future[None] | None = None
        self._out_s = self._in_s = 0.0
        self.state = State.CONNECTING
        self.transport = Transport(self._abort)
        life = LIFE.get()
        assert life is not None
        life.farewells.append(self._abort)

    async def connect(self, path: str) -> None:
        self._network.at_port("socket.connect")
        opened: asyncio.Future[None] = self._loop.create_future()
        with outside():
            self._loop.call_later(self._way_s(), lambda: self._network.spawn(self._open(path, opened)))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await opened
        except BaseException:  # whatever ended the waiting, nobody holds the other end
            self._abort()
            raise
        self.state = State.OPEN

    async def send(self, data: Any, text: bool | None = None) -> None:
        self._network.at_port("socket.send")
        if self.state is not State.OPEN:
            raise ConnectionClosedError(None, None)
        raw = data.encode() if isinstance(data, str) else bytes(data)
        message = msgspec.json.decode(raw)
        if message["op"] == "order.create":
            self._network.order_leaves(message["args"][0])
            self._orders[message["reqId"]] = message["args"][0]["orderLinkId"]
        self._to_venue(lambda session: session.hear(message))
        self._network.at_port("socket.send+")

    async def recv(self) -> bytes:
        while not self._heard:
            if self.state is State.CLOSED:
                raise ConnectionClosedError(None, None)
            self._waiter = self._loop.create_future()
            await self._waiter
        self._network.at_port("socket.receive")
        return self._heard.popleft()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.recv()

    async def _open(self, path: str, opened: asyncio.Future[None]) -> None:
        try:
            session = await self._network.join(path, Transport(lambda: _fail(opened, ConnectionResetError("cut"))))
        except ConnectionError as error:
            self._loop.call_later(self._way_s(), _fail, opened, error)
            return
        if self.state is State.CLOSED:
            session.left()
            return
        self._session = session
        session.send = self._to_client
        session.close = self._close_after_all
        session.cut = self._lost
        self._loop.call_later(self._way_s(), _give, opened, None)

    def _to_client(self, raw: bytes) -> None:
        self._in_s = max(self._loop.time() + self._way_s(), self._in_s)
        with outside():
            self._loop.call_at(self._in_s, self._hear, raw)

    def _to_venue(self, what: Callable[[Session], None]) -> None:
        self._out_s = max(self._loop.time() + self._way_s(), self._out_s)
        with outside():
            self._loop.call_at(self._out_s, self._say, what)

    def _say(self, what: Callable[[Session], None]) -> None:
        if self._session is not None:
            what(self._session)

    def _hear(self, raw: bytes) -> None:
        if self.state is not State.CLOSED:
            if self._orders:
                frame = msgspec.json.decode(raw)
                order_id = self._orders.pop(frame.get("reqId", ""), "")
                if order_id and frame["retCode"]:
                    self._network.order_refused(order_id)
            self._heard.append(raw)
            self._wake()

    def _close_after_all(self, *_: Any) -> None:
        self._leave()
        self._in_s = max(self._loop.time() + self._way_s(), self._in_s)
        with outside():
            self._loop.call_at(self._in_s, self._ended)

    def _lost(self) -> None:
        self._leave()
        self._ended()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.left()

    def _ended(self) -> None:
        self.state = State.CLOSED
        self._wake()

    def _abort(self) -> None:
        if self.state is not State.CLOSED and not self._loop.is_closed():
            self._to_venue(lambda session: self._leave())
            self._ended()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _way_s(self) -> float:
        return self._chance.uniform(SHORTEST_S, LONGEST_S)


def _object(raw: bytes) -> Any:
    return msgspec.json.decode(raw)


def _give(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
