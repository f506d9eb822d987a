"""Keeps the garbage collector out of the way of orders."""

from __future__ import annotations

import gc
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
