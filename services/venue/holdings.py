"""A position in one market: what is held, on which terms, and what protects it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.venue.guards import Guards
from services.venue.market import Market
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY, SELL, Ints

ONE_WAY: Final = 0
"""positionIdx of the only position of a one-way market."""
HEDGE_INDEXES: Final = {1: BUY, 2: SELL}
"""positionIdx of a hedged market's two positions, and the side that opens each."""
_DEFAULT_LEVERAGE: Final = 10 * 100


@dataclass(slots=True)
class Holding:
    """The kernel's five numbers, leverage in 1/100, stops and times; in a hedged market there is one for each `index`.

    Attributes:
        extra: isolated: margin added to (or, negative, drawn from) what the leverage asks for.
        adds_margin: isolated: whether free balance is added before the position would be liquidated.
    """

    market: Market
    index: int = ONE_WAY
    numbers: Ints = field(default_factory=lambda: np.zeros(5, np.int64))
    leverage: int = _DEFAULT_LEVERAGE
    extra: int = 0
    adds_margin: bool = False
    guards: Guards = field(default_factory=Guards)
    created_ms: int = 0
    updated_ms: int = 0
    opened_ms: int = 0
    session_base: int = 0
    open_fees: int = 0
    sequence: int = -1

    @property
    def lots(self) -> int:
        """Signed lots."""
        return int(self.numbers[kernel.LOTS])

    def closable(self, side: int) -> int:
        """Give the lots that an order of a side would close."""
        return abs(self.lots) if self.lots and (self.lots > 0) == (side == SELL) else 0

    @property
    def side(self) -> int:
        """Side that opened what is held."""
        return BUY if self.lots > 0 else SELL

    @property
    def cost(self) -> int:
        """Signed entry value."""
        return int(self.numbers[kernel.COST])

    @property
    def result(self) -> int:
        """Realised − fees + funding over its life."""
        return int(self.numbers[kernel.REALISED] - self.numbers[kernel.FEES] + self.numbers[kernel.FUNDING])

    @property
    def unrealised(self) -> int:
        """Result if closed at the mark; 0 while there is no price at all."""
        lot_value = self.market.lot_value
        return int(kernel.unrealised(self.numbers, lot_value)) if lot_value else 0

    @property
    def value(self) -> int:
        """Value at the mark; the entry value while there is no price at all."""
        return abs(self.lots) * self.market.lot_value or abs(self.cost)
