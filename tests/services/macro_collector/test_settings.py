from __future__ import annotations

import json

import pytest

from services.macro_collector.settings import Settings
from services.macro_collector.sources import READY_MADE
from tests.services.macro_collector.test_read import PLAIN
from undertow.features.slots import SLOT_OF
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import load

OWN = {**PLAIN, "value": "v"}
DOLLAR = {**OWN, "slot": "dollar_index", "unit": "index"}


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")

    def tell(ready_made="", sources=()):
        monkeypatch.setenv("UNDERTOW_MACRO__READY_MADE", ready_made)
        monkeypatch.setenv("UNDERTOW_MACRO__SOURCES", json.dumps(sources))
        return load(Settings).macro

    return tell


def test_nobody_is_asked_unless_it_is_said(monkeypatch):
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
    macro = load(Settings).macro
    assert macro.asked == ()
    assert not macro.has_binance_liquidations


def test_ready_made_sources_come_first(told):
    macro = told("binance_liquidations, fear_and_greed", [OWN])
    assert [source.name for source in macro.asked] == ["fear_and_greed", "x"]
    assert macro.has_binance_liquidations


def test_a_source_is_asked_for_each_symbol_that_its_address_wants(told):
    (source,) = told(sources=[{**OWN, "url": "https://example.com/{symbol}/now"}]).asked
    assert source.requests(["A", "B"]) == [("A", "https://example.com/A/now"), ("B", "https://example.com/B/now")]
    (source,) = told(sources=[OWN]).asked
    assert source.requests(["A", "B"]) == [("", "https://example.com")]


def test_one_s_own_source_may_feed_a_slot_instead_of_the_ready_made_one(told):
    assert [source.slot for source in told("fear_and_greed", [DOLLAR]).asked] == ["fear_and_greed", "dollar_index"]


def test_each_ready_made_number_feeds_a_slot_of_its_own():
    assert {source.slot for source in READY_MADE.values()} == set(SLOT_OF)
    assert len(READY_MADE) == len(SLOT_OF)


@pytest.mark.parametrize(
    ("ready_made", "sources", "words"),
    [
        (
            "greed",
            [],
            r"UNDERTOW_MACRO__READY_MADE: there is no ready-made source 'greed'.*names out of fear_and_greed",
        ),
        ("", {}, "UNDERTOW_MACRO__SOURCES: is not a list"),
        ("", [OWN, OWN], "two sources have the name 'x'"),
        ("fear_and_greed", [{**OWN, "name": "fear_and_greed"}], "two sources have the name 'fear_and_greed'"),
        ("", [{**OWN, "name": "fear_and_greed"}], "two sources have the name 'fear_and_greed'"),
        ("", [7], "UNDERTOW_MACRO__SOURCES: source number 1: "),
        ("", [{**OWN, "url": "ftp://example.com"}], "source 'x': url: "),
        ("", [{**OWN, "url": "https://example.com/{coin}"}], "source 'x': url: "),
        ("", [{**OWN, "name": "binance_liquidations"}], "two sources have the name 'binance_liquidations'"),
        ("", [{**OWN, "url": "https://:80/x"}], "source 'x': url: .* is not HOST"),
        ("", [{**OWN, "url": "https://example.com:99999"}], "source 'x': url: .* is not HOST"),
        ("", [{**OWN, "url": "https://[::1/x"}], "source 'x': url: .* is not HOST"),
        ("", [{**OWN, "time": "a..b"}], "source 'x': .*time 'a..b' is not a path"),
        ("", [{**OWN, "time": " "}], "source 'x': .*time ' ' is not a path"),
        ("", [{**OWN, "format": "xml"}], "source 'x': format: "),
        ("", [{**OWN, "interval_seconds": 0.5}], "source 'x': interval_seconds: "),
        ("", [{**OWN, "interval_seconds": 9}], "source 'x': .*stale_seconds 1 is below interval_seconds 9"),
        ("", [{**OWN, "value": "a..b"}], "source 'x': .*'a..b' is not a path"),
        ("", [{**OWN, "colour": "red"}], "source 'x': colour: "),
        (
            "",
            [{**OWN, "slot": "gold"}],
            "source 'x': .*slot 'gold' is none of neighbour_funding, fear_and_greed, dollar",
        ),
        ("", [{**OWN, "slot": "dollar_index"}], "source 'x': .*slot 'dollar_index' takes values in 'index', not 'y'"),
        (
            "",
            [{**OWN, "slot": "neighbour_funding", "unit": "fraction"}],
            "source 'x': .*slot 'neighbour_funding' has a value for each symbol: the url needs {symbol}",
        ),
        (
            "",
            [{**DOLLAR, "url": "https://example.com/{symbol}"}],
            "source 'x': .*slot 'dollar_index' has one value for all symbols: the url has no {symbol}",
        ),
        ("dollar_index", [DOLLAR], "two sources feed the slot 'dollar_index': 'dollar_index' and 'x'"),
        ("", [DOLLAR, {**DOLLAR, "name": "z"}], "two sources feed the slot 'dollar_index': 'x' and 'z'"),
        ("", [{key: value for key, value in OWN.items() if key != "unit"}], "source 'x': unit: "),
    ],
)
def test_a_wrong_declaration_is_named_with_its_rule(told, ready_made, sources, words):
    with pytest.raises(ConfigurationError, match=words):
        told(ready_made, sources)
