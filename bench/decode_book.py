"""Frames of the recorded tape through decoding and books, beside stdlib json and dict books; one JSON line per figure.

`python -m bench.decode_book [seconds]`; the recording is looked for as the tests do (`UNDERTOW_TEST_DATA`). Every replay has a fresh core,
ours and the other take turns, and each figure is the median of its replays. The other's books are dicts, sorted for the
best prices after each frame: what a first version would do. It checks continuity and a crossed book as ours does, and makes no facts.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.ingestor.core import IngestorCore
from undertow.exchange.bybit.followed_book import TAKEN, FollowedBook, begin_of
from undertow.exchange.bybit.frames import decode_frame
from undertow.exchange.levels import Levels

TAPE = "bybit/linear-20260809.rawlines.gz"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
DEPTH = 200
BASE = "stdlib json + dict books sorted for the best"
COMMAND = "python -m bench.decode_book"
Frames = list[tuple[int, bytes]]


def recordings() -> Path:
    return Path(os.environ.get("UNDERTOW_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def recording() -> Frames | None:
    root = recordings()
    path = root / TAPE
    if not path.exists():
        sys.stderr.write(f"the recording {TAPE} is not in {root}; set UNDERTOW_TEST_DATA to the folder that has it\n")
        return None
    lines = gzip.decompress(path.read_bytes()).splitlines()
    parted = (line.partition(b" ") for line in lines)
    return [(int(at), raw) for at, _, raw in parted if b'"topic":"' in raw]


def by_ingestor(frames: Frames) -> None:
    """What the ingestor does: typed decoding, continuity, books, facts."""
    core = IngestorCore(SYMBOLS, depth=DEPTH)
    for at_ns, raw in frames:
        core.on_frame(raw, at_ns)
    assert all(core.best(symbol) for symbol in SYMBOLS)


def by_parts(frames: Frames) -> dict[str, FollowedBook]:
    """What the core does before it makes facts: each frame decoded; books taken on, with continuity and the check for crossing."""
    levels = Levels()
    books = {symbol: FollowedBook(symbol, f"orderbook.{DEPTH}.{symbol}", DEPTH, levels) for symbol in SYMBOLS}
    by_begin = {book.begin: book for book in books.values()}
    for _, raw in frames:
        book = by_begin.get(begin_of(raw))
        if book is None:
            decode_frame(raw)
        else:
            assert book.follow(raw) == TAKEN
    return books


def by_stdlib(frames: Frames) -> None:
    books: dict[str, tuple[dict[float, str], dict[float, str]]] = {}
    last: dict[str, int] = {}
    for _, raw in frames:
        frame = json.loads(raw)
        if not frame["topic"].startswith("orderbook"):
            continue
        data = frame["data"]
        symbol = data["s"]
        if frame["type"] == "snapshot":
            books[symbol] = ({}, {})
        elif data["u"] != last[symbol] + 1:
            raise ValueError(f"gap of {symbol}")
        last[symbol] = data["u"]
        for side, changes in zip(books[symbol], (data["b"], data["a"]), strict=True):
            for price, size in changes:
                if float(size):
                    side[float(price)] = size
                else:
                    side.pop(float(price), None)
        bids, asks = books[symbol]
        assert sorted(bids)[-1] < sorted(asks)[0]  # noqa: FURB192 - what a first version would do


def per_frame_us(frames: Frames, seconds: float) -> list[float]:
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        core = IngestorCore(SYMBOLS, depth=DEPTH)
        for at_ns, raw in frames:
            began = time.perf_counter_ns()
            core.on_frame(raw, at_ns)
            took.append((time.perf_counter_ns() - began) / 1e3)
    return took


def tell(name: str, value: float, unit: str, ratio: float | None = None) -> None:
    row = {"name": name, "value": round(value, 2), "unit": unit, "ratio_to": BASE if ratio else None}
    print(json.dumps({**row, "ratio": round(ratio, 2) if ratio else None, "command": COMMAND}))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    frames = recording()
    if frames is None:
        return 1
    ways: dict[str, Callable[[Frames], object]] = {
        "decode + books + facts (ingestor core)": by_ingestor,
        "decode + books": by_parts,
        BASE: by_stdlib,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    end = time.perf_counter() + seconds * len(ways)
    while time.perf_counter() < end:
        for name, way in ways.items():
            began = time.perf_counter()
            way(frames)
            took[name].append(time.perf_counter() - began)
    rate = {name: len(frames) / statistics.median(each) for name, each in took.items()}
    for name, value in rate.items():
        tell(f"decode_book: {name}, recorded tape", value, "frames/s", None if name == BASE else value / rate[BASE])
    cuts = statistics.quantiles(per_frame_us(frames, seconds), n=100)
    for percent in (50, 99):
        tell(f"decode_book: ingestor core, one frame, p{percent}", cuts[percent - 1], "us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
