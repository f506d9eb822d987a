"""The demonstration manner: cascades far denser than a real market's, so that a minute shows the whole life of a trade.

Rates, depth and sizes are plausible guesses. What the calibrated manner does differently, in numbers: docs/generated-market.md.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Final

from undertow.markets.generated_price import PriceWalk
from undertow.markets.generated_wire import Contract

LONE_LIQUIDATION_S: Final = 45.0  # mean time between small liquidations that move nothing
_LEVEL_SIGMA: Final = 0.9
_EATEN: Final = 0.05  # of a level, by an ordinary trade
_EATEN_BY_FORCE: Final = 0.2


class Demonstration:
    """How one symbol behaves in the demonstration.

    Args:
        contract: the symbol.
        rng: every draw comes from it.
        interval_s: mean time from one cascade's start to the next.
        edge_bps: what comes back after a cascade beyond the fair rebound, on average.

    Attributes:
        trades_per_s: frames of ordinary trades.
        refreshes: levels behind the touch that get a new size, per side and book frame.
        most_prints: trades of one forced move.
    """

    trades_per_s: float = 2.0
    refreshes: int = 2
    most_prints: int = 1_000

    def __init__(self, contract: Contract, rng: random.Random, *, interval_s: float, edge_bps: float) -> None:
        self.contract = contract
        self.walk = PriceWalk(float(contract.start_ticks), rng, interval_s, edge_bps)
        self._rng = rng
        self._lone_at_s: float | None = None

    def open(self) -> None:
        """Draw the first lone liquidation."""
        self._lone_at_s = self._rng.expovariate(1.0 / LONE_LIQUIDATION_S)

    def spread(self, forced: float) -> int:
        """Give ticks from bid to ask."""
        return 1 + (self.contract.lattice_ticks // 8 if forced else 0)

    def lots(self, rank: int) -> int:  # noqa: ARG002 - all levels are alike here
        """Draw the size of a level."""
        return max(1, int(self.contract.typical_lots * math.exp(_LEVEL_SIGMA * self._rng.gauss(0.0, 1.0))))

    def prints(self) -> int:
        """Give the number of fills of an ordinary trade."""
        return 1

    def trade_lots(self, shown: float, forced: float) -> int:
        """Draw the size of a trade at a level that shows so much."""
        return max(1, int(shown * (_EATEN_BY_FORCE if forced else _EATEN) * (0.5 + self._rng.random())))

    def liquidations(self, forced: float) -> Iterator[tuple[str, int]]:
        """Draw who was liquidated in the last step: side of the position, lots."""
        random_, gauss, typical = self._rng.random, self._rng.gauss, self.contract.typical_lots
        if self.walk.liquidating:
            for _ in range(1 + (random_() < 0.5)):  # noqa: PLR2004 - a fair coin
                lots = typical * abs(forced) * 0.25 * math.exp(0.8 * gauss(0.0, 1.0))
                yield "Buy" if forced < 0 else "Sell", max(1, int(lots))
        elif self._lone_at_s is not None and self.walk.now_s >= self._lone_at_s:
            self._lone_at_s = self.walk.now_s + self._rng.expovariate(1.0 / LONE_LIQUIDATION_S)
            lots = typical * 0.02 * math.exp(gauss(0.0, 1.0))
            yield "Buy" if random_() < 0.5 else "Sell", max(1, int(lots))  # noqa: PLR2004 - a fair coin
