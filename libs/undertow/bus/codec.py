"""Envelope to bytes and back, and the memory of what has been seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from undertow.bus.ports import Delivery, Topic
from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.base import Message

MOST_RANGES: Final = 4096
"""Ranges of seen numbers kept per producer; beyond it the oldest is forgotten."""


class Stamper:
    """Puts messages into envelopes, numbered per key.

    Args:
        producer: service name and boot id.
        wall_ns: the wall clock; its reading is the hop's stamp.
    """

    def __init__(self, producer: str, wall_ns: Callable[[], int]) -> None:
        self._producer = producer
        self._wall_ns = wall_ns
        self._numbers: dict[str, int] = {}
        self._encoder = msgspec.msgpack.Encoder()

    def seal(self, key: str, message: Message, hops: tuple[int, ...]) -> tuple[int, bytes]:
        """Give the number and the bytes of the next envelope of a key."""
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        envelope = Envelope(self._producer, number, (*hops, self._wall_ns()), message)
        return number, self._encoder.encode(envelope)


def opened(topic: Topic, entry_id: str, raw: bytes) -> Delivery:
    """Decode an entry.

    Raises:
        msgspec.MsgspecError: it is not an envelope of this stream.
    """
    envelope = topic.stream.decoder.decode(raw)
    return Delivery(topic, entry_id, envelope.producer, envelope.sequence, envelope.hops, envelope.message)


class Seen:
    """Which numbers have been seen, as few ranges: one when they came in order.

    Args:
        ranges: what was seen before, ascending pairs of first and last.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        pairs = list(ranges)
        self._starts = [first for first, _ in pairs]
        self._ends = [last for _, last in pairs]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What was seen, ascending pairs of first and last."""
        return list(zip(self._starts, self._ends, strict=True))

    @property
    def last(self) -> int:
        """The highest number seen, 0 for none."""
        return self._ends[-1] if self._ends else 0

    def settle(self, most: int) -> None:
        """Take the oldest holes for seen, until at most so many ranges are left."""
        excess = len(self._starts) - most
        if excess > 0:
            del self._starts[1 : excess + 1], self._ends[:excess]

    def add(self, number: int) -> bool:
        """Remember a number; False when it was seen before."""
        starts, ends = self._starts, self._ends
        if ends and number == ends[-1] + 1:
            ends[-1] = number
            return True
        at = bisect_right(starts, number) - 1
        if at >= 0 and number <= ends[at]:
            return False
        joins_left = at >= 0 and ends[at] + 1 == number
        joins_right = at + 1 < len(starts) and starts[at + 1] == number + 1
        if joins_left and joins_right:
            ends[at] = ends.pop(at + 1)
            del starts[at + 1]
        elif joins_left:
            ends[at] = number
        elif joins_right:
            starts[at + 1] = number
        else:
            starts.insert(at + 1, number)
            ends.insert(at + 1, number)
            if len(starts) > MOST_RANGES:
                del starts[0], ends[0]
        return True


class Duplicates:
    """Finds what a producer sent twice on one key."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def is_new(self, delivery: Delivery) -> bool:
        """Remember a delivery; False when its (producer, sequence) was seen before."""
        seen = self._seen.get(delivery.producer)
        if seen is None:
            seen = self._seen[delivery.producer] = Seen()
        return seen.add(delivery.sequence)
