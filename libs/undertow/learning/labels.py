"""What each arm would have earned at each trigger, from the recorded market alone.

The rules, per trigger at event time t and arm (side, delta, T), for a buy (a sell mirrors it):

1. The entry's limit is `mid * (1 - delta/1e4)` rounded down to the tick; it reaches the book at `t + latency`.
2. If the best ask is then at or below the limit, the post-only order is refused: not filled.
3. The queue ahead is the size displayed at the limit at that moment. The order fills at the first trade below the limit, or at the
   limit once trades at it have exceeded the queue ahead; only trades up to `t + latency + rest` count. Cancellations ahead never help.
4. The exit is a market order at first fill + T + latency: it gets the best bid in force then. Its own impact is not modelled.
5. Return in bps of the entry notional: `(exit/limit - 1) * 1e4`, less the maker fee and the taker fee on the exit's notional.
6. A trigger whose longest trade would end after the data is dropped.

Neither the venue-side stop nor funding is part of a label: T is seconds and the stop lies far outside its moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from undertow.features.book import set_level
from undertow.features.events import ASK, BID, BOOK_CLEAR, END, RESET, TRADE_BUY, TRADE_SELL, Events
from undertow.features.layout import CAPACITY
from undertow.learning.grid import ARMS, REST_NS
from undertow.runtime.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

MAKER_BPS = 2.0
TAKER_BPS = 5.5

_SIGNS = np.array([arm.side.sign for arm in ARMS], dtype=np.int64)
_DELTAS = np.array([arm.delta_bps for arm in ARMS], dtype=np.float64)
_HOLDS = np.array([arm.hold_ns for arm in ARMS], dtype=np.int64)


@dataclass(frozen=True)
class LabelRule:
    """Numbers of the rule.

    Attributes:
        latency_ns: from the trigger's event to the order in the book, and from T to the exit in the book.
        maker_bps: fee on the entry notional.
        taker_bps: fee on the exit notional.
    """

    latency_ns: int = 20_000_000
    rest_ns: int = REST_NS
    maker_bps: float = MAKER_BPS
    taker_bps: float = TAKER_BPS


@dataclass(frozen=True)
class Labels:
    """Per trigger and arm.

    Attributes:
        kept: row numbers of the triggers that could be labelled, int64 (k,).
        filled: bool (k, 36).
        return_bps: net of fees, float64 (k, 36); NaN where not filled.
    """

    kept: Ints
    filled: npt.NDArray[np.bool_]
    return_bps: Floats


def label(events: Events, triggers: Ints, mids: Floats, tick: float, rule: LabelRule | None = None) -> Labels:
    """Label all arms at each trigger.

    Args:
        events: one symbol's facts in order.
        triggers: row numbers in `events` at which vectors were written, int64 (k,), ascending.
        mids: mid at each, quote coin, (k,).
        tick: tick size, quote coin.
        rule: latency, rest and fees.
    """
    rule = rule or LabelRule()
    arrivals = events.ts_ns[triggers] + rule.latency_ns
    touch_ts, touch = _touches(events.ts_ns, events.kind, events.price, events.size, tick)
    queues = _queues(
        events.ts_ns, events.kind, events.price, events.size, triggers, arrivals, mids, _SIGNS, _DELTAS, tick
    )
    filled, returns = _outcomes(
        events.ts_ns, events.kind, events.price, events.size, triggers, arrivals, mids, queues, touch_ts, touch,
        _SIGNS, _DELTAS, _HOLDS, tick, rule.latency_ns, rule.rest_ns, rule.maker_bps, rule.taker_bps,
    )  # fmt: skip
    last_needed = arrivals + rule.rest_ns + int(_HOLDS.max()) + rule.latency_ns
    end = touch_ts[-1] if len(touch_ts) else 0
    kept = np.flatnonzero(last_needed <= end)
    return Labels(kept=kept, filled=filled[kept], return_bps=returns[kept])


@kernel
def _apply(bids: Floats, asks: Floats, counts: Ints, kind: int, price: float, size: float) -> None:
    if kind in (BOOK_CLEAR, RESET):
        counts[0] = 0
        counts[1] = 0
    elif kind == BID:
        counts[0] = set_level(bids, counts[0], price, size)
    elif kind == ASK:
        counts[1] = set_level(asks, counts[1], -price, size)


@kernel
def _touches(ts: Ints, kind: Bytes, price: Floats, size: Floats, tick: float) -> tuple[Ints, Ints]:
    """Best bid and ask in ticks after each book message: times (m,), touch (m, 2)."""
    bids = np.zeros((2, CAPACITY))
    asks = np.zeros((2, CAPACITY))
    counts = np.zeros(2, np.int64)
    out_ts = np.empty(np.count_nonzero(kind == END), np.int64)
    out = np.empty((out_ts.shape[0], 2), np.int64)
    n = 0
    touched = False
    for i in range(ts.shape[0]):
        if kind[i] <= ASK:
            _apply(bids, asks, counts, kind[i], price[i], size[i])
            touched = True
        elif kind[i] == END and touched:
            touched = False
            if counts[0] > 0 and counts[1] > 0:
                out_ts[n] = ts[i]
                out[n, 0] = round(bids[0, counts[0] - 1] / tick)
                out[n, 1] = round(-asks[0, counts[1] - 1] / tick)
                n += 1
    return out_ts[:n], out[:n]


@kernel
def _limit(mid: float, sign: int, delta: float, tick: float) -> int:
    exact = mid * (1.0 - sign * delta / 1e4) / tick
    return int(np.floor(exact + 1e-9)) if sign > 0 else int(np.ceil(exact - 1e-9))


@kernel
def _displayed(levels: Floats, count: int, key: float, tick: float) -> float:
    for i in range(count - 1, -1, -1):
        if abs(levels[0, i] - key) < tick / 2:
            return float(levels[1, i])
        if levels[0, i] < key:
            break
    return 0.0


@kernel
def _queues(
    ts: Ints, kind: Bytes, price: Floats, size: Floats, triggers: Ints, arrivals: Ints, mids: Floats,
    signs: Ints, deltas: Floats, tick: float,
) -> Floats:  # fmt: skip
    """Queue ahead of each arm when it reaches the book, base coin (k, arms); -1 where it would have taken and is refused."""
    bids = np.zeros((2, CAPACITY))
    asks = np.zeros((2, CAPACITY))
    counts = np.zeros(2, np.int64)
    queues = np.full((triggers.shape[0], signs.shape[0]), -1.0)
    j = 0
    for i in range(ts.shape[0]):
        if kind[i] > TRADE_SELL:
            continue
        while j < triggers.shape[0] and i > triggers[j] and ts[i] > arrivals[j]:
            if counts[0] > 0 and counts[1] > 0:
                bid = round(bids[0, counts[0] - 1] / tick)
                ask = round(-asks[0, counts[1] - 1] / tick)
                for a in range(signs.shape[0]):
                    limit = _limit(mids[j], signs[a], deltas[a], tick)
                    if signs[a] > 0 and limit < ask:
                        queues[j, a] = _displayed(bids, counts[0], limit * tick, tick)
                    elif signs[a] < 0 and limit > bid:
                        queues[j, a] = _displayed(asks, counts[1], -limit * tick, tick)
            j += 1
        if kind[i] <= ASK:
            _apply(bids, asks, counts, kind[i], price[i], size[i])
    return queues


@kernel
def _fill_times(
    ts: Ints, kind: Bytes, price: Floats, size: Floats, first: int, after: int, until: int,
    limits: Ints, signs: Ints, queues: Floats, tick: float,
) -> Ints:  # fmt: skip
    """First fill of each arm, ns; -1 where there is none within (after, until]."""
    fills = np.full(signs.shape[0], -1, np.int64)
    ahead = queues.copy()
    for i in range(first, ts.shape[0]):
        if kind[i] == END and ts[i] > until:
            break
        if (kind[i] != TRADE_BUY and kind[i] != TRADE_SELL) or ts[i] <= after or ts[i] > until:
            continue
        at = round(price[i] / tick)
        taker = 1 if kind[i] == TRADE_SELL else -1
        for a in range(signs.shape[0]):
            if fills[a] < 0 and queues[a] >= 0.0 and signs[a] == taker:
                if limits[a] == at:
                    ahead[a] -= size[i]
                if (limits[a] - at) * taker > 0 or ahead[a] < 0.0:
                    fills[a] = ts[i]
    return fills


@kernel
def _outcomes(
    ts: Ints, kind: Bytes, price: Floats, size: Floats, triggers: Ints, arrivals: Ints, mids: Floats, queues: Floats,
    touch_ts: Ints, touch: Ints, signs: Ints, deltas: Floats, holds: Ints,
    tick: float, latency: int, rest: int, maker: float, taker: float,
) -> tuple[npt.NDArray[np.bool_], Floats]:  # fmt: skip
    """Rules 3 to 5: filled (k, arms) and net return in bps (k, arms)."""
    arms = signs.shape[0]
    filled = np.zeros((triggers.shape[0], arms), np.bool_)
    returns = np.full((triggers.shape[0], arms), np.nan)
    limits = np.empty(arms, np.int64)
    for j in range(triggers.shape[0]):
        for a in range(arms):
            limits[a] = _limit(mids[j], signs[a], deltas[a], tick)
        fills = _fill_times(
            ts, kind, price, size, triggers[j] + 1, arrivals[j], arrivals[j] + rest, limits, signs, queues[j], tick
        )
        for a in range(arms):
            if fills[a] >= 0:
                row = np.searchsorted(touch_ts, fills[a] + holds[a] + latency, side="right") - 1
                leaves = touch[row, 0] if signs[a] > 0 else touch[row, 1]
                ratio = leaves / limits[a]
                filled[j, a] = True
                returns[j, a] = signs[a] * (ratio - 1.0) * 1e4 - maker - taker * ratio
    return filled, returns
