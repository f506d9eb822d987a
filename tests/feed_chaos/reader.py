"""A reader of `market:{SYMBOL}` as the fleet has many: it applies what is published, and complains of what no reader should meet."""

from __future__ import annotations

from undertow.bus.codec import opened
from undertow.bus.memory import Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.market import (
    Book,
    Gap,
    Kline,
    Level,
    Liquidations,
    MarketFact,
    Resync,
    Ticker,
    Trades,
)
from undertow.contracts.streams import MARKET

Levels = dict[float, Level]


class MarketReader:
    """One symbol's.

    Attributes:
        complaints: what no reader should meet.
        facts: all, in order.
        is_blind: nothing is known of the book.
    """

    def __init__(self, store: Store, symbol: str, depth: int) -> None:
        self._depth = depth
        self.complaints: list[str] = []
        self.facts: list[MarketFact] = []
        self.is_blind = True
        self.last: Book | None = None
        self._log = store.log(Topic(MARKET, symbol=symbol).key)
        self._topic = Topic(MARKET, symbol=symbol)
        self._bids: Levels = {}
        self._asks: Levels = {}
        self._is_promised = False

    def read(self) -> None:
        """Take what has been published since."""
        for raw in self._log.raws[len(self.facts) :]:
            fact = opened(self._topic, "", raw).message
            self.facts.append(fact)
            if isinstance(fact, Gap):
                if self.is_blind:
                    self.complaints.append(f"told twice of one gap: {fact.reason} {fact.detail}")
                self.is_blind, self._is_promised = True, False
            elif isinstance(fact, Resync):
                self._is_promised = True
            elif isinstance(fact, Book):
                self._take(fact)

    def levels(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Give bids descending and asks ascending."""
        bids, asks = sorted(self._bids, reverse=True), sorted(self._asks)
        return tuple(self._bids[price] for price in bids), tuple(self._asks[price] for price in asks)

    def of(self, kind: type[Trades | Liquidations | Ticker | Kline | Gap | Resync | Book]) -> list[MarketFact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def books(self) -> list[tuple[bool, int, int]]:
        """Give snapshot, update id and sequence of each book fact."""
        return [(b.snapshot, b.update_id, b.sequence) for b in self.of(Book)]

    def _take(self, book: Book) -> None:
        if book.snapshot:
            if self.is_blind and not self._is_promised:
                self.complaints.append(f"a snapshot to the blind without a resync: u {book.update_id}")
            self._bids, self._asks, self.is_blind = {}, {}, False
        elif self.is_blind:
            self.complaints.append(f"a delta to the blind: u {book.update_id}")
        elif self.last is None or book.update_id != self.last.update_id + 1:
            self.complaints.append(f"u {book.update_id} after {self.last and self.last.update_id} without a gap")
        self.last, self._is_promised = book, False
        for side, levels in ((self._bids, book.bids), (self._asks, book.asks)):
            for level in levels:
                price, size = map(float, level)
                if size:
                    side[price] = level
                else:
                    side.pop(price, None)
        while len(self._bids) > self._depth:
            del self._bids[min(self._bids)]
        while len(self._asks) > self._depth:
            del self._asks[max(self._asks)]
        if self._bids and self._asks and max(self._bids) >= min(self._asks):
            self.complaints.append(f"crossed at u {book.update_id}: {max(self._bids)} {min(self._asks)}")
