"""Times that look like forced selling or buying, whatever the liquidation feed says of them.

Time is cut into spans of twenty seconds (the venue tells the open interest about every nine). In an episode the open interest falls by
at least half of what it usually rises, while trades run to one side. What the liquidation feed has told of the same span is laid beside
it once it can no longer change.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

SECOND_NS: Final = 1_000_000_000
SPAN_NS: Final = 20 * SECOND_NS
SETTLED_NS: Final = 3 * SECOND_NS
"""After the end of a span: by then a feed that is in time has told everything."""
_NEAR_NS: Final = 2 * SECOND_NS
_RISES: Final = 60
_OF_THE_RISE: Final = 0.5
_LEAST_FALL: Final = 3e-6
"""Of the open interest."""
_ONE_SIDED: Final = 0.1


@dataclass(slots=True)
class _Span:
    begin_ns: int
    interest: float
    last_interest: float
    flow: float = 0.0
    traded: float = 0.0
    told: float = 0.0
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """One forced-looking span.

    Attributes:
        is_told: whether the feed told a liquidation in it, or just before.
        told_share: size of the liquidations told in it, by what the open interest fell and would have risen otherwise.
    """

    is_told: bool
    told_share: float


@dataclass(slots=True)
class Episodes:
    """One symbol's spans: the one that runs, and those that are not settled."""

    _spans: deque[_Span] = field(default_factory=deque)
    _rises: deque[float] = field(default_factory=lambda: deque(maxlen=_RISES))
    _interest: float = 0.0
    _told_ns: int = -SPAN_NS

    def on_trade(self, at_ns: int, bought: float) -> None:
        """Take a trade; what sellers took is negative."""
        span = self._span(at_ns)
        if span is not None:
            span.flow += bought
            span.traded += abs(bought)

    def on_interest(self, at_ns: int, interest: float) -> None:
        """Take the open interest of a ticker."""
        self._interest = interest
        span = self._span(at_ns)
        if span is not None:
            span.last_interest = interest
            span.interest = span.interest or interest

    def on_liquidation(self, at_ns: int, size: float) -> None:
        """Take a liquidation at the time that it names."""
        self._told_ns = max(self._told_ns, at_ns)
        for span in self._spans:
            if span.begin_ns - _NEAR_NS <= at_ns < span.begin_ns + SPAN_NS:
                span.is_told = True
                span.told += size if at_ns >= span.begin_ns else 0.0

    def forget(self) -> None:
        """Drop the spans that are not settled."""
        self._spans.clear()

    def settled(self, now_ns: int) -> list[Episode]:
        """Give the episodes of the spans that have settled."""
        found = []
        while self._spans and self._spans[0].begin_ns + SPAN_NS + SETTLED_NS <= now_ns:
            episode = self._judge(self._spans.popleft())
            if episode is not None:
                found.append(episode)
        return found

    def _span(self, at_ns: int) -> _Span | None:
        begin_ns = at_ns // SPAN_NS * SPAN_NS
        if self._spans and begin_ns <= self._spans[-1].begin_ns:
            return next((span for span in reversed(self._spans) if span.begin_ns == begin_ns), None)
        span = _Span(begin_ns, self._interest, self._interest)
        span.is_told = self._told_ns >= begin_ns - _NEAR_NS
        self._spans.append(span)
        return span

    def _judge(self, span: _Span) -> Episode | None:
        if not span.interest:
            return None
        fall = 1.0 - span.last_interest / span.interest
        if fall < 0.0:
            self._rises.append(-fall)
        rise = median(self._rises) if self._rises else 0.0
        if fall < max(_LEAST_FALL, _OF_THE_RISE * rise) or abs(span.flow) < _ONE_SIDED * span.traded:
            return None
        return Episode(span.is_told, span.told / ((fall + rise) * span.interest))
