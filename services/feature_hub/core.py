"""Deliveries in, feature vectors out: the kernels of each symbol, fed once per batch.

A message counts once: an entry that is not after the last one fed is dropped, and so is a number of the producer that
was fed before. A number that is missing, or another producer, is a gap: the windows would have a hole, so they begin
anew at the next snapshot.

Facts of other streams wait until the market is where they stand (`undertow.features.arrival`); those of the outside
world come by themselves. They trigger nothing and hold up nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from undertow.bus.ports import Delivery, Topic, entry_order
from undertow.contracts.messages.decision import Features
from undertow.contracts.messages.market import Book
from undertow.contracts.streams import FEATURES, MARKET, REFERENCE
from undertow.features.arrival import Waiting
from undertow.features.events import RESET, EventBuffer
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import I_LAST_TRIGGER
from undertow.features.message import features_message

Publication = tuple[Topic, Features, tuple[int, ...]]
Inputs = tuple[Delivery, Delivery | None, Delivery | None]
"""A market fact, and the last reference fact and the last outside fact before it."""

VECTORS_PER_CALL = 8
MOST_WAITING = 10_000
"""Facts kept for a symbol whose market says nothing; beyond it the oldest goes on without waiting."""


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
class SymbolFeed:
    """One symbol's kernels and what they were fed.

    Attributes:
        holes: times that messages were missing.
        late: facts of other streams that came when the market had passed the time at which they were known.
        market: how far the market stream has been fed.
        slow: how far the reference stream has been fed.
        reference: the last reference fact fed.
        outside: the last outside fact fed that had a row.
        waiting: facts of other streams whose time the market has not reached.
        published: entry of the market fact whose vector was published last; no vector is published twice.
    """

    symbol: str
    rule: TriggerRule
    state: FeatureState = field(default_factory=FeatureState.empty)
    buffer: EventBuffer = field(default_factory=EventBuffer)
    market: Position = field(default_factory=Position)
    slow: Position = field(default_factory=Position)
    holes: int = 0
    late: int = 0
    reference: Delivery | None = None
    outside: Delivery | None = None
    waiting: Waiting[Delivery] = field(default_factory=Waiting)
    published: tuple[int, int] = (0, 0)

    def feed(self, deliveries: Sequence[Delivery]) -> list[Publication]:
        """Convert all, call the kernel once, and give what is to be published."""
        ends = self._convert(deliveries)
        if not len(self.buffer):
            return []
        vectors = sweep(self.state, self.rule, self.buffer.columns(), capacity=VECTORS_PER_CALL)
        self.buffer.clear()
        topic = Topic(FEATURES, symbol=self.symbol)
        publications: list[Publication] = []
        for index, row in enumerate(vectors.rows.tolist()):
            delivery, *others = ends[row]
            entry = entry_order(delivery.entry_id)
            if entry > self.published:
                self.published = entry
                cause = (delivery.ref, *(other.ref for other in others if other is not None))
                message = features_message(self.symbol, vectors, index, delivery.message.ts_recv, cause)
                publications.append((topic, message, delivery.hops))
        return publications

    def expect(self, delivery: Delivery) -> None:
        """Take a fact of another stream; it is fed when the market comes up to it."""
        known_ns = delivery.message.ts_recv
        self.late += known_ns <= self.state.clock_ns
        self.waiting.add(known_ns, delivery)
        if len(self.waiting) > MOST_WAITING:
            self._append_other(self.waiting.pop())
            sweep(self.state, self.rule, self.buffer.columns())  # without the end of a message there is no vector
            self.buffer.clear()

    def _convert(self, deliveries: Sequence[Delivery]) -> dict[int, Inputs]:
        ends: dict[int, Inputs] = {}
        for delivery in deliveries:
            if delivery.topic.stream is not MARKET:
                if self.slow.advance(delivery):
                    self.expect(delivery)
                continue
            if not self.market.advance(delivery):
                continue
            message = delivery.message
            if self.market.skipped:
                self.holes += 1
                self.buffer.append(message.ts_event, RESET)
            if self.waiting:
                for fact in self.waiting.due(message):
                    self._append_other(fact)
            if self.buffer.append_fact(message):
                ends[len(self.buffer) - 1] = (delivery, self.reference, self.outside)
        return ends

    def _append_other(self, delivery: Delivery) -> None:
        rows = self.buffer.append_fact(delivery.message)
        if delivery.topic.stream is REFERENCE:
            self.reference = delivery
        elif rows:
            self.outside = delivery


class HubCore:
    """The feature hub without its wires.

    Args:
        rules: trigger rule of each symbol it works for.
    """

    def __init__(self, rules: Mapping[str, TriggerRule]) -> None:
        self.feeds = {symbol: SymbolFeed(symbol, rule) for symbol, rule in rules.items()}
        self._outside = Position()

    def on_batch(self, deliveries: Sequence[Delivery]) -> list[Publication]:
        """Feed a batch; vectors of one symbol ascend in time, symbols come in the order of their first delivery.

        Raises:
            KeyError: a delivery of a symbol that it does not work for.
        """
        by_symbol: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_symbol.setdefault(delivery.topic.symbol, []).append(delivery)
        return [item for symbol, some in by_symbol.items() for item in self.feeds[symbol].feed(some)]

    def on_outside(self, deliveries: Sequence[Delivery]) -> None:
        """Take facts of the outside world: those of a symbol for it alone, those of none for all."""
        for delivery in deliveries:
            if not self._outside.advance(delivery):
                continue
            symbol = delivery.message.symbol
            for feed in self.feeds.values():
                if symbol in ("", feed.symbol):
                    feed.expect(delivery)

    def warm_up(
        self,
        symbol: str,
        reference: Sequence[Delivery],
        market: Sequence[Delivery],
        window_ns: int,
        published: Sequence[Delivery] = (),
    ) -> int:
        """Feed history without publishing: the slow facts, then the market from a snapshot on.

        Args:
            symbol: whose.
            reference: reference facts that are acknowledged, oldest first.
            market: market facts that are acknowledged, oldest first.
            window_ns: market time wanted; the feed begins at the last snapshot that is at least this old.
            published: the last vectors published, oldest first; no vector up to their cause is published again, and the
                refractory time goes on from the last whose cause is in the history.

        Returns:
            The number of market facts fed; 0 when the history has no snapshot.
        """
        feed = self.feeds[symbol]
        feed.feed(reference)
        begin = snapshot_before(market, window_ns)
        feed.feed(market[begin:])
        last_trigger = -1
        for delivery in published:
            cause = entry_order(delivery.message.cause[0].rpartition("/")[2])
            feed.published = max(feed.published, cause)
            if cause <= feed.market.entry and delivery.message.ts_event <= feed.state.clock_ns:
                last_trigger = delivery.message.ts_event
        feed.state.ints[I_LAST_TRIGGER] = last_trigger
        return len(market) - begin


def snapshot_before(market: Sequence[Delivery], window_ns: int) -> int:
    """Index of the last snapshot at least `window_ns` before the end, else of the first snapshot, else the length."""
    if not market:
        return 0
    limit = max(delivery.message.ts_event for delivery in market) - window_ns
    first = len(market)
    found = -1
    for index, delivery in enumerate(market):
        if isinstance(delivery.message, Book) and delivery.message.snapshot:
            first = min(first, index)
            if delivery.message.ts_event <= limit:
                found = index
    return found if found >= 0 else first
