"""Topics that the venue makes itself, each at its own cadence of market time, and only while somebody listens.

A push happens at a multiple of the cadence and holds every market frame before that moment, so that what a listener gets is a function of
the market and of the moment it joined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import msgspec

from services.venue.board import SymbolBoard
from services.venue.candles import interval_end, interval_start
from services.venue.price_limits import PublishedLimits

BOOK_CADENCES_MS: Final = {1: 10, 50: 20, 200: 100, 1000: 200}
REPEAT_MS: Final = 3_000
"""After so long without a change the best prices are sent again, with the same update id."""
KLINE_CADENCE_MS: Final = 1_000
PRICE_LIMIT_CADENCE_MS: Final = 300
_MS_NS: Final = 1_000_000
_ENCODE: Final = msgspec.json.encode


class Channel(ABC):
    """One topic.

    Args:
        topic: its name.
        cadence_ms: market time between two pushes.

    Attributes:
        stirred_by: kinds of the symbol's own topics, up to the first dot, whose frames make a push due; empty for a push each time.
    """

    stirred_by: tuple[str, ...] = ()

    def __init__(self, topic: str, cadence_ms: int) -> None:
        self.topic = topic
        self.cadence_ms = cadence_ms

    def next_ms(self, after_ms: int) -> int:
        """Give the first moment for a push after this one."""
        return (after_ms // self.cadence_ms + 1) * self.cadence_ms

    def idle_ms(self, pushed_ms: int) -> int | None:
        """Give when to push although nothing stirred it, None for never."""
        return self.next_ms(pushed_ms)

    @abstractmethod
    def opens(self, now_ms: int) -> None:
        """Begin: somebody listens."""

    def closes(self) -> None:  # noqa: B027 - most have nothing to lay down
        """End: nobody listens any more."""

    def hello(self, now_ms: int) -> bytes | None:  # noqa: ARG002 - for those that have one
        """Give the frame with which one more listener starts, or None for none."""
        return None

    @abstractmethod
    def push(self, now_ms: int) -> bytes | None:
        """Give the frame that is due, or None without news."""


class BookChannel(Channel):
    """`orderbook.{depth}`: a snapshot, then what changed; depth 1 has snapshots only."""

    stirred_by = ("orderbook",)

    def __init__(self, board: SymbolBoard, depth: int) -> None:
        super().__init__(f"orderbook.{depth}.{board.symbol}", BOOK_CADENCES_MS[depth])
        self._symbol = board.symbol
        self._view = board.view(depth)
        self._is_top = depth == 1
        self._told_ms = 0

    def idle_ms(self, pushed_ms: int) -> int | None:  # noqa: ARG002 - counted from the last change
        """Give when the best prices are repeated."""
        return self._told_ms + REPEAT_MS if self._is_top else None

    def opens(self, now_ms: int) -> None:
        """Take the book as it is now."""
        self._view.refresh()
        self._view.is_followed = True
        self._told_ms = now_ms

    def closes(self) -> None:
        """Let the view rest."""
        self._view.is_followed = False

    def hello(self, now_ms: int) -> bytes | None:
        """Give the book as the listeners before have it."""
        return self._frame("snapshot", self._view.bids, self._view.asks, now_ms) if self._view.update_id else None

    def push(self, now_ms: int) -> bytes | None:
        """Give what changed."""
        changes = self._view.refresh()
        if self._is_top and (changes is not None or now_ms >= self._told_ms + REPEAT_MS):
            self._told_ms = now_ms
            return self.hello(now_ms)
        if self._is_top or changes is None:
            return None
        return self._frame("snapshot" if self._view.update_id == 1 else "delta", *changes, now_ms)

    def _frame(self, kind: str, bids: Any, asks: Any, now_ms: int) -> bytes:
        view = self._view
        data = {"s": self._symbol, "b": bids, "a": asks, "u": view.update_id, "seq": view.sequence}
        return _ENCODE({"topic": self.topic, "type": kind, "ts": max(now_ms, view.ts), "data": data, "cts": view.cts})


class KlineChannel(Channel):
    """`kline.{interval}`: the open candle each second in which it changed, and once more, confirmed, when it has closed."""

    def __init__(self, board: SymbolBoard, interval: str) -> None:
        super().__init__(f"kline.{interval}.{board.symbol}", KLINE_CADENCE_MS)
        self._candles = board.candles
        self._interval = interval
        self._from_ms = 0
        self._seen = -1

    def opens(self, now_ms: int) -> None:
        """Begin with the candle of this moment."""
        self._from_ms, self._seen = interval_start(self._interval, now_ms), -1

    def push(self, now_ms: int) -> bytes | None:
        """Give the open candle, after those that have closed since the last push."""
        self._candles.pass_time(now_ms)
        if self._candles.changes == self._seen:
            return None
        self._seen = self._candles.changes
        rows = self._candles.since(self._interval, self._from_ms)
        if not rows:
            return None
        self._from_ms = rows[-1][0]
        data = []
        for start, candle, is_closed in rows:
            opened, high, low, close, volume, turnover = candle.texts()
            data.append(
                {
                    "start": start,
                    "end": interval_end(self._interval, start),
                    "interval": self._interval,
                    "open": opened,
                    "close": close,
                    "high": high,
                    "low": low,
                    "volume": volume,
                    "turnover": turnover,
                    "confirm": is_closed,
                    "timestamp": now_ms,
                }
            )
        return _ENCODE({"topic": self.topic, "data": data, "ts": now_ms, "type": "snapshot"})


class PriceLimitChannel(Channel):
    """`priceLimit`: the limits of this moment."""

    def __init__(self, symbol: str, limits: PublishedLimits) -> None:
        super().__init__(f"priceLimit.{symbol}", PRICE_LIMIT_CADENCE_MS)
        self._symbol = symbol
        self._limits = limits

    def opens(self, now_ms: int) -> None:
        """Begin."""

    def push(self, now_ms: int) -> bytes | None:
        """Give the limits."""
        limits = self._limits(self._symbol, now_ms * _MS_NS)
        if limits is None:
            return None
        data = {"symbol": self._symbol, "buyLmt": str(limits[0]), "sellLmt": str(limits[1])}
        return _ENCODE({"topic": self.topic, "data": data, "ts": now_ms})
