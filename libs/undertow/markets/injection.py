"""Liquidation cascades planted into a recorded tape: the liquidations, and the trades that they force.

The recording itself is untouched: all its frames are there, verbatim and in order. The book does not react to planted trades, so nothing
measured on such a tape says anything about a real market.

A cascade: at declared intervals one symbol's positions of one side are liquidated for a few seconds. Each liquidation is a market
order that sweeps away from the touch (a liquidated long sells below the best bid, a liquidated short buys above the best ask), a little
further each time. Its trades are printed at once; the liquidations themselves are told every 500 ms, as the venue does it.
"""

from __future__ import annotations

import hashlib
import math
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from undertow.domain.time import NS_PER_MS
from undertow.markets.ports import FrameSource, MarketFrame

SECOND_NS: Final = 1_000_000_000
BATCH_NS: Final = SECOND_NS // 2
_SIZE_TAIL: Final = 1.2  # Pareto exponent: the mean exists, the variance does not
_SMALLEST_USDT: Final = 8_000.0
_LARGEST_USDT: Final = 1_000_000.0
_MEAN_GAP_S: Final = 0.12  # between two liquidations of one cascade
_WALK_BPS: Final = (10.0, 32.0)  # how far from the touch a cascade ends
_BANKRUPTCY_BPS: Final = (5.0, 40.0)  # how far the bankruptcy price lies beyond the trade
_MOST_PRINTS: Final = 4
_LONGEST_LAG_MS: Final = 2_000  # a first snapshot may be older than its own deltas


@dataclass(frozen=True, slots=True)
class Forced:
    """One planned liquidation.

    Attributes:
        at_ns: when its trades go out.
        notional_usdt: its size.
        from_bps: distance from the touch at which its sweep begins.
        to_bps: distance at which it ends.
        prints: number of trades.
        bankruptcy_bps: distance of the bankruptcy price beyond the last trade.
    """

    at_ns: int
    notional_usdt: float
    from_bps: float
    to_bps: float
    prints: int
    bankruptcy_bps: float


@dataclass(frozen=True, slots=True)
class Cascade:
    """One planned cascade; `position_side` "Buy" means that longs are liquidated."""

    number: int
    symbol: str
    position_side: str
    start_ns: int
    liquidations: tuple[Forced, ...]


def plan_cascade(seed: int, number: int, symbol: str, start_ns: int, length_ns: int) -> Cascade:
    """Draw a cascade; the same arguments give the same one."""
    rng = random.Random(f"{seed}/{number}/{symbol}")  # noqa: S311 - a simulation, no secret
    side = rng.choice(("Buy", "Sell"))
    moments: list[int] = []
    at = start_ns
    while at < start_ns + length_ns:
        moments.append(at)
        at += 1 + int(rng.expovariate(1 / _MEAN_GAP_S) * SECOND_NS)
    sizes = [min(_LARGEST_USDT, _SMALLEST_USDT * rng.paretovariate(_SIZE_TAIL)) for _ in moments]
    end_bps = rng.uniform(*_WALK_BPS)
    total = sum(sizes)
    done = 0.0
    forced = []
    for moment, size in zip(moments, sizes, strict=True):
        begin, done = done, done + size
        forced.append(
            Forced(
                at_ns=moment,
                notional_usdt=size,
                from_bps=end_bps * math.sqrt(begin / total),
                to_bps=end_bps * math.sqrt(done / total),
                prints=rng.randint(1, _MOST_PRINTS),
                bankruptcy_bps=rng.uniform(*_BANKRUPTCY_BPS),
            )
        )
    return Cascade(number, symbol, side, start_ns, tuple(forced))


class InjectedSource:
    """A recorded market with planted cascades.

    Cascade `n` starts `first_s + n · interval_s` after the tape's first frame, the symbols taking turns; one that would outlast the last
    recorded frame is cut there.

    Args:
        source: the recording.
        seed: of every draw.
        first_s: market seconds until the first cascade; by then every book is there.
        interval_s: from the start of one cascade to the start of the next.
        length_s: how long one lasts.

    Attributes:
        label: the recording's, and that cascades are injected.

    Raises:
        KeyError: the recording has a symbol whose tick and lot are not known.
        ValueError: cascades would overlap.
    """

    def __init__(
        self, source: FrameSource, seed: int, *, first_s: float = 4.0, interval_s: float = 5.0, length_s: float = 3.0
    ) -> None:
        if not 0 < length_s <= interval_s - BATCH_NS / SECOND_NS or first_s < 0:
            raise ValueError(f"cascades of {length_s} s every {interval_s} s from {first_s} s: they must not overlap")
        self._source = source
        self._seed = seed
        self._first_ns = int(first_s * SECOND_NS)
        self._interval_ns = int(interval_s * SECOND_NS)
        self._length_ns = int(length_s * SECOND_NS)
        self._contracts = {item["symbol"]: item for item in source.instruments}
        self.label = f"{source.label} (cascades injected, seed {seed})"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that occur."""
        return self._source.symbols

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """Their contracts."""
        return self._source.instruments

    @property
    def risk_tiers(self) -> tuple[dict[str, Any], ...]:
        """The recording's."""
        return self._source.risk_tiers

    @property
    def book_depth(self) -> int:
        """Depth of the order book topics."""
        return self._source.book_depth

    @property
    def kline_intervals(self) -> tuple[str, ...]:
        """Intervals of the kline topics."""
        return self._source.kline_intervals

    @property
    def origin_ns(self) -> int:
        """Market time of the first frame."""
        return self._source.origin_ns

    def frames(self) -> Iterator[MarketFrame]:
        """Yield the recording's frames and, flagged, the planted ones, by ascending time."""
        tapes = {symbol: _Pen(contract) for symbol, contract in self._contracts.items()}
        planted = self._planted(tapes)
        following = next(planted)
        for frame in self._source.frames():
            while following.at_ns <= frame.at_ns:
                if following.raw:
                    yield following
                following = next(planted)
            head = _FRAME.decode(frame.raw)
            tapes[head.topic.rpartition(".")[2]].saw(head, frame.at_ns)
            yield frame

    def _planted(self, pens: Mapping[str, _Pen]) -> Iterator[MarketFrame]:
        number = 0
        while True:
            symbol = self.symbols[number % len(self.symbols)]
            start_ns = self.origin_ns + self._first_ns + number * self._interval_ns
            cascade = plan_cascade(self._seed, number, symbol, start_ns, self._length_ns)
            # An empty frame is a breakpoint: only when the tape has come this far may the pen look at the book.
            yield MarketFrame(start_ns, b"", injected=True)
            yield from pens[symbol].write(cascade, self._seed)
            number += 1


class _BookData(msgspec.Struct):
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    seq: int = 0


class _TradeData(msgspec.Struct):
    T: int
    p: str
    seq: int = 0


class _Frame(msgspec.Struct):
    topic: str
    data: msgspec.Raw
    type: str = ""
    ts: int = 0


_FRAME: Final = msgspec.json.Decoder(_Frame)
_BOOK: Final = msgspec.json.Decoder(_BookData)
_TRADES: Final = msgspec.json.Decoder(list[_TradeData])
_ENCODE: Final = msgspec.json.encode


class _Pen:
    """Follows one symbol's recording and writes planted frames that fit into it."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self.symbol: str = contract["symbol"]
        self.tick = Decimal(contract["priceFilter"]["tickSize"])
        self.lot = Decimal(contract["lotSizeFilter"]["qtyStep"])
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.lag_ms = 0
        self.trade_ms = 0
        self.last_ticks = 0
        self.rising = False
        self.seq = 0

    def saw(self, frame: _Frame, at_ns: int) -> None:
        kind = frame.topic.partition(".")[0]
        if kind == "orderbook":
            book = _BOOK.decode(frame.data)
            if frame.type == "snapshot":
                self.bids, self.asks = {}, {}
            for side, levels in ((self.bids, book.b), (self.asks, book.a)):
                for price, size in levels:
                    if size.strip("0."):
                        side[price] = size
                    else:
                        side.pop(price, None)
            self.seq = max(self.seq, book.seq)
            self.lag_ms = min(_LONGEST_LAG_MS, max(0, at_ns // NS_PER_MS - frame.ts))
        elif kind == "publicTrade":
            trades = _TRADES.decode(frame.data)
            self.trade_ms = max(self.trade_ms, trades[-1].T)
            self.last_ticks = int(Decimal(trades[-1].p) / self.tick)
            self.seq = max(self.seq, trades[-1].seq)

    def write(self, cascade: Cascade, seed: int) -> Iterator[MarketFrame]:
        """Yield a cascade's frames by ascending time; each is made when it is asked for, so that it sees the book of its moment."""
        lag_ms = self.lag_ms
        batch: list[dict[str, Any]] = []
        tell_ns = cascade.start_ns + BATCH_NS
        for index, forced in enumerate(cascade.liquidations):
            while forced.at_ns > tell_ns:
                yield from self._tell(batch, tell_ns, lag_ms)
                batch, tell_ns = [], tell_ns + BATCH_NS
            yield MarketFrame(forced.at_ns, b"", injected=True)
            if not self.bids or not self.asks:
                continue
            event_ms = max(self.trade_ms, forced.at_ns // NS_PER_MS - lag_ms)
            prices, lots = self._sweep(cascade.position_side, forced)
            order_side = "Sell" if cascade.position_side == "Buy" else "Buy"
            trades = []
            for number, (ticks, count) in enumerate(zip(prices, lots, strict=True)):
                identity = hashlib.sha256(f"{seed}/{cascade.number}/{index}/{number}/{self.symbol}".encode()).digest()
                trades.append(
                    {
                        "T": event_ms,
                        "s": self.symbol,
                        "S": order_side,
                        "v": str(count * self.lot),
                        "p": str(ticks * self.tick),
                        "L": self._direction(ticks),
                        "i": str(uuid.UUID(bytes=identity[:16], version=5)),
                        "BT": False,
                        "RPI": False,
                        "seq": self.seq,
                    }
                )
            self.trade_ms = event_ms
            yield MarketFrame(
                forced.at_ns,
                _ENCODE(
                    {"topic": f"publicTrade.{self.symbol}", "type": "snapshot", "ts": event_ms + 1, "data": trades}
                ),
                injected=True,
            )
            beyond = 1 - forced.bankruptcy_bps / 1e4 * (1 if order_side == "Sell" else -1)
            batch.append(
                {
                    "T": event_ms,
                    "s": self.symbol,
                    "S": cascade.position_side,
                    "v": str(sum(lots) * self.lot),
                    "p": str(max(1, round(prices[-1] * beyond)) * self.tick),
                }
            )
        yield from self._tell(batch, tell_ns, lag_ms)

    def _tell(self, batch: list[dict[str, Any]], at_ns: int, lag_ms: int) -> Iterator[MarketFrame]:
        if batch:
            ts = max(batch[-1]["T"], at_ns // NS_PER_MS - lag_ms)
            frame = {"topic": f"allLiquidation.{self.symbol}", "type": "snapshot", "ts": ts, "data": batch}
            yield MarketFrame(at_ns, _ENCODE(frame), injected=True)

    def _sweep(self, position_side: str, forced: Forced) -> tuple[list[int], list[int]]:
        sells = position_side == "Buy"
        touch = max(map(Decimal, self.bids)) if sells else min(map(Decimal, self.asks))
        touch_ticks = int(touch / self.tick)
        away = -1 if sells else 1
        steps = [
            forced.from_bps + (forced.to_bps - forced.from_bps) * (n + 1) / forced.prints for n in range(forced.prints)
        ]
        rounding = math.floor if sells else math.ceil
        prices = [rounding(touch_ticks * (1 + away * bps / 1e4)) for bps in steps]
        prices = [min(p, touch_ticks - 1) if sells else max(p, touch_ticks + 1) for p in prices]
        total = max(forced.prints, round(forced.notional_usdt / float(touch * self.lot)))
        share, rest = divmod(total, forced.prints)
        return prices, [share + (n < rest) for n in range(forced.prints)]

    def _direction(self, ticks: int) -> str:
        if ticks != self.last_ticks:
            self.rising = ticks > self.last_ticks
            self.last_ticks = ticks
            return "PlusTick" if self.rising else "MinusTick"
        return "ZeroPlusTick" if self.rising else "ZeroMinusTick"
