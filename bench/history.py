"""Recordings and archives: bytes on disk, and how fast frames are recorded, read back and imported; one JSON line per figure.

`python -m bench.history`: a generated market stands for the venue, archives in the documented formats are made of draws. Seconds of the
processor, one core.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import process_time

from undertow.history.importer import Importer
from undertow.markets.blocks import BlockFile
from undertow.markets.generated import GeneratedMarket
from undertow.markets.notes import Head
from undertow.markets.rawlines import read_lines
from undertow.markets.recorder import DEFAULT_TOPICS, Recorder
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
FRAMES = 50_000
BLOCK = 350  # frames in 5 s of this market
TRADES = 200_000
BOOKS = 20_000
LEVELS = 300_000
SNAPSHOT = 20  # levels in a message
DAY_S = 1_786_320_000


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": f"history: {name}", "value": round(value, 1), "unit": unit}))


def recording(folder: Path) -> None:
    frames = [(frame.raw, frame.at_ns) for frame in islice(GeneratedMarket(SYMBOLS, seed=7).frames(), FRAMES)]
    topics = tuple(f"{kind}.{symbol}" for kind in DEFAULT_TOPICS for symbol in SYMBOLS)
    recorder = Recorder(Head(source="generated", mode="paper", clock="market", symbols=SYMBOLS, topics=topics))
    path = folder / "a.rawlines.zst"
    file = BlockFile(path)
    begin = process_time()
    recorder.begin(path.name, [], frames[0][1])
    for first in range(0, FRAMES, BLOCK):
        recorder.on_frames(frames[first : first + BLOCK])
        for part in recorder.take():
            file.write(b"".join(part.lines))
    took = process_time() - begin
    file.close()
    tell("frames recorded, generated market", FRAMES / took, "frames/s")
    tell("bytes on disk of a frame, generated market", file.size / FRAMES, "bytes")
    tell("bytes of a frame, generated market", sum(len(raw) for raw, _ in frames) / FRAMES, "bytes")
    begin = process_time()
    count = sum(1 for _ in read_lines(path))
    tell("lines read back, generated market", count / (process_time() - begin), "lines/s")


def importing(folder: Path, source: str, name: str, make: Callable[[Path], int]) -> None:
    path = folder / name
    rows = make(path)
    importer = Importer(Store(LocalFiles(folder / "store")))
    begin = process_time()
    importer.take(source, path, lambda _: None)
    tell(f"{source} imported", rows / (process_time() - begin), "rows/s")


def trades(path: Path) -> int:
    draw = random.Random(7)  # noqa: S311 - fixtures, no secret
    with gzip.open(path, "wt") as file:
        file.write(
            "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
        )
        at = DAY_S * 10_000
        for number in range(TRADES):
            at += draw.choice((0, 0, 1, 3, 2_000))
            price, size = 65_000 + draw.randint(-500, 500) / 10, draw.randint(1, 900) / 1_000
            side = draw.choice(("Buy", "Sell"))
            file.write(
                f"{at / 10_000:.4f},BTCUSDT,{side},{size:.3f},{price:.2f},PlusTick,{number:032x},1e+11,{size},1\n"
            )
    return TRADES


def books(path: Path) -> int:
    raws = (frame.raw for frame in GeneratedMarket(SYMBOLS[:1], seed=7).frames())
    frames = islice((raw for raw in raws if raw.startswith(b'{"topic":"orderbook')), BOOKS)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("books.data", b"\n".join(frames))
    return BOOKS


def levels(path: Path) -> int:
    draw = random.Random(7)  # noqa: S311 - fixtures, no secret
    with gzip.open(path, "wt") as file:
        file.write("exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n")
        for number in range(LEVELS):
            at = DAY_S * 1_000_000 + number // SNAPSHOT * 100_000
            side, sign = draw.choice((("bid", -1), ("ask", 1)))
            price = 65_000 + sign * draw.randint(1, 200) / 10
            first = "true" if number < SNAPSHOT else "false"
            file.write(f"bybit,BTCUSDT,{at},{at + 9_000},{first},{side},{price},{draw.randint(0, 9) / 10}\n")
    return LEVELS


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording(folder)
        importing(folder, "bybit-trades", "BTCUSDT2026-08-10.csv.gz", trades)
        importing(folder, "bybit-books", "2026-08-10_BTCUSDT_ob200.data.zip", books)
        importing(folder, "tardis", "bybit_incremental_book_L2_2026-08-10_BTCUSDT.csv.gz", levels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
