"""What one process remembers of a ban, whoever told it. By itself it is the budget of a client that has a share of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from undertow.exchange.budget.limits import BAN_S, FORBIDDEN
from undertow.exchange.errors import BannedError
from undertow.runtime.clock import Clock


class Circuit:
    """A `Budget` that counts nothing and opens for the venue's ten minutes.

    The venue counts its ten minutes in market time, and goes on counting while the market stands still; so do we.

    Args:
        clock: whose rate makes market seconds of wall seconds.
        steady: a clock that never jumps, s.
    """

    def __init__(self, clock: Clock, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._open_until_s = 0.0

    @property
    def banned_for_s(self) -> float:
        """See `Budget.banned_for_s`."""
        return max(0.0, self._open_until_s - self._steady())

    def refuse_while_open(self) -> None:
        """Let pass while it is closed.

        Raises:
            BannedError: it is open.
        """
        left_s = self.banned_for_s
        if left_s:
            raise BannedError(FORBIDDEN, f"the venue has banned our address; nothing is sent for {left_s:.1f} s more")

    def open_for(self, seconds: float) -> None:
        """Stay open for so many wall seconds, or for longer when that was known already."""
        self._open_until_s = max(self._open_until_s, self._steady() + seconds)

    async def acquire(self, endpoint: str) -> None:  # noqa: ARG002 - all endpoints alike
        """See `Budget.acquire`."""
        self.refuse_while_open()

    async def look(self) -> float:
        """See `Budget.look`."""
        return self.banned_for_s

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """See `Budget.learn`: nothing is kept."""

    def ban(self) -> None:
        """See `Budget.ban`."""
        self.open_for(BAN_S / self._clock.rate)

    async def close(self) -> None:
        """See `Budget.close`."""
