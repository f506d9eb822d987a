"""Mark prices as the venue's tickers have them, read slowly and by a way of their own: neither from the feed nor from the signal.

So a broken feed cannot vouch for itself: an entry's price and the signal's mid are compared with these.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from undertow.trading.correlation import Returns

_BPS: Final = Decimal(10_000)


class Marks:
    """The newest mark of each symbol, with its time, and what their minutes say."""

    def __init__(self) -> None:
        self.returns = Returns()
        self._prices: dict[str, Decimal] = {}
        self._times: dict[str, int] = {}

    @property
    def prices(self) -> Mapping[str, Decimal]:
        """The newest mark by symbol, however old."""
        return self._prices

    def at_ns(self, symbol: str) -> int:
        """Give the time of the newest mark; 0: there is none."""
        return self._times.get(symbol, 0)

    def put(self, symbol: str, price: Decimal, at_ns: int) -> tuple[Decimal, int]:
        """Take a mark; give how far it is from the one before, basis points, and the time between them. An older one is nothing."""
        before, before_ns = self._prices.get(symbol), self.at_ns(symbol)
        if at_ns <= before_ns:
            return Decimal(0), 0
        self._prices[symbol], self._times[symbol] = price, at_ns
        self.returns.put(symbol, price, at_ns)
        if before is None:
            return Decimal(0), 0
        return abs(price / before - 1) * _BPS, at_ns - before_ns
