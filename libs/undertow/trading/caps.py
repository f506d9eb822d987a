"""What a router has done of late, against which it is held back: entries in one cascade, losses in a row.

A cascade is what happens within `cascade_ns` of an entry: the entries of that time are counted, of the symbol and of all.
"""

from __future__ import annotations

from collections import deque

from undertow.contracts.messages.trading import TradeClosed
from undertow.trading.limits import Limits
from undertow.trading.records import CapsCarried


class Caps:
    """Counts entries and losses; a fold over what the journal holds."""

    def __init__(self) -> None:
        self.losses_in_row = 0
        self.cooling_until_ns = 0
        self.entries: deque[tuple[str, int]] = deque()

    def entered(self, symbol: str, at_ns: int) -> None:
        """Count an entry."""
        self.entries.append((symbol, at_ns))

    def entries_since(self, since_ns: int) -> tuple[tuple[str, int], ...]:
        """Give the entries after a time, oldest first; forget the others."""
        while self.entries and self.entries[0][1] <= since_ns:
            self.entries.popleft()
        return tuple(self.entries)

    def restore(self, record: CapsCarried) -> None:
        """Take up what a compaction carried over."""
        self.losses_in_row, self.cooling_until_ns = record.losses_in_row, record.cooling_until_ns
        self.entries = deque(record.entries)

    def carried(self, now_ns: int, cascade_ns: int) -> CapsCarried:
        """Give the record that stands for all this."""
        return CapsCarried(
            at_ns=now_ns,
            losses_in_row=self.losses_in_row,
            cooling_until_ns=self.cooling_until_ns,
            entries=self.entries_since(now_ns - cascade_ns),
        )

    def closed(self, trade: TradeClosed, limits: Limits) -> bool:
        """Count how a trade ended; answer whether a pause begins. One whose result is not known changes nothing."""
        if not trade.is_complete:
            return False
        self.losses_in_row = self.losses_in_row + 1 if trade.net_pnl < 0 else 0
        if self.losses_in_row < limits.max_losses_in_row:
            return False
        self.losses_in_row = 0
        self.cooling_until_ns = trade.ts_recv + limits.loss_pause_ns
        return True
