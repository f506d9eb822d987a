"""Keeps the garbage collector out of the way of orders, and gives back what large work has left behind."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache
from typing import Final

YOUNG: Final = 10_000
MIDDLE: Final = 20
OLD: Final = 20


def settle() -> None:
    """Collect once, and never again look at what start-up has made.

    A full collection over imported modules and compiled kernels takes tens of milliseconds, and Python would begin it in the middle of a
    decision. Afterwards only what came later is examined, and less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def give_back() -> None:
    """Give the system what the C heap holds free, where the C library can (glibc); some milliseconds, so nothing for the way of an order.

    Work of many short-lived buffers in several threads leaves each thread's part of the heap full of holes, and without this the
    process stays as large as its largest moment, and grows with each larger one.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # once: each look at a library makes classes of its own
