"""One WebSocket connection: a queue in front of the socket, so that a slow client holds up nobody.

`send` is the one way out and `hear` the one way in; `pass_on` is `send` by way of the faults.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar, Final
from uuid import uuid4

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from services.venue.faults.catalogue import REPLY
from services.venue.keys import ApiKey
from services.venue.mischief import Mischief

_ENCODE: Final = msgspec.json.encode
_DECODE: Final = msgspec.json.decode
_MOST_QUEUED_BYTES: Final = 64 * 2**20
_GOING_AWAY: Final = 1001
_FINAL_TEXT: Final = 0x81
_SHORT: Final = 125
CLOSE_SECONDS: Final = 0.5


def text_frame(raw: bytes) -> bytes:
    """Spell a whole, unmasked text message as it goes over the wire (RFC 6455, 5.2)."""
    size = len(raw)
    if size <= _SHORT:
        return bytes((_FINAL_TEXT, size)) + raw
    if size < 1 << 16:
        return bytes((_FINAL_TEXT, _SHORT + 1)) + size.to_bytes(2) + raw
    return bytes((_FINAL_TEXT, _SHORT + 2)) + size.to_bytes(8) + raw


class Session(ABC):
    """What the three kinds of socket have in common.

    Args:
        idle_seconds: cut after so long without a word either way; None for never.
        mischief: what goes wrong with its frames.

    Attributes:
        where: which kind of socket it is.
        conn_id: as the replies name it.
        key: who has authenticated.
        sent: frames sent.
    """

    where: ClassVar[str]

    def __init__(self, idle_seconds: float | None, mischief: Mischief) -> None:
        self.conn_id = str(uuid4())
        self.key: ApiKey | None = None
        self.sent = 0
        self._mischief = mischief
        self._idle_seconds = idle_seconds
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, bytes] | None = None
        self._transport: asyncio.WriteTransport | None = None

    @abstractmethod
    def hear(self, message: dict[str, Any]) -> None:
        """Take one JSON object from the client."""

    @abstractmethod
    def malformed(self) -> None:
        """Answer a text that is no JSON object."""

    @abstractmethod
    def left(self) -> None:
        """Forget the client."""

    def send(self, raw: bytes) -> None:
        """Queue one text frame; a client that does not read is cut."""
        self._queue.append(raw)
        self._queued_bytes += len(raw)
        if self._queued_bytes > _MOST_QUEUED_BYTES:
            self.cut()
        self._wake.set()

    def pass_on(self, topic: str, raw: bytes, kind: str) -> None:
        """Queue one frame, or what the faults make of it."""
        if self._mischief.lets_frames_be:
            self.send(raw)
        else:
            self._mischief.pass_on(self, topic, raw, kind)

    def say(self, message: dict[str, Any]) -> None:
        """Queue one JSON object, a reply."""
        self.pass_on(str(message.get("op", "")), _ENCODE(message), REPLY)

    def close(self, code: int = _GOING_AWAY, reason: str = "") -> None:
        """Close after what is queued."""
        self._closing = self._closing or (code, reason.encode())
        self._wake.set()

    def cut(self) -> None:
        """Drop what is queued and the connection with it."""
        self._queue.clear()
        self._queued_bytes = 0
        if self._transport is not None:
            self._transport.abort()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Live until one side closes."""
        socket = web.WebSocketResponse(compress=False, timeout=CLOSE_SECONDS, max_msg_size=2**20)
        try:
            await socket.prepare(request)
            self._transport = request.transport
            writing = asyncio.create_task(self._write(socket), name=f"socket {request.path}")
            try:
                await self._read(socket)
            finally:
                writing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await writing
        finally:
            self.left()
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
        while True:
            sent = self.sent
            try:
                message: WSMessage = await socket.receive(self._idle_seconds)
            except TimeoutError:
                if self.sent == sent:
                    await socket.close(code=_GOING_AWAY, message=b"idle")
                    return
                continue
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            try:
                spoken = _DECODE(message.data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                spoken = None
            if isinstance(spoken, dict):
                self.hear(spoken)
            else:
                self.malformed()

    async def _write(self, socket: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                while self._queue:
                    *waiting, last = self._queue
                    self._queue.clear()
                    self._queued_bytes = 0
                    self.sent += len(waiting) + 1
                    if waiting and self._transport is not None:
                        self._transport.write(
                            b"".join(map(text_frame, waiting))
                        )  # one call of the kernel for all of them
                    await socket.send_frame(last, WSMsgType.TEXT)  # which waits for a client that does not read
                if self._closing:
                    await socket.close(code=self._closing[0], message=self._closing[1])
                    return
                self._wake.clear()
                await self._wake.wait()
