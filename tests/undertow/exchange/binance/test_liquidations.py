from __future__ import annotations

import json

import pytest

from undertow.domain.order import Side
from undertow.exchange.binance.liquidations import FEED, liquidation

ORDER = {
    "s": "BTCUSDT",
    "S": "SELL",
    "o": "LIMIT",
    "f": "IOC",
    "q": "0.014",
    "p": "59910.5",
    "ap": "59950.0",
    "X": "FILLED",
    "l": "0.014",
    "z": "0.010",
    "T": 1760000000993,
}


def frame(**changes):
    return json.dumps({"e": "forceOrder", "E": 1760000000999, "st": 1, "o": {**ORDER, **changes}}).encode()


def test_an_order_that_sells_means_that_a_long_was_liquidated():
    fact = liquidation(frame(), 7)
    assert (fact.ts_event, fact.ts_recv, fact.venue, fact.symbol) == (1760000000993 * 10**6, 7, "binance", "BTCUSDT")
    assert (fact.position_side, str(fact.price), str(fact.size), fact.feed) == (Side.BUY, "59950.0", "0.010", FEED)
    assert liquidation(frame(S="BUY"), 7).position_side is Side.SELL


def test_an_order_of_which_nothing_is_filled_yet_has_its_own_price_and_size():
    fact = liquidation(frame(ap="0", z="0"), 7)
    assert (str(fact.price), str(fact.size)) == ("59910.5", "0.014")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        frame(S="LONG"),
        frame(q="0", z="0"),
        frame(p="0", ap="0"),
        frame(p="-1", ap="0"),
        frame(T=0),
        frame(T=2**62),
        frame(ap="NaN"),
        frame(z="Infinity"),
        frame(p="1e999999", ap="0"),
        b'{"e":' + b"[" * 100_000,
        frame(q="much"),
        frame().replace(b"forceOrder", b"trade"),
        frame()[:-2],
    ],
)
def test_what_is_no_liquidation_is_refused(raw):
    with pytest.raises(ValueError):
        liquidation(raw, 7)
