"""What a service may ask of the bus. Implemented by `redis_bus` and, with the same behaviour, by `memory`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from undertow.contracts.messages.base import Message
from undertow.contracts.streams import Stream


def entry_order(entry_id: str) -> tuple[int, int]:
    """Parse `milliseconds-number`, so that the ids of entries compare by age."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


@dataclass(frozen=True, slots=True)
class Topic:
    """One key of one stream."""

    stream: Stream
    symbol: str = ""
    source: str = ""

    @property
    def key(self) -> str:
        """The Redis key."""
        return self.stream.key(symbol=self.symbol, source=self.source)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was read.

    Attributes:
        entry_id: id of the entry in its stream; ascending.
        hops: wall ns of its journey so far.
    """

    topic: Topic
    entry_id: str
    producer: str
    sequence: int
    hops: tuple[int, ...]
    message: Any

    @property
    def ref(self) -> str:
        """What goes into another message's `cause`."""
        return f"{self.topic.key}/{self.entry_id}"


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far one group is behind on one key.

    Attributes:
        length: entries in the stream.
        lag: entries that the group has not read yet.
        pending: entries that it has read and not acknowledged.
    """

    key: str
    group: str
    length: int
    lag: int
    pending: int


class Watch(Protocol):
    """Told what happens on the bus, for metrics; `undertow.runtime.metrics.BusMetrics` is one."""

    def delivered(self, stream: str, seconds: float) -> None:
        """A message arrived this long after it was published."""
        ...

    def dead_letter(self, stream: str) -> None:
        """An entry could not be decoded."""
        ...


class Publisher(Protocol):
    """Writes to streams. While the bus is away it keeps what it was given, up to a declared limit, and sends it on its return."""

    async def publish(self, topic: Topic, message: Message, *, hops: tuple[int, ...] = ()) -> None:
        """Append one message; its own wall stamp is added to `hops`.

        Raises:
            BusOverflowError: the bus has been away for longer than the publisher can remember.
        """
        ...

    async def publish_many(self, items: Sequence[tuple[Topic, Message, tuple[int, ...]]]) -> None:
        """Append several in one round trip, each key's in this order.

        Raises:
            BusOverflowError: names the keys whose messages were not taken; those of other keys were.
        """
        ...


class Reader(Protocol):
    """Reads topics as one consumer of a group, each message at least once until it is acknowledged."""

    def batches(self) -> AsyncIterator[list[Delivery]]:
        """Yield batches: first what this consumer or a dead one left unacknowledged, then what is new.

        Within one key the order is that of the stream. Messages that a producer sent twice arrive once. Undecodable entries go to the
        dead-letter stream; past its limit the iterator raises `PoisonLimitError`.
        """
        ...

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Mark as done; sent with the next read."""
        ...


class History(Protocol):
    """Looks back into a stream without a group."""

    async def tail(self, topic: Topic, count: int) -> list[Delivery]:
        """Give the last `count` messages, oldest first."""
        ...

    async def since(self, topic: Topic, entry_id: str, until: str = "+") -> list[Delivery]:
        """Give the messages with `entry_id` <= id <= `until`, oldest first."""
        ...


class Trimmer(Protocol):
    """Shortens streams to what their readers need."""

    async def trim(self, topic: Topic, keeper: str) -> int:
        """Remove the oldest messages down to the stream's declared length; give how many went.

        Nothing goes that a group has not acknowledged, and nothing at all where the group `keeper` does not exist yet. A group that
        nobody reads any more holds its messages like any other; the outage budget of the publishers ends that.
        """
        ...


class Bus(Publisher, History, Trimmer, Protocol):
    """The whole bus; constructed once per process in `app.py`."""

    def reader(
        self, group: str, consumer: str, topics: Sequence[Topic], *, batch: int = 256, from_start: bool = True
    ) -> Reader:
        """Make a reader; the group is created where it is missing, at the stream's start or (`from_start=False`) its end."""
        ...

    async def acked_position(self, group: str, topic: Topic) -> str:
        """Id up to which the group has everything acknowledged ("0-0" when nothing): where a warm-up may end."""
        ...

    async def lags(self, topics: Sequence[Topic] | None = None) -> list[GroupLag]:
        """Give length, lag and pending of every group on these topics, or on every key but dead letters.

        A key without groups has one row with group "".
        """
        ...

    async def connected(self) -> bool:
        """Answer whether the bus responds now."""
        ...

    async def close(self) -> None:
        """Send what is left and disconnect."""
        ...
