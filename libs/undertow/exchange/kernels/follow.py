"""A frame into its book in one call: read, checked for continuity, taken."""

from __future__ import annotations

from typing import Final

from undertow.exchange.kernels.frames import Seen, read_frame
from undertow.exchange.kernels.ladder import TAKEN, change
from undertow.exchange.kernels.memory import LEAST_SEQUENCE, NEXT_ID, NOWHERE, SYMBOL_AT, SYMBOL_END, Ints
from undertow.runtime.jit import kernel

MISFIT: Final = 3
"""The frame does not follow what was taken before, and the book is as it was."""
UNREAD: Final = 4
"""The frame is not plain, and the book is as it was."""


@kernel
def fits(book: Ints, is_snapshot: int, update_id: int, sequence: int) -> bool:
    """Say whether a frame may be taken: a snapshot at any time, a delta whose update id is the next and whose sequence rises."""
    return is_snapshot == 1 or (update_id == book[NEXT_ID] and sequence >= book[LEAST_SEQUENCE])


@kernel
def take(book: Ints, columns: Ints, bids: int, rows: int, is_snapshot: int, update_id: int, sequence: int) -> int:
    """Take a frame that fits, as `change` does; what is next follows from it, and only a snapshot after a crossed book."""
    state = change(book, columns, bids, rows, is_snapshot)
    book[NEXT_ID] = update_id + 1 if state == TAKEN else NOWHERE
    book[LEAST_SEQUENCE] = sequence + 1 if sequence else 0
    return state


@kernel
def follow(raw: bytes, book: Ints, columns: Ints) -> tuple[int, Seen]:
    """Read a frame as `read_frame` does, and take it if it fits.

    Returns:
        `MISFIT`, `UNREAD` or what `take` says; and what was read.
    """
    seen = read_frame(raw, book[SYMBOL_AT], book[SYMBOL_END], columns)
    _, is_snapshot, update_id, sequence, bids, rows, _, _, _, _ = seen
    if update_id == NOWHERE:
        return UNREAD, seen
    if not fits(book, is_snapshot, update_id, sequence):
        return MISFIT, seen
    return take(book, columns, bids, rows, is_snapshot, update_id, sequence), seen
