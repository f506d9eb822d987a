from __future__ import annotations

import pytest

from undertow.runtime.addresses import check_places


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://localhost",
        "https://host:1/path?query=x@y:0",
        "redis://user:se%2Fcret@host:65535/0",
        "redis+cluster://:secret@one:1,two,[::1]:3",
        "unix:///run/redis.sock?db=1",
        "unix://:secret@/run/redis.sock",
        "http://[::1]:80/x",
        "https://example.com/{symbol}/now",
    ],
)
def test_a_possible_address_is_given_back(address):
    assert check_places(address) == address


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://host:0", "host:0"),
        ("http://host:65536/x", "host:65536"),
        ("redis://user:secret@host:port/0", "host"),
        ("redis://user:secret/more@host/0", "user"),
        ("http://:80/x", ":80"),
        ("http://[::1/x", r"\[::1"),
        ("redis+cluster://one:1,,two:2", ""),
    ],
)
def test_an_impossible_place_is_named_and_the_login_is_not(address, place):
    with pytest.raises(ValueError, match=f"^'{place}' is not HOST") as caught:
        check_places(address)
    assert "secret" not in str(caught.value)
