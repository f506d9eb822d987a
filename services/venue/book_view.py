"""A book as one depth topic shows it: its best levels, with an update id of its own. Pure."""

from __future__ import annotations

from typing import Protocol

from undertow.contracts.messages.market import Level

Levels = tuple[Level, ...]


class Book(Protocol):
    """What a view looks at: the market's own book."""

    sequence: int
    book_ts: int
    book_cts: int
    restarts: int

    def levels(self, best: int) -> tuple[Levels, Levels]:
        """Give so many of the best bids, descending, and asks, ascending."""
        ...


class BookView:
    """The best `depth` levels at the last refresh; a market with fewer gives what it has.

    Attributes:
        depth: levels a side at most.
        is_followed: whether a topic refreshes it at its cadence; nobody else may then.
        update_id: goes up by 1 with each refresh that found a change; 1 is the first, and the first after the market's book restarted.
        sequence: of the market's frame that it last took in; `ts` and `cts` are that frame's.
    """

    def __init__(self, book: Book, depth: int) -> None:
        self.depth = depth
        self.is_followed = False
        self.update_id = self.sequence = self.ts = self.cts = 0
        self.bids: Levels = ()
        self.asks: Levels = ()
        self._book = book
        self._restarts = book.restarts

    def refresh(self) -> tuple[Levels, Levels] | None:
        """Look again; give what changed of bids and asks, deleted levels with size "0", or None for no change.

        After a restart of the market's book, and the first time, everything is new: `update_id` is 1 then.
        """
        book = self._book
        bids, asks = book.levels(self.depth)
        if self._restarts != book.restarts:
            self._restarts = book.restarts
            self.update_id, self.bids, self.asks = 0, (), ()
        if (bids, asks) == (self.bids, self.asks):
            return None
        changes = _changes(self.bids, bids), _changes(self.asks, asks)
        self.bids, self.asks = bids, asks
        self.update_id += 1
        self.sequence, self.ts, self.cts = book.sequence, book.book_ts, book.book_cts
        return changes


def _changes(before: Levels, after: Levels) -> Levels:
    old, left = dict(before), {price for price, _ in after}
    gone = tuple((price, "0") for price, _ in before if price not in left)
    return gone + tuple((price, size) for price, size in after if old.get(price) != size)
