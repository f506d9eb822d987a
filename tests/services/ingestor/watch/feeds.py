"""Markets without their books, and feeds of liquidations that are not what they should be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from services.ingestor.watch.liquidations import LiquidationWatch
from undertow.contracts.messages.market import FeedFault, FeedSuspect, MarketFact, Ticker, Trades
from undertow.domain.order import Side
from undertow.exchange.bybit.facts import FrameDecoder
from undertow.exchange.bybit.frames import LiquidationData, LiquidationFrame, decode_frame
from undertow.markets.ports import MarketFrame

MINUTE_NS = 60_000_000_000
TRANSIT_NS = 3_000_000
SILENCE_NS = 120 * MINUTE_NS
Rows = Sequence[LiquidationData]
Mutation = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Liquidated:
    """A liquidation frame as it would have arrived."""

    symbol: str
    rows: Rows
    recv_ns: int


Seen = MarketFact | Liquidated


@dataclass(frozen=True)
class Raised:
    """When a fault was first told of a symbol: ns and liquidations of the symbol since the feed went wrong."""

    after_ns: int
    events: int


def seen(frames: Iterable[MarketFrame], minutes: float) -> Iterator[Seen]:
    """What the watch gets to see of a market: trades, tickers, liquidations."""
    decoder, end_ns = FrameDecoder(), None
    for frame in frames:
        end_ns = end_ns or frame.at_ns + round(minutes * MINUTE_NS)
        if frame.at_ns > end_ns:
            return
        if frame.raw.startswith((b'{"topic":"orderbook', b'{"topic":"kline')):
            continue
        decoded = decode_frame(frame.raw)
        recv_ns = frame.at_ns + TRANSIT_NS
        if isinstance(decoded, LiquidationFrame):
            yield Liquidated(decoded.symbol, decoded.data, recv_ns)
        else:
            yield from decoder.facts(decoded, recv_ns)


def told(watch: LiquidationWatch, fact: Seen) -> list[FeedSuspect]:
    """Let the watch see one thing."""
    if isinstance(fact, Liquidated):
        return watch.on_liquidations(fact.symbol, fact.rows, fact.recv_ns)
    if isinstance(fact, Trades):
        return watch.on_trades(fact)
    assert isinstance(fact, Ticker)
    return watch.on_ticker(fact)


def watched(
    facts: Iterable[Seen],
    symbols: Sequence[str],
    mutation: Mutation | None = None,
    *,
    from_ns: int = 0,
    only: str = "",
    delay_ns: int = 0,
) -> dict[tuple[str, FeedFault], Raised]:
    """Watch a market whose feed goes wrong so long after its begin, on every symbol or on one; give what was raised first."""
    watch = LiquidationWatch(symbols, SILENCE_NS)
    begin_ns: int | None = None
    events = dict.fromkeys(symbols, 0)
    raised: dict[tuple[str, FeedFault], Raised] = {}
    for fact in facts:
        at_ns = fact.recv_ns if isinstance(fact, Liquidated) else fact.ts_recv
        begin_ns = at_ns if begin_ns is None else begin_ns
        wrong_ns = begin_ns + from_ns
        here = fact
        if isinstance(fact, Liquidated) and at_ns >= wrong_ns and only in ("", fact.symbol):
            events[fact.symbol] += len(fact.rows)
            if mutation is not None:
                here = Liquidated(fact.symbol, mutation(fact.rows), fact.recv_ns + delay_ns)
        for suspect in told(watch, here):
            if suspect.suspected:
                raised.setdefault((suspect.symbol, suspect.fault), Raised(at_ns - wrong_ns, events[suspect.symbol]))
    return raised


def as_it_is(rows: Rows) -> Rows:
    return rows


def silent(rows: Rows) -> Rows:
    del rows
    return ()


def inverted(rows: Rows) -> Rows:
    other = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    return [replace(row, position_side=other[row.position_side]) for row in rows]


def of_size_zero(rows: Rows) -> Rows:
    return [replace(row, size="0") for row in rows]


def ten_times_the_price(rows: Rows) -> Rows:
    return [replace(row, price=str(float(row.price) * 10)) for row in rows]


class OneASecond:
    """The venue's old topic: at most one liquidation a second and symbol."""

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}

    def __call__(self, rows: Rows) -> Rows:
        kept = []
        for row in rows:
            if row.ts_ms - self._last_ms.get(row.symbol, 0) >= 1000:
                self._last_ms[row.symbol] = row.ts_ms
                kept.append(row)
        return kept


class Half:
    """Every other liquidation is lost, at random."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def __call__(self, rows: Rows) -> Rows:
        return [row for row in rows if self._rng.random() < 0.5]
