"""A trailing stop: follows the last price in the position's favour at a distance, and triggers when the price comes back to it.

What the protocol page does not say (our inference): without an activation price the last price at which the stop was set is it; from
the activation on, the best last price less the distance is the level; the price that activates it is the first that it follows. Its order
shows as triggerPrice the activation price until then, from then on the level of the moment; that the level moved is no message of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from undertow.matching.ladder import SELL


@dataclass(slots=True, kw_only=True)
class Trail:
    """The state of one trailing stop.

    Attributes:
        side: of the order that it lets loose; SELL protects a long.
        distance: in price.
        activation: last price from which it follows.
        best: last price furthest in the position's favour since then, 0 before.
    """

    side: int
    distance: Decimal
    activation: Decimal
    best: Decimal = Decimal(0)

    @property
    def level(self) -> Decimal:
        """Last price that triggers it; 0 before it is active."""
        if not self.best:
            return Decimal(0)
        return self.best - self.distance if self.side == SELL else self.best + self.distance

    def follow(self, last: Decimal) -> bool:
        """Take in one last price; True when it triggers."""
        if not self.best:
            if last < self.activation if self.side == SELL else last > self.activation:
                return False
            self.best = last
        self.best = max(self.best, last) if self.side == SELL else min(self.best, last)
        return last <= self.level if self.side == SELL else last >= self.level
