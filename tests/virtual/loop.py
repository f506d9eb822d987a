"""An event loop in virtual time with a network of its own: real asyncio programs run as fast as they can compute, and the same each time.

Time stands while anything is ready to run and jumps to the next timer when nothing is. Servers and connections that are made through the
loop meet in memory; every message takes its way of some milliseconds, in order. There are no sockets, no threads and no signals here, so
nothing outside can decide what comes first.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tests.virtual.wire import MemoryServer, connected

ORIGIN_NS: Final = 1_786_310_819_000_000_000
SHORTEST_S: Final = 0.0002
LONGEST_S: Final = 0.004


class _Idle(selectors.SelectSelector):
    """Waits for nothing but time."""

    def __init__(self, sleep: Callable[[float | None], None]) -> None:
        super().__init__()
        self._sleep = sleep

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._sleep(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `random` decides how long the ways of its network are."""

    def __init__(self, seed: int) -> None:
        self._now_s = 0.0
        super().__init__(_Idle(self._jump))
        self._clock_resolution = 1e-6  # what a float still tells apart after a year
        self._random = random.Random(f"ways of {seed}")
        self._servers: dict[int, MemoryServer] = {}

    def time(self) -> float:
        return self._now_s

    def wall_ns(self) -> int:
        """Give what a wall clock of this world shows."""
        return ORIGIN_NS + round(self._now_s * 1e9)

    async def create_server(self, factory: Any, *_: Any, sock: Any, **__: Any) -> MemoryServer:
        port = sock.getsockname()[1]
        server = self._servers[port] = MemoryServer(factory, lambda: self._servers.pop(port, None))
        return server

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        way_s = self._random.uniform(SHORTEST_S, LONGEST_S)
        await asyncio.sleep(way_s)
        server = self._servers.get(port)
        if server is None:
            raise ConnectionRefusedError(f"nobody listens on {host}:{port}")
        return connected(self, factory, server, way_s)

    def run_in_executor(self, *_: Any) -> NoReturn:
        raise AssertionError("a thread would bring its own time along")

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise AssertionError("everybody waits for somebody else: nothing can happen any more")
        self._now_s += timeout
