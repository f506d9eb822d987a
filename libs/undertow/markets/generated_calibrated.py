"""The calibrated manner: every rate, size and shape is an estimate from a recording; docs/generated-market.md holds both side by side.

Liquidations come in cascades of each side; each pushes the price in the direction of its forced order, and against the
pushes that are still expected the price drifts the other way, so that at no time the next move has a sign that can be known. To that a
planted edge adds what the price comes back after a liquidation; per cluster the mean is the setting.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from undertow.markets.generated_cascades import TICK_S, Cascades, geometric, poisson
from undertow.markets.generated_parameters import Sizes, SymbolParameters
from undertow.markets.generated_wire import Contract

EDGE_TAU_S: Final = 2.0
"""Time constant with which a planted edge comes back."""
_SIDES: Final = ((-1, "Buy"), (1, "Sell"))
_ROUNDING_S: Final = 1e-6
_PUSH: Final = (0.5, 1.5)  # uniform, of the mean push


@dataclass(slots=True)
class ExcitedWalk:
    """The price; advance it in small steps. Liquidations come at the ticks of their cascades.

    Attributes:
        price: mid in ticks, not rounded.
        activity: factor on the rates of moves and of ordinary trades, 1 on average.
        liquidated: sides of the positions liquidated in the last step.
    """

    price: float
    rng: random.Random
    parameters: SymbolParameters
    edge_bps: float
    now_s: float = 0.0
    activity: float = 1.0
    liquidated: list[str] = field(default_factory=list)
    _log_activity: float = 0.0
    _edge_bps: float = 0.0
    _push_bps: float = field(init=False)
    _per_event_bps: float = field(init=False)
    _cascades: dict[int, Cascades] = field(init=False)
    _ticks: int = 0

    def __post_init__(self) -> None:
        """Begin without a cascade."""
        law = self.parameters.liquidations
        self._push_bps = law.push_bps
        self._per_event_bps = self.edge_bps / law.mean_cascade
        self._cascades = {direction: Cascades(law, self.rng) for direction, _ in _SIDES}

    def step(self, now: float) -> float:
        """Move on to `now` (seconds from the start); give the signed part of the move (bp) that forced trades made."""
        dt, self.now_s = now - self.now_s, now
        drift, forced = self._liquidate()
        back = self._edge_bps * -math.expm1(-dt / EDGE_TAU_S)
        self._edge_bps += self._per_event_bps * sum(1 if side == "Buy" else -1 for side in self.liquidated) - back
        self.price *= 1.0 + (self._ordinary(dt) + drift + forced + back) / 1e4
        return forced

    def _liquidate(self) -> tuple[float, float]:
        rng, push = self.rng, self._push_bps
        drift = forced = 0.0
        self.liquidated = []
        while (self._ticks + 1) * TICK_S <= self.now_s + _ROUNDING_S:
            self._ticks += 1
            for direction, side in _SIDES:
                cascades = self._cascades[direction]
                drift -= direction * push * cascades.expected
                count = cascades.pass_tick()
                if count:
                    self.liquidated += [side] * count
                    forced += direction * push * sum(rng.uniform(*_PUSH) for _ in range(count))
        return drift, forced

    def _ordinary(self, dt: float) -> float:
        law, rng = self.parameters.moves, self.rng
        keep = math.exp(-law.activity_decay_per_s * dt)
        self._log_activity = keep * self._log_activity + math.sqrt(1.0 - keep * keep) * law.activity_sigma * rng.gauss(
            0.0, 1.0
        )
        self.activity = math.exp(self._log_activity - law.activity_sigma**2 / 2.0)
        move = 0.0
        for _ in range(poisson(rng, law.per_s * self.activity * dt)):
            size = law.median_bps * math.exp(law.sigma * rng.gauss(0.0, 1.0))
            move += size if rng.random() < 0.5 else -size  # noqa: PLR2004 - a fair coin
        return move


class Calibrated:
    """How one symbol behaves when it is calibrated.

    Args:
        contract: the symbol; its levels become the recorded ones.
        parameters: of the symbol.
        rng: every draw comes from it.
        edge_bps: what the price comes back after a cluster of liquidations, on average.

    Attributes:
        trades_per_s: frames of ordinary trades, where activity is 1.
        refreshes: levels behind the touch that get a new size, per side and book frame.
        most_prints: trades of one forced move.
    """

    most_prints: int = 10

    def __init__(
        self, contract: Contract, parameters: SymbolParameters, rng: random.Random, *, edge_bps: float
    ) -> None:
        book = parameters.book
        self.contract = replace(
            contract, lattice_ticks=max(1, round(book.level_gap_ticks)), level_usdt=book.levels.median_usdt
        )
        self.trades_per_s = parameters.trades.frames_per_s
        self.refreshes = max(0, round(book.changes / 2.0) - 1)
        self.walk = ExcitedWalk(float(contract.start_ticks), rng, parameters, edge_bps)
        self._parameters = parameters
        self._rng = rng
        self._lot_usdt = contract.start_ticks * contract.tick * contract.lot

    def open(self) -> None:
        """Draw nothing: what is drawn once is drawn with the walk."""

    def spread(self, forced: float) -> int:  # noqa: ARG002 - quotes move at once with a forced move
        """Give ticks from bid to ask."""
        book = self._parameters.book
        if self._rng.random() >= book.wide_share:
            return 1
        return 2 + geometric(self._rng, max(0.0, book.wide_ticks - 2.0))

    def lots(self, rank: int) -> int:
        """Draw the size of a level."""
        book = self._parameters.book
        if not rank:
            return self._lots(book.touch)
        return self._lots(book.levels, (rank / 100.0) ** book.level_growth)

    def prints(self) -> int:
        """Give the number of fills of an ordinary trade."""
        return 1 + geometric(self._rng, self._parameters.trades.prints - 1.0)

    def trade_lots(self, shown: float, forced: float) -> int:  # noqa: ARG002 - sizes do not depend on the level here
        """Draw the size of a trade."""
        return self._lots(self._parameters.trades.sizes)

    def liquidations(self, forced: float) -> Iterator[tuple[str, int]]:  # noqa: ARG002 - the walk knows
        """Give who was liquidated in the last step: side of the position, lots."""
        for side in self.walk.liquidated:
            yield side, self._lots(self._parameters.liquidations.sizes)

    def _lots(self, law: Sizes, factor: float = 1.0) -> int:
        drawn = law.median_usdt * factor * math.exp(law.sigma * self._rng.gauss(0.0, 1.0))
        return max(1, int(min(drawn, law.largest_usdt) / self._lot_usdt))
