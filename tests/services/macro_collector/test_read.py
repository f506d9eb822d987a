from __future__ import annotations

from decimal import Decimal

import pytest

from services.macro_collector.read import Observation, UnreadableError, observation
from services.macro_collector.sources import READY_MADE, Source

SECOND_NS = 1_000_000_000
PLAIN = {"name": "x", "url": "https://example.com", "unit": "y", "interval_seconds": 1, "stale_seconds": 1}


def source(**changes):
    return Source.model_validate({**PLAIN, "value": "v", **changes})


def test_the_fear_and_greed_index_is_read():
    body = b'{"name":"Index","data":[{"value":"40","value_classification":"Fear","timestamp":"1767225600"}],"metadata":{"error":null}}'
    assert observation(READY_MADE["fear_and_greed"], body) == Observation(Decimal(40), 1767225600 * SECOND_NS)


def test_the_last_day_with_a_number_counts():
    body = b"observation_date,DTWEXBGS\n2025-12-30,120.5\n2025-12-31,121.25\n2026-01-01,.\n2026-01-02,\n"
    assert observation(READY_MADE["dollar_index"], body) == Observation(Decimal("121.25"), 1767139200 * SECOND_NS)


def test_the_neighbours_funding_is_read():
    body = b'{"symbol":"BTCUSDT","markPrice":"60000","lastFundingRate":"0.00010000","nextFundingTime":1,"time":1767225600123}'
    read = observation(READY_MADE["binance_funding"], body)
    assert read == Observation(Decimal("0.00010000"), 1767225600123 * 1_000_000)


@pytest.mark.parametrize(
    ("moment", "unit", "expected_s"),
    [
        ("1767225600", "s", 1767225600),
        (1767225600000, "ms", 1767225600),
        ("2026-01-01", "iso", 1767225600),
        ("2026-01-01T02:00:00+02:00", "iso", 1767225600),
        ("2026-01-01T00:00:00Z", "iso", 1767225600),
    ],
)
def test_a_time_is_read_in_the_unit_that_is_declared(moment, unit, expected_s):
    body = f'{{"v":1,"t":{moment!r}}}'.replace("'", '"').encode()
    assert observation(source(time="t", time_unit=unit), body).ts_event == expected_s * SECOND_NS


def test_without_a_declared_time_there_is_none():
    assert observation(source(), b'{"v":1.5}') == Observation(Decimal("1.5"), None)


@pytest.mark.parametrize(
    ("changes", "body", "words"),
    [
        ({}, b"<html>", "not JSON"),
        ({}, b"[" * 100_000, "not JSON"),
        ({}, b"{}", "has no v"),
        ({"value": "v.1"}, b'{"v":[1]}', "has no v.1"),
        ({"value": "v.first"}, b'{"v":[1]}', "has no v.first"),
        ({"value": "v.x"}, b'{"v":"text"}', "has no v.x"),
        ({}, b'{"v":"n/a"}', "v is 'n/a', not a number"),
        ({}, b'{"v":"NaN"}', "not a number"),
        ({}, b'{"v":"Infinity"}', "not a number"),
        ({}, b'{"v":true}', "not a number"),
        ({}, b'{"v":"1e999999"}', "not a number"),
        ({}, b'{"v":"' + b"9" * 5_000 + b'"}', "not a number"),
        ({}, b'{"v":' + b"9" * 5_000 + b"}", "out of range"),
        ({}, b'{"v":null}', "not a number"),
        ({"time": "t"}, b'{"v":1}', "has no t"),
        ({"time": "t"}, b'{"v":1,"t":"soon"}', "t is 'soon', not a time"),
        ({"time": "t"}, b'{"v":1,"t":-1}', "not a time"),
        ({"time": "t"}, b'{"v":1,"t":null}', "t is None, not a time"),
        ({"time": "t"}, b'{"v":1,"t":"1e999999"}', "not a time"),
        ({"time": "t"}, b'{"v":1,"t":"-1e999999"}', "not a time"),
        ({"time": "t", "format": "csv"}, b"v,t\n1\n", "t is None, not a time"),
        ({"time": "t"}, b'{"v":1,"t":1e30}', "not a time"),
        ({"time": "t", "time_unit": "iso"}, b'{"v":1,"t":"01.01.2026"}', "not a time"),
        ({"format": "csv"}, b"a,b\n1,2\n", "no column v"),
        ({"format": "csv"}, b"", "no row"),
        ({"format": "csv"}, b"v\n.\n", "no row has a number"),
        ({"format": "csv"}, b"\xff\xfe", "not CSV"),
        ({"format": "csv"}, b"v,w\n1\n", None),
    ],
)
def test_an_answer_that_is_not_as_declared_is_refused_in_words(changes, body, words):
    if words is None:
        assert observation(source(**changes), body).value == 1
        return
    with pytest.raises(UnreadableError, match=words):
        observation(source(**changes), body)
