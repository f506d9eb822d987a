"""Candles of one symbol: minutes from its trades, or as the market tells them, and longer intervals added up from minutes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
INTERVALS_MIN: Final = {str(minutes): minutes for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}
CALENDAR: Final = ("D", "W", "M")
_MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05


@dataclass(slots=True)
class Candle:
    """Prices in quote coin, volume in base coin, turnover in quote coin."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal

    def add(self, later: Candle) -> None:
        """Append a later candle."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover


class Candles:
    """Minutes so far. What the market tells of a minute replaces what its trades added up to, and then trades add nothing to it."""

    def __init__(self) -> None:
        self._minutes: dict[int, Candle] = {}
        self._is_told = False

    def trade(self, at_ms: int, price: Decimal, size: Decimal) -> None:
        """Take a trade."""
        if self._is_told:
            return
        start = at_ms // MINUTE_MS * MINUTE_MS
        candle = Candle(price, price, price, price, size, price * size)
        known = self._minutes.setdefault(start, candle)
        if known is not candle:
            known.add(candle)

    def told(
        self,
        start_ms: int,
        open_: Decimal,
        high: Decimal,
        low: Decimal,
        close: Decimal,
        volume: Decimal,
        turnover: Decimal,
    ) -> None:
        """Take a minute as the market tells it."""
        self._is_told = True
        self._minutes[start_ms] = Candle(open_, high, low, close, volume, turnover)

    def page(self, interval: str, start_ms: int, end_ms: int, limit: int) -> list[list[str]]:
        """Give up to `limit` rows of start, open, high, low, close, volume, turnover with start in [start_ms, end_ms], newest first."""
        merged: dict[int, Candle] = {}
        for minute in sorted(self._minutes):
            one = self._minutes[minute]
            start = interval_start(interval, minute)
            if start in merged:
                merged[start].add(one)
            else:
                merged[start] = Candle(one.open, one.high, one.low, one.close, one.volume, one.turnover)
        chosen = [start for start in sorted(merged, reverse=True) if start_ms <= start <= end_ms][:limit]
        return [[str(start), *(format(number, "f") for number in _numbers(merged[start]))] for start in chosen]


def interval_start(interval: str, at_ms: int) -> int:
    """Give the start of the candle that a moment belongs to; days, weeks (from Monday) and months are UTC's."""
    if interval == "D":
        return at_ms // DAY_MS * DAY_MS
    if interval == "W":
        return (at_ms - _MONDAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + _MONDAY_MS
    if interval == "M":
        day = datetime.fromtimestamp(at_ms / 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
    width = INTERVALS_MIN[interval] * MINUTE_MS
    return at_ms // width * width


def _numbers(candle: Candle) -> tuple[Decimal, ...]:
    return (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover)
