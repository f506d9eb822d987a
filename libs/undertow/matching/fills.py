"""Our orders against a market that does not know of them: queue position and fills.

The assumptions, each with a test of the same words in `tests/undertow/matching/test_fills.py`:

1.  Our orders never change the market: the displayed book and the public trades stay what they are, whatever we did.
2.  A new resting order queues behind all that is displayed at its price.
3.  A public trade at our price first eats the queue ahead of us; what is left of it fills us at our price, up to the trade's size.
4.  A public trade through our price (worse for its taker than ours) leaves nobody ahead of us and fills us at our price. PRINTED: up to the
    trade's size, because its taker would have met us first. WHOLE: the whole rest, as 10 does.
5.  Only trades whose taker is on the other side count: a taker's sell reaches our bids, a taker's buy our asks.
6.  Several of our orders share one trade in price-time order; a later one waits for an earlier one.
7.  A displayed quantity that falls by more than was traded there since it last changed was cancelled. PESSIMISTIC: nobody ahead of us
    cancelled. PROBABILISTIC: cancellations hit every lot alike, ahead -= cancelled * ahead / (displayed before - traded). Parts of a lot
    ahead are kept, to 1/65536; what a trade has left behind them is rounded to the nearest lot.
8.  The queue ahead is never longer than what is displayed; lots that join the level stand behind us.
9.  An order outside the displayed range does not know its queue: trades at its price do not fill it, and it takes its place behind all that
    is displayed when its level first comes into sight. A level that leaves the range keeps its place.
10. A book whose best opposite price reaches or crosses our price fills the whole rest at our price.
11. An order that rests after taking all it could is not filled by the same opposite levels again: 10 holds for it once they have gone.
12. A taking order walks the displayed levels from the best, at their prices, no further than its limit; twice taken is twice there (see 1).
13. Fill-or-kill takes nothing unless the displayed levels within its limit hold all of it.
14. A smaller quantity keeps the place in the queue; a new price or a larger quantity starts at the back.

Arrays: `orders` int64[capacity, 8], columns below, sorted by side, then best price, then arrival; `held` int64[1] rows in use;
`fills` int64[capacity, 3] of (order id, tick, lots). Quantities stay below 2^31 lots, so that products of two fit int64.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from undertow.matching.ladder import BUY, NONE, Ints, Ladder, apply_changes, below, best, displayed, is_visible
from undertow.runtime.jit import kernel

PESSIMISTIC: Final = 0
PROBABILISTIC: Final = 1
"""What cancellations do to the queue ahead, assumption 7."""

PRINTED: Final = 0
WHOLE: Final = 1
"""What a trade through our price fills, assumption 4."""

ID: Final = 0
SIDE: Final = 1
KEY: Final = 2
LEAVES: Final = 3
AHEAD: Final = 4
"""What must trade at our price before us, in 1/GRAINS of a lot; UNKNOWN while the level is out of sight."""
SEEN: Final = 5
"""Lots displayed at our level since it last changed."""
TRADED: Final = 6
"""Lots traded at our level since its displayed quantity last changed."""
TOOK: Final = 7
"""1 while the opposite levels that we took on arrival still cross our price."""
COLUMNS: Final = 8

UNKNOWN: Final = -1
GRAINS: Final = 1 << 16
"""Parts of a lot in which the queue ahead is kept: whole lots would let no small cancellation count."""


def new_orders(capacity: int) -> tuple[Ints, Ints]:
    """Give an empty `orders, held`."""
    return np.zeros((capacity, COLUMNS), np.int64), np.zeros(1, np.int64)


@kernel
def key_of(side: int, tick: int) -> int:
    """Give the side-free price: larger is better."""
    return tick if side == BUY else -tick


@kernel
def crosses(book: Ladder, side: int, key: int) -> bool:
    """Tell whether the best opposite price reaches an order's price: it would take."""
    opposite = best(book, 1 - side)
    return bool(opposite != NONE and -opposite <= key)


@kernel
def rest(orders: Ints, held: Ints, book: Ladder, depth: int, order: int, side: int, tick: int, leaves: int) -> None:
    """Put an order at the back of its queue; `orders` must have a free row."""
    key = key_of(side, tick)
    size = held[0]
    row = size
    while row > 0 and (orders[row - 1, SIDE] > side or (orders[row - 1, SIDE] == side and orders[row - 1, KEY] < key)):
        for column in range(COLUMNS):
            orders[row, column] = orders[row - 1, column]
        row -= 1
    shown = displayed(book, side, key)
    orders[row, ID] = order
    orders[row, SIDE] = side
    orders[row, KEY] = key
    orders[row, LEAVES] = leaves
    orders[row, AHEAD] = shown * GRAINS if is_visible(book, depth, side, key) else UNKNOWN
    orders[row, SEEN] = shown
    orders[row, TRADED] = 0
    orders[row, TOOK] = 1 if crosses(book, side, key) else 0
    held[0] = size + 1


@kernel
def row_of(orders: Ints, held: Ints, order: int) -> int:
    """Give an order's row, or -1."""
    for row in range(held[0]):
        if orders[row, ID] == order:
            return row
    return -1


@kernel
def drop_done(orders: Ints, held: Ints) -> None:
    """Remove rows that have nothing left."""
    kept = 0
    for row in range(held[0]):
        if orders[row, LEAVES] > 0:
            if kept != row:
                for column in range(COLUMNS):
                    orders[kept, column] = orders[row, column]
            kept += 1
    held[0] = kept


@kernel
def set_leaves(orders: Ints, held: Ints, order: int, leaves: int) -> bool:
    """Shrink an order in place, or (0) remove it; False when it does not rest here."""
    row = row_of(orders, held, order)
    if row < 0:
        return False
    orders[row, LEAVES] = leaves
    if leaves == 0:
        drop_done(orders, held)
    return True


@kernel
def take(book: Ladder, side: int, tick: int, quantity: int, whole: bool, order: int, fills: Ints) -> int:
    """Walk the opposite levels up to `tick`; give the number of fills written, 0 for a fill-or-kill that cannot be whole."""
    other = 1 - side
    limit = key_of(side, tick)
    left = quantity
    written = 0
    key = best(book, other)
    while left > 0 and key != NONE and -key <= limit:
        part = min(left, displayed(book, other, key))
        fills[written, 0] = order
        fills[written, 1] = abs(key)
        fills[written, 2] = part
        written += 1
        left -= part
        key = below(book, other, key)
    return 0 if whole and left > 0 else written


@kernel
def on_trade(orders: Ints, held: Ints, taker: int, tick: int, quantity: int, through: int, fills: Ints) -> int:
    """Let one public trade work on our resting orders; give the number of fills written."""
    side = 1 - taker
    key = key_of(side, tick)
    left = quantity  # what our earlier orders have not used
    written = 0
    for row in range(held[0]):
        if orders[row, SIDE] != side or orders[row, KEY] < key:
            continue
        reach = left
        if orders[row, KEY] == key:
            orders[row, TRADED] += quantity
            ahead = orders[row, AHEAD]
            if ahead == UNKNOWN:
                continue
            reach = (left * GRAINS - ahead + GRAINS // 2) // GRAINS
            orders[row, AHEAD] = max(0, ahead - left * GRAINS)
        else:
            orders[row, AHEAD] = 0
            if through == WHOLE:
                reach = orders[row, LEAVES]
        part = min(orders[row, LEAVES], reach)
        if part <= 0:
            continue
        orders[row, LEAVES] -= part
        left -= min(left, part)
        fills[written, 0] = orders[row, ID]
        fills[written, 1] = abs(orders[row, KEY])
        fills[written, 2] = part
        written += 1
    if written:
        drop_done(orders, held)
    return written


@kernel
def ahead_after(model: int, ahead: int, seen: int, traded: int, shown: int) -> int:
    """Give the queue ahead (in grains) after the displayed lots went from `seen` to `shown` while `traded` lots traded there."""
    if model == PROBABILISTIC:
        waiting = seen - traded
        cancelled = waiting - shown
        if cancelled > 0:
            whole, part = ahead // waiting, ahead % waiting  # in two parts, so that the product fits
            ahead -= whole * cancelled + part * cancelled // waiting
    return min(ahead, shown * GRAINS)


@kernel
def on_book(orders: Ints, held: Ints, book: Ladder, depth: int, model: int, fills: Ints) -> int:
    """After a book frame: move our places in the queues, fill what the book crosses; give the number of fills written."""
    written = 0
    for row in range(held[0]):
        side = orders[row, SIDE]
        key = orders[row, KEY]
        if crosses(book, side, key):
            if orders[row, TOOK] == 0:
                fills[written, 0] = orders[row, ID]
                fills[written, 1] = abs(key)
                fills[written, 2] = orders[row, LEAVES]
                orders[row, LEAVES] = 0
                written += 1
                continue
        else:
            orders[row, TOOK] = 0
        shown = displayed(book, side, key)
        ahead = orders[row, AHEAD]
        if ahead != UNKNOWN and shown == orders[row, SEEN]:
            continue  # the trades seen so far explain a decrease that is still to come
        if not is_visible(book, depth, side, key):
            continue
        if ahead == UNKNOWN:
            orders[row, AHEAD] = shown * GRAINS
        else:
            orders[row, AHEAD] = ahead_after(model, ahead, orders[row, SEEN], orders[row, TRADED], shown)
        orders[row, SEEN] = shown
        orders[row, TRADED] = 0
    if written:
        drop_done(orders, held)
    return written


@kernel
def on_frame(
    orders: Ints, held: Ints, book: Ladder, depth: int, snapshot: bool, changes: Ints, model: int, fills: Ints
) -> int:
    """Apply a book frame to the ladder, then `on_book`: one call from Python instead of two."""
    apply_changes(book, depth, snapshot, changes)
    return on_book(orders, held, book, depth, model, fills)
