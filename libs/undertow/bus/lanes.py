"""Publishing along several lanes: what waits for a place that is away holds nothing else up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from undertow.bus.budget import OutageBudget
from undertow.bus.errors import BusOverflowError
from undertow.bus.ports import Topic
from undertow.bus.redis_publisher import RedisPublisher
from undertow.bus.routes import Routes
from undertow.bus.settings import PublisherSettings
from undertow.contracts.messages.base import Message

Item = tuple[Topic, Message, tuple[int, ...]]


class Lanes:
    """See `Publisher`. A single Redis has one lane, a cluster one for each key; those that are away share the publisher's limit.

    Args:
        routes: the ways to the keys.
        producer: service name and boot id.
        settings: limits.
        wall_ns: stamps the hops.

    Attributes:
        keys: one of each lane.
    """

    def __init__(
        self, routes: Routes, producer: str, settings: PublisherSettings, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._routes = routes
        self._producer = producer
        self._settings = settings
        self._wall_ns = wall_ns
        self._budget = OutageBudget(settings.outage_s, settings.outage_bytes)
        self._lanes: dict[str, RedisPublisher] = {}
        self.keys: list[str] = []

    @property
    def unconfirmed(self) -> int:
        """How many messages Redis has not confirmed."""
        return sum(lane.unconfirmed for lane in self._lanes.values())

    async def publish_many(self, items: Sequence[Item]) -> None:
        """See `Publisher.publish_many`; lanes that are full refuse their own messages, the others take theirs.

        Raises:
            BusOverflowError: Redis has been away for too long; names the keys whose messages were not taken.
            BusRefusedError: Redis does not accept the message or the login.
        """
        shares: dict[str, list[Item]] = {}
        for item in items:
            shares.setdefault(self._routes.lane(item[0].key), []).append(item)
        posted, full = [], {}
        for name, share in shares.items():
            lane = self._lane(name, share[0][0].key)
            try:
                if not await lane.connected():
                    self._require_room(len(share))
                posted.append((lane, lane.post(share)))
            except BusOverflowError as error:
                full.update(dict.fromkeys((topic.key for topic, _, _ in share), str(error)))
        for lane, answer in posted:
            await lane.confirmed(answer)
        if full:
            raise BusOverflowError(next(iter(full.values())), full)

    async def connected(self) -> bool:
        """Say whether messages of every key published so far reach Redis now.

        Raises:
            BusRefusedError: Redis does not accept the login.
        """
        return all([await lane.connected() for lane in self._lanes.values()])

    async def flush(self, timeout_s: float) -> bool:
        """Wait until Redis has confirmed everything; False when it has not within the time."""
        return all(await asyncio.gather(*(lane.flush(timeout_s) for lane in self._lanes.values())))

    async def close(self) -> None:
        """Send nothing any more; what is unconfirmed is lost."""
        for lane in self._lanes.values():
            await lane.close()

    def _require_room(self, count: int) -> None:
        waiting, limit = self.unconfirmed, self._settings.unconfirmed_limit
        if waiting + count > limit:
            raise BusOverflowError(f"{waiting} messages wait for Redis and the limit is {limit}")

    def _lane(self, name: str, key: str) -> RedisPublisher:
        lane = self._lanes.get(name)
        if lane is None:
            self.keys.append(key)
            link = self._routes.link(key)
            lane = self._lanes[name] = RedisPublisher(link, self._producer, self._settings, self._budget, self._wall_ns)
        return lane
