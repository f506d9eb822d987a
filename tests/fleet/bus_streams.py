"""Streams for the fleet in one process that are a real bus: each message goes to Redis and comes back before time moves on.

Entry ids are then Redis' own, so what carries them (`cause`) differs from run to run; nothing that decides may.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import uvloop

from tests.fleet.virtual import Published, Streams, Timeline
from undertow.bus.ports import Bus, Delivery, Reader, Topic
from undertow.bus.redis_bus import RedisBus
from undertow.contracts.messages.base import Message
from undertow.contracts.streams import STREAMS


class BusStreams(Streams):
    """Every stream on the bus at `url`; each producer has a bus of its own, as in the fleet."""

    def __init__(self, timeline: Timeline, hop_ns: int, symbols: Sequence[str], url: str) -> None:
        super().__init__(timeline, hop_ns)
        self._url = url
        self._loop = uvloop.new_event_loop()
        self._buses: dict[str, Bus] = {}
        self._topics = [
            Topic(stream, symbol=symbol, source=source)
            for stream in STREAMS
            for symbol in (symbols if "{symbol}" in stream.pattern else ("",))
            for source in (stream.writers if "{source}" in stream.pattern else ("",))
        ]
        self._sequences: dict[tuple[str, str], int] = {}
        self._arrived: dict[tuple[str, str, int], Delivery] = {}
        self._reader: Reader | None = None
        self._batches: AsyncIterator[list[Delivery]] | None = None

    def publish(self, producer: str, topic: Topic, message: Message, hops: tuple[int, ...] = ()) -> None:
        key = topic.key
        assert producer in topic.stream.writers, f"{producer} may not write {key}"
        number = self._sequences[producer, key] = self._sequences.get((producer, key), 0) + 1
        delivery = self._loop.run_until_complete(self._through(producer, topic, message, hops, number))
        self.published.append(Published(key, delivery.entry_id, b""))
        self.deliveries.append(delivery)
        for take in self._readers.get(key, ()):
            self._timeline.after(self._hop_ns, lambda take=take: take(delivery))

    def close(self) -> None:
        for bus in self._buses.values():
            self._loop.run_until_complete(bus.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _bus(self, producer: str) -> Bus:
        if producer not in self._buses:
            self._buses[producer] = RedisBus(self._url, producer, wall_ns=self._timeline.now_ns)
        return self._buses[producer]

    async def _through(
        self, producer: str, topic: Topic, message: Message, hops: tuple[int, ...], number: int
    ) -> Delivery:
        await self._bus(producer).publish(topic, message, hops=hops)
        if self._reader is None or self._batches is None:
            self._reader = self._bus("fleet").reader("fleet", "0", self._topics)
            self._batches = self._reader.batches()
        wanted = (topic.key, producer, number)
        while wanted not in self._arrived:
            batch = await anext(self._batches)
            for each in batch:
                self._arrived[each.topic.key, each.producer, each.sequence] = each
            self._reader.ack(batch)
        return self._arrived.pop(wanted)
