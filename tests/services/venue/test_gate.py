from __future__ import annotations

import pytest

from services.venue.answers import Refusal
from services.venue.gate import authenticate_http, authenticate_socket, check_time, require_write, sign
from services.venue.keys import PAPER_KEYS, ApiKey, KeyRing
from services.venue.refusals import HttpRefusal

RING = KeyRing([*PAPER_KEYS, ApiKey("KEY", "secret", "1", read_only=False, note="")])
NOW = 1_767_225_600_000


def headers(text: str, **changes: str) -> dict[str, str]:
    plain = {"X-BAPI-API-KEY": "KEY", "X-BAPI-TIMESTAMP": str(NOW), "X-BAPI-RECV-WINDOW": "5000"}
    return {**plain, "X-BAPI-SIGN": sign("secret", f"{NOW}KEY5000{text}"), **changes}


def code_of(call) -> int:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


def test_a_signature_is_lower_case_hex_of_hmac_sha256():
    # RFC 4231 case 2
    assert sign("Jefe", "what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@pytest.mark.parametrize("text", ["", '{"category":"linear"}', "cursor=a%253Ab&category=linear"])
def test_a_request_signed_as_it_is_sent_passes(text):
    assert authenticate_http(RING, headers(text), text, NOW).key == "KEY"


def test_one_other_byte_does_not_pass():
    assert code_of(lambda: authenticate_http(RING, headers('{"a":1}'), '{"a": 1}', NOW)) == 10004


@pytest.mark.parametrize("signature", ["\udcff", "é", "00"])
def test_a_signature_is_wrong_even_when_its_bytes_are_no_text(signature):
    assert code_of(lambda: authenticate_http(RING, headers("", **{"X-BAPI-SIGN": signature}), "", NOW)) == 10004
    assert code_of(lambda: authenticate_socket(RING, ["KEY", NOW + 1, signature], NOW)) == 10004


def test_an_unknown_key_is_told_before_anything_else():
    assert code_of(lambda: authenticate_http(RING, headers("", **{"X-BAPI-API-KEY": "WHO"}), "", NOW)) == 10003


@pytest.mark.parametrize("name", ["X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN"])
def test_a_missing_header_is_401(name):
    with pytest.raises(HttpRefusal) as caught:
        authenticate_http(RING, {k: v for k, v in headers("").items() if k != name}, "", NOW)
    assert caught.value.status == 401


@pytest.mark.parametrize("stamp", [NOW - 5000, NOW, NOW + 999])
def test_a_timestamp_at_the_edges_of_the_window_passes(stamp):
    check_time(str(stamp), "5000", NOW)


@pytest.mark.parametrize(
    ("stamp", "window", "code"),
    [
        (NOW - 5001, "", 10002),
        (NOW - 5001, "5000", 10002),
        (NOW + 1000, "600000", 10002),
        ("now", "", 10001),
        ("-1", "", 10001),
        (NOW, "wide", 10001),
        ("9" * 20, "", 10001),
        ("", "", 10001),
    ],
)
def test_a_timestamp_outside_or_not_a_number_is_refused(stamp, window, code):
    assert code_of(lambda: check_time(str(stamp), window, NOW)) == code


def test_a_wider_window_admits_an_older_request_but_never_a_faster_clock():
    check_time(str(NOW - 8000), "10000", NOW)
    assert code_of(lambda: check_time(str(NOW + 1000), "10000", NOW)) == 10002


def test_a_socket_login_signs_get_realtime_and_its_expiry():
    args = ["KEY", NOW + 1000, sign("secret", f"GET/realtime{NOW + 1000}")]
    assert authenticate_socket(RING, args, NOW).uid == "1"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["KEY", NOW, sign("secret", f"GET/realtime{NOW}")], 10001),
        (["KEY", str(NOW + 1), "00"], 10004),
        (["KEY", "soon", "00"], 10001),
        (["KEY", None, "00"], 10001),
        (["KEY", True, "00"], 10001),
        (["KEY", NOW + 1], 10001),
        (["WHO", NOW + 1, "00"], 10003),
        (["KEY", NOW + 1, "00"], 10004),
        (["KEY", NOW + 1, "é"], 10004),
    ],
)
def test_a_socket_login_is_refused_with_its_reason(args, code):
    assert code_of(lambda: authenticate_socket(RING, args, NOW)) == code


def test_writing_wants_a_key_that_may_write():
    assert code_of(lambda: require_write(None)) == 10007
    assert code_of(lambda: require_write(RING.find("paper-reader"))) == 10005
    assert require_write(RING.find("paper-router")).uid == RING.find("paper-guardian").uid
