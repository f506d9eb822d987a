"""Binance USD-M frames converted to Bybit's, one symbol at a time. Pure.

- The book: Binance keeps every level, Bybit shows the best 200 a side. Each diff becomes the delta of that window, levels that enter or
  leave it included, with `u` counted on by one; a diff that changes nothing in the window becomes no frame.
- Trades: fills of one match time and side that follow each other become one `publicTrade` frame; fills that were not against the book
  (insurance fund, ADL) are left out.
- Trade ids are made of Binance's, the same for the same fill.
- Tickers: the last trade, the best prices, and the last 24 hours and the last hour as far as the recording has shown them, at most every
  100 ms. Mark and index price are the middle of the best prices, because the recordings hold neither; open interest, funding rate and
  funding time are not there and are not made up.

Prices and sizes stay Binance's own text. Synchronisation follows Binance's rule for USD-M: the first diff after a snapshot is the one with
`U ≤ lastUpdateId ≤ u` or `pu = lastUpdateId`, and then each `pu` is the `u` before. Before the first snapshot nothing is shown.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from undertow.markets.binance_wire import Depth, Levels, Line, Quote, Snapshot, Trade
from undertow.markets.day import Day

DEPTH: Final = 200
TICKER_MS: Final = 100
_MEMORY: Final = 65_536
_NAMESPACE: Final = UUID("b7f5f2b4-6a0e-5f0f-8c25-1f6b7f0f3c5d")
_NOT_PRE_MARKET: Final = dict.fromkeys(("preOpenPrice", "preQty", "curPreListingPhase"), "")
_ENCODE: Final = msgspec.json.encode


class ConversionError(ValueError):
    """A line that cannot become a frame; the text says why."""


class Window:
    """One side of the book, of which the best `DEPTH` levels are shown.

    Args:
        tick: of the contract; a price off its grid is refused.
        sign: -1 for bids, 1 for asks: the best level has the least key.
    """

    def __init__(self, tick: Decimal, sign: int) -> None:
        self._tick = tick
        self._sign = sign
        self._keys: list[int] = []
        self._levels: dict[int, tuple[str, str]] = {}
        self._shown: dict[int, tuple[str, str]] = {}
        self._known: dict[str, int] = {}

    @property
    def levels(self) -> Levels:
        """What is shown, best first."""
        return [self._levels[key] for key in self._keys[:DEPTH]]

    @property
    def best(self) -> int | None:
        """Ticks of the best price."""
        return self._sign * self._keys[0] if self._keys else None

    def apply(self, levels: Levels) -> Levels:
        """Take new sizes (zero deletes) and give what changes in what is shown, best first.

        Raises:
            ConversionError: a price off the contract's grid.
        """
        touched = set()
        for price, size in levels:
            key = self._key(price)
            touched.add(key)
            if size.strip("0."):
                if key not in self._levels:
                    insort(self._keys, key)
                self._levels[key] = (price, size)
            elif key in self._levels:
                del self._levels[key]
                del self._keys[bisect_left(self._keys, key)]
        visible = set(self._keys[:DEPTH])
        changes = []
        for key in sorted((touched & visible) | (visible ^ self._shown.keys())):
            if key not in visible:
                changes.append((self._shown.pop(key)[0], "0"))
            elif self._shown.get(key) != self._levels[key]:
                self._shown[key] = self._levels[key]
                changes.append(self._levels[key])
        return changes

    def _key(self, price: str) -> int:
        key = self._known.get(price)
        if key is None:
            ticks = Decimal(price) / self._tick
            if ticks != int(ticks):
                raise ConversionError(f"the price {price} is no multiple of the contract's tick {self._tick}")
            if len(self._known) >= _MEMORY:
                self._known.clear()
            key = self._known[price] = self._sign * int(ticks)
        return key


class Converter:
    """Lines of one symbol in, Bybit frames out.

    Args:
        symbol: the contract, the same on both venues.
        tick: of the contract.
        terms: of the contract, as tickers repeat them.

    Attributes:
        bids: the book's one side.
        asks: its other.
    """

    def __init__(self, symbol: str, tick: Decimal, terms: Mapping[str, str]) -> None:
        self.symbol = symbol
        self._tick = tick
        self._terms = {**terms, **_NOT_PRE_MARKET}
        self._day = Day()
        self.bids, self.asks = Window(tick, -1), Window(tick, 1)
        self._waiting: list[Depth] = []
        self._last: int | None = None
        self._is_joined = False
        self._update_id = 0
        self._trades: list[Trade] = []
        self._last_price = ""
        self._direction = "ZeroPlusTick"
        self._quote: Quote | None = None
        self._told: dict[str, str] = {}
        self._next_ticker_ms = 0

    def take(self, line: Line) -> Iterator[bytes]:
        """Give the frames that a line makes, those of trades held back before it first.

        Raises:
            ConversionError: a gap in the diffs, or a price off the grid.
        """
        if self._trades and not self._joins(line):
            yield self.trades_frame()
        match line:
            case Snapshot():
                yield from self._restart(line)
            case Depth():
                yield from self._diff(line)
            case Trade() if self._last is not None and line.kind == "MARKET" and line.size.strip("0."):
                self._trades.append(line)
            case Quote() if self._last is not None:
                yield from self._ticker(line)

    def rest(self) -> Iterator[bytes]:
        """Give what is still held back."""
        if self._trades:
            yield self.trades_frame()

    def trades_frame(self) -> bytes:
        """Spell the fills held back, and hold none."""
        items = []
        for fill in self._trades:
            if fill.price != self._last_price:
                rises = not self._last_price or Decimal(fill.price) > Decimal(self._last_price)
                self._direction = "PlusTick" if rises else "MinusTick"
            elif not self._direction.startswith("Zero"):
                self._direction = f"Zero{self._direction}"
            self._last_price = fill.price
            self._day.traded(fill.matched_ms, Decimal(fill.price), Decimal(fill.size))
            items.append(
                {
                    "T": fill.matched_ms,
                    "s": self.symbol,
                    "S": "Sell" if fill.is_buyer_maker else "Buy",
                    "v": fill.size,
                    "p": fill.price,
                    "L": self._direction,
                    "i": str(uuid5(_NAMESPACE, f"{self.symbol}/{fill.trade_id}")),
                    "BT": False,
                    "RPI": False,
                    "seq": self._last or 0,
                }
            )
        ts = self._trades[-1].event_ms
        self._trades = []
        return _ENCODE({"topic": f"publicTrade.{self.symbol}", "type": "snapshot", "ts": ts, "data": items})

    def _joins(self, line: Line) -> bool:
        held = self._trades[-1]
        return (
            isinstance(line, Trade)
            and line.matched_ms == held.matched_ms
            and line.is_buyer_maker == held.is_buyer_maker
        )

    def _restart(self, snapshot: Snapshot) -> Iterator[bytes]:
        self.bids, self.asks = Window(self._tick, -1), Window(self._tick, 1)
        self.bids.apply(snapshot.bids)
        self.asks.apply(snapshot.asks)
        self._last, self._is_joined = snapshot.last, False
        self._update_id = max(self._update_id + 1, 2)  # 1 would say that the venue's service restarted
        yield self._book("snapshot", snapshot, self.bids.levels, self.asks.levels)
        waiting, self._waiting = self._waiting, []
        for diff in waiting:
            yield from self._diff(diff)

    def _diff(self, diff: Depth) -> Iterator[bytes]:
        if self._last is None:
            self._waiting.append(diff)
            return
        if not self._is_joined:
            if diff.last < self._last:
                return
            if diff.first > self._last and diff.previous != self._last:
                raise ConversionError(f"the snapshot {self._last} and the diff from {diff.first} on do not meet")
            self._is_joined = True
        elif diff.previous != self._last:
            raise ConversionError(f"diffs are missing between {self._last} and {diff.previous}")
        self._last = diff.last
        bids, asks = self.bids.apply(diff.bids), self.asks.apply(diff.asks)
        if bids or asks:
            self._update_id += 1
            yield self._book("delta", diff, bids, asks)

    def _book(self, kind: str, line: Depth | Snapshot, bids: Levels, asks: Levels) -> bytes:
        data = {"s": self.symbol, "b": bids, "a": asks, "u": self._update_id, "seq": line.last}
        topic = f"orderbook.{DEPTH}.{self.symbol}"
        return _ENCODE({"topic": topic, "type": kind, "ts": line.event_ms, "data": data, "cts": line.matched_ms})

    def _ticker(self, quote: Quote) -> Iterator[bytes]:
        self._quote = quote
        if not self._last_price or quote.event_ms < self._next_ticker_ms:
            return
        self._next_ticker_ms = quote.event_ms + TICKER_MS
        middle, last = str((Decimal(quote.bid) + Decimal(quote.ask)) / 2), Decimal(self._last_price)
        fields = {
            "tickDirection": self._direction,
            "lastPrice": self._last_price,
            "markPrice": middle,
            "indexPrice": middle,
            "bid1Price": quote.bid,
            "bid1Size": quote.bid_size,
            "ask1Price": quote.ask,
            "ask1Size": quote.ask_size,
            "prevPrice1h": self._day.hour_ago(quote.event_ms, last),
            **self._day.fields(quote.event_ms, last),
            **self._terms,
        }
        news: dict[str, Any] = {name: value for name, value in fields.items() if self._told.get(name) != value}
        if not news:
            return
        kind = "delta" if self._told else "snapshot"
        self._told |= news
        head = {"topic": f"tickers.{self.symbol}", "type": kind, "data": {"symbol": self.symbol, **news}}
        yield _ENCODE({**head, "cs": self._last or 0, "ts": quote.event_ms})
