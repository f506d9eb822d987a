from __future__ import annotations

import hashlib
import hmac

from pydantic import SecretStr

from undertow.exchange.bybit.sign import auth_request, signature, signed_headers
from undertow.runtime.settings import Credentials

KEY = Credentials(api_key="KEY", api_secret=SecretStr("secret"))


def test_the_signed_text_is_time_key_window_payload_without_separators():
    text = b'1700000000000KEY5000{"category":"linear"}'
    expected = hmac.new(b"secret", text, hashlib.sha256).hexdigest()
    assert signed_headers(KEY, 1700000000000, 5000, '{"category":"linear"}') == {
        "X-BAPI-API-KEY": "KEY",
        "X-BAPI-TIMESTAMP": "1700000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": expected,
    }


def test_the_signature_is_lower_case_hmac_sha256():
    # RFC 4231, test case 2
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature("Jefe", "what do ya want for nothing?") == expected


def test_a_socket_s_auth_expires_in_the_future_as_a_number():
    request = auth_request(KEY, 1_000, "reqId")
    assert request == {
        "reqId": "auth",
        "op": "auth",
        "args": ["KEY", 11_000, signature("secret", "GET/realtime11000")],
    }
