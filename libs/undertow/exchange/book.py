"""An order book as a feed handler keeps it: the venue's decimal text, ordered by price, cut to the subscribed depth.

Plain Python with bisect: one call per message from Python is faster here than a compiled book (docs/adr/0003).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from math import inf

from undertow.contracts.messages.market import Level


class OrderBook:
    """Both sides of one symbol.

    Args:
        depth: levels a side that the venue keeps for us; what falls out of it is dropped.
    """

    __slots__ = ("_asks", "_bids", "_depth", "_prices_a", "_prices_b")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._bids: dict[float, Level] = {}
        self._asks: dict[float, Level] = {}
        self._prices_b: list[float] = []  # ascending
        self._prices_a: list[float] = []  # ascending

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take a snapshot.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        self._bids, self._asks, self._prices_b, self._prices_a = {}, {}, [], []
        self.apply(bids, asks)

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take a delta: a size of zero deletes, deleting the unknown is harmless.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        _apply(self._bids, self._prices_b, bids)
        _apply(self._asks, self._prices_a, asks)
        while len(self._prices_b) > self._depth:
            del self._bids[self._prices_b.pop(0)]
        while len(self._prices_a) > self._depth:
            del self._asks[self._prices_a.pop()]

    @property
    def is_crossed(self) -> bool:
        """True when the best bid is not below the best ask."""
        return bool(self._prices_b and self._prices_a) and self._prices_b[-1] >= self._prices_a[0]

    @property
    def best_bid(self) -> Level | None:
        """Price and size, or None on an empty side."""
        return self._bids[self._prices_b[-1]] if self._prices_b else None

    @property
    def best_ask(self) -> Level | None:
        """Price and size, or None on an empty side."""
        return self._asks[self._prices_a[0]] if self._prices_a else None

    def levels(self, best: int | None = None) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Give bids descending and asks ascending; all, or so many of the best."""
        most = self._depth if best is None else best
        bids, asks = self._prices_b[: -most - 1 : -1], self._prices_a[:most]
        return tuple(self._bids[p] for p in bids), tuple(self._asks[p] for p in asks)


def _apply(levels: dict[float, Level], prices: list[float], changes: Iterable[Level]) -> None:
    for level in changes:
        text, amount = level
        price, size = float(text), 0.0 if amount == "0" else float(amount)
        if size > 0.0:
            if not 0.0 < price < inf > size:
                raise ValueError(f"{level} is not a level")
            if price not in levels:
                insort(prices, price)
            levels[price] = level
        elif size == 0.0:
            if price in levels:
                del levels[price]
                del prices[bisect_left(prices, price)]
        else:
            raise ValueError(f"{level} is not a level")
