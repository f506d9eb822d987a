"""Chance that can be repeated: each draw is a function of a seed, a counter and what it is drawn for. Pure."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Final

_BYTES: Final = 7  # 56 bits: every draw is below 1 as a float


def fraction(seed: int, turn: int, purpose: str = "") -> float:
    """Give a number in [0, 1)."""
    digest = blake2b(f"{seed}:{turn}:{purpose}".encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest) / 2.0 ** (8 * _BYTES)


def within(span: tuple[int, int], seed: int, turn: int, purpose: str = "") -> int:
    """Give a whole number of a span, both ends included."""
    lowest, highest = span
    return lowest + int(fraction(seed, turn, purpose) * (highest - lowest + 1))


def pause(mean: float, seed: int, turn: int, purpose: str = "") -> float:
    """Give an exponentially distributed pause."""
    return -mean * math.log(1.0 - fraction(seed, turn, purpose))
