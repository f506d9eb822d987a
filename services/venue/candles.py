"""Candles of one symbol: minutes from its trades, or as the market tells them, and longer intervals added up from minutes. Pure.

Minutes are added to the longer candles when they close; the last two stay open for correction, because a market that tells its own
minutes confirms one after the next has begun. A minute without a trade is flat at the last close, but a gap of more than `KEPT` minutes
stays one. What is late by more than that changes nothing: a trade counts in the open minute then, a told minute is not taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
INTERVALS_MIN: Final = {str(minutes): minutes for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}
CALENDAR: Final = ("D", "W", "M")
INTERVALS: Final = (*INTERVALS_MIN, *CALENDAR)
KEPT: Final = 2_000
"""Candles of each interval that are remembered."""
_LATE_MS: Final = 1_000  # by which a trade may come after its minute's end by the clock
_MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05
_NOTHING: Final = Decimal(0)


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

    def texts(self) -> tuple[str, ...]:
        """Give open, high, low, close, volume and turnover as text."""
        numbers = (self.open, self.high, self.low, self.close, self.volume, self.turnover)
        return tuple(format(number, "f") for number in numbers)


class Candles:
    """All candles so far. Once the market tells a minute itself, trades add nothing any more.

    Attributes:
        changes: counts up with each change, so that a reader knows whether there is news.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._closed: dict[str, dict[int, Candle]] = {interval: {} for interval in INTERVALS}
        self._open: dict[int, Candle] = {}  # the last minute and the one before it, oldest first
        self._newest_ms = -1
        self._is_told = False

    def trade(self, at_ms: int, price: Decimal, size: Decimal) -> None:
        """Take a trade."""
        if self._is_told:
            return
        self.changes += 1
        turnover = price * size
        start = at_ms // MINUTE_MS * MINUTE_MS
        if start > self._newest_ms:
            self._flat_until(start)
            self._begin(start, Candle(price, price, price, price, size, turnover))
            return
        candle = self._open[self._newest_ms]
        candle.close = price
        if price > candle.high:
            candle.high = price
        elif price < candle.low:
            candle.low = price
        candle.volume += size
        candle.turnover += turnover

    def told(self, start_ms: int, candle: Candle) -> None:
        """Take a minute as the market tells it."""
        self._is_told = True
        self.changes += 1
        if start_ms > self._newest_ms:
            self._begin(start_ms, candle)
        elif start_ms in self._open:
            self._open[start_ms] = candle

    def pass_time(self, now_ms: int) -> None:
        """Close the minutes that have gone by without a trade; where the market tells its minutes, it closes them."""
        if not self._is_told and self._newest_ms >= 0:
            self._flat_until((now_ms - _LATE_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS)

    def since(self, interval: str, start_ms: int) -> list[tuple[int, Candle, bool]]:
        """Give the candles from this start on, oldest first, each with its start and whether it is closed."""
        if self._newest_ms < 0:
            return []
        merged: dict[int, Candle] = {}
        for start, closed in reversed(self._closed[interval].items()):
            if start < start_ms:
                break
            merged[start] = replace(closed)
        merged = dict(reversed(merged.items()))
        for minute, candle in self._open.items():
            start = interval_start(interval, minute)
            if start in merged:
                merged[start].add(candle)
            elif start >= start_ms:
                merged[start] = replace(candle)
        current = interval_start(interval, self._newest_ms)
        return [(start, candle, start < current) for start, candle in merged.items()]

    def page(self, interval: str, start_ms: int, end_ms: int, limit: int) -> list[list[str]]:
        """Give up to `limit` rows of start, open, high, low, close, volume, turnover with start in [start_ms, end_ms], newest first."""
        chosen = [row for row in self.since(interval, start_ms) if row[0] <= end_ms][-limit:]
        return [[str(start), *candle.texts()] for start, candle, _ in reversed(chosen)]

    def _flat_until(self, end_ms: int) -> None:
        if self._newest_ms < 0:
            return
        first = max(self._newest_ms + MINUTE_MS, end_ms - KEPT * MINUTE_MS)
        for start in range(first, end_ms, MINUTE_MS):
            close = self._open[self._newest_ms].close
            self._begin(start, Candle(close, close, close, close, _NOTHING, _NOTHING))

    def _begin(self, start_ms: int, candle: Candle) -> None:
        self.changes += 1
        self._open[start_ms] = candle
        self._newest_ms = start_ms
        if len(self._open) > 2:  # noqa: PLR2004 - the open one and the one before it
            oldest = next(iter(self._open))
            self._close(oldest, self._open.pop(oldest))

    def _close(self, minute_ms: int, candle: Candle) -> None:
        for interval, closed in self._closed.items():
            start = interval_start(interval, minute_ms)
            if start in closed:
                closed[start].add(candle)
                continue
            closed[start] = replace(candle)
            if len(closed) > KEPT:
                del closed[next(iter(closed))]


def interval_start(interval: str, at_ms: int) -> int:
    """Give the start of the candle that a moment belongs to; days, weeks (from Monday) and months are UTC's."""
    if interval == "D":
        return at_ms // DAY_MS * DAY_MS
    if interval == "W":
        return (at_ms - _MONDAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + _MONDAY_MS
    if interval == "M":
        return _month_ms(at_ms, 0)
    width = INTERVALS_MIN[interval] * MINUTE_MS
    return at_ms // width * width


def interval_end(interval: str, start_ms: int) -> int:
    """Give the last millisecond of the candle that starts then."""
    if interval == "M":
        return _month_ms(start_ms, 1) - 1
    days = {"D": 1, "W": 7}.get(interval)
    return start_ms + (days * DAY_MS if days else INTERVALS_MIN[interval] * MINUTE_MS) - 1


def _month_ms(at_ms: int, later: int) -> int:
    day = datetime.fromtimestamp(at_ms / 1000, UTC)
    months = day.year * 12 + day.month - 1 + later
    return int(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000
