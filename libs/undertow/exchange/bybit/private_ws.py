"""The private stream: orders, executions, positions and wallet as they change (§8 of the protocol).

It says nothing about what happened while it was down; `FeedUp` tells the reader to fetch that by HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from websockets.exceptions import WebSocketException

from undertow.exchange.bybit import parse
from undertow.exchange.bybit.sign import auth_request
from undertow.exchange.bybit.socket import answer_to, authenticate, open_socket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import AccessError, VenueError
from undertow.exchange.models import VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.runtime.retry import backoff
from undertow.runtime.settings import Credentials

PrivateEvent = VenueOrder | VenueExecution | VenuePosition | Wallet | FeedUp | FeedDown
_TOPICS: Final = ("order", "execution", "position", "wallet")
_READERS: Final[dict[str, Callable[[Any], PrivateEvent]]] = {
    "order": parse.order,
    "execution": parse.execution,
    "position": parse.position,
    "wallet": lambda item: parse.wallet(item, "USDT"),
}


class BybitPrivateFeed:
    """Implements `PrivateFeed`: reconnects for ever with growing, jittered pauses.

    Args:
        url: of the private socket.
        key: who listens.
        clock: the venue's clock, for the signature.
    """

    def __init__(self, url: str, key: Credentials, clock: VenueClock) -> None:
        self._url = url
        self._key = key
        self._clock = clock

    async def events(self) -> AsyncIterator[PrivateEvent]:
        """Yield events for ever.

        Raises:
            AccessError: the key is refused; trying again would not help.
        """
        pauses = backoff(0.1, 5.0)
        while True:
            was_up = False
            try:
                async for event in self._connection():
                    if isinstance(event, FeedUp):
                        was_up = True
                        pauses = backoff(0.1, 5.0)
                    yield event
                reason = "the venue closed the connection"
            except AccessError:
                raise
            except (OSError, TimeoutError, WebSocketException, VenueError) as error:
                reason = f"{type(error).__name__}: {error}"
            if was_up:
                yield FeedDown(reason)
            await asyncio.sleep(next(pauses))

    async def _connection(self) -> AsyncIterator[PrivateEvent]:
        async with open_socket(self._url) as connection:
            await authenticate(connection, auth_request(self._key, self._clock.now_ms(), "req_id"))
            await connection.send(
                msgspec.json.encode({"req_id": "topics", "op": "subscribe", "args": _TOPICS}).decode()
            )
            answer = await answer_to(connection, "subscribe")
            if answer.get("success") is not True:
                raise AccessError(0, f"the private topics were refused: {answer.get('ret_msg')}")
            yield FeedUp()
            async for raw in connection:
                for event in private_events(raw):
                    yield event


def private_events(raw: str | bytes) -> list[PrivateEvent]:
    """Read one frame; control frames give nothing.

    Raises:
        BadAnswerError: a field is missing or of the wrong type.
    """
    frame = parse.read(msgspec.json.decode, raw, "private stream")
    reader = _READERS.get(str(frame.get("topic", "")).partition(".")[0])
    if reader is None:
        return []
    topic = f"private stream, {frame['topic']}"
    return [parse.read(reader, item, topic) for item in frame["data"] if item.get("category", "linear") == "linear"]
