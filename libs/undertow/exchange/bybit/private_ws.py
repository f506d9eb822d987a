"""The private stream: orders, executions, positions and wallet as they change (§8 of the protocol).

It says nothing about what happened while it was down; `FeedUp` tells the reader to fetch that by HTTP. An item that cannot be read is
treated as a fault of the connection: `FeedDown` names it, and the `FeedUp` after it has the truth fetched.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

import msgspec
from websockets.exceptions import WebSocketException

from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit import parse
from undertow.exchange.bybit.sign import auth_request
from undertow.exchange.bybit.socket import Reconnects, answer_to, authenticate, json_object, open_socket
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import AccessError, BadAnswerError, VenueError
from undertow.exchange.models import VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.runtime.settings import Credentials

PrivateEvent = VenueOrder | VenueExecution | VenuePosition | Wallet | FeedUp | FeedDown
_SETTLE: Final = "USDT"
_TOPICS: Final = ("order", "execution", "position", "wallet")
_READERS: Final[dict[str, Callable[[Any], PrivateEvent]]] = {
    "order": parse.order,
    "execution": parse.execution,
    "position": parse.position,
    "wallet": lambda item: parse.wallet(item, _SETTLE),
}


class BybitPrivateFeed:
    """Implements `PrivateFeed`: reconnects for ever with growing, jittered pauses.

    Args:
        url: of the private socket.
        key: who listens.
        clock: the venue's clock, for the signature.
        budget: heeded, and told, when the venue bans our address; None knows of no ban.
    """

    def __init__(self, url: str, key: Credentials, clock: VenueClock, *, budget: Budget | None = None) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._budget = budget

    async def events(self) -> AsyncIterator[PrivateEvent]:
        """Yield events for ever.

        Raises:
            AccessError: the key is refused; trying again would not help.
        """
        reconnects = Reconnects(self._budget)
        while True:
            was_up = False
            await reconnects.may_connect()
            try:
                async with aclosing(self._connection()) as events:
                    async for event in events:
                        if isinstance(event, FeedUp):
                            was_up = True
                            reconnects.connected()
                        yield event
                reason = "the venue closed the connection"
            except AccessError:
                raise
            except (OSError, TimeoutError, WebSocketException, VenueError) as error:
                reason = f"{type(error).__name__}: {error}"
            if was_up:
                yield FeedDown(reason)
            await reconnects.pause()

    async def _connection(self) -> AsyncGenerator[PrivateEvent]:
        async with open_socket(self._url, budget=self._budget) as connection:
            await authenticate(connection, auth_request(self._key, self._clock.now_ms(), "req_id"))
            await connection.send(
                msgspec.json.encode({"req_id": "topics", "op": "subscribe", "args": _TOPICS}).decode()
            )
            early: list[str | bytes] = []
            answer = await answer_to(connection, "subscribe", early)
            if answer.get("success") is not True and answer.get("retCode") != 0:
                raise AccessError(0, f"the private topics were refused: {answer.get('ret_msg') or answer}")
            yield FeedUp()
            for raw in early:
                for event in private_events(raw):
                    yield event
            async for raw in connection:
                for event in private_events(raw):
                    yield event


def private_events(raw: str | bytes) -> Iterator[PrivateEvent]:
    """Read one frame; control frames give nothing, items that can be read come before the complaint about one that cannot.

    Raises:
        BadAnswerError: a field is missing or of the wrong type.
    """
    frame = json_object(raw)
    topic = str(frame.get("topic", "")).partition(".")[0]
    reader = _READERS.get(topic)
    if reader is None:
        return
    items = frame.get("data")
    if not isinstance(items, list):
        raise BadAnswerError(0, f"private stream, {topic}: the data is no list")
    trouble: BadAnswerError | None = None
    for item in items:
        try:
            if parse.read(_concerns_us, item, topic):
                yield parse.read(reader, item, f"private stream, {topic}")
        except BadAnswerError as error:
            trouble = trouble or error
    if trouble is not None:
        raise trouble


def _concerns_us(item: Any) -> bool:
    if "coin" in item and isinstance(item["coin"], list):  # a wallet: only the coins that changed
        return any(each["coin"] == _SETTLE for each in item["coin"])
    return bool(item.get("category", "linear") == "linear")
