"""Where the paper venue's market comes from: recordings and generated markets, all as Bybit frames with the time they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class MarketFrame:
    """One public WebSocket frame.

    Attributes:
        at_ns: market ns at which the venue sends it.
        raw: the JSON bytes exactly as they go out.
        injected: True when a cascade put it into a recorded tape.
    """

    at_ns: int
    raw: bytes
    injected: bool = False


class FrameSource(Protocol):
    """A market that is there in advance. Iterating twice gives the same frames."""

    @property
    def label(self) -> str:
        """What the mode line says, e.g. `recorded linear-20260809 (cascades injected, seed 7)`."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that occur."""
        ...

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """Their contracts, as `/v5/market/instruments-info` spells them."""
        ...

    @property
    def risk_tiers(self) -> tuple[dict[str, Any], ...]:
        """Their risk tiers, as `/v5/market/risk-limit` spells them."""
        ...

    @property
    def book_depth(self) -> int:
        """Depth of its orderbook topics."""
        ...

    @property
    def kline_intervals(self) -> tuple[str, ...]:
        """Intervals of its kline topics; the venue builds the others from the trades."""
        ...

    @property
    def origin_ns(self) -> int:
        """Market time of the first frame."""
        ...

    def frames(self) -> Iterator[MarketFrame]:
        """Yield all frames by ascending `at_ns`; a generated market never ends."""
        ...
