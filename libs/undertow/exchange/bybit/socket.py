"""What all of Bybit's sockets share: connecting through proxies, authentication, and the application's own ping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from undertow.exchange.errors import AccessError, BadAnswerError

PING_EVERY_S: Final = 20.0
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
LARGEST_FRAME: Final = 2**24


@contextlib.asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[ClientConnection]:
    """Connect and ping every 20 s (§6: WebSocket-level pings are not the heartbeat).

    Raises:
        OSError: the venue cannot be reached.
    """
    loopback = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    connection = await connect(
        url,
        compression=None,
        open_timeout=CONNECT_TIMEOUT_S,
        close_timeout=1.0,
        ping_interval=None,
        max_size=LARGEST_FRAME,
        max_queue=None,
        proxy=None if loopback else True,
    )
    pinging = asyncio.create_task(_ping(connection), name="ping")
    try:
        yield connection
    finally:
        pinging.cancel()
        await connection.close()


async def authenticate(connection: ClientConnection, request: dict[str, object]) -> None:
    """Send `auth` and wait for its answer, in either of the venue's spellings.

    Raises:
        AccessError: refused.
        TimeoutError: not answered.
    """
    await connection.send(msgspec.json.encode(request).decode())
    answer = await answer_to(connection, "auth")
    accepted = answer.get("success") is True or answer.get("retCode") == 0
    if not accepted:
        code = int(answer.get("retCode") or 10003)
        raise AccessError(code, f"authentication refused: {answer.get('retMsg') or answer.get('ret_msg') or answer}")


async def answer_to(connection: ClientConnection, op: str) -> dict[str, Any]:
    """Give the next frame with this `op`; others before it are passed over.

    Raises:
        TimeoutError: none came in time.
        BadAnswerError: a frame is not JSON.
    """
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        while True:
            raw = await connection.recv()
            try:
                frame: dict[str, Any] = msgspec.json.decode(raw)
            except msgspec.DecodeError as error:
                raise BadAnswerError(0, f"{error}: {raw[:100]!r}") from None
            if frame.get("op") == op:
                return frame


async def _ping(connection: ClientConnection) -> None:
    number = 0
    while True:
        await asyncio.sleep(PING_EVERY_S)
        number += 1
        await connection.send(f'{{"req_id":"ping-{number}","op":"ping"}}')
