"""Which topics a public socket has: the market's own, those that the venue makes of it, and those that it refuses, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from services.venue.board import SymbolBoard
from services.venue.candles import INTERVALS
from services.venue.channels import BOOK_CADENCES_MS, BookChannel, Channel, KlineChannel, PriceLimitChannel
from services.venue.price_limits import PublishedLimits

MOST_ARGUMENT_CHARACTERS: Final = 21_000
_MOST_SPOT_ARGUMENTS: Final = 10
_WITHHELD: Final = {
    "orderbook.500": "depth 500 was removed on 11 September 2025",
    "orderbook.rpi": "the market does not tell which sizes are RPI",
    "orderbook.full": "the full book is not offered for this category",
    "liquidation": "replaced by allLiquidation on 20 February 2025",
    "adlAlert": "deleveraging begins when the insurance fund is empty, there are no thresholds to alert of",
    "insurance": "it tells isolated pools only, and this venue has one fund for all contracts",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One socket's topics, by kind: the topic without its symbol.

    Attributes:
        own: kinds whose frames the market has itself.
        made: kinds that the venue makes, and how.
        most_arguments: topics in one request; None for no limit.
    """

    own: frozenset[str]
    made: Mapping[str, Callable[[SymbolBoard], Channel]]
    most_arguments: int | None = None

    def why_not(self, kind: str) -> str | None:
        """Say why a kind cannot be had, or None."""
        if kind in self.own or kind in self.made:
            return None
        reason = f"{_WITHHELD[kind]}; " if kind in _WITHHELD else ""
        return f"{reason}there are {', '.join(sorted({*self.own, *self.made}))}"


def linear_offer(book_depth: int, kline_intervals: Iterable[str], limits: PublishedLimits) -> Offer:
    """Give the topics of `/v5/public/linear`.

    Args:
        book_depth: of the market's own book topic.
        kline_intervals: of the market's own kline topics.
        limits: gives the price limits of a moment.
    """
    own = {f"orderbook.{book_depth}", "publicTrade", "tickers", "allLiquidation"}
    own |= {f"kline.{interval}" for interval in kline_intervals}
    made = _made(own) | {"priceLimit": lambda board: PriceLimitChannel(board.symbol, limits)}
    return Offer(frozenset(own), made)


def spot_offer(book_depth: int) -> Offer:
    """Give the topics of `/v5/public/spot`."""
    own = {f"orderbook.{book_depth}", "publicTrade", "tickers"}
    return Offer(frozenset(own), _made(own), _MOST_SPOT_ARGUMENTS)


def _made(own: set[str]) -> dict[str, Callable[[SymbolBoard], Channel]]:
    books = {f"orderbook.{depth}": partial(BookChannel, depth=depth) for depth in BOOK_CADENCES_MS}
    klines = {f"kline.{interval}": partial(KlineChannel, interval=interval) for interval in INTERVALS}
    return {kind: make for kind, make in (books | klines).items() if kind not in own}
