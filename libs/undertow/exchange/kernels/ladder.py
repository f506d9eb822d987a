"""Levels into a book, and out of it: numbers in order, texts in places that do not move.

One piece of code serves both sides, and on either the best levels, where most changes are, stand last.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from undertow.exchange.kernels.levels import HEADER, PAIR, put_header
from undertow.exchange.kernels.memory import (
    BUY,
    CROSSED,
    DEPTH,
    HALF,
    SELL,
    Bytes,
    Floats,
    Ints,
    capacity_of,
    keys_of,
    packed_of,
    places_of,
    prices_of,
    slots_of,
    text_bytes,
    texts_of,
)
from undertow.runtime.jit import kernel

TAKEN: Final = 0
TAKEN_CROSSED: Final = 1
"""Taken, and now the best bid is not below the best ask."""
FULL: Final = 2
"""The book has too little room for what may come before the cut, and is as it was."""

_ONE: Final = np.uintp(1)  # an index that cannot be negative compiles to a plain move
_HALF: Final = np.uintp(HALF)


@kernel
def _find(keys: Floats, count: int, key: float) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _move_down(column: Floats | Ints, first: int, last: int) -> None:
    """Move what stands behind `first`, up to `last`, one place forward."""
    for at in range(np.uintp(first), np.uintp(last)):
        column[at] = column[at + _ONE]


@kernel
def _move_up(column: Floats | Ints, first: int, last: int) -> None:
    """Move what stands from `first` to before `last` one place back."""
    at, end = np.uintp(last), np.uintp(first)
    while at > end:
        column[at] = column[at - _ONE]
        at -= _ONE


@kernel
def _remove(keys: Floats, slots: Ints, count: int, index: int) -> None:
    slot = slots[index]
    _move_down(keys, index, count - 1)
    _move_down(slots, index, count - 1)
    slots[count - 1] = slot


@kernel
def _insert(keys: Floats, slots: Ints, count: int, index: int, key: float) -> None:
    slot = slots[count]
    _move_up(keys, index, count)
    _move_up(slots, index, count)
    keys[index] = key
    slots[index] = slot


@kernel
def _copy(texts: Bytes, to: int, packed: Bytes, at: int) -> None:
    # so many bytes whatever the length of the text: a copy of fixed size is the quickest
    to_, at_ = np.uintp(to), np.uintp(at)
    for index in range(_HALF):
        texts[to_ + index] = packed[at_ + index]


@kernel
def _write(texts: Bytes, slot: int, packed: Bytes, place: int) -> None:
    _copy(texts, 2 * HALF * slot, packed, place + 1)
    _copy(texts, 2 * HALF * slot + HALF, packed, place + 1 + text_bytes(packed, place + 1))


@kernel
def _change_side(book: Ints, side: int, columns: Ints, first: int, last: int) -> None:
    keys, slots, texts = keys_of(book, side), slots_of(book, side), texts_of(book, side)
    prices, places, packed = prices_of(columns), places_of(columns), packed_of(columns)
    count = book[side]
    for row in range(first, last):
        key = prices[row] if side == BUY else -prices[row]
        index = _find(keys, count, key)
        is_known = index < count and keys[index] == key
        if places[row] >= 0:
            if not is_known:
                _insert(keys, slots, count, index, key)
                count += 1
            _write(texts, slots[index], packed, places[row])
        elif is_known:  # deleting the unknown is harmless
            _remove(keys, slots, count, index)
            count -= 1
    while count > book[DEPTH]:
        _remove(keys, slots, count, 0)
        count -= 1
    book[side] = count


@kernel
def change(book: Ints, columns: Ints, bids: int, rows: int, clear: int) -> int:
    """Take the levels in columns, bids first, and cut the book to its depth; what was there before goes if `clear` is 1.

    Another spelling of a price is the same level.

    Returns:
        `TAKEN`, `TAKEN_CROSSED` or `FULL`.
    """
    kept = 1 - clear
    capacity = capacity_of(book)
    if kept * book[BUY] + bids > capacity or kept * book[SELL] + rows - bids > capacity:
        return FULL
    book[BUY] *= kept
    book[SELL] *= kept
    _change_side(book, BUY, columns, 0, bids)
    _change_side(book, SELL, columns, bids, rows)
    book[CROSSED] = 0
    if book[BUY] > 0 and book[SELL] > 0 and keys_of(book, BUY)[book[BUY] - 1] >= -keys_of(book, SELL)[book[SELL] - 1]:
        book[CROSSED] = 1
    return TAKEN_CROSSED if book[CROSSED] == 1 else TAKEN


@kernel
def pack(book: Ints, side: int, most: int, packed: Bytes) -> tuple[int, int]:
    """Write so many of the best levels of a side, best first, as MessagePack; give from where to where they stand in `packed`."""
    slots, texts, count = slots_of(book, side), texts_of(book, side), book[side]
    shown = min(count, most)
    to = HEADER
    for rank in range(shown):
        packed[to] = PAIR
        to += 1
        for half in range(2):
            begin = 2 * HALF * slots[count - 1 - rank] + HALF * half
            for index in range(begin, begin + text_bytes(texts, begin)):
                packed[to] = texts[index]
                to += 1
    return put_header(packed, HEADER, shown), to
