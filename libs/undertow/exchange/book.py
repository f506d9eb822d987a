"""An order book as a feed handler keeps it: the venue's decimal text, ordered by price, cut to the subscribed depth.

Plain Python with bisect: one call per message from Python is faster here than a compiled book (docs/adr/0003). Seven of ten changes of a
recorded tape give a level that is there another size; they are found by the text of their price, which needs no number. Another spelling of
the same price is the same level all the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf
from typing import Final

from undertow.contracts.messages.market import Level

_DELETED: Final = "0"


class _Side:
    """Levels of one side.

    Attributes:
        sizes: by the text of the price.
        prices: ascending.
        texts: of the prices, in their order.
    """

    __slots__ = ("prices", "sizes", "texts")

    def __init__(self) -> None:
        self.sizes: dict[str, str] = {}
        self.prices: list[float] = []
        self.texts: list[str] = []

    def replace(self, levels: Sequence[Level]) -> None:
        sizes = dict(levels)
        ordered = sorted((float(price), price) for price in sizes)
        prices = [number for number, _ in ordered]
        amounts = [float(size) for size in sizes.values()]
        if len(set(prices)) == len(levels) and _are_positive(prices) and _are_positive(amounts):
            self.sizes, self.prices, self.texts = sizes, prices, [text for _, text in ordered]
        else:
            self.apply(levels)  # one by one: sizes of zero are left out, and what is no level is found

    def apply(self, changes: Sequence[Level]) -> None:
        sizes, prices = self.sizes, self.prices
        for price, size in changes:
            if price in sizes:
                if size == _DELETED:
                    index = bisect_left(prices, float(price))
                    del sizes[price], prices[index], self.texts[index]
                elif 0.0 < float(size) < inf:
                    sizes[price] = size
                else:
                    self._change(price, size)
            else:
                self._change(price, size)

    def drop(self, index: int) -> None:
        del self.prices[index]
        del self.sizes[self.texts.pop(index)]

    def level(self, index: int) -> Level:
        text = self.texts[index]
        return text, self.sizes[text]

    def _change(self, price: str, size: str) -> None:
        number, amount, prices = float(price), float(size), self.prices
        index = bisect_left(prices, number)
        is_known = index < len(prices) and prices[index] == number  # perhaps in another spelling
        if amount == 0.0:
            if is_known:
                self.drop(index)
        elif 0.0 < number < inf and 0.0 < amount < inf:
            if is_known:
                self.drop(index)
            prices.insert(index, number)
            self.texts.insert(index, price)
            self.sizes[price] = size
        else:
            raise ValueError(f"{(price, size)} is not a level")


class OrderBook:
    """Both sides of one symbol.

    Args:
        depth: levels a side that the venue keeps for us; what falls out of it is dropped.
    """

    __slots__ = ("_asks", "_bids", "_depth")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._bids = _Side()
        self._asks = _Side()

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a snapshot.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        self._bids, self._asks = _Side(), _Side()
        self._bids.replace(bids)
        self._asks.replace(asks)
        self._cut()

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a delta: a size of zero deletes, deleting the unknown is harmless.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        if bids:
            self._bids.apply(bids)
        if asks:
            self._asks.apply(asks)
        self._cut()

    @property
    def is_crossed(self) -> bool:
        """True when the best bid is not below the best ask."""
        bids, asks = self._bids.prices, self._asks.prices
        return bool(bids and asks) and bids[-1] >= asks[0]

    @property
    def best_bid(self) -> Level | None:
        """Price and size, or None on an empty side."""
        side = self._bids
        return side.level(-1) if side.prices else None

    @property
    def best_ask(self) -> Level | None:
        """Price and size, or None on an empty side."""
        side = self._asks
        return side.level(0) if side.prices else None

    def levels(self, best: int | None = None) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Give bids descending and asks ascending; all, or so many of the best."""
        most = self._depth if best is None else best
        bids, asks = self._bids, self._asks
        return (
            tuple((price, bids.sizes[price]) for price in bids.texts[: -most - 1 : -1]),
            tuple((price, asks.sizes[price]) for price in asks.texts[:most]),
        )

    def _cut(self) -> None:
        bids, asks, depth = self._bids, self._asks, self._depth
        while len(bids.prices) > depth:
            bids.drop(0)
        while len(asks.prices) > depth:
            asks.drop(-1)


def _are_positive(numbers: Sequence[float]) -> bool:
    return not numbers or (min(numbers) > 0.0 and sum(numbers) < inf)  # a sum with a NaN is none
