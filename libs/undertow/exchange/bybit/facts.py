"""From Bybit's frames to the fleet's market facts; one translation for ingestor, trainer and backtester."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from undertow.contracts.messages.market import (
    Book,
    Kline,
    Liquidation,
    Liquidations,
    MarketFact,
    Ticker,
    Trade,
    Trades,
)
from undertow.exchange.bybit.frames import (
    BadFrameError,
    BookFrame,
    Control,
    KlineFrame,
    LiquidationFrame,
    TickerData,
    TickerFrame,
    TradeFrame,
    decode_frame,
)
from undertow.exchange.bybit.frames import MarketFrame as Frame
from undertow.exchange.bybit.parse import moment_ns

LIQUIDATION_FEED: Final = "bybit.allLiquidation.2025-02"
"""Every liquidation, batched over 500 ms; the topic as it is since February 2025."""
TRADES_REMEMBERED: Final = 2_048
"""Of each symbol: twice what the venue sends in one message at most."""
LIQUIDATIONS_REMEMBERED: Final = 8
"""Frames of each symbol: four seconds of them."""
_NS_PER_MS: Final = 1_000_000
_NOTHING: Final = Ticker(
    ts_event=0,
    ts_recv=0,
    symbol="",
    last_price="",
    mark_price="",
    index_price="",
    open_interest="",
    funding_rate="",
    next_funding_ns=0,
)


class _Told:
    """The last trades of one symbol: one that is sent again is none."""

    __slots__ = ("_ids", "_order")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def is_new(self, trade_id: str) -> bool:
        if not trade_id:
            return True  # old captures have none
        if trade_id in self._ids:
            return False
        self._ids.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > TRADES_REMEMBERED:
            self._ids.remove(self._order.popleft())
        return True


class FrameDecoder:
    """Turns frames into facts.

    It remembers each symbol's ticker, of which the venue sends only what changed, and the ids of its last trades, so that a frame which
    comes twice trades once (§7.2). Liquidations have no ids, but no two of their frames have the same time.
    """

    def __init__(self) -> None:
        self._tickers: dict[str, Ticker] = {}
        self._told: dict[str, _Told] = {}
        self._liquidated: dict[str, deque[LiquidationFrame]] = {}

    def decode(self, raw: bytes, recv_ns: int) -> list[MarketFact]:
        """Decode and translate; an acknowledgement gives nothing.

        Raises:
            BadFrameError: the frame is not what the protocol says.
        """
        frame = decode_frame(raw)
        if isinstance(frame, Control):
            return []
        try:
            return self.facts(frame, recv_ns)
        except ValueError as error:
            raise BadFrameError(f"{frame.topic}: {error}", raw) from None

    def forget(self) -> None:
        """Forget the tickers: a new connection begins with snapshots. Trades may come again on it."""
        self._tickers.clear()

    def facts(self, frame: Frame, recv_ns: int) -> list[MarketFact]:
        """Translate a decoded frame, received at `recv_ns` (market ns); no fact for a frame that carries none.

        Raises:
            ValueError: a price or size is not a number, or negative.
        """
        if isinstance(frame, BookFrame):
            return [book_fact(frame, recv_ns)]
        if isinstance(frame, TickerFrame):
            return [self._ticker(frame, recv_ns)]
        if isinstance(frame, TradeFrame):
            return self._trades(frame, recv_ns)
        if isinstance(frame, LiquidationFrame):
            return self._liquidations(frame, recv_ns)
        return _klines(frame, recv_ns)

    def _ticker(self, frame: TickerFrame, recv_ns: int) -> Ticker:
        data = frame.data
        for text in (data.last_price, data.mark_price, data.index_price, data.open_interest):
            if text:
                _not_negative(text)
        if data.funding_rate and not -1.0 < float(data.funding_rate) < 1.0:
            raise ValueError(f"{data.funding_rate!r} is not a funding rate")
        before = _NOTHING if frame.type == "snapshot" else self._tickers.get(data.symbol, _NOTHING)
        ticker = Ticker(
            ts_event=frame.ts_ms * _NS_PER_MS,
            ts_recv=recv_ns,
            symbol=data.symbol,
            last_price=before.last_price if data.last_price is None else data.last_price,
            mark_price=before.mark_price if data.mark_price is None else data.mark_price,
            index_price=before.index_price if data.index_price is None else data.index_price,
            open_interest=before.open_interest if data.open_interest is None else data.open_interest,
            funding_rate=before.funding_rate if data.funding_rate is None else data.funding_rate,
            next_funding_ns=_next_funding(data, before),
        )
        self._tickers[data.symbol] = ticker
        return ticker

    def _trades(self, frame: TradeFrame, recv_ns: int) -> list[MarketFact]:
        symbol = frame.symbol
        told = self._told.get(symbol)
        if told is None:
            told = self._told[symbol] = _Told()
        each = [
            Trade(t.ts_ms * _NS_PER_MS, t.side, _not_negative(t.price), _not_negative(t.size), t.trade_id)
            for t in frame.data
        ]
        trades = tuple([trade for trade in each if told.is_new(trade.trade_id)])
        return [Trades(ts_event=trades[-1].ts_event, ts_recv=recv_ns, symbol=symbol, trades=trades)] if trades else []

    def _liquidations(self, frame: LiquidationFrame, recv_ns: int) -> list[MarketFact]:
        symbol = frame.symbol
        each = tuple(
            Liquidation(d.ts_ms * _NS_PER_MS, d.position_side, _not_negative(d.price), d.size)
            for d in frame.data
            if float(_not_negative(d.size))  # of size 0: nobody was liquidated
        )
        last = self._liquidated.get(symbol)
        if last is None:
            last = self._liquidated[symbol] = deque(maxlen=LIQUIDATIONS_REMEMBERED)
        if not each or frame in last:
            return []
        last.append(frame)
        latest = max(one.ts_event for one in each)
        return [Liquidations(ts_event=latest, ts_recv=recv_ns, symbol=symbol, liquidations=each, feed=LIQUIDATION_FEED)]


def book_fact(frame: BookFrame, recv_ns: int) -> Book:
    """Translate a book frame; its event time is the matching engine's, where the venue tells it."""
    data = frame.data
    return Book(
        ts_event=(frame.cts_ms or frame.ts_ms) * _NS_PER_MS,
        ts_recv=recv_ns,
        symbol=data.symbol,
        snapshot=frame.snapshot,
        bids=data.bids,
        asks=data.asks,
        update_id=data.update_id,
        sequence=data.sequence,
    )


def _klines(frame: KlineFrame, recv_ns: int) -> list[MarketFact]:
    return [
        Kline(
            ts_event=k.timestamp * _NS_PER_MS,
            ts_recv=recv_ns,
            symbol=frame.symbol,
            interval=k.interval,
            start_ns=k.start * _NS_PER_MS,
            open=_not_negative(k.open),
            high=_not_negative(k.high),
            low=_not_negative(k.low),
            close=_not_negative(k.close),
            volume=_not_negative(k.volume),
            turnover=_not_negative(k.turnover),
            confirmed=k.confirm,
        )
        for k in frame.data
    ]


def _not_negative(text: str) -> str:
    if not 0.0 <= float(text) < inf:
        raise ValueError(f"{text!r} is not a price or size")
    return text


def _next_funding(data: TickerData, before: Ticker) -> int:
    return moment_ns(data.next_funding_ms) if data.next_funding_ms else before.next_funding_ns
