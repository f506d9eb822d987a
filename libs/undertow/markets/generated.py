"""A generated market: endless, seeded, reproducible, in the venue's own frames, with planted liquidation cascades.

What it claims and what it does not: rates, depth and sizes are plausible guesses, set by eye against 43 s of recorded
Bybit frames (without liquidations) and not yet calibrated statistically. Nothing earned on it says anything about a
real market. The planted edge is a setting: with 0 no resting order that a cascade fills can expect to earn its fees.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from undertow.markets.generated_symbol import DEPTH, GeneratedSymbol
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.instruments import instruments_for
from undertow.markets.ports import MarketFrame

ORIGIN_NS = 1_786_310_819_000_000_000
"""Where a generated market starts unless it is told otherwise: 2026-08-09 21:26:59 UTC."""


@dataclass(frozen=True)
class GeneratedMarket:
    """A `FrameSource` that never ends.

    Attributes:
        symbols: any of the contracts the generator knows.
        seed: same seed and settings, same frames, byte for byte.
        origin_ns: market time of the first frame.
        cascade_interval_s: mean time from one cascade's start to the next, per symbol.
        planted_edge_bps: what the price comes back after a cascade beyond the fair rebound, before fees, on average;
            0 plants nothing.
        frame_rate: order book frames per second and symbol.
        label: what the mode line says; empty gives the default words.

    Raises:
        ValueError: an unknown symbol, or a setting outside its range; the text says which.
    """

    symbols: tuple[str, ...]
    seed: int = 7
    origin_ns: int = ORIGIN_NS
    cascade_interval_s: float = 11.0
    planted_edge_bps: float = 25.0
    frame_rate: float = 10.0
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
            edge = f"planted edge {self.planted_edge_bps:g} bp" if self.planted_edge_bps else "no planted edge"
            object.__setattr__(
                self, "label", f"generated (seed {self.seed}, cascades each {self.cascade_interval_s:g} s, {edge})"
            )

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """The contracts of its symbols."""
        return instruments_for(self.symbols)

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
        sources = [
            GeneratedSymbol(
                CONTRACTS[symbol],
                seed=self.seed,
                origin_ms=self.origin_ns // 1_000_000,
                interval_s=self.cascade_interval_s,
                edge_bps=self.planted_edge_bps,
                frame_rate=self.frame_rate,
                ordinal=ordinal,
            ).frames()
            for ordinal, symbol in enumerate(self.symbols)
        ]
        return heapq.merge(*sources, key=attrgetter("at_ns"))
