"""Where things stand in the two blocks of memory that the kernels work on: one argument each, for every array more costs each call.

*A book* is an int64 array: a head of single numbers, then for each side its keys, slots and texts. A level's *key* is its price for bids
and the negative price for asks, so on either side a larger key is a better price. Keys ascend; of each the slot says in which place of 64
bytes its texts are, price and size as short MessagePack strings. Behind the slots in use stand the free ones.

*Columns* are an int64 array with the levels of one frame: as MessagePack in `packed`, then with a row each the number of their price and
their place in `packed` (its complement for a size of 0, which deletes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOWHERE: Final = -1

BUY: Final = 0
SELL: Final = 1
"""Sides, and where the head has how many levels they have."""
DEPTH: Final = 2
"""Levels a side that are kept."""
CROSSED: Final = 3
"""1 while the best bid is not below the best ask."""
NEXT_ID: Final = 4
"""The update id that fits, `NOWHERE` for none."""
LEAST_SEQUENCE: Final = 5
"""Of a delta that fits: above the last one's, or 0 while the venue tells none."""
SYMBOL_AT: Final = 6
"""Where the symbol begins in the frames of the book's topic."""
SYMBOL_END: Final = 7
HEAD: Final = 8

HALF: Final = 32
"""Bytes of a slot for one text; `packed` goes on for as many behind its last level."""
LONGEST: Final = HALF - 1
"""Bytes of a price or size: what MessagePack calls a short string."""

_WORD: Final = 8
_SIDE_WORDS: Final = 2 + 2 * HALF // _WORD
_PACKED_WORDS: Final = 2
_COLUMN_WORDS: Final = _PACKED_WORDS + 2
SHORTEST: Final = len('["1","1"]')
"""Bytes of JSON that a level takes at least."""


def _layout(function: F) -> F:
    # plain Python to Python, so that nothing is compiled for it while frames come in; a part of every kernel that calls it
    plain: F = register_jitable(function)
    return plain


def new_book(depth: int, capacity: int) -> Ints:
    """Give an empty book with room for `capacity` levels a side, before the cut to its depth."""
    book = np.zeros(HEAD + 2 * capacity * _SIDE_WORDS, np.int64)
    book[DEPTH], book[NEXT_ID] = depth, NOWHERE
    for side in (BUY, SELL):
        slots_of(book, side)[:] = np.arange(capacity)
    return book


def column_bytes(size: int) -> int:
    """Give how many bytes columns need for the levels of `size` bytes of JSON."""
    return (size // SHORTEST + HALF) * _COLUMN_WORDS * _WORD


@_layout
def capacity_of(book: Ints) -> int:
    """Give how many levels a side has room for."""
    return (len(book) - HEAD) // (2 * _SIDE_WORDS)


@_layout
def keys_of(book: Ints, side: int) -> Floats:
    """Give the keys of a side."""
    capacity = capacity_of(book)
    begin = HEAD + side * capacity * _SIDE_WORDS
    return book[begin : begin + capacity].view(np.float64)


@_layout
def slots_of(book: Ints, side: int) -> Ints:
    """Give the slots of a side."""
    capacity = capacity_of(book)
    begin = HEAD + side * capacity * _SIDE_WORDS + capacity
    return book[begin : begin + capacity]


@_layout
def texts_of(book: Ints, side: int) -> Bytes:
    """Give the texts of a side, two halves a slot."""
    capacity = capacity_of(book)
    begin = HEAD + side * capacity * _SIDE_WORDS + 2 * capacity
    return book[begin : begin + capacity * (_SIDE_WORDS - 2)].view(np.uint8)


@_layout
def text_bytes(packed: Bytes, at: int) -> int:
    """Give how many bytes the short string at `at` takes, with its header."""
    return int(1 + (np.int64(packed[at]) & LONGEST))


@_layout
def packed_of(columns: Ints) -> Bytes:
    """Give the packed levels, which stand first."""
    return columns[: len(columns) // _COLUMN_WORDS * _PACKED_WORDS].view(np.uint8)


@_layout
def prices_of(columns: Ints) -> Floats:
    """Give the prices."""
    rows = len(columns) // _COLUMN_WORDS
    return columns[rows * _PACKED_WORDS : rows * (_PACKED_WORDS + 1)].view(np.float64)


@_layout
def places_of(columns: Ints) -> Ints:
    """Give the places."""
    return columns[len(columns) // _COLUMN_WORDS * (_PACKED_WORDS + 1) :]
