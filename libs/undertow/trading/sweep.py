"""When the account's executions are asked for though nothing is missed: a frame of the private stream can be lost without a trace.

An order that fills has its own look-ups; a funding payment, a deleveraging or a liquidation has nobody who waits for it. Pure.
"""

from __future__ import annotations

from typing import Final

from undertow.trading.effects import Sweep

_SECOND: Final = 1_000_000_000
EVERY_NS: Final = 4 * _SECOND
LOOKBACK_NS: Final = 10 * _SECOND
"""Clocks differ, and the venue lists an execution a little later than it happens."""


class Sweeps:
    """The schedule; market ns."""

    def __init__(self) -> None:
        self._due_ns: int | None = None
        self._until_ns = 0
        self._asked_ns = 0

    @property
    def due_ns(self) -> int | None:
        """Of the next one; None while one is under way or before the first recovery."""
        return self._due_ns

    def on_recovered(self, now_ns: int) -> None:
        """The venue has told everything up to now."""
        self._until_ns, self._due_ns = now_ns, now_ns + EVERY_NS

    def on_time(self, now_ns: int) -> list[Sweep]:
        """Begin one when it is due."""
        if self._due_ns is None or now_ns < self._due_ns:
            return []
        self._asked_ns, self._due_ns = now_ns, None
        return [Sweep(self._until_ns - LOOKBACK_NS)]

    def on_answered(self, now_ns: int, *, is_told: bool) -> None:
        """It was answered, or was not: then the next one reaches as far back."""
        self._until_ns = self._asked_ns if is_told else self._until_ns
        self._due_ns = now_ns + EVERY_NS
