"""One series of one symbol, fetched back to the last row that was published. Pure.

An answer holds the newest rows of a span, as many as fit (our inference for open interest and ratio; were they the oldest, the next
turns would bring the rest). While there may be older ones, the span that ends before the oldest row is asked for, until the rows join
what is published; only then are they given, each once and in order. What fails in the middle goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from undertow.contracts.messages.base import Message

_NS_PER_MS: Final = 1_000_000
AHEAD_MS: Final = 60_000
"""The venue's clock may be so far ahead of ours."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows from `begin_ms` to `end_ms`, both included."""

    begin_ms: int
    end_ms: int


@dataclass(slots=True)
class Series:
    """One series.

    Attributes:
        most_rows: that an answer holds.
        reach_ns: how far back rows are fetched.
        last_ns: event time of the last row published; None for none.
    """

    most_rows: int
    reach_ns: int
    last_ns: int | None = None
    _covered_ns: int = 0  # up to here nothing is missing
    _asked_ns: int = 0
    _span: Span | None = None
    _rows: dict[int, Message] = field(default_factory=dict)

    def begin(self, now_ns: int) -> tuple[Span, int]:
        """Give the span to ask for, and how much of an outage (ns) lies too far back to be fetched."""
        if self._span is not None:
            return self._span, 0
        reached_ns = max(0, now_ns - self.reach_ns)
        begin_ns, skipped_ns = reached_ns, 0
        if self.last_ns is not None:
            skipped_ns = max(0, reached_ns - max(self.last_ns, self._covered_ns))
            begin_ns = begin_ns if skipped_ns else self.last_ns + _NS_PER_MS
        self._asked_ns = now_ns
        self._span = Span(begin_ns // _NS_PER_MS, now_ns // _NS_PER_MS + AHEAD_MS)
        return self._span, skipped_ns

    def take(self, rows: Sequence[Message]) -> Span | None:
        """Take an answer; give the span to ask for next, or None when the rows have joined.

        Raises:
            ValueError: it is not of the span that was asked for.
        """
        span = self._span
        if span is None:
            raise ValueError("no span was asked for")
        for row in rows:
            at_ms = row.ts_event // _NS_PER_MS
            if not span.begin_ms <= at_ms <= span.end_ms:
                raise ValueError(f"row at {at_ms} is outside the span {span.begin_ms} to {span.end_ms}")
            if self.last_ns is None or row.ts_event > self.last_ns:  # else some of the answer are published already
                self._rows.setdefault(row.ts_event, row)
        oldest_ms = min((row.ts_event for row in rows), default=0) // _NS_PER_MS
        if len(rows) < self.most_rows or oldest_ms <= span.begin_ms:
            return None
        self._span = Span(span.begin_ms, oldest_ms - 1)
        return self._span

    def joined(self) -> list[Message]:
        """Give the rows that are new, oldest first."""
        return [self._rows[at] for at in sorted(self._rows)]

    def taken(self, rows: Sequence[Message]) -> None:
        """The oldest of them are published."""
        for row in rows:
            del self._rows[row.ts_event]
            self.last_ns = row.ts_event

    def published(self) -> None:
        """All of them are published: the next span begins after them."""
        self.taken(self.joined())
        self._covered_ns = self._asked_ns
        self._span = None
