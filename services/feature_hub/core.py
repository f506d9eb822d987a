"""Deliveries in, feature vectors out: the kernels of each symbol, fed once per batch.

A message counts once: an entry that is not after the last one fed is dropped, and so is a number of the producer that
was fed before. A number that is missing, or another producer, is a gap: the windows would have a hole, so they begin
anew at the next snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from undertow.bus.ports import Delivery, Topic, entry_order
from undertow.contracts.messages.decision import Features
from undertow.contracts.messages.market import Book
from undertow.contracts.streams import FEATURES, MARKET
from undertow.features.events import RESET, EventBuffer
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import I_LAST_TRIGGER
from undertow.features.message import features_message

Publication = tuple[Topic, Features, tuple[int, ...]]

VECTORS_PER_CALL = 8


@dataclass
class Position:
    """How far one key has been fed."""

    entry: tuple[int, int] = (0, 0)
    producer: str = ""
    sequence: int = 0


@dataclass
class SymbolFeed:
    """One symbol's kernels and what they were fed.

    Attributes:
        holes: times that messages were missing.
        market: how far the market stream has been fed.
        slow: how far the reference stream has been fed.
        reference: the last reference fact fed.
        published: entry of the market fact whose vector was published last; no vector is published twice.
    """

    symbol: str
    rule: TriggerRule
    state: FeatureState = field(default_factory=FeatureState.empty)
    buffer: EventBuffer = field(default_factory=EventBuffer)
    market: Position = field(default_factory=Position)
    slow: Position = field(default_factory=Position)
    holes: int = 0
    reference: Delivery | None = None
    published: tuple[int, int] = (0, 0)

    def feed(self, deliveries: Sequence[Delivery]) -> list[Publication]:
        """Convert all, call the kernel once, and give what is to be published."""
        ends: dict[int, tuple[Delivery, Delivery | None]] = {}
        for delivery in deliveries:
            is_market = delivery.topic.stream is MARKET
            if not self._is_next(delivery, self.market if is_market else self.slow, is_market=is_market):
                continue
            rows = self.buffer.append_fact(delivery.message)
            if not is_market:
                self.reference = delivery
            elif rows:
                ends[len(self.buffer) - 1] = (delivery, self.reference)
        if not len(self.buffer):
            return []
        vectors = sweep(self.state, self.rule, self.buffer.columns(), capacity=VECTORS_PER_CALL)
        self.buffer.clear()
        topic = Topic(FEATURES, symbol=self.symbol)
        publications: list[Publication] = []
        for index, row in enumerate(vectors.rows.tolist()):
            delivery, reference = ends[row]
            entry = entry_order(delivery.entry_id)
            if entry > self.published:
                self.published = entry
                cause = (delivery.ref,) if reference is None else (delivery.ref, reference.ref)
                message = features_message(self.symbol, vectors, index, delivery.message.ts_recv, cause)
                publications.append((topic, message, delivery.hops))
        return publications

    def _is_next(self, delivery: Delivery, at: Position, *, is_market: bool) -> bool:
        entry = entry_order(delivery.entry_id)
        same = delivery.producer == at.producer
        if entry <= at.entry or (same and delivery.sequence <= at.sequence):
            return False
        if is_market and at.producer and not (same and delivery.sequence == at.sequence + 1):
            self.holes += 1
            self.buffer.append(delivery.message.ts_event, RESET)
        at.entry, at.producer, at.sequence = entry, delivery.producer, delivery.sequence
        return True


class HubCore:
    """The feature hub without its wires.

    Args:
        rules: trigger rule of each symbol it works for.
    """

    def __init__(self, rules: Mapping[str, TriggerRule]) -> None:
        self.feeds = {symbol: SymbolFeed(symbol, rule) for symbol, rule in rules.items()}

    def on_batch(self, deliveries: Sequence[Delivery]) -> list[Publication]:
        """Feed a batch; vectors of one symbol ascend in time, symbols come in the order of their first delivery.

        Raises:
            KeyError: a delivery of a symbol that it does not work for.
        """
        by_symbol: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_symbol.setdefault(delivery.topic.symbol, []).append(delivery)
        return [item for symbol, some in by_symbol.items() for item in self.feeds[symbol].feed(some)]

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
