"""What all of Bybit's sockets share: connecting through proxies, authentication, and the application's own ping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from undertow.exchange.budget.connects import ConnectBudget
from undertow.exchange.budget.limits import FORBIDDEN
from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit import parse
from undertow.exchange.errors import AccessError, BadAnswerError, BannedError, VenueBusyError
from undertow.runtime.retry import backoff

PING_EVERY_S: Final = 20.0
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
SILENT_PINGS: Final = 2
STABLE_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
_ALREADY_AUTHENTICATED: Final = 20001
LARGEST_FRAME: Final = 2**24
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Reconnects:
    """When to connect: within the budgets, and after pauses that grow, with jitter, until one connection has held for some seconds.

    Args:
        budget: knows of a ban, during which nobody connects; None for who heeds none.
        connects: what all connections of the process share; None where connections are few.
    """

    def __init__(self, budget: Budget | None, connects: ConnectBudget | None = None) -> None:
        self._pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._budget = budget
        self._connects = connects
        self._up_s: float | None = None

    async def may_connect(self) -> None:
        """Wait until one more connection may be begun; who has waited for the end of a ban waits for a turn once more."""
        while True:
            if self._connects is not None:
                await self._connects.take()
            banned_for_s = 0.0 if self._budget is None else await self._budget.look()
            if not banned_for_s:
                return
            await asyncio.sleep(banned_for_s)

    def connected(self) -> None:
        """The connection is up."""
        self._up_s = asyncio.get_running_loop().time()

    async def pause(self) -> None:
        """Wait before the next connection."""
        if self._up_s is not None and asyncio.get_running_loop().time() - self._up_s >= STABLE_S:
            self._pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._up_s = None
        await asyncio.sleep(next(self._pauses))


class Connection(ClientConnection):
    """A client's end that knows whether it has heard anything since it was last asked."""

    heard = True

    def data_received(self, data: bytes) -> None:
        """Take bytes from the transport."""
        self.heard = True
        super().data_received(data)


@contextlib.asynccontextmanager
async def open_socket(url: str, proxy: str = "", *, budget: Budget | None = None) -> AsyncIterator[ClientConnection]:
    """Connect and ping every 20 s (§6: WebSocket-level pings are not the heartbeat).

    A connection on which nothing at all is heard over two pings is cut, so that its reader notices. Without `proxy` the environment's
    holds (SOCKS_PROXY, HTTPS_PROXY, for `ws://` HTTP_PROXY, then ALL_PROXY; not for the hosts of NO_PROXY); loopback is connected to
    directly unless a proxy is given. A handshake that the venue answers with 403 is told to `budget` as a ban: that it means for sockets
    what it means for HTTP (§2.5) is our inference.

    Raises:
        BannedError: the venue answers with 403.
        OSError: the venue cannot be reached.
    """
    try:
        connection = await connect(
            url,
            create_connection=Connection,
            compression=None,
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=None,
            max_size=LARGEST_FRAME,
            max_queue=None,
            proxy=proxy or _proxy_of_environment(url),
        )
    except InvalidStatus as refusal:
        if refusal.response.status_code != FORBIDDEN:
            raise
        if budget is not None:
            budget.ban()
        raise BannedError(
            FORBIDDEN, "the venue bans our address: too many requests or sockets, or a blocked region"
        ) from None
    assert isinstance(connection, Connection)  # noqa: S101 - as asked for; tells mypy
    pinging = asyncio.create_task(_ping(connection), name="ping")
    try:
        yield connection
    finally:
        pinging.cancel()
        await connection.close()


async def authenticate(connection: ClientConnection, request: dict[str, object]) -> None:
    """Send `auth` and wait for its answer, in either of the venue's spellings.

    Raises:
        AccessError: refused for good.
        VenueBusyError: refused for now.
        TimeoutError: not answered.
    """
    await connection.send(msgspec.json.encode(request).decode())
    answer = await answer_to(connection, "auth")
    code = parse.whole(answer.get("retCode"))
    if answer.get("success") is True or answer.get("retCode") == 0 or code == _ALREADY_AUTHENTICATED:
        return
    words = f"authentication refused: {answer.get('retMsg') or answer.get('ret_msg') or answer}"
    if code and parse.is_retryable(parse.error_for(code, words, 0)):
        raise VenueBusyError(code, words)
    raise AccessError(code or 10003, words)


async def answer_to(connection: ClientConnection, op: str, before: list[str | bytes] | None = None) -> dict[str, Any]:
    """Give the next frame with this `op`; those that come earlier are added to `before`.

    Raises:
        TimeoutError: none came in time.
        BadAnswerError: a frame is not JSON.
    """
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        while True:
            raw = await connection.recv()
            frame = json_object(raw)
            if frame.get("op") == op:
                return frame
            if before is not None:
                before.append(raw)


def json_object(raw: str | bytes) -> dict[str, Any]:
    """Read a frame.

    Raises:
        BadAnswerError: it is not a JSON object.
    """
    try:
        frame = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError(0, f"{error}: {raw[:100]!r}") from None
    if not isinstance(frame, dict):
        raise BadAnswerError(0, f"not an object: {raw[:100]!r}")
    return frame


def _proxy_of_environment(url: str) -> str | Literal[True] | None:
    address, proxies = urlsplit(url), getproxies()
    if address.hostname in _LOOPBACK:
        return None
    known = {"wss", "socks", "https"} if address.scheme == "wss" else {"ws", "socks", "https", "http"}
    if known & proxies.keys() or proxy_bypass(address.netloc):
        return True  # websockets looks for these by itself, but not for ALL_PROXY
    return proxies.get("all")


async def _ping(connection: Connection) -> None:
    number = unheard = 0
    with contextlib.suppress(ConnectionClosed):  # its reader says so
        while True:
            await asyncio.sleep(PING_EVERY_S)
            unheard = 0 if connection.heard else unheard + 1
            connection.heard = False
            if unheard >= SILENT_PINGS:
                connection.transport.abort()
                return
            number += 1
            await connection.send(f'{{"req_id":"ping-{number}","op":"ping"}}')
