"""The contracts of the paper venue, in the venue's own spelling: those shipped, and those that came with a recording.

`instruments.json` holds two lists of items exactly as `/v5/market/instruments-info` and `/v5/market/risk-limit` give them. The filters are
Bybit's public values of 9 August 2026. The risk tiers have the documented shape (maintenance deductions are continuous, initial margin is
1 / leverage) with limits of our own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from undertow.markets.notes import INSTRUMENTS, RISK_LIMIT, Answer


class _Shipped(msgspec.Struct, frozen=True):
    instruments: list[dict[str, Any]]
    risk_tiers: list[dict[str, Any]]


@cache
def _shipped() -> _Shipped:
    return msgspec.json.decode((resources.files(__package__) / "instruments.json").read_bytes(), type=_Shipped)


def instruments_for(symbols: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Give the instruments-info items of these symbols, in their order.

    Raises:
        KeyError: a symbol that is not shipped.
    """
    known = {item["symbol"]: item for item in _shipped().instruments}
    return tuple(known[symbol] for symbol in symbols)


def risk_tiers_for(symbols: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Give the risk-limit items of these symbols, lowest tier first."""
    wanted = frozenset(symbols)
    return tuple(tier for tier in _shipped().risk_tiers if tier["symbol"] in wanted)


def known_symbols() -> tuple[str, ...]:
    """Give every shipped symbol."""
    return tuple(item["symbol"] for item in _shipped().instruments)


class Contracts:
    """What a recording says of its contracts, and what is shipped where it says nothing."""

    def __init__(self) -> None:
        self._instruments: dict[str, dict[str, Any]] = {}
        self._risk_tiers: dict[str, tuple[dict[str, Any], ...]] = {}

    def learn(self, answer: Answer) -> None:
        """Take a recorded answer; the first of each symbol holds."""
        symbol = answer.symbol
        items = tuple(item for item in answer.result.get("list") or () if item.get("symbol") == symbol)
        if items and answer.path == INSTRUMENTS:
            self._instruments.setdefault(symbol, items[0])
        elif items and answer.path == RISK_LIMIT:
            self._risk_tiers.setdefault(symbol, items)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._instruments or symbol in known_symbols()

    def instrument(self, symbol: str) -> dict[str, Any]:
        """Give the instruments-info item.

        Raises:
            KeyError: it was neither recorded nor shipped.
        """
        recorded = self._instruments.get(symbol)
        return instruments_for((symbol,))[0] if recorded is None else recorded

    def risk_tiers(self, symbol: str) -> tuple[dict[str, Any], ...]:
        """Give the risk-limit items, lowest tier first."""
        return self._risk_tiers.get(symbol) or risk_tiers_for((symbol,))
