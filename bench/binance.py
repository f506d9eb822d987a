"""The Binance recordings as kernel events: windows of book frames and trades in exchange time, in ticks and lots.

Each window begins with its REST snapshot; updates that the snapshot already holds are dropped, as Binance's manual says. Events are in the
order of the exchange's transaction time (the recorder's clock is wrong by more than a second), those of one millisecond as received. Each
gets a time of its own: its millisecond plus one microsecond for each earlier event of the same millisecond.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from undertow.matching.ladder import BUY, SELL, Ints
from undertow.matching.scale import Scale

BOOK: Final = 0
SNAPSHOT: Final = 1
TRADE: Final = 2
MS_NS: Final = 1_000_000
STEP_NS: Final = 1_000
"""Between two events of one millisecond."""
WINDOWS: Final = {
    "btcusdt 18–19 July": ("usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"),
    "btcusdt 8 August": ("usdm_btcusdt_20240808.gz",),
    "ethusdt 18–19 July": ("usdm_ethusdt_20240718.gz", "usdm_ethusdt_20240719.gz"),
    "ethusdt 8 August": ("usdm_ethusdt_20240808.gz",),
}
TICK_SIZES: Final = {"btcusdt": Decimal("0.10"), "ethusdt": Decimal("0.01")}
QTY_STEP: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One continuous recording.

    Attributes:
        heads: int64[events, 5] of (time ns, BOOK or SNAPSHOT, first change, end of its changes, 0) or (time ns, TRADE, taker, tick, lots).
        changes: int64[changes, 3] of (side, tick, lots), as `undertow.matching.ladder` takes them.
        lines: the raw lines that the events came from, received order.
    """

    name: str
    scale: Scale
    heads: Ints
    changes: Ints
    lines: list[bytes]

    @property
    def events(self) -> int:
        """Level changes and trades."""
        return len(self.changes) + int(np.count_nonzero(self.heads[:, 1] == TRADE))


def read(name: str) -> Window:
    """Read one of `WINDOWS`.

    Raises:
        FileNotFoundError: its recordings are not where `UNDERTOW_TEST_DATA` or the default says.
    """
    root = Path(os.environ.get("UNDERTOW_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "binance"
    symbol = name.partition(" ")[0]
    scale = Scale.load(
        symbol=symbol, tick_size=TICK_SIZES[symbol], qty_step=QTY_STEP, max_price=Decimal(10**6), max_qty=Decimal(10**4)
    )
    received = [line for part in WINDOWS[name] for line in gzip.decompress((root / part).read_bytes()).splitlines()]
    frames = [(json.loads(line.partition(b" ")[2]), line) for line in received]
    first = next(number for number, (frame, _) in enumerate(frames) if "lastUpdateId" in frame)
    snapshot = frames[first][0]
    kept = [frames[first]] + [pair for pair in frames[first + 1 :] if _follows(pair[0]["data"], snapshot)]
    ordered = sorted((_facts(frame) for frame, _ in kept), key=itemgetter("T"))
    heads, changes = _tables(ordered, scale)
    return Window(name=name, scale=scale, heads=heads, changes=changes, lines=[line for _, line in kept])


def _facts(frame: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = frame.get("data", frame)
    return facts


def _follows(data: dict[str, Any], snapshot: dict[str, Any]) -> bool:
    if data["e"] == "depthUpdate":
        return bool(data["u"] > snapshot["lastUpdateId"])
    return bool(data["e"] == "trade" and data["X"] == "MARKET" and data["T"] >= snapshot["T"])


def _tables(ordered: list[dict[str, Any]], scale: Scale) -> tuple[Ints, Ints]:
    heads: list[tuple[int, int, int, int, int]] = []
    changes: list[tuple[int, int, int]] = []
    at_ns = 0
    for data in ordered:
        at_ns = max(data["T"] * MS_NS, at_ns + STEP_NS)
        if data.get("e") == "trade":
            taker = SELL if data["m"] else BUY
            heads.append((at_ns, TRADE, taker, scale.ticks(Decimal(data["p"])), scale.lots(Decimal(data["q"]))))
            continue
        begin = len(changes)
        for side, levels in ((BUY, data.get("b", data.get("bids"))), (SELL, data.get("a", data.get("asks")))):
            changes += [(side, scale.ticks(Decimal(price)), scale.lots(Decimal(qty))) for price, qty in levels]
        heads.append((at_ns, BOOK if "e" in data else SNAPSHOT, begin, len(changes), 0))
    return np.array(heads, np.int64), np.array(changes, np.int64)
