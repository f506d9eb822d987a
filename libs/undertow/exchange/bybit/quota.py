"""What the venue says of its limits in the headers of an answer, over HTTP or the trade socket, handed to the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from undertow.exchange.budget.ports import Budget
from undertow.exchange.bybit import parse
from undertow.exchange.bybit.venue_clock import VenueClock

LIMIT: Final = "X-Bapi-Limit"
RESET: Final = "X-Bapi-Limit-Reset-Timestamp"
_UNNAMED_PAUSE_MS: Final = 1_000  # the windows of endpoints are a second long
_LONGEST_PAUSE_MS: Final = 60_000


def tell(budget: Budget, endpoint: str, headers: Mapping[str, str], code: int, clock: VenueClock) -> None:
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
