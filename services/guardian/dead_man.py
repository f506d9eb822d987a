"""Tells somebody outside, now and then, that the guardian is well: who hears nothing for a while pages a person.

The only alarm that a dead machine or a cut network cannot hold back. The address is a secret of its owner and is in no log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import httpx

PATIENCE_S: Final = 10.0


class DeadMan:
    """Pings an address by a client of its own, at its own pace.

    Args:
        url: asked with GET; any answer below 300 is a success.
        every_s: wall seconds between two pings.
        is_well: no ping goes out while the guardian cannot do its job; silence is what says so.
        on_pinged: told the wall time, in seconds, of each success.
        on_failed: told what went wrong.
    """

    def __init__(
        self,
        url: str,
        every_s: float,
        is_well: Callable[[], bool],
        on_pinged: Callable[[float], None],
        on_failed: Callable[[BaseException], None],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._every_s = every_s
        self._is_well = is_well
        self._on_pinged = on_pinged
        self._on_failed = on_failed
        self._transport = transport

    async def run(self) -> None:
        """Ping until cancelled."""
        async with httpx.AsyncClient(timeout=PATIENCE_S, transport=self._transport) as client:
            while True:
                if self._is_well():
                    await self._ping(client)
                await asyncio.sleep(self._every_s)

    async def _ping(self, client: httpx.AsyncClient) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await client.get(self._url)
        except (httpx.HTTPError, TimeoutError) as error:  # their words may hold the address
            self._on_failed(OSError(f"the outside watcher does not answer: {type(error).__name__}"))
            return
        if answer.is_success:
            self._on_pinged(time.time())
        else:
            self._on_failed(OSError(f"the outside watcher answers {answer.status_code}"))
