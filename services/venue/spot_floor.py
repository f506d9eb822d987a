"""The spot side of the venue: a market derived from each perpetual's index price, with a public socket and pages. Nobody can trade here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from services.venue.board import Board
from services.venue.mischief import Mischief
from services.venue.offer import spot_offer
from services.venue.public_socket import PublicHub
from undertow.domain.time import NS_PER_MS
from undertow.markets.spot import SPOT_DEPTH, DerivedSpot, spot_instrument, spot_label

_TICKERS: Final = "tickers."


class SpotFloor:
    """All spot markets.

    Args:
        linear: the perpetuals' board.
        instruments: their items of instruments-info.
        seed: of what is invented.
        mischief: what goes wrong.

    Attributes:
        label: what these markets are.
        board: what they have shown.
        hub: the clients of the spot socket.
        instruments: items of instruments-info.
    """

    def __init__(self, linear: Board, instruments: Sequence[Mapping[str, Any]], seed: int, mischief: Mischief) -> None:
        self.label = spot_label(seed)
        self.instruments = [spot_instrument(item) for item in instruments]
        self.board = Board(linear.symbols, SPOT_DEPTH)
        self.hub = PublicHub(self.board, spot_offer(SPOT_DEPTH), mischief)
        self._linear = linear
        self._markets = {item["symbol"]: DerivedSpot(item, seed) for item in self.instruments}

    def follow(self, topic: str, at_ns: int) -> None:
        """Move with one of the perpetuals' frames; the perpetuals' board has seen it."""
        if not topic.startswith(_TICKERS):
            return
        symbol = topic.removeprefix(_TICKERS)
        index = self._linear.of(symbol).ticker.get("indexPrice")
        if not index:
            return
        for raw in self._markets[symbol].move(Decimal(index), at_ns // NS_PER_MS):
            self.hub.on_frame(self.board.saw(raw), raw, at_ns)
