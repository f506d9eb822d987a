"""Who may pass: key, time and signature of a request, in this order. Pure.

What the protocol does not state and is inferred here: the order of the checks; HTTP 401 when a header that authenticates is missing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from services.venue.answers import Refusal
from services.venue.keys import ApiKey, KeyRing
from services.venue.refusals import (
    KEY_INVALID,
    NOT_AUTHENTICATED,
    PERMISSION,
    SIGNATURE,
    TIMESTAMP,
    HttpRefusal,
    bad_parameter,
)

DEFAULT_WINDOW_MS: Final = 5_000
AHEAD_MS: Final = 1_000


def sign(secret: str, text: str) -> str:
    """Give the lower-case hex HMAC-SHA256."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def check_time(timestamp: str, window: str, now_ms: int) -> None:
    """Apply `now - window <= timestamp < now + 1000`.

    Raises:
        Refusal: 10002 outside the window, 10001 for what is no number.
    """
    stamp = _number("X-BAPI-TIMESTAMP", timestamp)
    width = _number("X-BAPI-RECV-WINDOW", window) if window else DEFAULT_WINDOW_MS
    if not now_ms - width <= stamp < now_ms + AHEAD_MS:
        raise Refusal(
            TIMESTAMP,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{width}]",
        )


def window_left_ms(timestamp: str, window: str, now_ms: int) -> int:
    """Give how long a request that passed `check_time` could still be taken."""
    return max(0, int(timestamp) + (int(window) if window else DEFAULT_WINDOW_MS) - now_ms)


def authenticate_http(ring: KeyRing, headers: Mapping[str, str], signed_text: str, now_ms: int) -> ApiKey:
    """Check a signed HTTP request.

    Args:
        ring: all keys.
        headers: of the request, case-insensitive.
        signed_text: the query string exactly as sent, or the raw body.
        now_ms: market time.

    Returns:
        The key that signed.

    Raises:
        HttpRefusal: 401, a header is missing.
        Refusal: 10001, 10002, 10003 or 10004.
    """
    name, timestamp, signature = (
        headers.get(field, "") for field in ("X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN")
    )
    if not (name and timestamp and signature):
        raise HttpRefusal(401, "invalid request: X-BAPI-API-KEY, X-BAPI-TIMESTAMP and X-BAPI-SIGN are needed")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    key = _key(ring, name)
    check_time(timestamp, window, now_ms)
    origin = f"{timestamp}{name}{window}{signed_text}"
    _compare(key, origin, signature)
    return key


def authenticate_socket(ring: KeyRing, args: object, now_ms: int) -> ApiKey:
    """Check the `auth` of a socket: `[key, expires, signature of "GET/realtime" + expires]`.

    Raises:
        Refusal: 10001 for a malformed or expired request, 10003 or 10004.
    """
    match args:
        case [str() as name, int() as expires, str() as signature] if not isinstance(expires, bool):
            pass
        case _:
            raise bad_parameter("Params Error")
    key = _key(ring, name)
    if expires <= now_ms:
        raise bad_parameter(f"Params Error: expires[{expires}] is not after server_timestamp[{now_ms}]")
    _compare(key, f"GET/realtime{expires}", signature)
    return key


def require_write(key: ApiKey | None) -> ApiKey:
    """Give the key when it may change something.

    Raises:
        Refusal: 10005 for a read-only key, 10007 where nobody has authenticated.
    """
    if key is None:
        raise Refusal(NOT_AUTHENTICATED, "User authentication failed.")
    if key.read_only:
        raise Refusal(PERMISSION, "Permission denied, please check your API key permissions.")
    return key


def _key(ring: KeyRing, name: str) -> ApiKey:
    key = ring.find(name)
    if key is None:
        raise Refusal(KEY_INVALID, "API key is invalid.")
    return key


def _compare(key: ApiKey, origin: str, signature: str) -> None:
    if not hmac.compare_digest(sign(key.secret, origin).encode(), signature.encode()):
        raise Refusal(SIGNATURE, f"error sign! origin_string[{origin}]")


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:  # noqa: PLR2004 - digits of an int64
        raise bad_parameter(f"params error: {name} is not a number of milliseconds")
    return int(text)
