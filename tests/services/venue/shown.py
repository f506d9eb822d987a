"""A market that shows what a test hands it, with its public pages, its spot side and its public socket; no clock runs."""

from __future__ import annotations

import json
from typing import Any

from services.venue.board import Board
from services.venue.core import VenueCore
from services.venue.offer import linear_offer
from services.venue.pages import MarketPages
from services.venue.public_socket import PublicHub, PublicSession
from services.venue.spot_floor import SpotFloor
from tests.services.venue.faultless import faultless
from tests.services.venue.little_market import MS, ORIGIN_NS
from undertow.markets.instruments import instruments_for, risk_tiers_for

ORIGIN_MS = ORIGIN_NS // MS
BTC = {"category": "linear", "symbol": "BTCUSDT"}


def unlimited(_symbol: str, _now_ns: int) -> None:
    """Give no price limits, as before the first mark."""


class Shown:
    """BTCUSDT, or other symbols; a frame arrives at its own `ts`."""

    def __init__(
        self,
        *frames: dict[str, Any],
        symbols: tuple[str, ...] = ("BTCUSDT",),
        depth: int = 200,
        kline_intervals: tuple[str, ...] = (),
    ) -> None:
        instruments = instruments_for(symbols)
        self.board = Board(symbols, depth)
        self.spot = SpotFloor(self.board, instruments, 7, faultless())
        self.core = VenueCore(instruments, [], [], book_depth=depth)
        limits = self.core.price_limits
        self.pages = MarketPages(self.board, instruments, risk_tiers_for(symbols), limits, self.spot)
        self.hub = PublicHub(self.board, linear_offer(depth, kline_intervals, limits), faultless())
        self.show(*frames)

    def show(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            raw, at_ns = json.dumps(frame).encode(), frame["ts"] * MS
            self.pass_time(frame["ts"] - ORIGIN_MS)
            topic = self.board.saw(raw)
            self.core.on_frame(raw, at_ns)
            self.hub.on_frame(topic, raw, at_ns)
            self.spot.follow(topic, at_ns)

    def pass_time(self, at_ms: int) -> None:
        """Let market time come to this many ms after the origin."""
        for hub in (self.hub, self.spot.hub):
            hub.pass_time(ORIGIN_NS + at_ms * MS)

    def ask(self, name: str, params: dict[str, str] | None = None, at_ms: int = 0) -> Any:
        """Ask a page of /v5/market/ about BTCUSDT."""
        return self.pages.answer(f"/v5/market/{name}", {**BTC, **(params or {})}, ORIGIN_NS + at_ms * MS)


class Ear(PublicSession):
    """A client that keeps what it hears."""

    def __init__(self, hub: PublicHub, *topics: str) -> None:
        super().__init__(hub, "127.0.0.1")
        self.heard: list[dict[str, Any]] = []
        if topics:
            self.hear({"op": "subscribe", "args": list(topics), "req_id": "s"})

    def send(self, raw: bytes) -> None:
        self.heard.append(json.loads(raw))

    def take(self) -> list[dict[str, Any]]:
        """Give the topic frames since the last call."""
        frames = [message for message in self.heard if "topic" in message]
        self.heard.clear()
        return frames
