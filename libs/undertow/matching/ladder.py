"""The displayed depth of one symbol: for each side a window of ticks below its best, and the few levels beyond it.

A level's *key* is its tick for bids and the negative tick for asks: on either side a larger key is a better price, so one piece of code
serves both. Sides are `BUY = 0` and `SELL = 1`. The lots of a key less than `window` below the best stand in a ring at
`key & (window - 1)`, so a change costs the same wherever it is. Levels farther away stand in sorted arrays, the best of them last; they
come into the ring when the best comes down to them and leave it when the best leaves them behind. So the window follows the price.

A ladder is four arrays: `ring` int64[2, window]; `keys`, `lots` int64[2, capacity] of the far levels; `state` int64[2, 4], columns below.
`changes` is int64[n, 3] of (side, tick, lots), lots 0 deletes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from undertow.runtime.jit import kernel

Ints = NDArray[np.int64]
Ladder = tuple[Ints, Ints, Ints, Ints]

BUY: Final = 0
SELL: Final = 1

COUNT: Final = 0
"""Levels of the side, near and far."""
FAR: Final = 1
"""How many of them stand in the arrays."""
BEST: Final = 2
WORST: Final = 3
"""Keys of the best and of the worst level in the ring; without meaning while the side is empty."""
NONE: Final = -(1 << 62)
"""The key of no level."""
WINDOW: Final = 1 << 16
"""Ticks of the ring, a power of two."""


def new_ladder(depth: int, window: int = WINDOW) -> Ladder:
    """Give an empty ladder with room for changes that come before the cut; `window` is a power of two."""
    far = np.zeros((2, 4 * depth), np.int64)
    return np.zeros((2, window), np.int64), far, far.copy(), np.zeros((2, 4), np.int64)


@kernel
def find(keys: Ints, state: Ints, side: int, key: int) -> int:
    """Give the first index of a far level that is not worse than `key`."""
    low, high = 0, state[side, FAR]
    while low < high:
        middle = (low + high) >> 1
        if keys[side, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def displayed(book: Ladder, side: int, key: int) -> int:
    """Give the lots shown at a level; 0 when it is not shown."""
    ring, keys, lots, state = book
    window = ring.shape[1]
    if state[side, COUNT] == 0 or key > state[side, BEST]:
        return 0
    if key > state[side, BEST] - window:
        return int(ring[side, key & (window - 1)])
    index = find(keys, state, side, key)
    if index < state[side, FAR] and keys[side, index] == key:
        return int(lots[side, index])
    return 0


@kernel
def best(book: Ladder, side: int) -> int:
    """Give the key of the best level, or NONE."""
    state = book[3]
    return int(state[side, BEST]) if state[side, COUNT] > 0 else NONE


@kernel
def below(book: Ladder, side: int, key: int) -> int:
    """Give the key of the next level worse than the level `key`, or NONE."""
    ring, keys, _, state = book
    mask = ring.shape[1] - 1
    if key > state[side, WORST]:
        key -= 1
        while ring[side, key & mask] == 0:
            key -= 1
        return key
    index = find(keys, state, side, key) - 1
    return int(keys[side, index]) if index >= 0 else NONE


@kernel
def is_visible(book: Ladder, depth: int, side: int, key: int) -> bool:
    """Tell whether the venue would show this level: inside the shown range, or the side is shorter than its depth."""
    _, keys, _, state = book
    worst = keys[side, 0] if state[side, FAR] > 0 else state[side, WORST]
    return bool(state[side, COUNT] < depth or key >= worst)


@kernel
def set_far(book: Ladder, side: int, key: int, quantity: int) -> None:
    """Set, insert or (0 lots) delete a far level; full arrays give up their worst level."""
    _, keys, lots, state = book
    size = state[side, FAR]
    index = find(keys, state, side, key)
    if index < size and keys[side, index] == key:
        if quantity > 0:
            lots[side, index] = quantity
            return
        for i in range(index, size - 1):
            keys[side, i] = keys[side, i + 1]
            lots[side, i] = lots[side, i + 1]
        state[side, FAR] -= 1
        state[side, COUNT] -= 1
        return
    if quantity <= 0:
        return
    if size == keys.shape[1]:
        if index == 0:
            return
        index -= 1
        for i in range(index):
            keys[side, i] = keys[side, i + 1]
            lots[side, i] = lots[side, i + 1]
    else:
        for i in range(size, index, -1):
            keys[side, i] = keys[side, i - 1]
            lots[side, i] = lots[side, i - 1]
        state[side, FAR] += 1
        state[side, COUNT] += 1
    keys[side, index] = key
    lots[side, index] = quantity


@kernel
def drop_worst(book: Ladder, side: int) -> int:
    """Take the worst level out of the ring, which has one; give its lots."""
    ring, _, _, state = book
    mask = ring.shape[1] - 1
    key = state[side, WORST]
    quantity = ring[side, key & mask]
    ring[side, key & mask] = 0
    state[side, COUNT] -= 1
    if state[side, COUNT] > state[side, FAR]:
        key += 1
        while ring[side, key & mask] == 0:
            key += 1
        state[side, WORST] = key
    return int(quantity)


@kernel
def raise_best(book: Ladder, side: int, key: int) -> None:
    """Make `key`, better than all, the best; what the window then leaves behind becomes far."""
    ring, _, _, state = book
    floor = key - ring.shape[1]
    while state[side, COUNT] > state[side, FAR] and state[side, WORST] <= floor:
        left_behind = state[side, WORST]
        set_far(book, side, left_behind, drop_worst(book, side))
    if state[side, COUNT] == state[side, FAR]:
        state[side, WORST] = key
    state[side, BEST] = key


@kernel
def lower_best(book: Ladder, side: int) -> None:
    """Find the best after its level went; what the window then reaches comes near."""
    ring, keys, lots, state = book
    window = ring.shape[1]
    if state[side, COUNT] == 0:
        return
    if state[side, COUNT] == state[side, FAR]:
        state[side, BEST] = state[side, WORST] = keys[side, state[side, FAR] - 1]
    else:
        key = state[side, BEST]
        while ring[side, key & (window - 1)] == 0:
            key -= 1
        state[side, BEST] = key
    while state[side, FAR] > 0 and keys[side, state[side, FAR] - 1] > state[side, BEST] - window:
        state[side, FAR] -= 1
        nearest = state[side, FAR]
        state[side, WORST] = keys[side, nearest]
        ring[side, keys[side, nearest] & (window - 1)] = lots[side, nearest]


@kernel
def set_level(book: Ladder, side: int, key: int, quantity: int) -> None:
    """Set, insert or (0 lots) delete one level."""
    ring, _, _, state = book
    window = ring.shape[1]
    slot = key & (window - 1)
    if state[side, COUNT] == 0 or key > state[side, BEST]:
        if quantity > 0:
            raise_best(book, side, key)
            ring[side, slot] = quantity
            state[side, COUNT] += 1
        return
    if key <= state[side, BEST] - window:
        set_far(book, side, key, quantity)
        return
    before = ring[side, slot]
    if quantity > 0:
        ring[side, slot] = quantity
        if before == 0:
            state[side, COUNT] += 1
            state[side, WORST] = min(state[side, WORST], key)
    elif before > 0:
        if key == state[side, WORST]:
            drop_worst(book, side)
        else:
            ring[side, slot] = 0
            state[side, COUNT] -= 1
        if key == state[side, BEST]:
            lower_best(book, side)


@kernel
def clear(book: Ladder) -> None:
    """Empty both sides."""
    ring, _, _, state = book
    for side in range(2):
        if state[side, COUNT] > 0:
            for key in range(state[side, WORST], state[side, BEST] + 1):
                ring[side, key & (ring.shape[1] - 1)] = 0
        state[side, COUNT] = 0
        state[side, FAR] = 0


@kernel
def apply_changes(book: Ladder, depth: int, snapshot: bool, changes: Ints) -> None:
    """Apply one frame: a snapshot replaces the book; then each side is cut to `depth` levels, at least one."""
    ring, keys, lots, state = book
    window = ring.shape[1]
    if snapshot:
        clear(book)
    for row in range(changes.shape[0]):
        side = changes[row, 0]
        tick = changes[row, 1]
        key = tick if side == BUY else -tick
        slot = key & (window - 1)
        is_near = state[side, BEST] - window < key <= state[side, BEST]  # of an empty side the ring is empty
        if is_near and ring[side, slot] > 0 and changes[row, 2] > 0:
            ring[side, slot] = changes[row, 2]  # most changes: worth half of the time not to call for
        else:
            set_level(book, side, key, changes[row, 2])
    for side in range(2):
        surplus = min(state[side, COUNT] - depth, state[side, FAR])
        if surplus > 0:
            state[side, COUNT] -= surplus
            state[side, FAR] -= surplus
            for i in range(state[side, FAR]):
                keys[side, i] = keys[side, i + surplus]
                lots[side, i] = lots[side, i + surplus]
        while state[side, COUNT] > depth:
            drop_worst(book, side)


@kernel
def top(book: Ladder, side: int, depth: int) -> Ints:
    """Give the best levels as rows of (key, lots)."""
    state = book[3]
    levels = np.zeros((min(depth, state[side, COUNT]), 2), np.int64)
    key = state[side, BEST]
    for row in range(levels.shape[0]):
        levels[row, 0] = key
        levels[row, 1] = displayed(book, side, key)
        key = below(book, side, key)
    return levels
