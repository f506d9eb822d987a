"""Signatures of Bybit v5 (§2.2 and §8 of the protocol): HMAC-SHA256, lower-case hex, over exactly the text that is sent."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from undertow.runtime.settings import Credentials

AUTH_LIFETIME_MS: Final = 10_000


def signature(secret: str, text: str) -> str:
    """Give the hex HMAC-SHA256 of `text`."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed_headers(key: Credentials, timestamp_ms: int, recv_window_ms: int, payload: str) -> dict[str, str]:
    """Give the headers of a private request.

    Args:
        key: who signs.
        timestamp_ms: by the venue's clock.
        recv_window_ms: how long the request may be under way.
        payload: the query string as sent (GET) or the body as sent (POST).
    """
    text = f"{timestamp_ms}{key.api_key}{recv_window_ms}{payload}"
    return {
        "X-BAPI-API-KEY": key.api_key,
        "X-BAPI-TIMESTAMP": str(timestamp_ms),
        "X-BAPI-RECV-WINDOW": str(recv_window_ms),
        "X-BAPI-SIGN": signature(key.api_secret.get_secret_value(), text),
    }


def auth_request(key: Credentials, now_ms: int, id_name: str) -> dict[str, object]:
    """Give the `auth` frame of a private (`req_id`) or trade (`reqId`) socket."""
    expires = now_ms + AUTH_LIFETIME_MS
    return {
        id_name: "auth",
        "op": "auth",
        "args": [key.api_key, expires, signature(key.api_secret.get_secret_value(), f"GET/realtime{expires}")],
    }
