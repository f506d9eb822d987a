"""An order book as a feed handler keeps it: the venue's decimal text, ordered by price, cut to the subscribed depth.

Compiled (docs/adr/0020): the levels of a frame are taken in one call, whether they come from the bytes of a frame or as texts. There is one
rule for both, and another spelling of the same price is the same level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from undertow.contracts.messages.market import Level
from undertow.exchange.kernels.follow import take
from undertow.exchange.kernels.ladder import FULL, pack
from undertow.exchange.kernels.levels import HEADER
from undertow.exchange.kernels.memory import (
    BUY,
    CROSSED,
    HALF,
    HEAD,
    SELL,
    capacity_of,
    keys_of,
    new_book,
    slots_of,
    texts_of,
)
from undertow.exchange.levels import Levels

_SPARE: Final = 64
"""Levels above its depth that a side has room for at first."""
_MOST_PACKED: Final = 1 + 2 * HALF
_FROM_BYTES: Final = msgspec.msgpack.Decoder(tuple[Level, ...]).decode


class OrderBook:
    """Both sides of one symbol.

    Args:
        depth: levels a side that the venue keeps for us; what falls out of it is dropped.
        levels: scratch memory, which several books may share; its own if it is not given.
    """

    __slots__ = ("_depth", "_levels", "_memory")

    def __init__(self, depth: int, levels: Levels | None = None) -> None:
        self._depth = depth
        self._levels = levels or Levels()
        self._memory = new_book(depth, depth + _SPARE)

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a snapshot.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        self._read(bids, asks, clear=1)

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a delta: a size of zero deletes, deleting the unknown is harmless.

        Raises:
            ValueError: a level that is no number, or negative; the book is good for nothing until the next snapshot.
        """
        self._read(bids, asks, clear=0)

    @property
    def is_crossed(self) -> bool:
        """True when the best bid is not below the best ask."""
        return bool(self._memory[CROSSED])

    @property
    def best_bid(self) -> Level | None:
        """Price and size, or None on an empty side."""
        return next(iter(_FROM_BYTES(self._packed(BUY, 1))), None)

    @property
    def best_ask(self) -> Level | None:
        """Price and size, or None on an empty side."""
        return next(iter(_FROM_BYTES(self._packed(SELL, 1))), None)

    def levels(self, best: int | None = None) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Give bids descending and asks ascending; all, or so many of the best."""
        most = self._depth if best is None else best
        return _FROM_BYTES(self._packed(BUY, most)), _FROM_BYTES(self._packed(SELL, most))

    def packed(self) -> tuple[msgspec.Raw, msgspec.Raw]:
        """Give what `levels` gives, as MessagePack."""
        return msgspec.Raw(self._packed(BUY, self._depth)), msgspec.Raw(self._packed(SELL, self._depth))

    def _read(self, bids: Sequence[Level], asks: Sequence[Level], *, clear: int) -> None:
        levels = self._levels
        levels.read(bids, asks)
        if levels.fault:
            raise ValueError(levels.fault)
        self._take(levels.bids, levels.rows, clear)

    def _take(self, bids: int, rows: int, clear: int, update_id: int = 0, sequence: int = 0) -> int:
        state = take(self._memory, self._levels.columns, bids, rows, clear, update_id, sequence)
        if state == FULL:
            self._grow(rows)
            state = take(self._memory, self._levels.columns, bids, rows, clear, update_id, sequence)
        return state

    def _packed(self, side: int, most: int) -> bytes:
        out = np.empty(HEADER + _MOST_PACKED * min(most, self._depth), np.uint8)
        begin, end = pack(self._memory, side, most, out)
        return out[begin:end].tobytes()

    def _grow(self, rows: int) -> None:
        before = self._memory
        capacity = capacity_of(before)
        self._memory = new_book(self._depth, capacity + 2 * rows)
        self._memory[:HEAD] = before[:HEAD]
        for side in (BUY, SELL):
            for part in (keys_of, slots_of, texts_of):
                kept = part(before, side)
                part(self._memory, side)[: len(kept)] = kept
