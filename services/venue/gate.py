"""Who may pass: key, address, time, signature, standing and permission of a request, in this order. Pure.

What the protocol does not state and is inferred here: the order of the checks; HTTP 401 when a header that authenticates is missing; that
a banned account and one of a barred region may not even ask, while one under compliance or barred from trading may not change anything;
that a classic account may still ask what it is; that the expiry of a socket's login may be text, as ccxt sends it, as well as a number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.venue.answers import Refusal
from services.venue.keys import ApiKey, KeyRing
from services.venue.refusals import (
    ACCOUNT_BANNED,
    ADDRESS_NOT_BOUND,
    COMPLIANCE,
    KEY_EXPIRED,
    KEY_INVALID,
    NOT_AUTHENTICATED,
    PERMISSION,
    REGION,
    SIGNATURE,
    SYMBOL_NOT_ALLOWED,
    TIMESTAMP,
    TRADING_BANNED,
    UNIFIED_ONLY,
    HttpRefusal,
    bad_parameter,
)

DEFAULT_WINDOW_MS: Final = 5_000
AHEAD_MS: Final = 1_000
_BARRED: Final[Mapping[str, tuple[int, str]]] = {
    "banned": (ACCOUNT_BANNED, "The user is banned."),
    "region": (REGION, "The service is not available in your region."),
}
_MAY_NOT_CHANGE: Final[Mapping[str, tuple[int, str]]] = {
    "compliance": (COMPLIANCE, "Compliance rules triggered."),
    "trading_banned": (TRADING_BANNED, "Transactions are banned."),
}
_NEEDED: Final = (
    ("/v5/order/", "ContractTrade", "Order"),
    ("/v5/position/", "ContractTrade", "Position"),
)
_OF_ANY_ACCOUNT: Final = frozenset({"/v5/user/query-api", "/v5/account/info"})


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


def authenticate_http(
    ring: KeyRing, headers: Mapping[str, str], signed_text: str, now_ms: int, address: str = ""
) -> ApiKey:
    """Check a signed HTTP request.

    Args:
        ring: all keys.
        headers: of the request, case-insensitive.
        signed_text: the query string exactly as sent, or the raw body.
        now_ms: market time.
        address: where it comes from.

    Returns:
        The key that signed.

    Raises:
        HttpRefusal: 401, a header is missing.
        Refusal: 10001, 10002, 10003, 10004, 10008, 10009, 10010 or 33004.
    """
    name, timestamp, signature = (
        headers.get(field, "") for field in ("X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN")
    )
    if not (name and timestamp and signature):
        raise HttpRefusal(401, "invalid request: X-BAPI-API-KEY, X-BAPI-TIMESTAMP and X-BAPI-SIGN are needed")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    key = _key(ring, name, now_ms, address)
    check_time(timestamp, window, now_ms)
    origin = f"{timestamp}{name}{window}{signed_text}"
    _compare(key, origin, signature)
    return key


def authenticate_socket(ring: KeyRing, args: object, now_ms: int, address: str = "") -> ApiKey:
    """Check the `auth` of a socket: `[key, expires, signature of "GET/realtime" + expires]`.

    Raises:
        Refusal: 10001 for a malformed or expired request, 10003, 10004, 10008, 10009, 10010 or 33004.
    """
    match args:
        case [str() as name, int() | str() as stated, str() as signature] if not isinstance(stated, bool):
            pass
        case _:
            raise bad_parameter("Params Error")
    expires = _number("expires", str(stated))
    key = _key(ring, name, now_ms, address)
    if expires <= now_ms:
        raise bad_parameter(f"Params Error: expires[{expires}] is not after server_timestamp[{now_ms}]")
    _compare(key, f"GET/realtime{expires}", signature)
    return key


def require_write(key: ApiKey | None, path: str = "") -> ApiKey:
    """Give the key when it may change something there.

    Raises:
        Refusal: 10005 for a read-only key or one without the permission, 10007 where nobody has authenticated, 10024 or 10027 for an
            account that may not trade.
    """
    if key is None:
        raise Refusal(NOT_AUTHENTICATED, "User authentication failed.")
    if key.owner.standing in _MAY_NOT_CHANGE:
        raise Refusal(*_MAY_NOT_CHANGE[key.owner.standing])
    lacks = any(path.startswith(start) and not key.may(group, right) for start, group, right in _NEEDED)
    if key.read_only or lacks:
        raise Refusal(PERMISSION, "Permission denied, please check your API key permissions.")
    return key


def require_unified(key: ApiKey, path: str) -> None:
    """Let a classic account only ask what it is.

    Raises:
        Refusal: 10028.
    """
    if not key.owner.is_unified and path not in _OF_ANY_ACCOUNT:
        raise Refusal(UNIFIED_ONLY, "The API can only be accessed by unified account users.")


def require_symbols(key: ApiKey, body: Mapping[str, Any]) -> None:
    """Check every symbol that a request names against those that the account may trade.

    Raises:
        Refusal: 10029.
    """
    if not key.owner.symbols:
        return
    listed = body.get("request")
    items = [body, *(listed if isinstance(listed, list) else ())]
    named = {str(item["symbol"]) for item in items if isinstance(item, Mapping) and item.get("symbol")}
    for symbol in sorted(named - key.owner.symbols):
        raise Refusal(
            SYMBOL_NOT_ALLOWED, f"The requested symbol {symbol} is invalid, use symbols whitelisted for API trading."
        )


def _key(ring: KeyRing, name: str, now_ms: int, address: str) -> ApiKey:
    key = ring.find(name)
    if key is None:
        raise Refusal(KEY_INVALID, "API key is invalid.")
    if key.expires_ms is not None and now_ms >= key.expires_ms:
        raise Refusal(KEY_EXPIRED, "Your api key has expired.")
    if key.addresses and address not in key.addresses:
        raise Refusal(ADDRESS_NOT_BOUND, "Unmatched IP, please check your API key's bound IP addresses.")
    return key


def _compare(key: ApiKey, origin: str, signature: str) -> None:
    if key.rsa_public_key:
        matches = _verifies(key.rsa_public_key, origin, signature)
    else:
        # bytes that are no UTF-8 came in as surrogates
        matches = hmac.compare_digest(sign(key.secret, origin).encode(), signature.encode(errors="surrogateescape"))
    if not matches:
        raise Refusal(SIGNATURE, f"error sign! origin_string[{origin}]")
    if key.owner.standing in _BARRED:
        raise Refusal(*_BARRED[key.owner.standing])


def _verifies(pem: str, text: str, signature: str) -> bool:
    try:
        _public_key(pem).verify(base64.b64decode(signature, validate=True), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


@cache
def _public_key(pem: str) -> RSAPublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise TypeError("the key is not one of RSA")
    return key


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:  # noqa: PLR2004 - digits of an int64
        raise bad_parameter(f"Params Error: {name} is not a number of milliseconds")
    return int(text)
