"""Deliveries in, feature vectors out: the kernels of each symbol, fed once per batch.

What counts, in which order, says `undertow.features.feed`. Facts of the outside world come by themselves; they trigger
nothing and hold up nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from undertow.bus.ports import Delivery, Topic, entry_order
from undertow.contracts.messages.decision import Features
from undertow.contracts.messages.market import Book
from undertow.contracts.streams import FEATURES, MARKET
from undertow.features.feed import Feed, Inputs, Position
from undertow.features.kernel import FeatureState, TriggerRule, Vectors, sweep
from undertow.features.layout import I_LAST_TRIGGER
from undertow.features.message import features_message

Publication = tuple[Topic, Features, tuple[int, ...]]

VECTORS_PER_CALL = 8


@dataclass
class SymbolFeed:
    """One symbol's kernels and what they were fed.

    Attributes:
        facts: what was fed, and what waits.
        late: facts of other streams that came when the market had passed the time at which they were known.
        published: entry of the market fact whose vector was published last; no vector is published twice.
    """

    symbol: str
    rule: TriggerRule
    state: FeatureState = field(default_factory=FeatureState.empty)
    facts: Feed = field(default_factory=Feed)
    late: int = 0
    published: tuple[int, int] = (0, 0)

    @property
    def holes(self) -> int:
        """Times that messages were missing."""
        return self.facts.holes

    def feed(self, deliveries: Sequence[Delivery]) -> list[Publication]:
        """Convert all, call the kernel once, and give what is to be published."""
        ends: dict[int, Inputs] = {}
        for delivery in deliveries:
            if delivery.topic.stream is not MARKET:
                if self.facts.take_reference(delivery):
                    self._count_if_late(delivery)
            elif (inputs := self.facts.take_market(delivery)) is not None:
                ends[len(self.facts.buffer) - 1] = inputs
        return self._publications(self._sweep(), ends)

    def expect(self, delivery: Delivery) -> None:
        """Take a fact of the outside world; it is fed when the market comes up to it."""
        self._count_if_late(delivery)
        self.facts.expect(delivery)
        self._sweep()  # one that had to go on without waiting; there is no vector without the end of a message

    def _count_if_late(self, delivery: Delivery) -> None:
        self.late += delivery.message.ts_recv <= self.state.clock_ns

    def _sweep(self) -> Vectors | None:
        buffer = self.facts.buffer
        if not len(buffer):
            return None
        vectors = sweep(self.state, self.rule, buffer.columns(), capacity=VECTORS_PER_CALL)
        buffer.clear()
        return vectors

    def _publications(self, vectors: Vectors | None, ends: Mapping[int, Inputs]) -> list[Publication]:
        if vectors is None:
            return []
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
            if cause <= feed.facts.market.entry and delivery.message.ts_event <= feed.state.clock_ns:
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
