"""How the venue's edge says no, before a request reaches the core.

answers.Refusal      a JSON envelope with a code
└── RateRefusal      10006, with the headers that tell when to come back
HttpRefusal          an HTTP status with plain text and no envelope
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.venue.answers import PARAMETER, Refusal
from services.venue.limits import Grant

TIMESTAMP: Final = 10002
KEY_INVALID: Final = 10003
SIGNATURE: Final = 10004
PERMISSION: Final = 10005
TOO_MANY: Final = 10006
NOT_AUTHENTICATED: Final = 10007
ACCOUNT_BANNED: Final = 10008
REGION: Final = 10009
ADDRESS_NOT_BOUND: Final = 10010
SERVER_ERROR: Final = 10016
COMPLIANCE: Final = 10024
TRADING_BANNED: Final = 10027
UNIFIED_ONLY: Final = 10028
SYMBOL_NOT_ALLOWED: Final = 10029
KEY_EXPIRED: Final = 33004
TOO_MANY_FROM_ADDRESS: Final = 10403
UNKNOWN_OPERATION: Final = 10404
ALREADY_AUTHENTICATED: Final = 20001
REPEATED_REQUEST_ID: Final = 20006

TOO_MANY_TEXT: Final = "Too many visits! You have exceeded the rate limit of this endpoint."


class RateRefusal(Refusal):
    """10006."""

    def __init__(self, grant: Grant) -> None:
        super().__init__(TOO_MANY, TOO_MANY_TEXT)
        self.grant = grant


class HttpRefusal(Exception):  # noqa: N818 - an answer, not a fault
    """A plain-text answer with an HTTP status and no envelope."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.text = text


def bad_parameter(text: str) -> Refusal:
    """Refuse with 10001 and say which parameter and why."""
    return Refusal(PARAMETER, text)


def envelope(
    result: Any, now_ms: int, *, ret_ext: Mapping[str, Any] | None = None, code: int = 0, message: str = "OK"
) -> dict[str, Any]:
    """Give the envelope around every REST answer."""
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": ret_ext or {}, "time": now_ms}
