"""One symbol's kernel, called frame by frame: owns the arrays, speaks in ticks and lots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from undertow.matching import fills as kernel
from undertow.matching.ladder import BEST, COUNT, WINDOW, Ints, new_ladder, top

Fill = tuple[int, int, int]
"""Order id, tick, lots."""


class Matcher:
    """The displayed book and our resting orders of one symbol. Order ids are the caller's own integers.

    Args:
        depth: levels a side that the venue shows.
        model: PESSIMISTIC or PROBABILISTIC of `undertow.matching.fills`.
        through: PRINTED or WHOLE of `undertow.matching.fills`.
        capacity: orders that there is room for at first; it grows.
        window: ticks of the ladder's ring.
    """

    def __init__(
        self,
        *,
        depth: int,
        model: int = kernel.PESSIMISTIC,
        through: int = kernel.PRINTED,
        capacity: int = 64,
        window: int = WINDOW,
    ) -> None:
        self.depth = depth
        self.model = model
        self.through = through
        self._book = new_ladder(depth, window)
        self._orders, self._held = kernel.new_orders(capacity)
        self._fills: Ints = np.zeros((max(capacity, 4 * depth), 3), np.int64)

    @property
    def resting(self) -> int:
        """How many orders rest."""
        return int(self._held[0])

    def on_book(self, changes: Sequence[int], *, snapshot: bool) -> list[Fill]:
        """Apply a frame, `changes` flat as side, tick, lots, side, ...; give the fills that follow."""
        table = np.array(changes, np.int64).reshape(-1, 3)
        written = kernel.on_frame(
            self._orders, self._held, self._book, self.depth, snapshot, table, self.model, self._fills
        )
        return self._written(written)

    def on_trade(self, taker: int, tick: int, lots: int) -> list[Fill]:
        """Let a public trade work; give the fills."""
        if not self._held[0]:
            return []
        return self._written(kernel.on_trade(self._orders, self._held, taker, tick, lots, self.through, self._fills))

    def take(self, order: int, side: int, tick: int, lots: int, *, whole: bool = False) -> list[Fill]:
        """Walk the displayed depth up to `tick`; `whole` is fill-or-kill."""
        return self._written(kernel.take(self._book, side, tick, lots, whole, order, self._fills))

    def would_take(self, side: int, tick: int) -> bool:
        """Tell whether an order at this price would take at once."""
        return bool(kernel.crosses(self._book, side, kernel.key_of(side, tick)))

    def rest(self, order: int, side: int, tick: int, lots: int) -> None:
        """Put an order at the back of the queue at its price."""
        if self._held[0] == len(self._orders):
            more, _ = kernel.new_orders(len(self._orders))
            self._orders = np.concatenate((self._orders, more))
            self._fills = np.zeros((max(len(self._orders), 4 * self.depth), 3), np.int64)
        kernel.rest(self._orders, self._held, self._book, self.depth, order, side, tick, lots)

    def set_leaves(self, order: int, lots: int) -> bool:
        """Shrink an order where it stands, 0 removes it; False when it does not rest."""
        return bool(kernel.set_leaves(self._orders, self._held, order, lots))

    def ahead(self, order: int) -> int | None:
        """Lots ahead of an order in its queue, a part of a lot as a whole one; None when unknown or not resting."""
        row = kernel.row_of(self._orders, self._held, order)
        ahead = int(self._orders[row, kernel.AHEAD]) if row >= 0 else kernel.UNKNOWN
        return None if ahead == kernel.UNKNOWN else -(-ahead // kernel.GRAINS)

    def best(self, side: int) -> int | None:
        """Tick of the best displayed level."""
        state = self._book[3]
        return abs(int(state[side, BEST])) if state[side, COUNT] else None

    def levels(self, side: int, depth: int) -> list[tuple[int, int]]:
        """Displayed (tick, lots), best first."""
        return [(abs(key), lots) for key, lots in top(self._book, side, depth).tolist()]

    def _written(self, count: int) -> list[Fill]:
        return [tuple(row) for row in self._fills[:count].tolist()] if count else []
