"""A day of real liquidations, laid over generated tapes in two ways."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import pyarrow.parquet as pq

from tests.services.ingestor.watch.feeds import Liquidated, Seen, seen
from tests.support import recorded
from undertow.contracts.messages.market import Ticker
from undertow.domain.order import Side
from undertow.exchange.bybit.frames import LiquidationData
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_calibrated import Calibrated, ExcitedWalk
from undertow.markets.generated_parameters import shipped
from undertow.markets.generated_symbol import GeneratedSymbol
from undertow.markets.generated_wire import CONTRACTS

CONTRACT_VALUE = {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "DOGE": 1000.0}
SYMBOLS = tuple(f"{coin}USDT" for coin in CONTRACT_VALUE)
SEED = 7
FRAME_RATE = 2.5
MS_NS = 1_000_000


@dataclass(frozen=True)
class Real:
    """One of OKX's liquidations; seconds from the recording's begin, side of the position."""

    at_s: float
    side: str
    usdt: float


def liquidations() -> dict[str, list[Real]]:
    table = pq.read_table(recorded("okx/liquidations.parquet")).to_pylist()
    rows = [row for row in table if row["venue"].upper() == "OKX" and row["coin"] in CONTRACT_VALUE]
    begin = min(row["timestamp"] for row in rows)
    real = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["timestamp"]):
        side = "Buy" if row["side"] == "sell" else "Sell"
        usdt = row["size_usd"] * CONTRACT_VALUE[row["coin"]]
        real[f"{row['coin']}USDT"].append(Real((row["timestamp"] - begin).total_seconds(), side, usdt))
    return real


@dataclass(slots=True)
class ScheduledWalk(ExcitedWalk):
    """A price that real liquidations push, at their own times."""

    schedule: Sequence[Real] = ()
    sizes: list[Real] = field(default_factory=list)
    done: int = 0

    def _liquidate(self) -> tuple[float, float]:
        begin = self.done
        while self.done < len(self.schedule) and self.schedule[self.done].at_s <= self.now_s:
            self.done += 1
        self.sizes = list(self.schedule[begin : self.done])
        self.liquidated = [real.side for real in self.sizes]
        return 0.0, sum(self._push_bps * (-1 if side == "Buy" else 1) for side in self.liquidated)


class ScheduledManner(Calibrated):
    """The calibrated manner with real liquidations."""

    def __init__(self, symbol: str, rng: random.Random, schedule: Sequence[Real]) -> None:
        super().__init__(CONTRACTS[symbol], shipped().symbols[symbol], rng, edge_bps=0.0)
        start = float(self.contract.start_ticks)
        self.walk = ScheduledWalk(start, rng, shipped().symbols[symbol], 0.0, schedule=schedule)
        self._usdt_a_lot = self.contract.start_ticks * self.contract.tick * self.contract.lot

    def liquidations(self, forced: float) -> Iterator[tuple[str, int]]:
        del forced
        for real in self.walk.sizes:
            yield real.side, max(1, int(real.usdt / self._usdt_a_lot))


def moved_by_them(from_hour: float, hours: float) -> Iterator[Seen]:
    """A tape on which the real liquidations trade, push the price and lower the open interest."""
    symbols = []
    for ordinal, (symbol, all_) in enumerate(liquidations().items()):
        rng = random.Random(f"{SEED}/{symbol}")
        schedule = [Real(r.at_s - from_hour * 3600, r.side, r.usdt) for r in all_ if r.at_s >= from_hour * 3600]
        manner = ScheduledManner(symbol, rng, schedule)
        symbols.append(
            GeneratedSymbol(manner, rng, seed=SEED, origin_ms=10**12, frame_rate=FRAME_RATE, ordinal=ordinal).frames()
        )
    return seen(heapq.merge(*symbols, key=attrgetter("at_ns")), hours * 60)


def unmoved_by_them(from_hour: float, hours: float) -> Iterator[Seen]:
    """A tape that has liquidations of its own, which are not told; the real ones are told instead, and nothing else shows them."""
    market = GeneratedMarket(SYMBOLS, seed=SEED, manner="calibrated", frame_rate=FRAME_RATE)
    waiting = {symbol: [r for r in all_ if r.at_s >= from_hour * 3600][::-1] for symbol, all_ in liquidations().items()}
    marks: dict[str, float] = {}
    begin_ns: int | None = None
    for fact in seen(market.frames(), hours * 60):
        if isinstance(fact, Liquidated):
            continue
        begin_ns = begin_ns or fact.ts_recv
        yield fact
        if not isinstance(fact, Ticker):
            continue
        marks[fact.symbol] = float(fact.mark_price)
        rows, queue = [], waiting[fact.symbol]
        while queue and (queue[-1].at_s - from_hour * 3600) * 1e9 <= fact.ts_recv - begin_ns:
            real = queue.pop()
            at_ms = round((begin_ns + (real.at_s - from_hour * 3600) * 1e9) / MS_NS)
            price = marks[fact.symbol] * (0.995 if real.side == "Buy" else 1.005)
            size = f"{real.usdt / marks[fact.symbol]:.8f}"
            rows.append(LiquidationData(at_ms, fact.symbol, Side(real.side), size, f"{price:.8f}"))
        if rows:
            yield Liquidated(fact.symbol, rows, fact.ts_recv)
