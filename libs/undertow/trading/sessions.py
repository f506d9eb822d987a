"""When entries may be made: windows of the week, UTC. `08:00-16:30`, `mon-fri 22:00-06:00`, `sat 00:00-24:00`.

A window that ends before it begins passes midnight and belongs to the day on which it began. No windows at all: always.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_OF_DAY: Final = 1_440
_MINUTE_NS: Final = 60_000_000_000
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday
_WINDOW: Final = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?(\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Session:
    """A window: minutes of the day, UTC, the end not included; weekdays counted from Monday, 0."""

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Session:
        """Read a window.

        Raises:
            ValueError: it is none.
        """
        found = _WINDOW.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"{text!r} is no window such as 'mon-fri 08:00-16:00'")
        first, last, *clock = found.groups()
        hours = [int(part) for part in clock]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if hours[1] > 59 or hours[3] > 59 or begin >= _MINUTES_OF_DAY or end > _MINUTES_OF_DAY or begin == end:  # noqa: PLR2004
            raise ValueError(f"{text!r} has no such time, or is empty")
        return cls(_days(first, last, text), begin, end)

    def holds(self, now_ns: int) -> bool:
        """Answer whether a moment lies within."""
        minutes = now_ns // _MINUTE_NS
        day, minute = (minutes // _MINUTES_OF_DAY + _EPOCH_WEEKDAY) % 7, minutes % _MINUTES_OF_DAY
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


def is_open(sessions: tuple[Session, ...], now_ns: int) -> bool:
    """Answer whether entries may be made now."""
    return not sessions or any(session.holds(now_ns) for session in sessions)


def _days(first: str | None, last: str | None, text: str) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    if first not in _DAYS or (last is not None and last not in _DAYS):
        raise ValueError(f"{text!r} names no weekday such as mon")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return frozenset((begin + offset) % 7 for offset in range((end - begin) % 7 + 1))
