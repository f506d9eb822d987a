"""Where the kernels keep what: indices into the arrays of `FeatureState`, windows and limits.

Rolling windows are a ring of buckets of 100 ms, aligned to absolute time. A sum over a window adds its buckets from
the newest back, so it depends on nothing older than the window: a warmed-up process and one that never stopped give
the same bits.
"""

from __future__ import annotations

from typing import Final

from undertow.features import slots

BUCKET_NS: Final = 100_000_000
BUCKETS: Final = 1024  # a power of two above LONGEST + 1
BUCKET_MASK: Final = BUCKETS - 1
LONGEST: Final = 600  # buckets of the longest window: 60 s

# windows in buckets, and their places in the table of window sums
WINDOWS: Final = (10, 50, 150, 300, 600)
W_1S: Final = 0
W_5S: Final = 1
W_15S: Final = 2
W_30S: Final = 3
W_60S: Final = 4
QUIET: Final = 50  # so many buckets without a liquidation end a cascade

# ring channels: the first SUMMED are added over a window
C_BUY: Final = 0  # traded notional, taker bought
C_SELL: Final = 1
C_TRADES: Final = 2
C_FLOW: Final = 3  # order-flow imbalance of the best levels, base coin
C_FLOW_SIZE: Final = 4  # sum of its absolute values
C_UPDATES: Final = 5  # book changes, without snapshots
C_LIQ_LONG: Final = 6  # liquidated notional
C_LIQ_SHORT: Final = 7
C_LIQ_COUNT: Final = 8
SUMMED: Final = 9
C_LIQ_LARGEST: Final = 9
C_MID: Final = 10  # last of the bucket, carried on
C_HIGH: Final = 11  # of the mid
C_LOW: Final = 12
C_SPREAD: Final = 13  # last of the bucket in bps, carried on
C_OPEN_INTEREST: Final = 14  # last of the bucket, carried on
CHANNELS: Final = 16

# int64 state
I_CLOCK: Final = 0  # greatest event time seen, ns; -1 before the first
I_BUCKET: Final = 1  # absolute number of the current bucket
I_HISTORY: Final = 2  # when the windows began, ns; -1 while the book is unknown
I_BIDS: Final = 3  # levels held
I_ASKS: Final = 4
I_SNAPSHOT: Final = 5  # 1 when a snapshot has been seen
I_TOUCHED: Final = 6  # 1 when this message changed the book, 2 when it is a snapshot
I_LIQUIDATED: Final = 7  # 1 when this message held a liquidation
I_VALID: Final = 8  # 1 when the book has both sides and is not crossed
I_LAST_LIQUIDATION: Final = 9  # ns; -1 before the first
I_LAST_TRIGGER: Final = 10  # ns; -1 before the first
I_LAST_SAMPLE: Final = 11  # ns; -1 before the first
I_IGNORED: Final = 12  # rows ignored as garbage
I_INVALID: Final = 13  # book messages after which the book was crossed or one-sided
I_SLOW: Final = 14  # event times of the slow values, ns; -1 before the first
SLOTS: Final = 7  # MARK .. RATIO, in the order of their kinds
OUTSIDE: Final = len(slots.SLOTS)
OUTSIDE_SCALES: Final = tuple(slot.scale for slot in slots.SLOTS)
OUTSIDE_DEFAULTS: Final = tuple(slot.default for slot in slots.SLOTS)
OUTSIDE_LIMITS: Final = tuple(float(slot.limit_seconds) for slot in slots.SLOTS)
I_OUTSIDE: Final = I_SLOW + SLOTS  # when the values of the outside slots became known, ns; -1 before the first
I_NEIGHBOUR: Final = I_OUTSIDE + OUTSIDE  # when the neighbour's last liquidation became known, ns; -1 before the first
INTS: Final = I_NEIGHBOUR + 1

# float64 state
F_BID: Final = 0  # best levels after the last valid book message
F_BID_SIZE: Final = 1
F_ASK: Final = 2
F_ASK_SIZE: Final = 3
F_SLOW: Final = 4
F_OUTSIDE: Final = F_SLOW + SLOTS  # values of the outside slots
F_UNTIL: Final = F_OUTSIDE + OUTSIDE  # until when each counts, UTC seconds
FLOATS: Final = F_UNTIL + OUTSIDE

S_MARK: Final = 0
S_INDEX: Final = 1
S_OPEN_INTEREST: Final = 2
S_FUNDING_RATE: Final = 3
S_FUNDING_SETTLED: Final = 4
S_NEXT_FUNDING: Final = 5
S_RATIO: Final = 6

# the neighbour's liquidations: buckets by the time at which they became known, each stamped with its absolute number
NEIGHBOUR_BUCKETS: Final = 512  # a power of two above the longest window of the neighbour's
NEIGHBOUR_MASK: Final = NEIGHBOUR_BUCKETS - 1
NEIGHBOUR_WINDOWS: Final = (50, 300)  # buckets
NEIGHBOUR_LIMIT_SECONDS: Final = 3_600.0
N_STAMP: Final = 0
N_LONG: Final = 1  # liquidated notional
N_SHORT: Final = 2
NEIGHBOUR_CHANNELS: Final = 3

CAPACITY: Final = 512  # levels a side; beyond it the worst is forgotten
JUMP_NS: Final = 3_600_000_000_000  # an event time further from the clock than this starts everything anew

# rule of the trigger: float64 parameters
P_THRESHOLD: Final = 0
P_REFRACTORY: Final = 1
P_WARM: Final = 2
P_SAMPLE: Final = 3
PARAMETERS: Final = 4

# why a vector was written
REASON_LONG: Final = 1  # liquidations of longs
REASON_SHORT: Final = 2
REASON_SAMPLE: Final = 3
