"""From Bybit's frames to the fleet's market facts; one translation for ingestor, trainer and backtester."""

from __future__ import annotations

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
from undertow.domain.order import Side
from undertow.exchange.bybit.frames import (
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

_NS_PER_MS: Final = 1_000_000
_SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}


class FrameDecoder:
    """Turns frames into facts; remembers each symbol's ticker, of which the venue sends only what changed."""

    def __init__(self) -> None:
        self._tickers: dict[str, Ticker] = {}

    def decode(self, raw: bytes, recv_ns: int) -> list[MarketFact]:
        """Decode and translate; an acknowledgement gives nothing.

        Raises:
            BadFrameError: the frame is not what the protocol says.
        """
        frame = decode_frame(raw)
        return [] if isinstance(frame, Control) else self.facts(frame, recv_ns)

    def facts(self, frame: Frame, recv_ns: int) -> list[MarketFact]:
        """Translate a decoded frame, received at `recv_ns` (market ns)."""
        if isinstance(frame, BookFrame):
            return [book_fact(frame, recv_ns)]
        if isinstance(frame, TickerFrame):
            return [self._ticker(frame, recv_ns)]
        if isinstance(frame, TradeFrame):
            return [_trades(frame, recv_ns)] if frame.data else []
        if isinstance(frame, LiquidationFrame):
            return [_liquidations(frame, recv_ns)] if frame.data else []
        return _klines(frame, recv_ns)

    def _ticker(self, frame: TickerFrame, recv_ns: int) -> Ticker:
        data = frame.data
        before = None if frame.type == "snapshot" else self._tickers.get(data.symbol)
        ticker = Ticker(
            ts_event=frame.ts_ms * _NS_PER_MS,
            ts_recv=recv_ns,
            symbol=data.symbol,
            last_price=_merged(data.last_price, before.last_price if before else None),
            mark_price=_merged(data.mark_price, before.mark_price if before else None),
            index_price=_merged(data.index_price, before.index_price if before else None),
            open_interest=_merged(data.open_interest, before.open_interest if before else None),
            funding_rate=_merged(data.funding_rate, before.funding_rate if before else None),
            next_funding_ns=_next_funding(data, before),
        )
        self._tickers[data.symbol] = ticker
        return ticker


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


def _trades(frame: TradeFrame, recv_ns: int) -> Trades:
    trades = tuple(Trade(t.ts_ms * _NS_PER_MS, _SIDES[t.side], t.price, t.size, t.trade_id) for t in frame.data)
    return Trades(ts_event=trades[-1].ts_event, ts_recv=recv_ns, symbol=frame.symbol, trades=trades)


def _liquidations(frame: LiquidationFrame, recv_ns: int) -> Liquidations:
    each = tuple(Liquidation(d.ts_ms * _NS_PER_MS, _SIDES[d.position_side], d.price, d.size) for d in frame.data)
    return Liquidations(ts_event=each[-1].ts_event, ts_recv=recv_ns, symbol=frame.symbol, liquidations=each)


def _klines(frame: KlineFrame, recv_ns: int) -> list[MarketFact]:
    return [
        Kline(
            ts_event=k.timestamp * _NS_PER_MS,
            ts_recv=recv_ns,
            symbol=frame.symbol,
            interval=k.interval,
            start_ns=k.start * _NS_PER_MS,
            open=k.open,
            high=k.high,
            low=k.low,
            close=k.close,
            volume=k.volume,
            turnover=k.turnover,
            confirmed=k.confirm,
        )
        for k in frame.data
    ]


def _merged(new: str | None, old: str | None) -> str:
    return new if new is not None else old or ""


def _next_funding(data: TickerData, before: Ticker | None) -> int:
    if data.next_funding_ms:
        return int(data.next_funding_ms) * _NS_PER_MS
    return before.next_funding_ns if before else 0
