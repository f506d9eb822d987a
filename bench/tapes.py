"""Tapes for benchmarks: a calm generated market at a high frame rate, and liquidations at chosen times in it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from undertow.markets.generated import ORIGIN_NS
from undertow.markets.generated_demonstration import Demonstration
from undertow.markets.generated_symbol import GeneratedSymbol
from undertow.markets.generated_wire import CONTRACTS, liquidations_frame
from undertow.markets.ports import MarketFrame

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
BOOK_FRAMES_PER_S = 500  # of each symbol
NEVER_S = 1e9
TRIGGER_USDT = 20_000
MS = 1_000_000


def background(seconds: float, book_frames_per_s: float = BOOK_FRAMES_PER_S) -> list[MarketFrame]:
    """Give the frames of a market without cascades: 4 × `book_frames_per_s` book frames/s, and its trades, tickers and candles."""
    sources = [
        GeneratedSymbol(
            Demonstration(CONTRACTS[symbol], rng, interval_s=NEVER_S, edge_bps=0.0), rng,
            seed=7, origin_ms=ORIGIN_NS // MS, frame_rate=book_frames_per_s, ordinal=ordinal,
        ).frames()
        for ordinal, symbol in enumerate(SYMBOLS)
        for rng in [random.Random(f"7/{symbol}")]  # noqa: S311 - a simulation, no secret
    ]  # fmt: skip
    end_ns = ORIGIN_NS + round(seconds * 1e9)
    frames: list[MarketFrame] = []
    for frame in heapq.merge(*sources, key=attrgetter("at_ns")):
        if frame.at_ns > end_ns:
            break
        frames.append(frame)
    return sorted(frames, key=attrgetter("at_ns"))  # a ticker is told a step later than the book it belongs to


def bursts(begin_s: float, end_s: float, every_s: float) -> list[float]:
    """Give the times of 20 frames within 500 ms, again and again, seconds."""
    pace = random.Random(1)  # noqa: S311 - a pace, no secret
    times: list[float] = []
    while begin_s + 1 <= end_s:
        times += [begin_s + 0.025 * number + pace.uniform(0, 0.02) for number in range(20)]
        begin_s += every_s
    return times


def steady(begin_s: float, end_s: float, per_s: float) -> list[float]:
    """Give times at an even pace, jittered by half a step, seconds."""
    pace = random.Random(1)  # noqa: S311 - a pace, no secret
    return [begin_s + (number + pace.uniform(0, 0.5)) / per_s for number in range(round((end_s - begin_s) * per_s))]


def write(path: Path, frames: Sequence[MarketFrame], triggers_s: Sequence[float]) -> None:
    """Write a tape of `frames`, with a liquidation at each of `triggers_s`; the symbols take turns."""
    with path.open("wb") as file:
        for frame in heapq.merge(frames, _liquidations(triggers_s), key=attrgetter("at_ns")):
            file.write(b"%d %s\n" % (frame.at_ns, frame.raw))


def _liquidations(triggers_s: Sequence[float]) -> Iterator[MarketFrame]:
    for number, at_s in enumerate(triggers_s):
        contract = CONTRACTS[SYMBOLS[number % len(SYMBOLS)]]
        side = "Buy" if number // len(SYMBOLS) % 2 else "Sell"
        ticks = contract.start_ticks
        lots = round(TRIGGER_USDT / (ticks * contract.tick) / contract.lot)
        at_ns = ORIGIN_NS + round(at_s * 1e9)
        yield MarketFrame(at_ns, liquidations_frame(contract, at_ns // MS, [(at_ns // MS, side, lots, ticks)]))
