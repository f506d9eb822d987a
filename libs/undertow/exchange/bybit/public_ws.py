"""The public stream: raw frames with the wall time of their receipt, in batches of what arrived in one turn of the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from undertow.exchange.budget.connects import ConnectBudget
from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit.frames import BadFrameError, Control, decode_frame
from undertow.exchange.bybit.socket import ANSWER_TIMEOUT_S, Reconnects, open_socket
from undertow.exchange.errors import BannedError
from undertow.runtime.clock import wall_ns

_TOPICS_A_REQUEST: Final = 50
_AGAIN: Final = "again "
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
        stale_s: after this long without a market frame the connection is given up; counted from the very first frame, for a market may
            not have begun yet.
        proxy: HTTP or SOCKS address; empty takes the environment's.
        budget: heeded, and told, when the venue bans our address; None knows of no ban.
        connects: of new connections, shared by those that share an address.
    """

    def __init__(
        self,
        url: str,
        requests: Sequence[Sequence[str]],
        *,
        stale_s: float = 30.0,
        proxy: str = "",
        budget: Budget | None = None,
        connects: ConnectBudget | None = None,
    ) -> None:
        self._url = url
        self._proxy = proxy
        self._budget = budget
        self._connects = connects
        self._requests = requests
        self._stale_s = stale_s
        self._connection: ClientConnection | None = None
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._frames: list[tuple[bytes, int]] = []
        self._arrived = asyncio.Event()
        self._awaited: dict[str, Sequence[str]] = {}
        self._is_subscribed = False
        self._has_begun = False
        self._fresh_s = 0.0  # loop time of the connection or of its last market frame; a pong is none

    async def events(self) -> AsyncGenerator[PublicEvent]:
        """Yield events for ever.

        Raises:
            SubscriptionRefusedError: names the topics and the venue's words.
        """
        reconnects = Reconnects(self._budget, self._connects)
        while True:
            await self._wanted.wait()
            await reconnects.may_connect()
            if not self._wanted.is_set():
                continue
            try:
                async with open_socket(self._url, self._proxy, budget=self._budget) as connection:
                    self._connection = connection
                    if not self._wanted.is_set():
                        continue
                    async with contextlib.aclosing(self._live(connection)) as events:
                        async for event in events:
                            if isinstance(event, Connected):
                                reconnects.connected()
                            yield event
                reason = "the venue closed the connection"
            except (OSError, TimeoutError, WebSocketException, BannedError) as error:
                reason = f"{type(error).__name__}: {error}"
            finally:
                self._connection = None
            yield Disconnected(reason)
            await reconnects.pause()

    async def hold(self) -> None:
        """Close the connection and make no other until `release`."""
        self._wanted.clear()
        if self._connection is not None:
            await self._connection.close()

    def release(self) -> None:
        """Connect again."""
        self._wanted.set()

    async def resubscribe(self, topic: str) -> None:
        """Ask for a fresh snapshot of one topic; a lost connection gives one anyway."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(WebSocketException):
                await connection.send(_request("unsubscribe", f"drop {topic}", [topic]))
                await connection.send(_request("subscribe", f"{_AGAIN}{topic}", [topic]))

    async def _live(self, connection: ClientConnection) -> AsyncGenerator[PublicEvent]:
        self._frames, self._is_subscribed = [], False
        self._awaited = {
            f"topics {number}.{begin}": topics[begin : begin + _TOPICS_A_REQUEST]
            for number, topics in enumerate(self._requests)
            for begin in range(0, len(topics), _TOPICS_A_REQUEST)
        }
        for name, topics in self._awaited.items():
            await connection.send(_request("subscribe", name, topics))
        reading = asyncio.create_task(self._read(connection), name="public frames")
        self._fresh_s = asyncio.get_running_loop().time()
        answers_by_s = self._fresh_s + ANSWER_TIMEOUT_S
        try:
            while True:
                await self._wait(answers_by_s)
                frames, self._frames = self._frames, []
                if not self._awaited and not self._is_subscribed:
                    self._is_subscribed = True
                    yield Connected()
                if frames:
                    self._has_begun = True
                    self._fresh_s = asyncio.get_running_loop().time()
                    yield Frames(frames)
                if reading.done() and not self._frames:  # what came while the reader was busy is not lost
                    reading.result()
                    return
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, WebSocketException, SubscriptionRefusedError):
                await reading

    async def _wait(self, answers_by_s: float) -> None:
        limits = [(answers_by_s, "the subscriptions were not answered")] if self._awaited else []
        if self._has_begun:
            limits.append((self._fresh_s + self._stale_s, f"no market frame for {self._stale_s:g} s"))
        until_s, reason = min(limits, default=(None, ""))
        try:
            async with asyncio.timeout_at(until_s):
                await self._arrived.wait()
        except TimeoutError:
            if not self._frames:  # else one came at the last moment, and is not lost
                raise TimeoutError(reason) from None
        self._arrived.clear()

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
        if frame.op == "subscribe" and not frame.success:
            if frame.req_id.startswith(_AGAIN):
                raise ConnectionError(f"{frame.req_id}: {frame.ret_msg}")  # a new connection gives a snapshot as well
            topics = self._awaited.get(frame.req_id, ())
            raise SubscriptionRefusedError(f"{', '.join(topics)}: {frame.ret_msg}")
        if frame.op == "subscribe":
            self._awaited.pop(frame.req_id, None)
        return True


def _request(op: str, name: str, topics: Sequence[str]) -> str:
    return msgspec.json.encode({"req_id": name, "op": op, "args": topics}).decode()
