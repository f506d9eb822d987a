"""Both ends of a connection that exists in memory only, for the loop in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class MemoryServer:
    """Who listens; as much of `asyncio.Server` as a program asks for."""

    sockets = ()

    def __init__(self, factory: Callable[[], asyncio.Protocol], closed: Callable[[], object]) -> None:
        self.factory = factory
        self._closed = closed

    def close(self) -> None:
        self._closed()

    async def wait_closed(self) -> None:
        return


class MemoryTransport(asyncio.Transport):
    """One end. What is written arrives at the other end in order, `way_s` later; closing does too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, way_s: float) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.other: MemoryTransport
        self._loop = loop
        self._protocol = protocol
        self._way_s = way_s
        self._under_way: deque[bytes | None] = deque()  # None: the other end has said its last word
        self._coming: deque[bytes | None] = deque()
        self._reading = True
        self._over = False
        self._said_all = False

    def write(self, data: Any) -> None:
        if data and not self._over and not self._said_all:
            self._say(bytes(data))

    def write_eof(self) -> None:
        if not self._said_all:
            self._said_all = True
            self._say(None)

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._over

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._hear)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """All that is written is on its way at once: there is no buffer."""

    def get_write_buffer_size(self) -> int:
        return 0

    def _say(self, data: bytes | None) -> None:
        self.other._under_way.append(data)  # timers of the same moment are in no order; this is
        self._loop.call_later(self._way_s, self.other._arrive)

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self.write_eof()
        self._over = True
        self._coming.clear()
        self._loop.call_soon(self._protocol.connection_lost, error)

    def _arrive(self) -> None:
        self._coming.append(self._under_way.popleft())
        self._hear()

    def _hear(self) -> None:
        while self._coming and self._reading and not self._over:
            data = self._coming.popleft()
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()


def connected(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], Any], server: MemoryServer, way_s: float
) -> tuple[MemoryTransport, Any]:
    """Connect a client's protocol with a new one of the server."""
    ours, theirs = factory(), server.factory()
    here, there = MemoryTransport(loop, ours, way_s), MemoryTransport(loop, theirs, way_s)
    here.other, there.other = there, here
    theirs.connection_made(there)
    ours.connection_made(here)
    return here, ours
