"""A position in one market: what is held, on which terms, and what protects it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.venue.market import Market
from services.venue.orders import Order
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY, SELL, Ints

ONE_WAY: Final = 0
"""positionIdx of the only position of a one-way market."""
HEDGE_INDEXES: Final = {1: BUY, 2: SELL}
"""positionIdx of a hedged market's two positions, and the side that opens each."""
_DEFAULT_LEVERAGE: Final = 10 * 100


@dataclass(slots=True)
class Holding:
    """The kernel's five numbers, leverage in 1/100, stops and times; in a hedged market there is one for each `index`."""

    market: Market
    index: int = ONE_WAY
    numbers: Ints = field(default_factory=lambda: np.zeros(5, np.int64))
    leverage: int = _DEFAULT_LEVERAGE
    stop: Order | None = None
    target: Order | None = None
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
    def cost(self) -> int:
        """Signed entry value."""
        return int(self.numbers[kernel.COST])

    @property
    def result(self) -> int:
        """Realised − fees + funding over its life."""
        return int(self.numbers[kernel.REALISED] - self.numbers[kernel.FEES] + self.numbers[kernel.FUNDING])

    @property
    def unrealised(self) -> int:
        """Result if closed at the mark."""
        return int(kernel.unrealised(self.numbers, self.market.lot_value))

    @property
    def value(self) -> int:
        """Value at the mark."""
        return abs(self.lots) * self.market.lot_value

    def maintenance(self, taker_rate: int) -> int:
        """Maintenance margin."""
        return int(kernel.maintenance(self.value, self.market.tiers, taker_rate)) if self.lots else 0

    def initial(self, taker_rate: int) -> int:
        """Initial margin."""
        return int(kernel.initial(self.value, self.leverage, taker_rate)) if self.lots else 0
