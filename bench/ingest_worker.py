"""Runs inside the throw-away environment of `bench.ingest`: replays a recording through one peer, once for each line that it is sent.

`python ingest_worker.py NAME FOLDER [best]` with `frames.gz` (a frame a line) and `instruments.json` in the folder. Each answer is a JSON
line: the CPU seconds of the replay, and the best bid and ask of each symbol at its end. With `best` the best prices are read after each
frame of a book, as our own book's check for crossing does.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Best = dict[str, tuple[float, float]]
Replay = Callable[[], tuple[float, Best]]


def by_cryptofeed(texts: list[str], told: Any, *, reads_best: bool) -> Replay:
    defines = importlib.import_module("cryptofeed.defines")
    bybit = importlib.import_module("cryptofeed.exchanges").Bybit
    symbols = importlib.import_module("cryptofeed.symbols").Symbols
    symbols.set(bybit.id, *bybit._parse_symbol_data([told["instruments"]]))  # noqa: SLF001 - a feed asks the venue itself
    names = {symbol: f"{symbol.removesuffix('USDT')}-USDT-PERP" for symbol in told["symbols"]}
    channels = [defines.L2_BOOK, defines.TRADES, defines.TICKER, defines.CANDLES]

    connection = SimpleNamespace(
        address="wss://stream.bybit.com/v5/public/linear", uuid="bench", subscription={"tickers": told["symbols"]}
    )

    async def read_best(book: Any, _received: float) -> None:
        book.book.bids.index(0)
        book.book.asks.index(0)

    async def replay() -> tuple[float, Best]:
        callbacks = {defines.L2_BOOK: read_best} if reads_best else {}
        feed = bybit(symbols=list(names.values()), channels=channels, callbacks=callbacks)
        began = time.process_time()
        for text in texts:
            await feed.message_handler(text, connection, 0.0)
        spent = time.process_time() - began
        books = {symbol: feed._l2_book[name].book for symbol, name in names.items()}  # noqa: SLF001
        return spent, {s: (float(each.bids.index(0)[0]), float(each.asks.index(0)[0])) for s, each in books.items()}

    return lambda: asyncio.run(replay())


def by_pybotters(texts: list[str], told: Any, *, reads_best: bool) -> Replay:
    data_store = importlib.import_module("pybotters").BybitDataStore

    def replay() -> tuple[float, Best]:
        store = data_store()
        began = time.process_time()
        for text in texts:
            frame = json.loads(text)
            store.onmessage(frame)
            if reads_best and frame["topic"].startswith("orderbook"):
                store.orderbook.sorted({"s": frame["data"]["s"]}, limit=1)
        spent = time.process_time() - began
        best = {}
        for symbol in told["symbols"]:
            sides = store.orderbook.sorted({"s": symbol}, limit=1)
            best[symbol] = (float(sides["b"][0]["p"]), float(sides["a"][0]["p"]))
        return spent, best

    return replay


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    texts = gzip.decompress((folder / "frames.gz").read_bytes()).decode().splitlines()
    told = json.loads((folder / "instruments.json").read_text())
    way = {"cryptofeed": by_cryptofeed, "pybotters": by_pybotters}[name]
    replay = way(texts, told, reads_best="best" in sys.argv)
    for _ in sys.stdin:
        print(json.dumps(replay()), flush=True)


if __name__ == "__main__":
    main()
