"""A contract's premium, the middle of the book less the mark price, averaged over the last 30 s. Pure.

What the protocol page does not say (our inference): it is looked at when a mark price comes (between two of them the book has moved on
and the mark has not), at most once a second, and what was seen stands until the next look, so that a market which falls silent keeps the
premium that it had; one that has just begun is averaged over its age.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

WINDOW_NS: Final = 30_000_000_000
_LOOK_NS: Final = 1_000_000_000
_NOTHING: Final = Decimal(0)


class PremiumWindow:
    """Premiums by the market ns from which they stand."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, Decimal]] = deque()
        self._looked_s = -1

    def wants(self, at_ns: int) -> bool:
        """Tell whether it is time to look again."""
        return at_ns // _LOOK_NS != self._looked_s

    def saw(self, at_ns: int, premium: Decimal) -> None:
        """Take what stands from a moment on; what was said to be later than that is forgotten."""
        self._looked_s = at_ns // _LOOK_NS
        while self._seen and self._seen[-1][0] >= at_ns:
            self._seen.pop()
        self._seen.append((at_ns, premium))
        while len(self._seen) > 1 and self._seen[1][0] <= at_ns - WINDOW_NS:
            self._seen.popleft()

    def average(self, now_ns: int) -> Decimal:
        """Give the mean over the window, each premium as long as it stood; 0 before the first."""
        begins_ns, until_ns, sum_ns = now_ns - WINDOW_NS, now_ns, _NOTHING
        for at_ns, premium in reversed(self._seen):
            from_ns = min(until_ns, max(at_ns, begins_ns))
            sum_ns += premium * (until_ns - from_ns)
            until_ns = from_ns
        if until_ns < now_ns:
            return sum_ns / (now_ns - until_ns)
        return self._seen[-1][1] if self._seen else _NOTHING
