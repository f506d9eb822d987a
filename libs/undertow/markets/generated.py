"""A generated market: endless, seeded, reproducible, in the venue's own frames, with liquidations in it.

There are two manners. *Demonstration*: cascades every few seconds, so that a minute shows the whole life of a trade; rates and sizes are
plausible guesses. *Calibrated*: rates, sizes and shapes are estimates from recordings, so that most minutes show no liquidation at all.
Nothing earned on either says anything about a real market. The planted edge is a setting of both: with 0 no resting order that
liquidations fill can expect to earn its fees.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

from undertow.markets.generated_calibrated import Calibrated
from undertow.markets.generated_demonstration import Demonstration
from undertow.markets.generated_parameters import shipped
from undertow.markets.generated_symbol import DEPTH, GeneratedSymbol, Manner
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.markets.ports import MarketFrame

ORIGIN_NS: Final = 1_786_310_819_000_000_000
"""Where a generated market starts unless it is told otherwise: 2026-08-09 21:26:59 UTC."""
DEMONSTRATION_EDGE_BPS: Final = 25.0
"""What the demonstration plants unless it is told otherwise; the calibrated market then plants nothing."""
FRAME_RATE: Final = 10.0
"""Order book frames per second and symbol unless it is told otherwise."""
MannerName = Literal["demonstration", "calibrated"]


@dataclass(frozen=True)
class GeneratedMarket:
    """A `FrameSource` that never ends.

    Attributes:
        symbols: any of the contracts the generator knows.
        seed: same seed and settings, same frames, byte for byte.
        manner: how its symbols behave.
        origin_ns: market time of the first frame.
        cascade_interval_s: mean time from one cascade's start to the next, per symbol; of the demonstration only.
        planted_edge_bps: what the price comes back after a cascade (a cluster of liquidations when calibrated) beyond the fair rebound,
            before fees, on average; 0 plants nothing, None means the manner's own default.
        frame_rate: order book frames per second and symbol.
        label: what the mode line says; empty gives the default words.

    Raises:
        ValueError: an unknown symbol, or a setting outside its range; the text says which.
    """

    symbols: tuple[str, ...]
    seed: int = 7
    manner: MannerName = "demonstration"
    origin_ns: int = ORIGIN_NS
    cascade_interval_s: float = 11.0
    planted_edge_bps: float | None = None
    frame_rate: float = FRAME_RATE
    label: str = ""

    def __post_init__(self) -> None:
        """Check the settings and fill in the label."""
        object.__setattr__(self, "symbols", tuple(self.symbols))
        unknown = [symbol for symbol in self.symbols if symbol not in CONTRACTS]
        if unknown or not self.symbols:
            raise ValueError(
                f"the generated market knows {', '.join(CONTRACTS)}, not {', '.join(unknown) or 'an empty list'}"
            )
        if not 1.0 <= self.frame_rate <= 100.0:  # noqa: PLR2004 - the rule itself
            raise ValueError(f"frame_rate {self.frame_rate} is outside 1..100 book frames a second")
        if self.cascade_interval_s < 7.0:  # noqa: PLR2004 - the rule itself
            raise ValueError(
                f"cascade_interval_s {self.cascade_interval_s} is below 7: cascades would run into each other"
            )
        if not self.label:
            edge = f"planted edge {self.edge_bps:g} bp" if self.edge_bps else "no planted edge"
            cascades = f", cascades each {self.cascade_interval_s:g} s" if self.manner == "demonstration" else ""
            object.__setattr__(self, "label", f"generated, {self.manner} (seed {self.seed}{cascades}, {edge})")

    @property
    def edge_bps(self) -> float:
        """The planted edge, the manner's default resolved."""
        if self.planted_edge_bps is not None:
            return self.planted_edge_bps
        return DEMONSTRATION_EDGE_BPS if self.manner == "demonstration" else 0.0

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """The contracts of its symbols."""
        return instruments_for(self.symbols)

    @property
    def risk_tiers(self) -> tuple[dict[str, Any], ...]:
        """Their risk tiers."""
        return risk_tiers_for(self.symbols)

    @property
    def book_depth(self) -> int:
        """Depth of the orderbook topics."""
        return DEPTH

    @property
    def kline_intervals(self) -> tuple[str, ...]:
        """Intervals of the kline topics."""
        return ("1",)

    def frames(self) -> Iterator[MarketFrame]:
        """Yield the frames of all symbols by ascending `at_ns`, forever."""
        return heapq.merge(*map(self._symbol, range(len(self.symbols))), key=attrgetter("at_ns"))

    def _symbol(self, ordinal: int) -> Iterator[MarketFrame]:
        symbol = self.symbols[ordinal]
        rng = random.Random(f"{self.seed}/{symbol}")  # noqa: S311 - a simulation, no secret
        return GeneratedSymbol(
            self._behaviour(symbol, rng),
            rng,
            seed=self.seed,
            origin_ms=self.origin_ns // 1_000_000,
            frame_rate=self.frame_rate,
            ordinal=ordinal,
        ).frames()

    def _behaviour(self, symbol: str, rng: random.Random) -> Manner:
        contract = CONTRACTS[symbol]
        if self.manner == "demonstration":
            return Demonstration(contract, rng, interval_s=self.cascade_interval_s, edge_bps=self.edge_bps)
        return Calibrated(contract, shipped().symbols[symbol], rng, edge_bps=self.edge_bps)
