"""What the ingestor makes of a frame: facts to publish, a frame dropped with its reason, or a book to be fetched anew. Pure.

Continuity (§7.1 of the protocol): a snapshot opens the book at any time; each delta's `u` is one above the last; a gap, a delta before a
snapshot or a crossed book end it until the next snapshot. Readers get `Gap` once, then `Resync` and the snapshot. Every few seconds the
whole book is published again as a checkpoint, for readers that start in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from undertow.contracts.messages.market import Book, Gap, GapReason, MarketFact, Resync
from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.facts import FrameDecoder, book_fact
from undertow.exchange.bybit.frames import BadFrameError, BookFrame, Control, MarketFrame, decode_frame


@dataclass(frozen=True, slots=True)
class Publish:
    """A fact for `market:{symbol}`."""

    symbol: str
    fact: MarketFact


@dataclass(frozen=True, slots=True)
class Drop:
    """A frame that is not published; `reason` is a label of few values, `detail` is for the log."""

    symbol: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """The book of this symbol must be fetched anew."""

    symbol: str


Effect = Publish | Drop | Resubscribe


@dataclass(slots=True)
class _Feed:
    book: OrderBook
    update_id: int = 0
    sequence: int = 0
    in_sync: bool = False
    seen: bool = False
    checkpoint_ns: int = 0


@dataclass(slots=True)
class IngestorCore:
    """The books of one connection's symbols.

    Attributes:
        symbols: whose frames are expected; others are dropped.
        depth: of the orderbook topic.
        checkpoint_ns: event time between two checkpoints of a book.
    """

    symbols: Sequence[str]
    depth: int = 200
    checkpoint_ns: int = 10_000_000_000
    _feeds: dict[str, _Feed] = field(init=False)
    _decoder: FrameDecoder = field(init=False, default_factory=FrameDecoder)

    def __post_init__(self) -> None:
        self._feeds = {symbol: _Feed(OrderBook(self.depth)) for symbol in self.symbols}

    @property
    def out_of_sync(self) -> list[str]:
        """Symbols that have sent something but have no trustworthy book."""
        return [symbol for symbol, feed in self._feeds.items() if feed.seen and not feed.in_sync]

    def on_frame(self, raw: bytes, recv_ns: int) -> list[Effect]:
        """Take one frame, received at `recv_ns` (market ns)."""
        try:
            frame = decode_frame(raw)
        except BadFrameError as error:
            return [Drop("", "malformed", error.reason)]
        if isinstance(frame, Control):
            return []
        feed = self._feeds.get(frame.symbol)
        if feed is None:
            return [Drop("", "foreign_symbol", frame.symbol)]
        feed.seen = True
        return self._on_book(feed, frame, recv_ns) if isinstance(frame, BookFrame) else self._on_other(frame, recv_ns)

    def _on_other(self, frame: MarketFrame, recv_ns: int) -> list[Effect]:
        try:
            facts = self._decoder.facts(frame, recv_ns)
        except (KeyError, ValueError) as error:
            return [Drop(frame.symbol, "malformed", f"{frame.topic}: {type(error).__name__} {error}")]
        if not facts:
            return [Drop(frame.symbol, "empty", frame.topic)]
        return [Publish(frame.symbol, fact) for fact in facts]

    def on_disconnected(self, reason: str, now_ns: int) -> list[Effect]:
        """The connection is gone: every book that was good is good no longer."""
        effects: list[Effect] = []
        for symbol, feed in self._feeds.items():
            if feed.in_sync:
                effects += self._gap(feed, symbol, GapReason.DISCONNECTED, reason, now_ns, now_ns)[:1]
        return effects

    def best(self, symbol: str) -> tuple[str, str] | None:
        """Give best bid and ask price, or None while out of sync."""
        feed = self._feeds[symbol]
        bid, ask = feed.book.best_bid, feed.book.best_ask
        return (bid[0], ask[0]) if feed.in_sync and bid and ask else None

    def _on_book(self, feed: _Feed, frame: BookFrame, recv_ns: int) -> list[Effect]:
        symbol = frame.symbol
        fact = book_fact(frame, recv_ns)
        if frame.snapshot:
            opened: list[Effect] = []
            if not feed.in_sync or fact.update_id == 1:
                opened = [Publish(symbol, Resync(ts_event=fact.ts_event, ts_recv=recv_ns, symbol=symbol))]
            feed.book.replace(fact.bids, fact.asks)
            feed.in_sync, feed.checkpoint_ns = True, fact.ts_event
            return self._accepted(feed, fact, opened, recv_ns)
        if not feed.in_sync:
            return [Drop(symbol, "delta_before_snapshot", f"u {fact.update_id}")]
        if fact.update_id <= feed.update_id:
            return [Drop(symbol, "old_update", f"u {fact.update_id} after {feed.update_id}")]
        if fact.update_id != feed.update_id + 1:
            detail = f"u {fact.update_id} after {feed.update_id}"
            return self._gap(feed, symbol, GapReason.UPDATE_ID, detail, fact.ts_event, recv_ns)
        feed.book.apply(fact.bids, fact.asks)
        return self._accepted(feed, fact, [], recv_ns)

    def _accepted(self, feed: _Feed, fact: Book, effects: list[Effect], recv_ns: int) -> list[Effect]:
        symbol = fact.symbol
        if feed.book.is_crossed:
            detail = f"bid {feed.book.best_bid} ask {feed.book.best_ask}"
            return self._gap(feed, symbol, GapReason.CROSSED, detail, fact.ts_event, recv_ns)
        feed.update_id, feed.sequence = fact.update_id, fact.sequence
        effects.append(Publish(symbol, fact))
        if fact.ts_event - feed.checkpoint_ns >= self.checkpoint_ns:
            feed.checkpoint_ns = fact.ts_event
            bids, asks = feed.book.levels()
            checkpoint = Book(
                ts_event=fact.ts_event,
                ts_recv=recv_ns,
                symbol=symbol,
                snapshot=True,
                bids=bids,
                asks=asks,
                update_id=fact.update_id,
                sequence=fact.sequence,
            )
            effects.append(Publish(symbol, checkpoint))
        return effects

    @staticmethod
    def _gap(feed: _Feed, symbol: str, reason: GapReason, detail: str, ts_event: int, recv_ns: int) -> list[Effect]:
        feed.in_sync = False
        gap = Gap(ts_event=ts_event, ts_recv=recv_ns, symbol=symbol, reason=reason, detail=detail)
        return [Publish(symbol, gap), Resubscribe(symbol)]
