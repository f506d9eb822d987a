"""What the market has shown so far, for those who ask over REST or join in the middle. Pure: frames in, pages and snapshots out.

Prices and sizes stay the source's own text. History begins with the market: before its first frame there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.venue.candles import Candles

KEPT_TRADES: Final = 1_000
PREMIUM_WINDOW_MS: Final = 30_000
INTEREST_INTERVALS_MS: Final = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}


class Frame(msgspec.Struct):
    """A public frame whose data is not decoded yet."""

    topic: str
    data: msgspec.Raw
    type: str = ""
    ts: int = 0
    cts: int = 0
    cs: int = 0


class _Book(msgspec.Struct):
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class PublicTrade(msgspec.Struct):
    """One trade as the frame has it."""

    T: int
    S: str
    v: str
    p: str
    i: str
    BT: bool = False
    RPI: bool = False
    seq: int = 0


class _Candle(msgspec.Struct):
    start: int
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str


_FRAME: Final = msgspec.json.Decoder(Frame)
_BOOK: Final = msgspec.json.Decoder(_Book)
_TRADES: Final = msgspec.json.Decoder(list[PublicTrade])
_TICKER: Final = msgspec.json.Decoder(dict[str, str])
_CANDLES: Final = msgspec.json.Decoder(list[_Candle])
_ENCODE: Final = msgspec.json.encode


class SymbolBoard:
    """One symbol's market so far.

    Attributes:
        ticker: the merged ticker, as the frames spell it.
        trades: the last trades, oldest first.
        candles: minute by minute.
        interest: by interval name, bucket start ms → first (openInterest, singleOpenInterest) seen in it.
        funding: settled rates, (time ms, rate), oldest first.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.ticker: dict[str, str] = {}
        self.trades: deque[PublicTrade] = deque(maxlen=KEPT_TRADES)
        self.candles = Candles()
        self.interest: dict[str, dict[int, tuple[str, str]]] = {name: {} for name in INTEREST_INTERVALS_MS}
        self.funding: list[tuple[int, str]] = []
        self.update_id = 0
        self.sequence = 0
        self.book_ts = 0
        self.book_cts = 0
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._ticker_ts = 0
        self._ticker_cs = 0
        self._premiums: deque[tuple[int, Decimal]] = deque()

    def saw(self, frame: Frame) -> None:
        """Take one frame of this symbol."""
        match frame.topic.partition(".")[0]:
            case "orderbook":
                self._saw_book(frame)
            case "publicTrade":
                for trade in _TRADES.decode(frame.data):
                    self.trades.append(trade)
                    self.candles.trade(trade.T, Decimal(trade.p), Decimal(trade.v))
            case "tickers":
                self._saw_ticker(frame)
            case "kline":
                for candle in _CANDLES.decode(frame.data):
                    if candle.interval == "1":
                        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover)
                        self.candles.told(candle.start, *map(Decimal, numbers))

    def levels(self, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Give the best `depth` bids, descending, and asks, ascending."""
        bids = sorted(self._bids.items(), key=lambda level: Decimal(level[0]), reverse=True)[:depth]
        asks = sorted(self._asks.items(), key=lambda level: Decimal(level[0]))[:depth]
        return bids, asks

    def mid(self) -> Decimal | None:
        """Give the middle of the best prices, or None without a book."""
        if not self._bids or not self._asks:
            return None
        return (max(map(Decimal, self._bids)) + min(map(Decimal, self._asks))) / 2

    def average_premium(self, now_ms: int) -> Decimal:
        """Give the mean of mid − mark over the last 30 s, 0 without a sample."""
        recent = [value for at, value in self._premiums if at > now_ms - PREMIUM_WINDOW_MS]
        return sum(recent, Decimal(0)) / len(recent) if recent else Decimal(0)

    def snapshot(self, topic: str, depth: int) -> bytes | None:
        """Give the frame with which a subscriber that joins in the middle starts, or None while nothing has been shown."""
        kind = topic.partition(".")[0]
        if kind == "orderbook" and self._bids:
            bids, asks = self.levels(depth)
            data = {"s": self.symbol, "b": bids, "a": asks, "u": self.update_id, "seq": self.sequence}
            return _ENCODE({"topic": topic, "type": "snapshot", "ts": self.book_ts, "data": data, "cts": self.book_cts})
        if kind == "tickers" and self.ticker:
            head = {"topic": topic, "type": "snapshot", "data": self.ticker}
            return _ENCODE({**head, "cs": self._ticker_cs, "ts": self._ticker_ts})
        return None

    def _saw_book(self, frame: Frame) -> None:
        book = _BOOK.decode(frame.data)
        if frame.type == "snapshot":
            self._bids, self._asks = {}, {}
        for side, levels in ((self._bids, book.b), (self._asks, book.a)):
            for price, size in levels:
                if size.strip("0."):
                    side[price] = size
                else:
                    side.pop(price, None)
        self.update_id, self.sequence = book.u, book.seq
        self.book_ts, self.book_cts = frame.ts, frame.cts

    def _saw_ticker(self, frame: Frame) -> None:
        news = _TICKER.decode(frame.data)
        due = self.ticker.get("nextFundingTime", "")
        if due and news.get("nextFundingTime", due) != due:
            self.funding.append((int(due), self.ticker.get("fundingRate", "0")))
        self.ticker = news if frame.type == "snapshot" else {**self.ticker, **news}
        self._ticker_ts, self._ticker_cs = frame.ts, frame.cs
        if "openInterest" in self.ticker:
            amounts = (self.ticker["openInterest"], self.ticker.get("singleOpenInterest", ""))
            for name, interval_ms in INTEREST_INTERVALS_MS.items():
                self.interest[name].setdefault(frame.ts // interval_ms * interval_ms, amounts)
        mid = self.mid() if "markPrice" in news else None
        if mid is not None:
            self._premiums.append((frame.ts, mid - Decimal(news["markPrice"])))
            while self._premiums[0][0] <= frame.ts - PREMIUM_WINDOW_MS:
                self._premiums.popleft()


class Board:
    """All symbols of the market."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbols = {symbol: SymbolBoard(symbol) for symbol in symbols}

    def saw(self, raw: bytes) -> str:
        """Take one frame and give its topic.

        Raises:
            msgspec.MsgspecError: the frame is not Bybit's.
            KeyError: a symbol that this market does not have.
        """
        frame = _FRAME.decode(raw)
        self._symbols[frame.topic.rpartition(".")[2]].saw(frame)
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


def trade_item(symbol: str, trade: PublicTrade) -> dict[str, Any]:
    """Spell a trade as `/v5/market/recent-trade` does."""
    return {
        "execId": trade.i,
        "symbol": symbol,
        "price": trade.p,
        "size": trade.v,
        "side": trade.S,
        "time": str(trade.T),
        "isBlockTrade": trade.BT,
        "isRPITrade": trade.RPI,
        "seq": str(trade.seq),
    }
