"""A relay that puts the length of a cable between a client and the venue.

pybit remembers a request only after it has sent it, so an answer within the microseconds of loopback can come too early for it.
"""

from __future__ import annotations

import asyncio
import contextlib

SECONDS = 0.02


async def relay_to(port: int) -> asyncio.Server:
    """Listen on a free port; what comes back from `port` is late, in order."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(_carry(reader, far_writer, 0.0), _carry(far_reader, writer, SECONDS))

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - clock())
            writer.write(chunk)
            if not chunk:
                return
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while chunk := await reader.read(2**16):
            under_way.put_nowait((clock() + seconds, chunk))
        under_way.put_nowait((clock() + seconds, b""))
        await delivering
    finally:
        delivering.cancel()
        writer.close()
