"""What a symbol's tape and ticker say about the moment of a liquidation."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from undertow.contracts.messages.market import Ticker, Trades
from undertow.domain.order import Side

AHEAD_NS: Final = 60_000_000_000
"""A time that lies further ahead of its receipt is a fault: what happens then is not known yet, and would hide all that comes before it."""
_KEPT_NS: Final = 5_000_000_000
_KEPT: Final = 4_096
_DELAYS: Final = 21


@dataclass(slots=True)
class Tape:
    """The last seconds of one symbol.

    Attributes:
        mark: mark price; 0.0 before the first.
        traded_ns: receipt of the last trade; before the first, long ago.
    """

    mark: float = 0.0
    traded_ns: int = -(2**62)
    _flow: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _delays: deque[int] = field(default_factory=lambda: deque(maxlen=_DELAYS))

    def on_trades(self, fact: Trades) -> list[tuple[int, float]]:
        """Take trades; give event time and size, sellers' negative."""
        latest_ns = fact.ts_recv + AHEAD_NS
        rows = [
            (t.ts_event, float(t.size) if t.side is Side.BUY else -float(t.size))
            for t in fact.trades
            if t.ts_event <= latest_ns
        ]
        self._flow += rows
        while self._flow and self._flow[0][0] < self._flow[-1][0] - _KEPT_NS:
            self._flow.popleft()
        self._delays.append(fact.ts_recv - fact.ts_event)
        self.traded_ns = fact.ts_recv
        return rows

    def on_ticker(self, fact: Ticker) -> None:
        """Take the mark price."""
        if fact.mark_price:
            self.mark = float(fact.mark_price)

    def flow_since(self, at_ns: int) -> float:
        """Give what buyers took less what sellers took from `at_ns` on, base coin."""
        return sum(size for traded_ns, size in self._flow if traded_ns >= at_ns)

    def delay_ns(self) -> int | None:
        """Give the usual time from a trade to its receipt, the clocks' difference included; None before the first trade."""
        return round(median(self._delays)) if self._delays else None
