"""Writes one vector from the state: a function per group of the catalogue, in its order.

Each writer takes the place of its first feature and gives the place after its last, so the vector cannot have holes.
Every formula is written out in `catalogue.py`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from undertow.features import layout as at
from undertow.features.book import notional_within, size_of_best
from undertow.features.events import NS_PER_SECOND
from undertow.features.outside import age_of_slot, neighbour_sums
from undertow.features.slow import age_seconds
from undertow.runtime.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BPS = 1e4
DAY_SECONDS = 86_400
WEEK_SECONDS = 604_800
EPOCH_TO_MONDAY_SECONDS = 3 * 86_400  # 1970-01-01 was a Thursday
FUNDING_SECONDS = 28_800


@kernel
def ratio(part: float, whole: float, otherwise: float) -> float:
    """Divide; `otherwise` when the whole is 0."""
    return part / whole if whole != 0.0 else otherwise


@kernel
def window_sums(ring: Floats, bucket: int) -> Floats:
    """Add the summed channels over each window, newest bucket first; shape (len(WINDOWS), SUMMED)."""
    sums = np.zeros((len(at.WINDOWS), at.SUMMED))
    running = np.zeros(at.SUMMED)
    done = 0
    for w in range(len(at.WINDOWS)):
        for back in range(done, at.WINDOWS[w]):
            row = ring[(bucket - back) & at.BUCKET_MASK]
            for c in range(at.SUMMED):
                running[c] += row[c]
        done = at.WINDOWS[w]
        sums[w] = running
    return sums


@kernel
def highest(ring: Floats, bucket: int, length: int, channel: int) -> float:
    """Give the maximum of a channel over the newest `length` buckets."""
    best: float = ring[bucket & at.BUCKET_MASK, channel]
    for back in range(1, length):
        best = max(best, ring[(bucket - back) & at.BUCKET_MASK, channel])
    return best


@kernel
def lowest(ring: Floats, bucket: int, length: int, channel: int) -> float:
    """Give the minimum of a channel over the newest `length` buckets."""
    best: float = ring[bucket & at.BUCKET_MASK, channel]
    for back in range(1, length):
        best = min(best, ring[(bucket - back) & at.BUCKET_MASK, channel])
    return best


@kernel
def change_bps(ring: Floats, bucket: int, length: int, channel: int) -> float:
    """Relative change of a carried channel over `length` buckets, bps; 0 when it was 0 then."""
    then = ring[(bucket - length) & at.BUCKET_MASK, channel]
    return ratio(ring[bucket & at.BUCKET_MASK, channel] - then, then, 0.0) * BPS


@kernel
def volatility_bps(ring: Floats, bucket: int, length: int) -> float:
    """Realised volatility of the mid over `length` buckets, bps of the whole window."""
    total = 0.0
    newer = ring[bucket & at.BUCKET_MASK, at.C_MID]
    for back in range(1, length + 1):
        older = ring[(bucket - back) & at.BUCKET_MASK, at.C_MID]
        step = newer / older - 1.0
        total += step * step
        newer = older
    return math.sqrt(total) * BPS


@kernel
def write_liquidity(ints: Ints, floats: Floats, book: Floats, ring: Floats, sums: Floats, out: Floats, i: int) -> int:
    """Write the group `micro_liquidity`."""
    bids = ints[at.I_BIDS]
    asks = ints[at.I_ASKS]
    bid = floats[at.F_BID]
    ask = floats[at.F_ASK]
    mid = (bid + ask) / 2.0
    spread = (ask - bid) / mid * BPS
    out[i] = spread
    i += 1
    for depth in (1, 5, 20):
        buying = size_of_best(book[0], bids, depth)
        selling = size_of_best(book[1], asks, depth)
        out[i] = ratio(buying - selling, buying + selling, 0.0)
        i += 1
    buying = floats[at.F_BID_SIZE]
    selling = floats[at.F_ASK_SIZE]
    micro = (bid * selling + ask * buying) / (selling + buying)
    out[i] = (micro - mid) / mid * BPS
    i += 1
    for bps in (5.0, 10.0, 25.0):
        out[i] = notional_within(book[0], bids, mid * (1.0 - bps / BPS))
        out[i + 1] = notional_within(book[1], asks, -mid * (1.0 + bps / BPS))
        i += 2
    for w in (at.W_1S, at.W_5S, at.W_15S):
        out[i] = ratio(sums[w, at.C_FLOW], sums[w, at.C_FLOW_SIZE], 0.0)
        i += 1
    total = 0.0
    length = at.WINDOWS[at.W_15S]
    for back in range(length):
        total += ring[(ints[at.I_BUCKET] - back) & at.BUCKET_MASK, at.C_SPREAD]
    out[i] = ratio(spread, total / length, 1.0)
    out[i + 1] = sums[at.W_1S, at.C_UPDATES]
    return i + 2


@kernel
def write_momentum(ints: Ints, floats: Floats, ring: Floats, sums: Floats, out: Floats, i: int) -> int:
    """Write the group `volatility_momentum`."""
    bucket = ints[at.I_BUCKET]
    mid = (floats[at.F_BID] + floats[at.F_ASK]) / 2.0
    for w in (at.W_1S, at.W_5S, at.W_15S, at.W_60S):
        out[i] = change_bps(ring, bucket, at.WINDOWS[w], at.C_MID)
        i += 1
    for w in (at.W_5S, at.W_15S, at.W_60S):
        out[i] = volatility_bps(ring, bucket, at.WINDOWS[w])
        i += 1
    high = mid
    low = mid
    for w in (at.W_5S, at.W_60S):
        high = highest(ring, bucket, at.WINDOWS[w], at.C_HIGH)
        low = lowest(ring, bucket, at.WINDOWS[w], at.C_LOW)
        out[i] = (high - low) / mid * BPS
        i += 1
    out[i] = ratio(mid - low, high - low, 0.5)
    trades_1s = sums[at.W_1S, at.C_TRADES]
    out[i + 1] = trades_1s
    out[i + 2] = sums[at.W_15S, at.C_TRADES] / 15.0
    out[i + 3] = ratio(trades_1s, sums[at.W_60S, at.C_TRADES] / 60.0, 0.0)
    out[i + 4] = sums[at.W_5S, at.C_BUY] + sums[at.W_5S, at.C_SELL]
    i += 5
    for w in (at.W_1S, at.W_5S, at.W_15S):
        buying = sums[w, at.C_BUY]
        selling = sums[w, at.C_SELL]
        out[i] = ratio(buying - selling, buying + selling, 0.0)
        i += 1
    return i


@kernel
def write_liquidation(ints: Ints, ring: Floats, sums: Floats, out: Floats, i: int) -> int:
    """Write the group `liquidation_spike`."""
    bucket = ints[at.I_BUCKET]
    clock = ints[at.I_CLOCK]
    for w in (at.W_1S, at.W_5S, at.W_30S):
        out[i] = sums[w, at.C_LIQ_LONG]
        out[i + 1] = sums[w, at.C_LIQ_SHORT]
        i += 2
    for w in (at.W_5S, at.W_30S):
        longs = sums[w, at.C_LIQ_LONG]
        shorts = sums[w, at.C_LIQ_SHORT]
        out[i] = ratio(longs - shorts, longs + shorts, 0.0)
        i += 1
    out[i] = sums[at.W_1S, at.C_LIQ_COUNT]
    out[i + 1] = sums[at.W_5S, at.C_LIQ_COUNT]
    within_1s = sums[at.W_1S, at.C_LIQ_LONG] + sums[at.W_1S, at.C_LIQ_SHORT]
    within_5s = sums[at.W_5S, at.C_LIQ_LONG] + sums[at.W_5S, at.C_LIQ_SHORT]
    within_60s = sums[at.W_60S, at.C_LIQ_LONG] + sums[at.W_60S, at.C_LIQ_SHORT]
    out[i + 2] = ratio(within_1s, within_60s / 60.0, 0.0)
    out[i + 3] = highest(ring, bucket, at.WINDOWS[at.W_5S], at.C_LIQ_LARGEST)
    out[i + 4] = highest(ring, bucket, at.WINDOWS[at.W_60S], at.C_LIQ_LARGEST)
    out[i + 5] = ratio(within_5s, within_5s + sums[at.W_5S, at.C_BUY] + sums[at.W_5S, at.C_SELL], 0.0)
    since = 60.0
    if ints[at.I_LAST_LIQUIDATION] >= 0:
        since = min(60.0, (clock - ints[at.I_LAST_LIQUIDATION]) / NS_PER_SECOND)
    out[i + 6] = since
    oldest = -1
    notional = 0.0
    back = 0
    while back < at.LONGEST and back - oldest <= at.QUIET:
        row = ring[(bucket - back) & at.BUCKET_MASK]
        if row[at.C_LIQ_COUNT] > 0.0:
            oldest = back
            notional += row[at.C_LIQ_LONG] + row[at.C_LIQ_SHORT]
        back += 1
    age = 0.0
    move = 0.0
    if oldest >= 0:
        age = (clock - (bucket - oldest) * at.BUCKET_NS) / NS_PER_SECOND
        move = change_bps(ring, bucket, oldest + 1, at.C_MID)
    out[i + 7] = age
    out[i + 8] = notional
    out[i + 9] = move
    return i + 10


@kernel
def write_time(ints: Ints, floats: Floats, out: Floats, i: int) -> int:
    """Write the group `time_context`."""
    seconds = ints[at.I_CLOCK] / NS_PER_SECOND
    day = 2.0 * math.pi * (seconds % DAY_SECONDS) / DAY_SECONDS
    week = 2.0 * math.pi * ((seconds + EPOCH_TO_MONDAY_SECONDS) % WEEK_SECONDS) / WEEK_SECONDS
    out[i] = math.sin(day)
    out[i + 1] = math.cos(day)
    out[i + 2] = math.sin(week)
    out[i + 3] = math.cos(week)
    if ints[at.I_SLOW + at.S_NEXT_FUNDING] >= 0:
        left = max(0.0, floats[at.F_SLOW + at.S_NEXT_FUNDING] - seconds)
    else:
        left = FUNDING_SECONDS - seconds % FUNDING_SECONDS
    out[i + 4] = left / 60.0
    return i + 5


@kernel
def write_interest(ints: Ints, floats: Floats, ring: Floats, out: Floats, i: int) -> int:
    """Write the group `open_interest_funding`."""
    bucket = ints[at.I_BUCKET]
    mid = (floats[at.F_BID] + floats[at.F_ASK]) / 2.0
    mark = floats[at.F_SLOW + at.S_MARK]
    index = floats[at.F_SLOW + at.S_INDEX]
    out[i] = floats[at.F_SLOW + at.S_OPEN_INTEREST] * mid
    out[i + 1] = change_bps(ring, bucket, at.WINDOWS[at.W_5S], at.C_OPEN_INTEREST)
    out[i + 2] = change_bps(ring, bucket, at.WINDOWS[at.W_60S], at.C_OPEN_INTEREST)
    out[i + 3] = age_seconds(ints, at.S_OPEN_INTEREST, ints[at.I_CLOCK], 3600.0)
    out[i + 4] = floats[at.F_SLOW + at.S_FUNDING_RATE] * BPS
    out[i + 5] = floats[at.F_SLOW + at.S_FUNDING_SETTLED] * BPS
    known = mark > 0.0 and index > 0.0
    out[i + 6] = (mark - index) / index * BPS if known else 0.0
    out[i + 7] = (mid - mark) / mark * BPS if mark > 0.0 else 0.0
    out[i + 8] = floats[at.F_SLOW + at.S_RATIO] if ints[at.I_SLOW + at.S_RATIO] >= 0 else 0.5
    return i + 9


@kernel
def write_outside(ints: Ints, floats: Floats, neighbour: Floats, out: Floats, i: int) -> int:
    """Write the group `outside_world`."""
    clock = ints[at.I_CLOCK]
    sums = neighbour_sums(neighbour, ints[at.I_BUCKET])
    for w in range(len(at.NEIGHBOUR_WINDOWS)):
        longs = sums[w, 0]
        shorts = sums[w, 1]
        out[i] = longs
        out[i + 1] = shorts
        out[i + 2] = ratio(longs - shorts, longs + shorts, 0.0)
        i += 3
    since = at.NEIGHBOUR_LIMIT_SECONDS
    if ints[at.I_NEIGHBOUR] >= 0:
        since = min(since, max(0, clock - ints[at.I_NEIGHBOUR]) / NS_PER_SECOND)
    out[i] = since
    i += 1
    for slot in range(at.OUTSIDE):
        limit = at.OUTSIDE_LIMITS[slot]
        age = age_of_slot(ints, floats, slot, clock, limit)
        known = age < limit
        out[i] = floats[at.F_OUTSIDE + slot] * at.OUTSIDE_SCALES[slot] if known else at.OUTSIDE_DEFAULTS[slot]
        out[i + 1] = age
        i += 2
    return i


@kernel
def write_vector(ints: Ints, floats: Floats, book: Floats, ring: Floats, neighbour: Floats, out: Floats) -> int:
    """Write the vector of this moment into `out`, shape (N_FEATURES,); needs a valid book. Gives the number written."""
    sums = window_sums(ring, ints[at.I_BUCKET])
    i = write_liquidity(ints, floats, book, ring, sums, out, 0)
    i = write_momentum(ints, floats, ring, sums, out, i)
    i = write_liquidation(ints, ring, sums, out, i)
    i = write_time(ints, floats, out, i)
    i = write_interest(ints, floats, ring, out, i)
    return write_outside(ints, floats, neighbour, out, i)
