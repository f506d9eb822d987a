"""Bybit's public archive of order books: `YYYY-MM-DD_SYMBOL_ob500.data.zip` (`ob200` since August 2025), each book frame of a day.

A line is the frame of the public stream, `{"topic":"orderbook.500.BTCUSDT","type","ts","data":{"s","b","a","u","seq"},"cts"}`, a snapshot
first (seen in public loaders and one reported replay: 250,000 frames, ids ascending, none crossed; that ids have no gaps is our inference
from the stream's rule). The push time `ts` stands for the time of receipt.

Every frame is stored, and what makes a book untrustworthy is said: a `Gap` where an id is missing or repeated, where the book crosses,
and where a file begins without a snapshot; a `Resync` where a snapshot mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Book, Gap, GapReason, Resync
from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.facts import book_fact
from undertow.exchange.bybit.frames import BadFrameError, BookFrame, decode_frame
from undertow.history.archive import Archive

_MS_NS: Final = 1_000_000


class BookWatch:
    """Whether one symbol's book can be trusted.

    Args:
        depth: levels a side.
        counts: whether update ids count up by one.
    """

    def __init__(self, depth: int, *, counts: bool) -> None:
        self._book = OrderBook(depth)
        self._counts = counts
        self._is_whole = False
        self._is_said = False
        self._update_id = 0

    def messages(self, fact: Book) -> Iterator[Message]:
        """Yield the fact, and what must be said with it.

        Raises:
            ValueError: a level is no number.
        """
        if fact.snapshot:
            self._book.replace(fact.bids, fact.asks)
            if not self._is_whole:
                yield Resync(ts_event=fact.ts_event, ts_recv=fact.ts_recv, symbol=fact.symbol)
            self._is_whole, self._is_said = True, False
        else:
            skipped = self._counts and fact.update_id != self._update_id + 1
            if not self._is_whole:
                yield from self._lost(fact, GapReason.UPDATE_ID, "begins without a snapshot")
            elif skipped:
                yield from self._lost(fact, GapReason.UPDATE_ID, f"u {fact.update_id} after {self._update_id}")
            self._book.apply(fact.bids, fact.asks)
        self._update_id = fact.update_id
        if self._is_whole and self._book.is_crossed:
            detail = f"bid {self._book.best_bid} ask {self._book.best_ask}"
            yield from self._lost(fact, GapReason.CROSSED, detail)
        yield fact

    def _lost(self, fact: Book, reason: GapReason, detail: str) -> Iterator[Message]:
        self._is_whole = False
        if not self._is_said:
            self._is_said = True
            yield Gap(ts_event=fact.ts_event, ts_recv=fact.ts_recv, symbol=fact.symbol, reason=reason, detail=detail)


def watch_of(archive: Archive, frame: BookFrame, watches: dict[str, BookWatch]) -> BookWatch:
    """Give the watch of a frame's topic, as deep as the topic is; a new one is added.

    Raises:
        ArchiveError: the topic names no depth, or no symbol.
    """
    watch = watches.get(frame.topic)
    if watch is None:
        archive.symbol(frame.symbol)
        depth = archive.whole("depth", frame.topic.partition(".")[2].partition(".")[0])
        watch = watches[frame.topic] = BookWatch(depth, counts=True)
    return watch


def read_bybit_books(archive: Archive) -> Iterator[Message]:
    """Yield the books of an archive in its order, which must ascend by push time.

    Raises:
        ArchiveError: a line is no book frame, or is out of order.
    """
    watches: dict[str, BookWatch] = {}
    latest_ms = 0
    for line in archive.lines():
        try:
            frame = decode_frame(line)
        except BadFrameError as error:
            raise archive.fault(f"is no frame of Bybit: {error.reason}") from None
        if not isinstance(frame, BookFrame):
            raise archive.fault("is no book frame", "check which source it is of")
        if frame.ts_ms < latest_ms:
            raise archive.fault(f"ts {frame.ts_ms} is before {latest_ms} of the line above")
        latest_ms = frame.ts_ms
        try:
            yield from watch_of(archive, frame, watches).messages(book_fact(frame, frame.ts_ms * _MS_NS))
        except ValueError as error:
            raise archive.fault(str(error)) from None
