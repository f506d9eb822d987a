"""Little archives in the documented formats, written by hand."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

TRADE_HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
LEVEL_HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
EVENT_HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
TICKER_HEADER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
    "last_price,index_price,mark_price"
)
AT_S = 1_786_320_000
AT_MS = AT_S * 1000
AT_US = AT_MS * 1000


def packed(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem, content)
    else:
        path.write_bytes(content)
    return path


def trade(after_s: str, side: str = "Buy", size: str = "0.038", price: str = "65065.80", n: int = 1) -> str:
    return f"{AT_S}{after_s},BTCUSDT,{side},{size},{price},ZeroPlusTick,match-{n},2.47e+11,{size},2472.5"


def trades(path: Path, *rows: str, header: str = TRADE_HEADER) -> Path:
    return packed(path, [header, *rows])


def book(
    after_ms: int, kind: str, u: int, bids: Sequence[Sequence[str]] = (), asks: Sequence[Sequence[str]] = ()
) -> str:
    frame = {
        "topic": "orderbook.500.BTCUSDT",
        "type": kind,
        "ts": AT_MS + after_ms,
        "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 1000 + u},
        "cts": AT_MS + after_ms - 4,
    }
    return json.dumps(frame)


SNAPSHOT = book(1000, "snapshot", 7, [["65000.00", "5"], ["64999.90", "3"]], [["65000.10", "4"]])


def tardis(path: Path, header: str, *rows: str) -> Path:
    return packed(path, [header, *rows])


def level(after_us: int, side: str, price: str, amount: str, *, first: bool = False, symbol: str = "BTCUSDT") -> str:
    at = AT_US + after_us
    return f"bybit,{symbol},{at - 9_000},{at},{str(first).lower()},{side},{price},{amount}"


def event(after_us: int, side: str, price: str, amount: str, exchange: str = "bybit", n: str = "") -> str:
    at = AT_US + after_us
    return f"{exchange},BTCUSDT,{at - 9_000},{at},{n},{side},{price},{amount}"
