"""Deliveries in, rows out: what the streams of one symbol become, in the feature hub and from storage alike.

A message counts once: an entry that is not after the last one fed is dropped, and so is a number of the producer that
was fed before. A number of the market that is missing, or another producer, is a gap: the windows would have a hole, so
they begin anew at the next snapshot. Facts of other streams wait until the market is where they stand
(`undertow.features.arrival`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from undertow.bus.ports import Delivery, entry_order
from undertow.contracts.streams import REFERENCE
from undertow.features.arrival import Waiting
from undertow.features.events import RESET, EventBuffer

Inputs = tuple[Delivery, Delivery | None, Delivery | None]
"""A market fact, and the last reference fact and the last outside fact before it."""

MOST_WAITING: Final = 10_000
"""Facts kept live for a market that says nothing."""


@dataclass
class Position:
    """How far one key has been fed.

    Attributes:
        skipped: whether something was missing before the last delivery.
    """

    entry: tuple[int, int] = (0, 0)
    producer: str = ""
    sequence: int = 0
    skipped: bool = False

    def advance(self, delivery: Delivery) -> bool:
        """Move on to a delivery; False when it was fed before."""
        entry = entry_order(delivery.entry_id)
        same = delivery.producer == self.producer
        if entry <= self.entry or (same and delivery.sequence <= self.sequence):
            return False
        self.skipped = bool(self.producer) and not (same and delivery.sequence == self.sequence + 1)
        self.entry, self.producer, self.sequence = entry, delivery.producer, delivery.sequence
        return True


@dataclass
class Feed:
    """One symbol's streams on their way to the kernels.

    Attributes:
        buffer: rows that the kernels have not got; who sweeps it clears it.
        market: how far the market stream has been fed.
        slow: how far the reference stream has been fed.
        holes: times that messages of the market were missing.
        reference: the last reference fact fed.
        outside: the last outside fact fed that had a row.
        waiting: facts of other streams whose time the market has not reached.
        most_waiting: beyond so many the oldest goes on without waiting; None for no limit.
    """

    buffer: EventBuffer = field(default_factory=EventBuffer)
    market: Position = field(default_factory=Position)
    slow: Position = field(default_factory=Position)
    holes: int = 0
    reference: Delivery | None = None
    outside: Delivery | None = None
    waiting: Waiting[Delivery] = field(default_factory=Waiting)
    most_waiting: int | None = MOST_WAITING

    def take_market(self, delivery: Delivery) -> Inputs | None:
        """Append the rows of a market fact, after those that stand before it; None when it has none or was fed before."""
        if not self.market.advance(delivery):
            return None
        message = delivery.message
        if self.market.skipped:
            self.holes += 1
            self.buffer.append(message.ts_event, RESET)
        if self.waiting:
            for fact in self.waiting.due(message):
                self._append(fact)
        return (delivery, self.reference, self.outside) if self.buffer.append_fact(message) else None

    def take_reference(self, delivery: Delivery) -> bool:
        """Take a reference fact of the symbol; False when it was fed before."""
        is_new = self.slow.advance(delivery)
        if is_new:
            self.expect(delivery)
        return is_new

    def expect(self, delivery: Delivery) -> None:
        """Take a fact of another stream that was not fed before; its rows come when the market comes up to it."""
        self.waiting.add(delivery.message.ts_recv, delivery)
        if self.most_waiting is not None and len(self.waiting) > self.most_waiting:
            self._append(self.waiting.pop())

    def _append(self, delivery: Delivery) -> None:
        rows = self.buffer.append_fact(delivery.message)
        if delivery.topic.stream is REFERENCE:
            self.reference = delivery
        elif rows:
            self.outside = delivery
