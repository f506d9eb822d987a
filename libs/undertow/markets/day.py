"""What a ticker says of the last 24 hours, to the hour, and of the last hour, to the minute; of less while less has been seen. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_MINUTE_MS: Final = 60_000
_MINUTES: Final = 60
_HOUR_MS: Final = 3_600_000
_HOURS: Final = 24
_CHANGE_STEP: Final = Decimal("0.0001")


@dataclass(slots=True)
class _Hour:
    start_ms: int
    first: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal = Decimal(0)
    turnover: Decimal = Decimal(0)


class Day:
    """The trades of one symbol, summed up."""

    def __init__(self) -> None:
        self._hours: deque[_Hour] = deque(maxlen=_HOURS)
        self._minutes: deque[tuple[int, Decimal]] = deque(maxlen=_MINUTES)  # start ms, first price

    def traded(self, at_ms: int, price: Decimal, size: Decimal) -> None:
        """Take one trade in; they come in the order of time."""
        start = at_ms // _HOUR_MS * _HOUR_MS
        if not self._hours or self._hours[-1].start_ms != start:
            self._hours.append(_Hour(start, price, price, price))
        minute = at_ms // _MINUTE_MS * _MINUTE_MS
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, price))
        hour = self._hours[-1]
        hour.high, hour.low = max(hour.high, price), min(hour.low, price)
        hour.volume += size
        hour.turnover += price * size

    def fields(self, at_ms: int, last: Decimal) -> dict[str, str]:
        """Give the ticker's fields of 24 hours; `last` stands for all prices before the first trade."""
        while self._hours and self._hours[0].start_ms <= at_ms - _HOURS * _HOUR_MS:
            self._hours.popleft()
        hours = self._hours
        first = hours[0].first if hours else last
        return {
            "highPrice24h": format(max([last, *(hour.high for hour in hours)]), "f"),
            "lowPrice24h": format(min([last, *(hour.low for hour in hours)]), "f"),
            "prevPrice24h": format(first, "f"),
            "volume24h": format(sum((hour.volume for hour in hours), Decimal(0)), "f"),
            "turnover24h": format(sum((hour.turnover for hour in hours), Decimal(0)), "f"),
            "price24hPcnt": format((last / first - 1).quantize(_CHANGE_STEP), "f"),
        }

    def hour_ago(self, at_ms: int, last: Decimal) -> str:
        """Give the price of an hour ago, or the first that was seen since; `last` where nothing was."""
        while self._minutes and self._minutes[0][0] <= at_ms - _MINUTES * _MINUTE_MS:
            self._minutes.popleft()
        return format(self._minutes[0][1] if self._minutes else last, "f")
