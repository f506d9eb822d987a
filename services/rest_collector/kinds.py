"""What there is to ask for, and of whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What there is to ask for."""

    INSTRUMENT = "instrument"
    TICKER = "ticker"
    OPEN_INTEREST = "open_interest"
    FUNDING = "funding"
    LONG_SHORT_RATIO = "long_short_ratio"
    RISK_TIERS = "risk_tiers"
    STATUS = "status"
    CLOCK = "clock"


OF_THE_VENUE: Final = frozenset({Kind.STATUS, Kind.CLOCK})
"""About the venue as a whole: one process of a fleet asks for them."""
OF_ALL_SYMBOLS: Final = frozenset({Kind.INSTRUMENT, Kind.TICKER})
"""One answer has every symbol."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to ask for; `symbol` is empty where one answer concerns more than a symbol."""

    kind: Kind
    symbol: str = ""


def tasks_of(symbols: tuple[str, ...], *, asks_for_venue: bool) -> list[Task]:
    """Give all tasks of a process that works for some symbols, the most wanted first."""
    tasks = []
    for kind in Kind:
        if kind in OF_ALL_SYMBOLS or (kind in OF_THE_VENUE and asks_for_venue):
            tasks.append(Task(kind))
        elif kind not in OF_THE_VENUE:
            tasks += [Task(kind, symbol) for symbol in symbols]
    return tasks
