"""The public stream: raw frames with the wall time of their receipt, in batches of what arrived in one turn of the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from undertow.exchange.bybit.frames import BadFrameError, Control, decode_frame
from undertow.exchange.bybit.socket import open_socket
from undertow.runtime.clock import wall_ns
from undertow.runtime.retry import backoff

_TOPICS_A_REQUEST: Final = 50
_TOPIC_FIRST: Final = b'{"topic"'


class SubscriptionRefusedError(Exception):
    """The venue does not offer a topic that we cannot do without."""


@dataclass(frozen=True, slots=True)
class Connected:
    """All topics are subscribed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; it will be made again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Frames:
    """Market frames: raw bytes and wall ns of receipt."""

    frames: Sequence[tuple[bytes, int]]


PublicEvent = Connected | Disconnected | Frames


class BybitPublicStream:
    """One connection with its topics; reconnects and subscribes again for ever.

    Args:
        url: of the public socket.
        requests: topics by request; one bad topic fails its whole request, so keep apart what may be refused.
        stale_s: after this long without a market frame the connection is given up; counted from the first frame.
    """

    def __init__(self, url: str, requests: Sequence[Sequence[str]], *, stale_s: float = 30.0) -> None:
        self._url = url
        self._requests = requests
        self._stale_s = stale_s
        self._connection: ClientConnection | None = None
        self._frames: list[tuple[bytes, int]] = []
        self._arrived = asyncio.Event()
        self._awaited: dict[str, Sequence[str]] = {}
        self._is_subscribed = False

    async def events(self) -> AsyncIterator[PublicEvent]:
        """Yield events for ever.

        Raises:
            SubscriptionRefusedError: names the topics and the venue's words.
        """
        pauses = backoff(0.1, 5.0)
        while True:
            try:
                async with open_socket(self._url) as connection:
                    self._connection = connection
                    async for event in self._live(connection):
                        if isinstance(event, Connected):
                            pauses = backoff(0.1, 5.0)
                        yield event
                reason = "the venue closed the connection"
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = f"{type(error).__name__}: {error}"
            finally:
                self._connection = None
            yield Disconnected(reason)
            await asyncio.sleep(next(pauses))

    async def resubscribe(self, topic: str) -> None:
        """Ask for a fresh snapshot of one topic; a lost connection gives one anyway."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(WebSocketException):
                await connection.send(_request("unsubscribe", f"drop {topic}", [topic]))
                await connection.send(_request("subscribe", f"again {topic}", [topic]))

    async def _live(self, connection: ClientConnection) -> AsyncIterator[PublicEvent]:
        self._frames, self._is_subscribed = [], False
        self._awaited = {f"topics {number}": topics for number, topics in enumerate(self._requests)}
        for name, topics in self._awaited.items():
            for begin in range(0, len(topics), _TOPICS_A_REQUEST):
                await connection.send(_request("subscribe", name, topics[begin : begin + _TOPICS_A_REQUEST]))
        reading = asyncio.create_task(self._read(connection), name="public frames")
        has_data = False
        try:
            while True:
                try:
                    async with asyncio.timeout(self._stale_s if has_data else None):
                        await self._arrived.wait()
                except TimeoutError:
                    raise TimeoutError(f"no market frame for {self._stale_s:g} s") from None
                self._arrived.clear()
                frames, self._frames = self._frames, []
                if not self._awaited and not self._is_subscribed:
                    self._is_subscribed = True
                    yield Connected()
                if frames:
                    has_data = True
                    yield Frames(frames)
                if reading.done():
                    reading.result()
                    return
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, WebSocketException, SubscriptionRefusedError):
                await reading

    async def _read(self, connection: ClientConnection) -> None:
        try:
            while True:
                raw = await connection.recv(decode=False)
                if raw.startswith(_TOPIC_FIRST) or not self._control(raw):
                    self._frames.append((raw, wall_ns()))
                self._arrived.set()
        finally:
            self._arrived.set()

    def _control(self, raw: bytes) -> bool:
        try:
            frame = decode_frame(raw)
        except BadFrameError:
            return False  # whoever gets the frame says what is wrong with it
        if not isinstance(frame, Control):
            return False
        if frame.op == "subscribe":
            topics = self._awaited.get(frame.req_id)
            if not frame.success:
                raise SubscriptionRefusedError(f"{', '.join(topics or [frame.req_id])}: {frame.ret_msg}")
            self._awaited.pop(frame.req_id, None)
        return True


def _request(op: str, name: str, topics: Sequence[str]) -> str:
    return msgspec.json.encode({"req_id": name, "op": op, "args": topics}).decode()
