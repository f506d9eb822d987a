"""Redis in memory, with what it does to a fleet: it goes away, loses its newest second, is full; each process has its own way to it.

The streams and groups are those of the memory bus, the memory of a publisher is the real one; what is simulated is the line between.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tests.simulation.lives import LIFE
from undertow.bus.errors import BusAwayError
from undertow.bus.memory import MemoryBus, MemoryReader, Pending, Store, _number
from undertow.bus.outbox import Letter, Outbox
from undertow.bus.ports import Delivery, Topic
from undertow.bus.settings import PublisherSettings
from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.base import Message

SHORTEST_S: Final = 0.000_1
LONGEST_S: Final = 0.000_9
RETRY_S: Final = 0.05
SAFE_MS: Final = 1_000
"""What is older is on Redis' disk (`appendfsync everysec`)."""
_HEADER: Final = msgspec.msgpack.Decoder(Envelope[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement that Redis took."""

    at_ms: int
    key: str
    group: str
    consumer: str
    number: int


class SimulatedRedis:
    """The one server.

    Attributes:
        is_full: it refuses to write, and publishers take it for away.
        epoch: of its lives, so that whoever was connected notices.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wall_ns: Callable[[], int], at_port: Callable[[str], None]
    ) -> None:
        self.store = Store()
        self.loop = loop
        self.wall_ns = wall_ns
        self.at_port = at_port
        self.is_up = True
        self.is_full = False
        self.epoch = 0
        self.came_up = asyncio.Event()
        self.came_up.set()
        self.acks: deque[Ack] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._on_loss: list[tuple[contextvars.Context, Callable[[], object]]] = []

    def on_loss(self, notice: Callable[[], object]) -> None:
        """Let somebody notice, as the process that asks now, that his connection is lost."""
        self._on_loss.append((contextvars.copy_context(), notice))

    def go_away(self) -> None:
        """Answer nobody; who waits for an answer notices."""
        self.is_up = False
        self.came_up.clear()
        self._lose_connections()

    def fill(self) -> None:
        """Have no room for more."""
        self.is_full = True
        self._lose_connections()

    def _lose_connections(self) -> None:
        self.epoch += 1
        for answer in self._waiting:
            if not answer.done():
                answer.set_result(None)
        self._waiting.clear()
        for context, notice in self._on_loss:
            life = context.get(LIFE)
            if life is None or not life.is_over:
                context.run(notice)

    @property
    def takes(self) -> bool:
        """Whether it takes what is published."""
        return self.is_up and not self.is_full

    def come_back(self) -> None:
        """Answer again."""
        self.is_up = True
        self.came_up.set()
        self.store.changed.set()

    def lose_its_newest_second(self) -> int:
        """Forget what its disk does not have: entries and acknowledgements; give how many entries went."""
        before_ms = self.wall_ns() // 1_000_000 - SAFE_MS
        lost = 0
        for log in self.store.logs.values():
            at = bisect_left(log.times_ms, before_ms)
            lost += len(log.numbers) - at
            first_lost = log.numbers[at] if at < len(log.numbers) else self.store.counter + 1
            del log.numbers[at:], log.raws[at:], log.times_ms[at:]
            for group in log.groups.values():
                group.last = min(group.last, first_lost - 1)
                group.pending = {number: each for number, each in group.pending.items() if number < first_lost}
        for ack in self.acks:
            log = self.store.log(ack.key)
            if ack.at_ms >= before_ms and log.get(ack.number) is not None:
                log.groups[ack.group].pending[ack.number] = Pending(ack.consumer, 0)
        return lost

    def take(self, letters: Sequence[Letter], epoch: int) -> None:
        """Letters arrive that were sent in some epoch."""
        if self.takes and epoch == self.epoch:
            now_ms = self.wall_ns() // 1_000_000
            for letter in letters:
                self.store.append(letter.key, letter.raw, now_ms, letter.bound)

    def answer(self) -> asyncio.Future[None]:
        """Give what is done when the answer comes, or never will."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def note(self, ack: Ack) -> None:
        """Take an acknowledgement."""
        self.acks.append(ack)
        while self.acks[0].at_ms < ack.at_ms - 2 * SAFE_MS:
            self.acks.popleft()

    def last_number(self, key: str, producer: str) -> int:
        """Give the last number that a producer has on a key."""
        for raw in reversed(self.store.log(key).raws[-64:]):
            envelope = _HEADER.decode(raw)
            if envelope.producer == producer:
                return envelope.sequence
        return 0


class SimulatedBus(MemoryBus):
    """One process' connection.

    Args:
        redis: the server.
        producer: service name and boot id.
        chance: of its ways.
    """

    def __init__(self, redis: SimulatedRedis, producer: str, chance: random.Random) -> None:
        super().__init__(producer, redis.store, wall_ns=redis.wall_ns)
        self._redis = redis
        self._producer = producer
        self._chance = chance
        settings = PublisherSettings()
        self._outbox = Outbox(settings.unconfirmed_limit, int(settings.republish_window_s * 1e9))
        self._epoch = redis.epoch if redis.is_up else -1
        self._arrival_s = 0.0
        self._catching_up: asyncio.Task[None] | None = None
        redis.on_loss(self._is_connected)

    async def publish_many(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> None:
        redis = self._redis
        redis.at_port("bus.publish")
        self._outbox.require_room(len(items))
        letters = []
        for topic, message, hops in items:
            number, raw = self._stamper.seal(topic.key, message, hops)
            now_ms = self._wall_ns() // 1_000_000
            bound = self._budget.bound(topic.key, number, len(raw), topic.stream.maxlen, now_ms)
            letters.append(Letter(topic.key, number, raw, bound))
        self._outbox.add(letters)
        if self._is_connected():
            await self._send(letters)
            redis.at_port("bus.publish+")
        else:
            await asyncio.sleep(self._way_s())

    def reader(
        self, group: str, consumer: str, topics: Sequence[Topic], *, batch: int = 256, from_start: bool = True
    ) -> SimulatedReader:
        return SimulatedReader(self._redis, self._chance, group, consumer, topics, batch, from_start)

    async def tail(self, topic: Topic, count: int) -> list[Delivery]:
        await self._reached()
        return await super().tail(topic, count)

    async def since(self, topic: Topic, entry_id: str, until: str = "+") -> list[Delivery]:
        await self._reached()
        return await super().since(topic, entry_id, until)

    async def connected(self) -> bool:
        await asyncio.sleep(self._way_s() * 2)
        return self._is_connected()

    async def _reached(self) -> None:
        await asyncio.sleep(self._way_s() * 2)
        if not self._redis.is_up:
            raise BusAwayError("Redis does not answer")

    def _is_connected(self) -> bool:
        redis = self._redis
        if redis.takes and self._epoch == redis.epoch:
            return True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._catch_up())
        return False

    async def _catch_up(self) -> None:
        redis = self._redis
        lost_ns = self._wall_ns()
        while True:
            await redis.came_up.wait()
            await asyncio.sleep(self._way_s() * 4)
            epoch = redis.epoch
            if not redis.takes:
                await asyncio.sleep(RETRY_S)
                continue
            survived = {key: redis.last_number(key, self._producer) for key in self._outbox.keys()}  # noqa: SIM118 - a verb
            self._outbox.missing(survived, lost_ns)
            while redis.epoch == epoch and self._outbox.unconfirmed:
                await self._send(self._outbox.waiting(512))
            if redis.epoch == epoch:
                self._epoch = epoch
                return

    async def _send(self, letters: Sequence[Letter]) -> None:
        redis, loop, epoch = self._redis, self._redis.loop, self._redis.epoch
        answer = redis.answer()
        self._arrival_s = max(loop.time() + self._way_s(), self._arrival_s)
        back_s = self._way_s()
        life = LIFE.set(None)  # what is on the wire arrives, whoever sent it
        try:
            loop.call_at(self._arrival_s, redis.take, tuple(letters), epoch)
            loop.call_at(self._arrival_s + back_s, _settle, answer)
        finally:
            LIFE.reset(life)
        await answer
        if redis.takes and redis.epoch == epoch:
            self._outbox.confirm(min(len(letters), self._outbox.unconfirmed), self._wall_ns())

    def _way_s(self) -> float:
        return self._chance.uniform(SHORTEST_S, LONGEST_S)


class SimulatedReader(MemoryReader):
    """Reads over the line; what it acknowledges is told before the next read."""

    def __init__(
        self,
        redis: SimulatedRedis,
        chance: random.Random,
        group: str,
        consumer: str,
        topics: Sequence[Topic],
        batch: int,
        from_start: bool,
    ) -> None:
        bus = MemoryBus(store=redis.store)
        super().__init__(
            redis.store, group, consumer, topics, batch, from_start, redis.wall_ns, bus._watch, bus._reading
        )
        self._redis = redis
        self._chance = chance
        self._untold: list[Delivery] = []

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._redis.at_port("bus.ack")
        self._untold += deliveries

    async def batches(self) -> AsyncIterator[list[Delivery]]:
        redis, epoch = self._redis, -1
        while True:
            await redis.came_up.wait()
            await asyncio.sleep(self._chance.uniform(SHORTEST_S, LONGEST_S))
            if not redis.is_up:
                continue
            self._tell_acks()
            own: list[tuple[Topic, int]] = []
            if epoch != redis.epoch:
                epoch = redis.epoch
                own = [(topic, number) for topic in self._topics for number in self._owned(topic.key)]
            redis.store.changed.clear()
            batch = self._taken([*own, *self._claimed()], fresh=False) + self._taken(self._unread(), fresh=True)
            if batch:
                redis.at_port("bus.deliver")
                yield batch
            elif not redis.store.changed.is_set():
                await self._wait()

    def _tell_acks(self) -> None:
        now_ms = self._wall_ns() // 1_000_000
        untold, self._untold = self._untold, []
        for delivery in untold:
            key, number = delivery.topic.key, _number(delivery.entry_id)
            self._redis.note(Ack(now_ms, key, self._group, self._consumer, number))
        super().ack(untold)


def _settle(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_result(None)
