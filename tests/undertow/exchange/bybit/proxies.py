"""Two little proxies: HTTP CONNECT and SOCKS5, without authentication."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Where it listens, and whom it was asked for."""

    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)


async def _through(proxy, reader, writer, host, port):
    proxy.asked.append((host, port))
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    return asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)


async def _http(proxy, reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    host, port = head.split()[1].rsplit(":", 1)
    pumps = await _through(proxy, reader, writer, host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await pumps


async def _socks(proxy, reader, writer):
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    *_, kind = await reader.readexactly(4)
    if kind == 1:
        host = ".".join(map(str, await reader.readexactly(4)))
    else:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    pumps = await _through(proxy, reader, writer, host, port)
    writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
    await pumps


@asynccontextmanager
async def running(kind: str) -> AsyncIterator[Proxy]:
    """Run a proxy, `http` or `socks`."""
    proxy, handle = Proxy(), {"http": _http, "socks": _socks}[kind]
    server = await asyncio.start_server(lambda r, w: handle(proxy, r, w), "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
