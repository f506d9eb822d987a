"""What went wrong with a request, in one word for a metric. Pure."""

from __future__ import annotations

from typing import Final

from undertow.exchange.errors import (
    AccessError,
    BadAnswerError,
    BannedError,
    ClockSkewError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
    VenueError,
)

_WORDS: Final[tuple[tuple[type[VenueError], str], ...]] = (
    (RateLimitedError, "rate_limited"),
    (ClockSkewError, "clock"),
    (BannedError, "banned"),
    (BadAnswerError, "malformed"),
    (VenueBusyError, "unreachable"),
    (AccessError, "access"),
)
OTHERWISE: Final = "refused"
ABSENT: Final = "absent"
"""The venue has no such page."""
_NO_PAGE: Final = frozenset({404, 10017})
BUS: Final = "bus"
"""The venue answered, but the bus does not take it."""
REASONS: Final = ("timeout", "server", *(word for _, word in _WORDS), OTHERWISE, ABSENT, BUS)


def reason_of(error: VenueError) -> str:
    """Give the word of an error."""
    if isinstance(error, BadAnswerError) and error.code in _NO_PAGE:
        return ABSENT
    if isinstance(error, OutcomeUnknownError):
        return "server" if error.code else "timeout"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), OTHERWISE)
