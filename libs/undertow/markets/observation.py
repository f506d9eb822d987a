"""What a market has shown, as columns: the same code watches a recording and the generated market, so that both are measured alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.frames import BookFrame, TradeFrame, decode_frame
from undertow.markets.estimates import Floats
from undertow.markets.ports import FrameSource

GRID_S: Final = 0.1
DEPTHS_BPS: Final = (1.0, 2.0, 5.0, 10.0, 25.0)
_LOOK_EVERY: Final = 20  # book frames from one look at all levels to the next
_DEPTH: Final = 200


@dataclass
class _Notes:
    book_s: list[float] = field(default_factory=list)
    mids: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    touches: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    profile: list[list[float]] = field(default_factory=list)
    trade_s: list[float] = field(default_factory=list)
    prints: list[int] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    book: OrderBook = field(default_factory=lambda: OrderBook(_DEPTH))


@dataclass(frozen=True)
class Observation:
    """One symbol's market, in seconds, quote coin and price units.

    Attributes:
        span_s: from the first book frame to the last.
        mids: on a grid of 100 ms.
        spreads: at each book frame.
        changes: levels changed by each delta.
        touches: notional of the best levels, now and then.
        levels: notional of the levels behind them.
        ranks: of those levels, 1 for the one behind the best.
        gaps: mean distance of neighbouring levels of a side, now and then.
        profile: mean notional of a side within `DEPTHS_BPS` of the mid.
        trade_s: times of trade frames.
        prints: fills of each.
        sizes: notional of each fill.
    """

    span_s: float
    mids: Floats
    spreads: Floats
    changes: Floats
    touches: Floats
    levels: Floats
    ranks: Floats
    gaps: Floats
    profile: Floats
    trade_s: Floats
    prints: Floats
    sizes: Floats

    @property
    def returns_bps(self) -> Floats:
        """Log returns from one point of the grid to the next."""
        returns: Floats = np.diff(np.log(self.mids)) * 1e4
        return returns

    @property
    def second_returns_bps(self) -> Floats:
        """Log returns from one second to the next."""
        returns: Floats = np.diff(np.log(self.mids[:: round(1.0 / GRID_S)])) * 1e4
        return returns

    @property
    def trades_per_second(self) -> Floats:
        """Trade frames in each second."""
        begin = self.trade_s[0]
        return np.bincount((self.trade_s - begin).astype(np.int64)).astype(np.float64)


def observe(source: FrameSource, seconds: float = float("inf")) -> dict[str, Observation]:
    """Watch the first `seconds` of a market; times are those of the venue's own stamps."""
    notes = {symbol: _Notes() for symbol in source.symbols}
    end_ns = source.origin_ns + seconds * 1e9
    for frame in source.frames():
        if frame.at_ns > end_ns:
            break
        fact = decode_frame(frame.raw)
        if isinstance(fact, BookFrame):
            _saw_book(notes[fact.symbol], fact)
        elif isinstance(fact, TradeFrame):
            note = notes[fact.symbol]
            note.trade_s.append(fact.ts_ms / 1e3)
            note.prints.append(len(fact.data))
            note.sizes += [float(trade.price) * float(trade.size) for trade in fact.data]
    return {symbol: _columns(note) for symbol, note in notes.items()}


def _saw_book(note: _Notes, fact: BookFrame) -> None:
    book, data = note.book, fact.data
    if fact.snapshot:
        book.replace(data.bids, data.asks)
    else:
        book.apply(data.bids, data.asks)
        note.changes.append(len(data.bids) + len(data.asks))
    bid, ask = book.best_bid, book.best_ask
    if bid is None or ask is None:
        return
    middle = (float(bid[0]) + float(ask[0])) / 2
    note.book_s.append(fact.ts_ms / 1e3)
    note.mids.append(middle)
    note.spreads.append(float(ask[0]) - float(bid[0]))
    if len(note.mids) % _LOOK_EVERY == 1:
        _look(note, middle)


def _look(note: _Notes, middle: float) -> None:
    within = np.zeros(len(DEPTHS_BPS))
    for levels in note.book.levels():
        prices, sizes = np.array(levels, np.float64).T
        notional = prices * sizes
        distance = np.abs(prices / middle - 1.0) * 1e4
        note.touches.append(float(notional[0]))
        note.levels += notional[1:].tolist()
        note.ranks += range(1, len(notional))
        note.gaps.append(float(np.ptp(prices)) / (len(prices) - 1))
        within += [float(notional[distance <= bps].sum()) / 2 for bps in DEPTHS_BPS]
    note.profile.append(within.tolist())


def _columns(note: _Notes) -> Observation:
    stamps = np.array(note.book_s)
    grid = np.arange(stamps[0], stamps[-1], GRID_S)
    at = np.searchsorted(stamps, grid, side="right") - 1
    return Observation(
        span_s=float(stamps[-1] - stamps[0]),
        mids=np.array(note.mids)[at],
        spreads=np.array(note.spreads),
        changes=np.array(note.changes, np.float64),
        touches=np.array(note.touches),
        levels=np.array(note.levels),
        ranks=np.array(note.ranks, np.float64),
        gaps=np.array(note.gaps),
        profile=np.array(note.profile).mean(axis=0),
        trade_s=np.array(note.trade_s),
        prints=np.array(note.prints, np.float64),
        sizes=np.array(note.sizes),
    )


def pooled(parts: Iterable[Observation], of: str) -> Floats:
    """Join one column (or series) of several recordings."""
    return np.concatenate([getattr(part, of) for part in parts])
