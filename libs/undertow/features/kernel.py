"""Event columns in, feature vectors out: one compiled sweep for the feature hub, training and backtest.

Rules, each with a test:
- The clock is the greatest event time of the market rows seen; a row that is older counts as happening now. `RESET`
  sets the clock, back as well; an event time more than an hour away from the clock begins everything anew, as `RESET`
  does.
- A row whose event time or price is not positive, whose size is negative, whose numbers are not finite or whose kind
  is unknown is ignored and counted.
- Book rows before the first snapshot are ignored. A snapshot equal to the book changes nothing.
- A message after which the book is crossed or one-sided leaves mid, flow and spread as they were; no vector until it
  is valid again.
- A fact of the outside world counts from the row at which it stands and never moves the clock; which row that is, `arrival.py` says.
- Windows begin with the first valid book after a `RESET`; what came before does not count.
- A trigger is looked for at the `END` of a message that holds a liquidation: the liquidated notional of one side
  within 1 s (10 buckets) reaches the threshold, the book is valid, its history is warm, and the last vector is at
  least the refractory time ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from undertow.features import events as row
from undertow.features import layout as at
from undertow.features.book import set_level
from undertow.features.catalogue import N_FEATURES
from undertow.features.events import Events
from undertow.features.outside import take_outside
from undertow.features.slow import put
from undertow.features.vector import write_vector
from undertow.runtime.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

OUT_ROW: Final = 0
OUT_CLOCK: Final = 1
OUT_REASON: Final = 2


class FeatureState(NamedTuple):
    """All that the kernels know of one symbol; plain arrays, laid out by `layout.py`.

    Attributes:
        ints: int64 (INTS,).
        floats: float64 (FLOATS,).
        book: float64 (2, 2, CAPACITY): side, keys and sizes.
        ring: float64 (BUCKETS, CHANNELS).
        neighbour: float64 (NEIGHBOUR_BUCKETS, NEIGHBOUR_CHANNELS).
    """

    ints: Ints
    floats: Floats
    book: Floats
    ring: Floats
    neighbour: Floats

    @classmethod
    def empty(cls) -> FeatureState:
        """Give the state before the first event."""
        ints = np.zeros(at.INTS, dtype=np.int64)
        for index in (
            at.I_CLOCK,
            at.I_HISTORY,
            at.I_LAST_LIQUIDATION,
            at.I_LAST_TRIGGER,
            at.I_LAST_SAMPLE,
            *range(at.I_SLOW, at.INTS),
        ):
            ints[index] = -1
        return cls(
            ints,
            np.zeros(at.FLOATS),
            np.zeros((2, 2, at.CAPACITY)),
            np.zeros((at.BUCKETS, at.CHANNELS)),
            np.zeros((at.NEIGHBOUR_BUCKETS, at.NEIGHBOUR_CHANNELS)),
        )

    def copy(self) -> FeatureState:
        """Give an independent copy."""
        return FeatureState(
            self.ints.copy(), self.floats.copy(), self.book.copy(), self.ring.copy(), self.neighbour.copy()
        )

    @property
    def clock_ns(self) -> int:
        """Greatest event time seen; -1 before the first."""
        return int(self.ints[at.I_CLOCK])

    @property
    def ignored_rows(self) -> int:
        """Rows ignored as garbage so far."""
        return int(self.ints[at.I_IGNORED])

    @property
    def invalid_books(self) -> int:
        """Book messages after which the book was crossed or one-sided."""
        return int(self.ints[at.I_INVALID])


@dataclass(frozen=True)
class TriggerRule:
    """When a vector is written.

    Attributes:
        threshold_usdt: liquidated notional of one side within 1 s that triggers, quote coin.
        refractory_ns: least time between two triggers.
        warm_ns: history that the book must have.
        sample_ns: when positive, one is also written at the first `END` at least this long after the last such one.
    """

    threshold_usdt: float = 50_000.0
    refractory_ns: int = 1_000_000_000
    warm_ns: int = 10_000_000_000
    sample_ns: int = 0

    def __post_init__(self) -> None:
        if not self.threshold_usdt > 0 or self.refractory_ns < 0 or self.warm_ns < 0 or self.sample_ns < 0:
            raise ValueError(f"{self}: the threshold must be above 0 and no time below 0")

    def parameters(self) -> Floats:
        """Lay out the rule for the kernel, shape (PARAMETERS,)."""
        return np.array(
            [self.threshold_usdt, float(self.refractory_ns), float(self.warm_ns), float(self.sample_ns)],
            dtype=np.float64,
        )


class Vectors(NamedTuple):
    """What a sweep wrote, in the order of the rows.

    Attributes:
        values: float64 (n, N_FEATURES).
        rows: index of the `END` row of each, int64 (n,).
        clock_ns: event time of each, int64 (n,).
        reasons: `REASON_…` of `layout.py`, int64 (n,).
        quotes: best bid and best ask at each, float64 (n, 2).
    """

    values: Floats
    rows: Ints
    clock_ns: Ints
    reasons: Ints
    quotes: Floats


@kernel
def forget(ints: Ints) -> None:
    """Make book and windows unknown; slow values and the outside world stay."""
    ints[at.I_HISTORY] = -1
    ints[at.I_BIDS] = 0
    ints[at.I_ASKS] = 0
    ints[at.I_SNAPSHOT] = 0
    ints[at.I_TOUCHED] = 0
    ints[at.I_LIQUIDATED] = 0
    ints[at.I_VALID] = 0
    ints[at.I_LAST_LIQUIDATION] = -1
    ints[at.I_LAST_TRIGGER] = -1
    ints[at.I_LAST_SAMPLE] = -1


@kernel
def roll(ring: Floats, old: int, new: int) -> None:
    """Open the buckets after `old` up to `new`: sums at 0, the carried channels as they stood."""
    last = old & at.BUCKET_MASK
    mid = ring[last, at.C_MID]
    spread = ring[last, at.C_SPREAD]
    interest = ring[last, at.C_OPEN_INTEREST]
    for bucket in range(max(old + 1, new - at.BUCKETS + 1), new + 1):
        fresh = ring[bucket & at.BUCKET_MASK]
        fresh[:] = 0.0
        fresh[at.C_MID] = mid
        fresh[at.C_HIGH] = mid
        fresh[at.C_LOW] = mid
        fresh[at.C_SPREAD] = spread
        fresh[at.C_OPEN_INTEREST] = interest


@kernel
def end_of_book(ints: Ints, floats: Floats, book: Floats, ring: Floats) -> None:
    """Take in the book as it stands after one message: flow, mid, spread; begin the history at the first valid one."""
    bids = ints[at.I_BIDS]
    asks = ints[at.I_ASKS]
    if bids == 0 or asks == 0 or book[0, 0, bids - 1] >= -book[1, 0, asks - 1]:
        ints[at.I_VALID] = 0
        ints[at.I_INVALID] += 1
        return
    bid = book[0, 0, bids - 1]
    bid_size = book[0, 1, bids - 1]
    ask = -book[1, 0, asks - 1]
    ask_size = book[1, 1, asks - 1]
    mid = (bid + ask) / 2.0
    spread = (ask - bid) / mid * 1e4
    if ints[at.I_HISTORY] < 0:
        ints[at.I_HISTORY] = ints[at.I_CLOCK]
        ints[at.I_BUCKET] = ints[at.I_CLOCK] // at.BUCKET_NS
        ring[:] = 0.0
        ring[:, at.C_MID] = mid
        ring[:, at.C_HIGH] = mid
        ring[:, at.C_LOW] = mid
        ring[:, at.C_SPREAD] = spread
        ring[:, at.C_OPEN_INTEREST] = floats[at.F_SLOW + at.S_OPEN_INTEREST]
    now = ring[ints[at.I_BUCKET] & at.BUCKET_MASK]
    if ints[at.I_VALID] == 1:
        flow = 0.0
        if bid >= floats[at.F_BID]:
            flow += bid_size
        if bid <= floats[at.F_BID]:
            flow -= floats[at.F_BID_SIZE]
        if ask <= floats[at.F_ASK]:
            flow -= ask_size
        if ask >= floats[at.F_ASK]:
            flow += floats[at.F_ASK_SIZE]
        now[at.C_FLOW] += flow
        now[at.C_FLOW_SIZE] += abs(flow)
    if ints[at.I_TOUCHED] == 1:
        now[at.C_UPDATES] += 1.0
    now[at.C_MID] = mid
    now[at.C_HIGH] = max(now[at.C_HIGH], mid)
    now[at.C_LOW] = min(now[at.C_LOW], mid)
    now[at.C_SPREAD] = spread
    floats[at.F_BID] = bid
    floats[at.F_BID_SIZE] = bid_size
    floats[at.F_ASK] = ask
    floats[at.F_ASK_SIZE] = ask_size
    ints[at.I_VALID] = 1


@kernel
def reason_to_write(ints: Ints, ring: Floats, parameters: Floats) -> int:
    """Apply the trigger rule at the end of a message; give a `REASON_…` and note the time, or 0."""
    clock = ints[at.I_CLOCK]
    history = ints[at.I_HISTORY]
    liquidated = ints[at.I_LIQUIDATED]
    ints[at.I_LIQUIDATED] = 0
    if history < 0 or ints[at.I_VALID] == 0 or clock - history < parameters[at.P_WARM]:
        return 0
    last = ints[at.I_LAST_TRIGGER]
    if liquidated == 1 and (last < 0 or clock - last >= parameters[at.P_REFRACTORY]):
        longs = 0.0
        shorts = 0.0
        for back in range(at.WINDOWS[at.W_1S]):
            bucket = ring[(ints[at.I_BUCKET] - back) & at.BUCKET_MASK]
            longs += bucket[at.C_LIQ_LONG]
            shorts += bucket[at.C_LIQ_SHORT]
        if max(longs, shorts) >= parameters[at.P_THRESHOLD]:
            ints[at.I_LAST_TRIGGER] = clock
            return at.REASON_LONG if longs >= shorts else at.REASON_SHORT
    sample = parameters[at.P_SAMPLE]
    if sample > 0.0 and (ints[at.I_LAST_SAMPLE] < 0 or clock - ints[at.I_LAST_SAMPLE] >= sample):
        ints[at.I_LAST_SAMPLE] = clock
        return at.REASON_SAMPLE
    return 0


@kernel
def take_slow(ints: Ints, floats: Floats, kind: int, ts: int, value: float) -> None:
    """Take in one slow fact."""
    slot = kind - row.MARK
    clock = ints[at.I_CLOCK]
    positive = value > 0.0 or kind > row.INDEX
    if not (np.isfinite(value) and positive) or (clock >= 0 and ts > clock + at.JUMP_NS):
        ints[at.I_IGNORED] += 1
    else:
        put(ints, floats, slot, ts, value)


@kernel
def take_traded(ints: Ints, ring: Floats, kind: int, notional: float) -> None:
    """Take in one trade or liquidation."""
    now = ring[ints[at.I_BUCKET] & at.BUCKET_MASK]
    if kind == row.TRADE_BUY:
        now[at.C_BUY] += notional
        now[at.C_TRADES] += 1.0
    elif kind == row.TRADE_SELL:
        now[at.C_SELL] += notional
        now[at.C_TRADES] += 1.0
    else:
        now[at.C_LIQ_LONG if kind == row.LIQ_LONG else at.C_LIQ_SHORT] += notional
        now[at.C_LIQ_COUNT] += 1.0
        now[at.C_LIQ_LARGEST] = max(now[at.C_LIQ_LARGEST], notional)
        ints[at.I_LIQUIDATED] = 1
        ints[at.I_LAST_LIQUIDATION] = ints[at.I_CLOCK]


@kernel
def advance(
    ints: Ints,
    floats: Floats,
    book: Floats,
    ring: Floats,
    neighbour: Floats,
    parameters: Floats,
    ts: Ints,
    kind: Bytes,
    price: Floats,
    size: Floats,
    start: int,
    stop: int,
    out_vectors: Floats,
    out_rows: Ints,
    out_quotes: Floats,
) -> tuple[int, int]:
    """Feed the rows [start, stop) and write a vector at each trigger.

    Args:
        ints: `FeatureState.ints`; this and the next four are changed in place.
        floats: `FeatureState.floats`.
        book: `FeatureState.book`.
        ring: `FeatureState.ring`.
        neighbour: `FeatureState.neighbour`.
        parameters: `TriggerRule.parameters()`.
        ts: columns of `Events`, with the next three.
        kind: see `ts`.
        price: see `ts`.
        size: see `ts`.
        start: first row to feed.
        stop: the row after the last.
        out_vectors: (capacity, N_FEATURES).
        out_rows: (capacity, 3): row, clock, reason.
        out_quotes: (capacity, 2): best bid, best ask.

    Returns:
        The number of vectors written, and the next row to feed: `stop`, or less when the capacity was reached.
    """
    written = 0
    for r in range(start, stop):
        what = kind[r]
        if what >= row.MARK:
            if what < row.OUTSIDE:
                take_slow(ints, floats, what, ts[r], price[r])
            else:
                take_outside(ints, floats, neighbour, what, ts[r], price[r], size[r])
            continue
        clock = ints[at.I_CLOCK]
        now = ts[r]
        if now <= 0:
            ints[at.I_IGNORED] += 1
            continue
        if clock < 0 or abs(now - clock) > at.JUMP_NS:
            forget(ints)
            ints[at.I_CLOCK] = now
        elif now > clock:
            ints[at.I_CLOCK] = now
            bucket = now // at.BUCKET_NS
            if ints[at.I_HISTORY] >= 0 and bucket > ints[at.I_BUCKET]:
                roll(ring, ints[at.I_BUCKET], bucket)
                ints[at.I_BUCKET] = bucket
        if what == row.END:
            if ints[at.I_TOUCHED] != 0:
                end_of_book(ints, floats, book, ring)
                ints[at.I_TOUCHED] = 0
            if ints[at.I_HISTORY] >= 0:
                ring[ints[at.I_BUCKET] & at.BUCKET_MASK, at.C_OPEN_INTEREST] = floats[at.F_SLOW + at.S_OPEN_INTEREST]
            reason = reason_to_write(ints, ring, parameters)
            if reason != 0:
                write_vector(ints, floats, book, ring, neighbour, out_vectors[written])
                out_rows[written, OUT_ROW] = r
                out_rows[written, OUT_CLOCK] = ints[at.I_CLOCK]
                out_rows[written, OUT_REASON] = reason
                out_quotes[written, 0] = floats[at.F_BID]
                out_quotes[written, 1] = floats[at.F_ASK]
                written += 1
                if written == len(out_rows):
                    return written, r + 1
        elif what == row.RESET:
            forget(ints)
            ints[at.I_CLOCK] = now
        elif what == row.BOOK_CLEAR:
            ints[at.I_BIDS] = 0
            ints[at.I_ASKS] = 0
            ints[at.I_SNAPSHOT] = 1
            ints[at.I_TOUCHED] = 2
        elif not (0.0 < price[r] < np.inf and 0.0 <= size[r] < np.inf):
            ints[at.I_IGNORED] += 1
        elif what == row.BID:
            if ints[at.I_SNAPSHOT] == 1:
                ints[at.I_BIDS] = set_level(book[0], ints[at.I_BIDS], price[r], size[r])
                ints[at.I_TOUCHED] = max(ints[at.I_TOUCHED], 1)
        elif what == row.ASK:
            if ints[at.I_SNAPSHOT] == 1:
                ints[at.I_ASKS] = set_level(book[1], ints[at.I_ASKS], -price[r], size[r])
                ints[at.I_TOUCHED] = max(ints[at.I_TOUCHED], 1)
        elif ints[at.I_HISTORY] >= 0:
            take_traded(ints, ring, what, price[r] * size[r])
    return written, stop


def sweep(
    state: FeatureState,
    rule: TriggerRule,
    events: Events,
    start: int = 0,
    stop: int | None = None,
    *,
    capacity: int = 256,
) -> Vectors:
    """Feed rows into `state` (changed in place) and collect the vectors, however many.

    Args:
        state: of the events' symbol.
        rule: when a vector is written.
        events: columns.
        start: first row.
        stop: the row after the last; all when None.
        capacity: vectors per call of the kernel.

    Returns:
        The vectors; row indices are those of `events`.
    """
    end = len(events.kind) if stop is None else stop
    parameters = rule.parameters()
    parts: list[tuple[Floats, Ints, Floats]] = []
    position = start
    while position < end:
        values = np.empty((capacity, N_FEATURES))
        rows = np.empty((capacity, 3), dtype=np.int64)
        quotes = np.empty((capacity, 2))
        count, position = advance(*state, parameters, *events, position, end, values, rows, quotes)
        if count:
            parts.append((values[:count], rows[:count], quotes[:count]))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Vectors(np.empty((0, N_FEATURES)), nothing, nothing, nothing, np.empty((0, 2)))
    rows = np.concatenate([part[1] for part in parts])
    return Vectors(
        np.concatenate([part[0] for part in parts]),
        rows[:, OUT_ROW],
        rows[:, OUT_CLOCK],
        rows[:, OUT_REASON],
        np.concatenate([part[2] for part in parts]),
    )
