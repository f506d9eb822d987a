"""Levels from the venue's JSON into columns: the price as a number, both texts as MessagePack, a size of 0 as a deletion.

What is not plain is not read here, but left to whoever reads at leisure: a number with more than 18 characters, or of 2**53 and above
without its point, or with a sign, an exponent or white space; a price of 0. Of the rest the value is that of Python's `float`: one division
of two exact numbers rounds correctly.

Nobody counts bytes here. The last byte of what is read must be one that no level has, so that each step looks at one more byte only after
one that was not the last.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from undertow.exchange.kernels.memory import (
    NOWHERE,
    Bytes,
    Floats,
    Ints,
    packed_of,
    places_of,
    prices_of,
    text_bytes,
)
from undertow.runtime.jit import kernel

HEADER: Final = 5
"""Bytes that are kept free for the header of an array."""
PAIR: Final = 0x92
SHORT: Final = 0xA0

_COMMA, _POINT, _ZERO, _NINE, _QUOTE, _OPEN, _CLOSE = b',.09"[]'
_PLAIN: Final = 18
_EXACT: Final = 2**53
_POWERS: Final = np.array([10.0**power for power in range(_PLAIN)])


@kernel
def put_header(packed: Bytes, body: int, count: int) -> int:
    """Write the header of an array of `count` before its body; give where it begins."""
    if count < 16:
        packed[body - 1] = 0x90 | count
        return body - 1
    packed[body - 1] = count & 0xFF
    packed[body - 2] = (count >> 8) & 0xFF
    if count < 65_536:
        packed[body - 3] = 0xDC
        return body - 3
    packed[body - 3] = (count >> 16) & 0xFF
    packed[body - 4] = (count >> 24) & 0xFF
    packed[body - 5] = 0xDD
    return body - 5


@kernel
def read_decimal(raw: bytes, at: int, packed: Bytes, to: int) -> tuple[int, float]:
    """Read a number and pack its text; give where it ends, or `NOWHERE` if it is not plain, and its value."""
    begin, mantissa, point = at, 0, NOWHERE
    while True:
        byte = raw[at]
        if _ZERO <= byte <= _NINE:
            mantissa = 10 * mantissa + (byte - _ZERO)
        elif byte == _POINT and point == NOWHERE:
            point = at
        else:
            break
        at += 1
        packed[to + at - begin] = byte
    length = at - begin
    if length == 0 or length > _PLAIN or point in (begin, at - 1) or mantissa >= _EXACT:
        return NOWHERE, 0.0
    packed[to] = SHORT | length
    return at, mantissa / _POWERS[0 if point == NOWHERE else at - 1 - point]


@kernel
def read_levels(
    raw: bytes, at: int, prices: Floats, places: Ints, packed: Bytes, row: int, to: int
) -> tuple[int, int, int, int]:
    """Read an array of levels that begins at `at` into rows from `row` on, and pack it after `to`.

    Returns:
        Where it ends, or `NOWHERE` if it is not plain; the next row; from where to where it stands in `packed`.
    """
    unread = NOWHERE, row, to, to
    if raw[at] != _OPEN:
        return unread
    first, body = row, to + HEADER
    to = body
    at += 1
    while raw[at] != _CLOSE or row > first:
        if raw[at] != _OPEN or raw[at + 1] != _QUOTE:
            return unread
        packed[to] = PAIR
        at, price = read_decimal(raw, at + 2, packed, to + 1)
        if at == NOWHERE or price == 0.0 or raw[at] != _QUOTE or raw[at + 1] != _COMMA or raw[at + 2] != _QUOTE:
            return unread
        size_to = to + 1 + text_bytes(packed, to + 1)
        at, size = read_decimal(raw, at + 3, packed, size_to)
        if at == NOWHERE or raw[at] != _QUOTE or raw[at + 1] != _CLOSE:
            return unread
        prices[row] = price
        places[row] = to if size > 0.0 else ~to
        row += 1
        to = size_to + text_bytes(packed, size_to)
        at += 2
        if raw[at] == _CLOSE:
            break
        if raw[at] != _COMMA:
            return unread
        at += 1
    return at + 1, row, put_header(packed, body, row - first), to


@kernel
def read_sides(raw: bytes, columns: Ints) -> tuple[int, int]:
    """Read a JSON array of bids and asks; give the rows of bids and of both, or `NOWHERE` if it is not plain."""
    prices, places, packed = prices_of(columns), places_of(columns), packed_of(columns)
    at, bids, _, to = read_levels(raw, 1, prices, places, packed, 0, 0)
    if at == NOWHERE or raw[at] != _COMMA:
        return NOWHERE, 0
    at, rows, _, _ = read_levels(raw, at + 1, prices, places, packed, bids, to)
    return (NOWHERE, 0) if at == NOWHERE else (bids, rows)
