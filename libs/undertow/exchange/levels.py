"""The levels of one frame in columns, as the kernels of a book take them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

import msgspec
import numpy as np

from undertow.contracts.messages.market import Level
from undertow.exchange.kernels.levels import read_sides
from undertow.exchange.kernels.memory import LONGEST, NOWHERE, Ints, column_bytes, places_of, prices_of

_AT_FIRST: Final = 512
_TO_JSON: Final = msgspec.json.Encoder().encode
_TO_BYTES: Final = msgspec.msgpack.Encoder().encode


class Levels:
    """Columns that are filled again for each frame.

    Attributes:
        columns: as in `kernels.memory`; bids, then asks.
        bids: rows of bids.
        rows: all rows.
        room: bytes of JSON whose levels find place.
        fault: why they are no levels, or "".
    """

    __slots__ = ("_memory", "bids", "columns", "fault", "room", "rows")

    def __init__(self) -> None:
        self.room = 0
        self.make_room(_AT_FIRST)
        self.hold(0, 0)

    def make_room(self, size: int) -> None:
        """Have room for the levels of `size` bytes of JSON."""
        if size > self.room:
            self.room = 2 * size
            self._memory = bytearray(column_bytes(self.room))
            self.columns: Ints = np.frombuffer(self._memory, np.int64)

    def hold(self, bids: int, rows: int) -> None:
        """Take note of how many rows a kernel has filled."""
        self.bids, self.rows, self.fault = bids, rows, ""

    def raw(self, begin: int, end: int) -> msgspec.Raw:
        """Give a part of the packed levels to keep."""
        return msgspec.Raw(self._memory[begin:end])

    def read(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Fill the columns with levels; what is no number, or negative, is a fault."""
        raw = _TO_JSON((bids, asks))
        self.make_room(len(raw))
        found, rows = read_sides(raw, self.columns)
        if found != NOWHERE:
            self.hold(found, rows)
            return
        try:
            self._fill(bids, asks)
        except ValueError as error:
            self.hold(0, 0)
            self.fault = str(error)

    def _fill(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        prices, places = prices_of(self.columns), places_of(self.columns)
        row = place = 0
        for price, size in (*bids, *asks):
            number, amount, text = float(price), float(size), _TO_BYTES((price, size))
            if amount and not (0.0 < number < inf and 0.0 < amount < inf):
                raise ValueError(f"{(price, size)} is not a level")
            if max(len(price.encode()), len(size.encode())) > LONGEST:
                raise ValueError(f"{(price, size)} is not a level: a number has at most {LONGEST} characters")
            prices[row] = number
            places[row] = place if amount else ~place
            self._memory[place : place + len(text)] = text
            place += len(text)
            row += 1
        self.hold(len(bids), row)
