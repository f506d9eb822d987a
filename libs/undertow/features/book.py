"""The kernels' order book: two sorted arrays with the best level last, so that a change near the top moves little.

A side is `levels` of shape (2, CAPACITY): row 0 the keys ascending, row 1 the sizes in base coin; the key of a bid is
its price, of an ask its negated price. When a side is full the worst level is forgotten.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from undertow.features.layout import CAPACITY
from undertow.runtime.jit import kernel

Floats = npt.NDArray[np.float64]


@kernel
def set_level(levels: Floats, count: int, key: float, size: float) -> int:
    """Set, insert or (size 0) delete the level at `key`; give the new number of levels."""
    keys = levels[0]
    sizes = levels[1]
    low = 0
    high = count
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < count and keys[low] == key:
        if size > 0.0:
            sizes[low] = size
            return count
        for i in range(low, count - 1):
            keys[i] = keys[i + 1]
            sizes[i] = sizes[i + 1]
        return count - 1
    if size <= 0.0:
        return count
    if count == CAPACITY:
        if low == 0:
            return count
        for i in range(low - 1):
            keys[i] = keys[i + 1]
            sizes[i] = sizes[i + 1]
        keys[low - 1] = key
        sizes[low - 1] = size
        return count
    for i in range(count, low, -1):
        keys[i] = keys[i - 1]
        sizes[i] = sizes[i - 1]
    keys[low] = key
    sizes[low] = size
    return count + 1


@kernel
def size_of_best(levels: Floats, count: int, depth: int) -> float:
    """Sum the sizes of the best `depth` levels, base coin, from the best down."""
    total = 0.0
    for i in range(min(depth, count)):
        total += levels[1, count - 1 - i]
    return total


@kernel
def notional_within(levels: Floats, count: int, worst_key: float) -> float:
    """Sum price times size of the levels with a key of at least `worst_key`, quote coin, from the best down."""
    total = 0.0
    i = count - 1
    while i >= 0 and levels[0, i] >= worst_key:
        total += abs(levels[0, i]) * levels[1, i]
        i -= 1
    return total
