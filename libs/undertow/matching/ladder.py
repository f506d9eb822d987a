"""The displayed depth of one symbol as two sorted arrays.

A level's *key* is its tick for bids and the negative tick for asks: on either side a larger key is a better price, so one piece of code
serves both. Rows are `BUY = 0` and `SELL = 1`; keys ascend, so the best level stands last and the common changes, near the best, move few
elements. Unlike a window indexed by tick it never has to be rebased, whatever the price does.

Arrays: `keys`, `lots` int64[2, capacity]; `count` int64[2]; `changes` int64[n, 3] of (side, tick, lots), lots 0 deletes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BUY: Final = 0
SELL: Final = 1


def new_ladder(depth: int) -> tuple[Ints, Ints, Ints]:
    """Give empty `keys, lots, count` with room for changes that come before the cut."""
    capacity = 4 * depth
    return np.zeros((2, capacity), np.int64), np.zeros((2, capacity), np.int64), np.zeros(2, np.int64)


@njit(cache=True)
def find(keys: Ints, count: Ints, side: int, key: int) -> int:
    """Give the first index whose key is not worse than `key`."""
    low, high = 0, count[side]
    while low < high:
        middle = (low + high) >> 1
        if keys[side, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def displayed(keys: Ints, lots: Ints, count: Ints, side: int, key: int) -> int:
    """Give the lots shown at a level; 0 when it is not shown."""
    index = find(keys, count, side, key)
    if index < count[side] and keys[side, index] == key:
        return int(lots[side, index])
    return 0


@njit(cache=True)
def is_visible(keys: Ints, count: Ints, depth: int, side: int, key: int) -> bool:
    """Tell whether the venue would show this level: inside the shown range, or the side is shorter than its depth."""
    return bool(count[side] < depth or key >= keys[side, 0])


@njit(cache=True)
def set_level(keys: Ints, lots: Ints, count: Ints, side: int, key: int, quantity: int) -> None:
    """Set, insert or (0 lots) delete one level; a full array gives up its worst level."""
    size = count[side]
    index = find(keys, count, side, key)
    if index < size and keys[side, index] == key:
        if quantity > 0:
            lots[side, index] = quantity
            return
        for i in range(index, size - 1):
            keys[side, i] = keys[side, i + 1]
            lots[side, i] = lots[side, i + 1]
        count[side] = size - 1
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
        count[side] = size + 1
    keys[side, index] = key
    lots[side, index] = quantity


@njit(cache=True)
def apply_changes(keys: Ints, lots: Ints, count: Ints, depth: int, snapshot: bool, changes: Ints) -> None:
    """Apply one frame: a snapshot replaces the book; then each side is cut to `depth` levels."""
    if snapshot:
        count[BUY] = 0
        count[SELL] = 0
    for row in range(changes.shape[0]):
        side = changes[row, 0]
        tick = changes[row, 1]
        set_level(keys, lots, count, side, tick if side == BUY else -tick, changes[row, 2])
    for side in range(2):
        surplus = count[side] - depth
        if surplus > 0:
            for i in range(depth):
                keys[side, i] = keys[side, i + surplus]
                lots[side, i] = lots[side, i + surplus]
            count[side] = depth
