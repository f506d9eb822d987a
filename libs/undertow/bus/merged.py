"""Several readers as one: where one command may not name all keys (a cluster, one slot a command), each share is read by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from undertow.bus.ports import Delivery
from undertow.bus.redis_reader import RedisReader


class MergedReader:
    """See `Reader`. Each part reads on when what it gave has been worked off, so acknowledgements go with its next read.

    Args:
        parts: their keys differ.
    """

    def __init__(self, parts: Sequence[RedisReader]) -> None:
        self._parts = parts
        self._part_of = {key: part for part in parts for key in part.keys}

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `Reader.ack`."""
        for delivery in deliveries:
            self._part_of[delivery.topic.key].ack((delivery,))

    async def batches(self) -> AsyncIterator[list[Delivery]]:
        """See `Reader.batches`. The order of different parts' messages is that of their arrival.

        Raises:
            PoisonLimitError: too many entries could not be decoded.
            BusRefusedError: Redis does not accept the login or the command.
        """
        ready: asyncio.Queue[_Batch | asyncio.Task[None]] = asyncio.Queue()
        pumps = [asyncio.create_task(_pump(part, ready), name="bus reader") for part in self._parts]
        for pump in pumps:
            pump.add_done_callback(ready.put_nowait)
        ended = 0
        try:
            while ended < len(pumps):
                arrived = [await ready.get()]
                while not ready.empty():
                    arrived.append(ready.get_nowait())
                for each in arrived:
                    if isinstance(each, asyncio.Task):
                        each.result()  # its error is ours
                        ended += 1
                batches = [each for each in arrived if isinstance(each, _Batch)]
                if batches:
                    yield [delivery for each in batches for delivery in each.deliveries]
                for batch in batches:
                    batch.done.set_result(None)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)


class _Batch:
    __slots__ = ("deliveries", "done")

    def __init__(self, deliveries: list[Delivery]) -> None:
        self.deliveries = deliveries
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


async def _pump(part: RedisReader, ready: asyncio.Queue[Any]) -> None:
    async with aclosing(part.batches()) as batches:
        async for deliveries in batches:
            batch = _Batch(deliveries)
            ready.put_nowait(batch)
            await batch.done
