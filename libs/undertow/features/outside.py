"""What the kernels know of the outside world: one value a slot, and the neighbour venue's liquidations of the last seconds.

Every time here is the time at which the fleet learned a fact, and never the earlier time at which it held: a number of
Monday that was published on Friday is Friday's news. The facts survive a gap of the market feed. How old they are is
itself a feature, and a value that is too old, by its source's own limit or by its slot's, gives way to the default.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from undertow.features import events as row
from undertow.features import layout as at
from undertow.runtime.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@kernel
def take_outside(ints: Ints, floats: Floats, neighbour: Floats, kind: int, ts: int, price: float, size: float) -> None:
    """Take in one row of an outside kind; one that makes no sense is counted as ignored."""
    if ts <= 0 or kind >= row.KINDS or not (np.isfinite(price) and np.isfinite(size)):
        ints[at.I_IGNORED] += 1
    elif kind < row.NEIGHBOUR_LONG:
        put_value(ints, floats, kind - row.OUTSIDE, ts, price, size)
    elif price > 0.0 and size >= 0.0:
        put_liquidation(ints, neighbour, at.N_LONG if kind == row.NEIGHBOUR_LONG else at.N_SHORT, ts, price * size)
    else:
        ints[at.I_IGNORED] += 1


@kernel
def put_value(ints: Ints, floats: Floats, slot: int, ts: int, value: float, until: float) -> None:
    """Keep a value, known since `ts` and good until a UTC second; the same one told again stays as old as it is."""
    told = ints[at.I_OUTSIDE + slot] >= 0 and floats[at.F_OUTSIDE + slot] == value
    if not (told and floats[at.F_UNTIL + slot] == until):
        ints[at.I_OUTSIDE + slot] = ts
        floats[at.F_OUTSIDE + slot] = value
        floats[at.F_UNTIL + slot] = until


@kernel
def put_liquidation(ints: Ints, neighbour: Floats, channel: int, ts: int, notional: float) -> None:
    """Add a liquidation of the neighbour's to the bucket of the time at which it became known."""
    bucket = ts // at.BUCKET_NS
    place = neighbour[bucket & at.NEIGHBOUR_MASK]
    if place[at.N_STAMP] != bucket:
        place[at.N_STAMP] = bucket
        place[at.N_LONG] = 0.0
        place[at.N_SHORT] = 0.0
    place[channel] += notional
    ints[at.I_NEIGHBOUR] = ts


@kernel
def age_of_slot(ints: Ints, floats: Floats, slot: int, clock: int, limit: float) -> float:
    """Seconds for which the value of a slot has been known, within [0, limit]; `limit` when there is none that counts."""
    known = ints[at.I_OUTSIDE + slot]
    if known < 0 or clock / row.NS_PER_SECOND > floats[at.F_UNTIL + slot]:
        return limit
    age: float = max(0, clock - known) / row.NS_PER_SECOND
    return min(limit, age)


@kernel
def neighbour_sums(neighbour: Floats, bucket: int) -> Floats:
    """Add the neighbour's liquidations over each window, newest bucket first; shape (len(NEIGHBOUR_WINDOWS), 2)."""
    sums = np.zeros((len(at.NEIGHBOUR_WINDOWS), 2))
    longs = 0.0
    shorts = 0.0
    done = 0
    for w in range(len(at.NEIGHBOUR_WINDOWS)):
        for back in range(done, at.NEIGHBOUR_WINDOWS[w]):
            place = neighbour[(bucket - back) & at.NEIGHBOUR_MASK]
            if place[at.N_STAMP] == bucket - back:
                longs += place[at.N_LONG]
                shorts += place[at.N_SHORT]
        done = at.NEIGHBOUR_WINDOWS[w]
        sums[w, 0] = longs
        sums[w, 1] = shorts
    return sums
