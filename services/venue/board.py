"""What the market has shown so far, for those who ask over REST or join in the middle. Pure: frames in, pages and snapshots out.

Prices and sizes stay the source's own text. History begins with the market: before its first frame there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.venue.board_frames import BookLevels, Frame, PublicTrade, ToldCandle, read
from services.venue.book_view import BookView, Levels
from services.venue.candles import Candle, Candles
from undertow.exchange.book import OrderBook

KEPT_TRADES: Final = 1_000
DEEPEST: Final = 1_000
INTEREST_INTERVALS_MS: Final = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}
_KEPT_INTEREST: Final = 2_000  # of each interval
_MOST_NEWS: Final = 5_000  # prices changed before they are taken in unasked
_NOTHING: Final = Decimal(0)
_PREMIUM_STEP: Final = Decimal("0.00000001")
_ENCODE: Final = msgspec.json.encode


class SymbolBoard:
    """One symbol's market so far.

    Args:
        symbol: which.
        depth: levels a side of the market's own book; what lies beyond is not shown.

    Attributes:
        ticker: the merged ticker, as the frames spell it.
        trades: the last trades, oldest first.
        candles: of the trades.
        marks: candles of the mark price; `indices` of the index price, `premiums` of the premium index (the best prices' distance from
            the index, as a fraction; the venue weighs in depth, so this is our inference).
        interest: by interval name, bucket start ms → first (openInterest, singleOpenInterest) seen in it.
        funding: settled rates, (time ms, rate), oldest first.
        restarts: how often the book began anew with update id 1.
    """

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.depth = depth
        self.ticker: dict[str, str] = {}
        self.trades: deque[PublicTrade] = deque(maxlen=KEPT_TRADES)
        self.candles, self.marks, self.indices, self.premiums = Candles(), Candles(), Candles(), Candles()
        self.interest: dict[str, dict[int, tuple[str, str]]] = {name: {} for name in INTEREST_INTERVALS_MS}
        self.funding: list[tuple[int, str]] = []
        self.restarts = 0
        self.update_id = 0
        self.sequence = 0
        self.book_ts = 0
        self.book_cts = 0
        self._deepest = BookView(self, DEEPEST)
        self._book = OrderBook(depth)
        # what has changed since somebody looked, by price: most frames are seen by nobody here
        self._new_bids: dict[str, str] = {}
        self._new_asks: dict[str, str] = {}
        self._funding_due_ms = 0
        self._is_due_told = False
        self._ticker_ts = 0
        self._ticker_cs = 0

    def saw(self, frame: Frame, data: Any) -> None:
        """Take one frame of this symbol, as `read` gives it."""
        match frame.topic.partition(".")[0]:
            case "orderbook":
                self._saw_book(frame, data)
            case "publicTrade":
                self._saw_trades(data)
            case "tickers":
                self._saw_ticker(frame, data)
            case "kline":
                self._saw_candles(data)

    def levels(self, best: int) -> tuple[Levels, Levels]:
        """Give so many of the best bids, descending, and asks, ascending."""
        return self._settled().levels(best)

    def deepest(self) -> BookView:
        """Give the view of the 1000-level topic, which REST shows too; as of now unless the topic is being told."""
        if not self._deepest.is_followed:
            self._deepest.refresh()
        return self._deepest

    def view(self, depth: int) -> BookView:
        """Give a view for the topic of a depth that the market has not itself."""
        return self._deepest if depth == DEEPEST else BookView(self, depth)

    def mid(self) -> Decimal | None:
        """Give the middle of the best prices, or None without a book."""
        best = self.best()
        return None if best is None else (best[0] + best[1]) / 2

    def best(self) -> tuple[Decimal, Decimal] | None:
        """Give the best bid and ask, or None where a side is empty."""
        book = self._settled()
        bid, ask = book.best_bid, book.best_ask
        return (Decimal(bid[0]), Decimal(ask[0])) if bid and ask else None

    def settle_funding(self, now_ms: int, interval_ms: int) -> None:
        """Let the stamps pass that the ticker no longer tells, because the market has ended."""
        while 0 < self._funding_due_ms <= now_ms:
            self.funding.append((self._funding_due_ms, self.ticker.get("fundingRate", "0")))
            self._funding_due_ms += interval_ms
            self._is_due_told = False

    def snapshot(self, topic: str) -> bytes | None:
        """Give the frame with which a subscriber of the market's own topic starts in the middle, or None for none."""
        kind = topic.partition(".")[0]
        if kind == "orderbook":
            bids, asks = self.levels(self.depth)
            if not bids and not asks:
                return None
            data = {"s": self.symbol, "b": bids, "a": asks, "u": self.update_id, "seq": self.sequence}
            return _ENCODE({"topic": topic, "type": "snapshot", "ts": self.book_ts, "data": data, "cts": self.book_cts})
        if kind == "tickers" and self.ticker:
            head = {"topic": topic, "type": "snapshot", "data": self.ticker}
            return _ENCODE({**head, "cs": self._ticker_cs, "ts": self._ticker_ts})
        return None

    def _saw_trades(self, trades: Iterable[PublicTrade]) -> None:
        for trade in trades:
            self.trades.append(trade)
            self.candles.trade(trade.T, Decimal(trade.p), Decimal(trade.v))

    def _saw_candles(self, candles: Iterable[ToldCandle]) -> None:
        for told in candles:
            if told.interval == "1":
                texts = (told.open, told.high, told.low, told.close, told.volume, told.turnover)
                self.candles.told(told.start, Candle(*map(Decimal, texts)))

    def _saw_book(self, frame: Frame, book: BookLevels) -> None:
        if frame.type == "snapshot" or book.u == 1:  # which is one, whatever it is called
            self._new_bids.clear()
            self._new_asks.clear()
            self._book.replace(book.b, book.a)
            self.restarts += book.u == 1
        else:
            self._new_bids.update(book.b)
            self._new_asks.update(book.a)
            if len(self._new_bids) + len(self._new_asks) > _MOST_NEWS:
                self._settled()
        self.update_id, self.sequence = book.u, book.seq
        self.book_ts, self.book_cts = frame.ts, frame.cts

    def _settled(self) -> OrderBook:
        if self._new_bids or self._new_asks:
            self._book.apply(list(self._new_bids.items()), list(self._new_asks.items()))
            self._new_bids.clear()
            self._new_asks.clear()
        return self._book

    def _saw_ticker(self, frame: Frame, news: dict[str, str]) -> None:
        self._saw_funding(int(news.get("nextFundingTime") or 0), self.ticker.get("fundingRate", "0"))
        self.ticker = ticker = news if frame.type == "snapshot" else {**self.ticker, **news}
        self._ticker_ts, self._ticker_cs = frame.ts, frame.cs
        if "openInterest" in ticker:
            amounts = (ticker["openInterest"], ticker.get("singleOpenInterest", ""))
            for name, interval_ms in INTEREST_INTERVALS_MS.items():
                seen, start = self.interest[name], frame.ts // interval_ms * interval_ms
                if start not in seen:
                    seen[start] = amounts
                    if len(seen) > _KEPT_INTEREST:
                        del seen[next(iter(seen))]
        if "markPrice" in news or "indexPrice" in news:
            self._saw_prices(frame.ts)

    def _saw_funding(self, due_ms: int, rate: str) -> None:
        if not due_ms or (self.funding and due_ms <= self.funding[-1][0]):
            return  # a ticker may still name the stamp that has just passed
        if self._is_due_told and due_ms > self._funding_due_ms:
            self.funding.append((self._funding_due_ms, rate))
        self._funding_due_ms, self._is_due_told = due_ms, True

    def _saw_prices(self, at_ms: int) -> None:
        mark, index = (Decimal(self.ticker.get(key) or 0) for key in ("markPrice", "indexPrice"))
        best = self.best()
        if mark:
            self.marks.trade(at_ms, mark, _NOTHING)
        if index:
            self.indices.trade(at_ms, index, _NOTHING)
        if index and best is not None:
            premium = (max(_NOTHING, best[0] - index) - max(_NOTHING, index - best[1])) / index
            self.premiums.trade(at_ms, premium.quantize(_PREMIUM_STEP), _NOTHING)


class Board:
    """All symbols of the market.

    Args:
        symbols: which.
        depth: levels a side of the market's own book.

    Attributes:
        now_ms: market time up to which it has seen everything; a market that cannot keep up is behind the clock.
    """

    def __init__(self, symbols: Iterable[str], depth: int) -> None:
        self.depth = depth
        self.now_ms = 0
        self._symbols = {symbol: SymbolBoard(symbol, depth) for symbol in symbols}

    def saw(self, raw: bytes) -> str:
        """Take one frame and give its topic.

        Raises:
            BadFrameError: the frame is not Bybit's.
            KeyError: a symbol that this market does not have.
        """
        frame, data = read(raw)
        self._symbols[frame.topic.rpartition(".")[2]].saw(frame, data)
        return frame.topic

    def of(self, symbol: str) -> SymbolBoard:
        """Give one symbol's board.

        Raises:
            KeyError: unknown symbol.
        """
        return self._symbols[symbol]

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._symbols

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols."""
        return tuple(self._symbols)
