"""The venue's limits on our side of the line: the turn that a request waits for, and what answers say, handed to who counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from undertow.exchange.bybit import parse
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import VenueBusyError

LIMIT: Final = "X-Bapi-Limit"
RESET: Final = "X-Bapi-Limit-Reset-Timestamp"
_UNNAMED_PAUSE_MS: Final = 1_000  # the windows of endpoints are a second long
_LONGEST_PAUSE_MS: Final = 60_000


class Counts(Protocol):
    """Who counts requests: a `Budget`, or a `Pace`."""

    def learn(self, endpoint: str, *, limit: int, pause_s: float = 0.0) -> None:
        """Take what the venue said of an endpoint."""
        ...


async def turn(
    acquire: Callable[[str], Awaitable[None]],
    endpoint: str,
    clock: VenueClock,
    *,
    patience_s: float | None,
    not_after_ns: int | None = None,
) -> None:
    """Wait until a request may be sent; an order that waits for its turn is stale by the end of its window, or of its deadline.

    Raises:
        TooLateError: the deadline passed meanwhile.
        VenueBusyError: no turn within `patience_s` (None: for ever).
    """
    if patience_s is not None and not_after_ns is not None:
        patience_s = min(patience_s, max(clock.left_ns(not_after_ns) / 1e9 / clock.rate, 0.0))
    try:
        async with asyncio.timeout(patience_s):
            await acquire(endpoint)
    except TimeoutError:
        clock.refuse_late(not_after_ns)
        raise VenueBusyError(0, f"nothing was sent: {endpoint} had no turn within {patience_s:g} s") from None


def tell(budget: Counts, endpoint: str, headers: Mapping[str, str], code: int, clock: VenueClock) -> None:
    """Tell a budget what an answer says: the limit, and after a refusal for its sake how long to wait.

    Args:
        budget: told.
        endpoint: path without `/v5/`.
        headers: of the answer.
        code: its `retCode`.
        clock: the venue's.
    """
    limit, pause_ms = parse.whole(headers.get(LIMIT)), 0
    if code in parse.RATE_LIMITS:
        reset_ms = parse.whole(headers.get(RESET))
        pause_ms = max(0, reset_ms - clock.now_ms()) if reset_ms else _UNNAMED_PAUSE_MS
    if limit or pause_ms:
        budget.learn(endpoint, limit=limit, pause_s=min(pause_ms, _LONGEST_PAUSE_MS) / 1_000 / clock.rate)
