"""Which order link ids the closed orders of an account have used lately. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np

_BYTES: Final = 8


class RecentLinkIds:
    """The last ids used, as many as fit; each costs eight bytes, for good.

    An id is known by a 64-bit digest: that a fresh id among 20,000 is taken for a used one has a chance of 1 in 10^15.

    Args:
        size: how many are remembered.
    """

    def __init__(self, size: int) -> None:
        self._digests = np.zeros(size, np.uint64)
        self._next = 0

    def __contains__(self, link_id: str) -> bool:
        return bool((self._digests == _digest(link_id)).any())

    def add(self, link_id: str) -> None:
        """Note an id as used; the oldest one is forgotten for it."""
        self._digests[self._next] = _digest(link_id)
        self._next = (self._next + 1) % len(self._digests)


def _digest(link_id: str) -> np.uint64:
    return np.frombuffer(blake2b(link_id.encode(), digest_size=_BYTES).digest(), np.uint64)[0]  # type: ignore[no-any-return]
