"""An order book as a feed handler keeps it: the venue's decimal text, ordered by price, cut to the subscribed depth.

Plain Python with bisect: one call per message from Python is faster here than a compiled book (docs/adr/0003). Half of the time would go
into reading numbers out of their text; whoever has the frame gives them, as the JSON decoder reads them ten times faster.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import inf

from undertow.contracts.messages.market import Level

Numbers = Sequence[tuple[float, float]]
"""Price and size of each level."""


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

    def replace(
        self, bids: Sequence[Level], asks: Sequence[Level], numbers: tuple[Numbers, Numbers] | None = None
    ) -> None:
        """Take a snapshot.

        Args:
            bids: levels of the one side.
            asks: of the other.
            numbers: of both sides, where they are known.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        self._bids, self._asks, self._prices_b, self._prices_a = {}, {}, [], []
        self.apply(bids, asks, numbers)

    def apply(
        self, bids: Sequence[Level], asks: Sequence[Level], numbers: tuple[Numbers, Numbers] | None = None
    ) -> None:
        """Take a delta: a size of zero deletes, deleting the unknown is harmless.

        Args:
            bids: levels of the one side.
            asks: of the other.
            numbers: of both sides, where they are known.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        of_bids, of_asks = (_numbers(bids), _numbers(asks)) if numbers is None else numbers
        depth = self._depth
        if bids:
            prices = self._prices_b
            _apply(self._bids, prices, bids, of_bids)
            while len(prices) > depth:
                del self._bids[prices.pop(0)]
        if asks:
            prices = self._prices_a
            _apply(self._asks, prices, asks, of_asks)
            while len(prices) > depth:
                del self._asks[prices.pop()]

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


def _numbers(levels: Sequence[Level]) -> Numbers:
    return [(float(price), float(size)) for price, size in levels]


def _apply(levels: dict[float, Level], prices: list[float], changes: Sequence[Level], numbers: Numbers) -> None:
    for level, (price, size) in zip(changes, numbers, strict=True):
        if price in levels:
            if 0.0 < size < inf:
                levels[price] = level
            elif size == 0.0:
                del levels[price]
                del prices[bisect_left(prices, price)]
            else:
                raise ValueError(f"{level} is not a level")
        elif size > 0.0:
            if not 0.0 < price < inf > size:
                raise ValueError(f"{level} is not a level")
            insort(prices, price)
            levels[price] = level
        elif size != 0.0:
            raise ValueError(f"{level} is not a level")
