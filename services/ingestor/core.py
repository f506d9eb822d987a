"""What the ingestor makes of a frame: facts to publish, a frame dropped with its reason, or a book to be fetched anew. Pure.

Continuity (§7.1 of the protocol): a snapshot opens the book at any time; each delta's `u` is one above the last; a gap, a crossed book or
levels that cannot be read end it until the next snapshot. What is older is dropped, and `seq` says what is older: after a restart of the
venue `u` begins at 1 again, while `seq` goes on (our inference). Readers get `Gap` once, then `Resync` and the snapshot. A book that
stays away is asked for again every few seconds, and one whose topic falls silent while the symbol's others go on is given up and asked
for too. Every few seconds, too, the whole book is published as a checkpoint, for readers that start in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from services.ingestor.losses import Loss
from services.ingestor.watch.liquidations import LiquidationWatch
from undertow.contracts.messages.market import (
    FeedSuspect,
    Gap,
    GapReason,
    MarketFact,
    PackedBook,
    Resync,
    Ticker,
    Trades,
)
from undertow.exchange.bybit.facts import FrameDecoder
from undertow.exchange.bybit.followed_book import (
    FAULTY,
    MISFIT,
    TAKEN_CROSSED,
    UNREAD,
    FollowedBook,
    begin_of,
    packed_fact,
)
from undertow.exchange.bybit.frames import (
    BadFrameError,
    BookFrame,
    Control,
    LiquidationFrame,
    MarketFrame,
    decode_frame,
)
from undertow.exchange.levels import Levels

ASK_AGAIN_NS: Final = 5_000_000_000
MALFORMED: Final = "malformed"
BOOK_SILENCE_NS: Final = 60_000_000_000
"""A topic of a book that tells nothing for so long while the symbol's others go on is taken for dead."""


class Publish(msgspec.Struct, frozen=True):
    """A fact for `market:{symbol}`."""

    symbol: str
    fact: MarketFact


class Drop(msgspec.Struct, frozen=True):
    """A frame that is not published.

    Attributes:
        symbol: empty where the frame does not say it.
        reason: a label of few values.
        detail: for the log.
        raw: the frame, when it is malformed.
    """

    symbol: str
    reason: str
    detail: str
    raw: bytes = b""


class Resubscribe(msgspec.Struct, frozen=True):
    """The book of this symbol must be fetched anew."""

    symbol: str


Effect = Publish | Drop | Resubscribe


@dataclass(slots=True)
class _Feed:
    symbol: str
    topic: str
    book: FollowedBook
    latest: PackedBook | None = None
    in_sync: bool = False  # as its readers know
    seen: bool = False
    asked_ns: int | None = None
    checkpoint_ns: int = 0
    heard_ns: int = 0  # of its topic; before its first frame, of the symbol


@dataclass(slots=True)
class IngestorCore:
    """The books of one connection's symbols.

    Attributes:
        symbols: whose frames are expected; others are dropped.
        depth: of the orderbook topic.
        checkpoint_ns: event time between two checkpoints of a book.
        silence_ns: market time without any liquidation after which the feed of liquidations is suspected.
    """

    symbols: Sequence[str]
    depth: int = 200
    checkpoint_ns: int = 10_000_000_000
    silence_ns: int = 7_200_000_000_000
    _feeds: dict[str, _Feed] = field(init=False)
    _by_begin: dict[bytes, _Feed] = field(init=False)
    _decoder: FrameDecoder = field(init=False, default_factory=FrameDecoder)
    _watch: LiquidationWatch = field(init=False)

    def __post_init__(self) -> None:
        topics, levels = {symbol: f"orderbook.{self.depth}.{symbol}" for symbol in self.symbols}, Levels()
        self._feeds = {s: _Feed(s, topic, FollowedBook(s, topic, self.depth, levels)) for s, topic in topics.items()}
        self._by_begin = {feed.book.begin: feed for feed in self._feeds.values()}
        self._watch = LiquidationWatch(self.symbols, self.silence_ns)

    @property
    def out_of_sync(self) -> list[str]:
        """Symbols that have sent something but have no trustworthy book."""
        return [symbol for symbol, feed in self._feeds.items() if feed.seen and not feed.in_sync]

    def on_frame(self, raw: bytes, recv_ns: int) -> list[Effect]:
        """Take one frame, received at `recv_ns` (market ns): it is published, or there is one `Drop` that says why not.

        The first effect tells which; there is none for what is no market frame.
        """
        book_feed = self._by_begin.get(begin_of(raw))
        if book_feed is not None and (state := book_feed.book.follow(raw)) != UNREAD:
            return self._on_book(book_feed, state, book_feed.book.fact(recv_ns), raw)
        return self._on_decoded(raw, recv_ns)

    def _on_decoded(self, raw: bytes, recv_ns: int) -> list[Effect]:
        try:
            frame = decode_frame(raw)
        except BadFrameError as error:
            return [Drop("", MALFORMED, error.reason, raw)]
        if isinstance(frame, Control):
            return []
        feed = self._feeds.get(frame.symbol)
        if feed is None:
            return [Drop("", "foreign_symbol", frame.symbol)]
        feed.seen = True
        if not isinstance(frame, BookFrame):
            return [*self._on_other(frame, raw, recv_ns), *_missed(feed, recv_ns)]
        if frame.topic != feed.topic:
            return [Drop(feed.symbol, "foreign_topic", frame.topic)]
        return self._on_book(feed, feed.book.follow_frame(frame), packed_fact(frame, recv_ns), raw)

    def _on_book(self, feed: _Feed, state: int, fact: PackedBook, raw: bytes) -> list[Effect]:
        feed.seen, feed.heard_ns = True, fact.ts_recv
        if state == MISFIT:
            return self._on_misfit(feed, fact)
        if state == FAULTY:
            drop = Drop(feed.symbol, MALFORMED, f"{feed.topic}: {feed.book.fault}", raw)
            return _lost(feed, GapReason.UPDATE_ID, f"u {fact.update_id} cannot be read", fact, drop)
        if state == TAKEN_CROSSED:
            return _lost(feed, GapReason.CROSSED, f"bid {feed.book.best_bid} ask {feed.book.best_ask}", fact)
        return _on_snapshot(feed, fact) if fact.snapshot else self._on_delta(feed, fact)

    def on_disconnected(self, reason: str, now_ns: int) -> list[Effect]:
        """The connection is gone: every book that was good is good no longer, and the next one begins with snapshots."""
        return self._lose_all(GapReason.DISCONNECTED, reason, now_ns)

    def on_maintenance(self, title: str, now_ns: int) -> list[Effect]:
        """The venue is under maintenance: books that were good are told to be so no longer, before the connection is closed."""
        return self._lose_all(GapReason.MAINTENANCE, title, now_ns)

    def on_unpublished(self, losses: Mapping[str, Loss], now_ns: int) -> list[Effect]:
        """Facts of these symbols were lost on the way to their readers, who hear of it and get our book, where it is whole."""
        effects: list[Effect] = []
        for symbol, loss in losses.items():
            feed = self._feeds[symbol]
            effects.append(Publish(symbol, loss.gap(symbol, now_ns)))
            if feed.in_sync and feed.latest is not None:
                whole = _whole(feed, feed.latest)
                resync = Resync(ts_event=whole.ts_event, ts_recv=whole.ts_recv, symbol=symbol)
                effects += [Publish(symbol, resync), Publish(symbol, whole)]
        return effects

    def best(self, symbol: str) -> tuple[str, str] | None:
        """Give best bid and ask price, or None while out of sync."""
        feed = self._feeds[symbol]
        bid, ask = feed.book.best_bid, feed.book.best_ask
        return (bid[0], ask[0]) if feed.in_sync and bid and ask else None

    def _lose_all(self, reason: GapReason, detail: str, now_ns: int) -> list[Effect]:
        self._decoder.forget()
        self._watch.on_blind()
        effects: list[Effect] = []
        for feed in self._feeds.values():
            feed.asked_ns, feed.heard_ns = None, 0
            feed.book.lose()
            if feed.in_sync:
                feed.in_sync = False
                gap = Gap(ts_event=now_ns, ts_recv=now_ns, symbol=feed.symbol, reason=reason, detail=detail)
                effects.append(Publish(feed.symbol, gap))
        return effects

    def _on_other(self, frame: MarketFrame, raw: bytes, recv_ns: int) -> list[Effect]:
        try:
            facts = self._decoder.facts(frame, recv_ns)
        except ValueError as error:
            return [Drop(frame.symbol, MALFORMED, f"{frame.topic}: {error}", raw)]
        effects: list[Effect] = [Publish(frame.symbol, fact) for fact in facts]
        if not facts:
            effects.append(Drop(frame.symbol, "empty", frame.topic))
        effects += [Publish(suspect.symbol, suspect) for suspect in self._watched(frame, facts, recv_ns)]
        return effects

    def _watched(self, frame: MarketFrame, facts: Sequence[MarketFact], recv_ns: int) -> list[FeedSuspect]:
        if isinstance(frame, LiquidationFrame):  # the frame, for the fact lacks those of size 0
            return self._watch.on_liquidations(frame.symbol, frame.data, recv_ns)
        suspects: list[FeedSuspect] = []
        for fact in facts:
            if isinstance(fact, Trades):
                suspects += self._watch.on_trades(fact)
            elif isinstance(fact, Ticker):
                suspects += self._watch.on_ticker(fact)
        return suspects

    def _on_delta(self, feed: _Feed, fact: PackedBook) -> list[Effect]:
        feed.latest = fact
        if 0 <= fact.ts_event - feed.checkpoint_ns < self.checkpoint_ns:  # below 0: one before was dated too far ahead
            return [Publish(feed.symbol, fact)]
        feed.checkpoint_ns = fact.ts_event
        return [Publish(feed.symbol, fact), Publish(feed.symbol, _whole(feed, fact))]

    def _on_misfit(self, feed: _Feed, fact: PackedBook) -> list[Effect]:
        latest = feed.latest
        if not feed.in_sync or latest is None:
            return [Drop(feed.symbol, "delta_before_snapshot", f"u {fact.update_id}"), *_asked(feed, fact.ts_recv)]
        detail = f"u {fact.update_id} after {latest.update_id}"
        is_told = fact.sequence > 0  # else update ids alone must do
        is_old = fact.sequence <= latest.sequence if is_told else fact.update_id <= latest.update_id
        if is_old:
            return [Drop(feed.symbol, "old_update", detail)]
        return _lost(feed, GapReason.UPDATE_ID, detail, fact)  # with a lower `u`: the snapshot with 1 has been lost


def _on_snapshot(feed: _Feed, fact: PackedBook) -> list[Effect]:
    symbol = feed.symbol
    effects: list[Effect] = []
    if not feed.in_sync or fact.update_id == 1:
        effects = [Publish(symbol, Resync(ts_event=fact.ts_event, ts_recv=fact.ts_recv, symbol=symbol))]
    feed.in_sync, feed.asked_ns = True, None
    feed.latest, feed.checkpoint_ns = fact, fact.ts_event
    effects.append(Publish(symbol, fact))
    return effects


def _whole(feed: _Feed, latest: PackedBook) -> PackedBook:
    bids, asks = feed.book.packed()
    return msgspec.structs.replace(latest, snapshot=True, bids=bids, asks=asks)


def _lost(feed: _Feed, reason: GapReason, detail: str, fact: PackedBook, drop: Drop | None = None) -> list[Effect]:
    feed.book.lose()
    effects: list[Effect] = [drop or Drop(feed.symbol, reason.value, detail)]
    if feed.in_sync:  # else readers know already
        feed.in_sync = False
        gap = Gap(ts_event=fact.ts_event, ts_recv=fact.ts_recv, symbol=feed.symbol, reason=reason, detail=detail)
        effects.append(Publish(feed.symbol, gap))
    return [*effects, *_asked(feed, fact.ts_recv)]


def _missed(feed: _Feed, recv_ns: int) -> list[Effect]:
    feed.heard_ns = feed.heard_ns or recv_ns
    silent_ns = recv_ns - feed.heard_ns
    if silent_ns < BOOK_SILENCE_NS:
        return []
    feed.heard_ns = recv_ns
    effects: list[Effect] = []
    if feed.in_sync:
        feed.in_sync = False
        feed.book.lose()
        detail = f"nothing of {feed.topic} for {silent_ns / 1e9:g} s, while other topics of {feed.symbol} go on"
        gap = Gap(ts_event=recv_ns, ts_recv=recv_ns, symbol=feed.symbol, reason=GapReason.SILENT, detail=detail)
        effects.append(Publish(feed.symbol, gap))
    return [*effects, *_asked(feed, recv_ns)]


def _asked(feed: _Feed, recv_ns: int) -> list[Effect]:
    if feed.asked_ns is not None and recv_ns - feed.asked_ns < ASK_AGAIN_NS:
        return []
    feed.asked_ns = recv_ns
    return [Resubscribe(feed.symbol)]
