"""Market frames per CPU second through the paper venue's replay, board and public hub to three clients; one JSON line per figure.

`python -m bench.venue_frames [seconds of market]`. The market is generated: four symbols with 500 book frames a second each, their trades,
tickers and candles. The clients are sessions of this process whose frames are queued and counted, not written to a socket. `own` clients
want every topic that the market has itself, `all` also every one that the venue makes (depths, klines, price limits). With the core each
frame also goes through one account without orders. CPU seconds, because a paper venue shares its machine. Each figure is the median of
its rounds, the variants take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from decimal import Decimal

from bench.tapes import SYMBOLS, background
from services.venue.answers import AccountSpec, PrivateEvent
from services.venue.board import Board
from services.venue.clock import VenueClock
from services.venue.core import VenueCore
from services.venue.faults.core import Faults
from services.venue.faults.renumber import Renumbering
from services.venue.feed import Played
from services.venue.keys import KeyRing
from services.venue.mischief import Mischief
from services.venue.offer import linear_offer
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub, PublicSession
from services.venue.replay import Replay, TimedCore
from services.venue.spot_floor import SpotFloor
from undertow.markets.generated import ORIGIN_NS
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.markets.ports import MarketFrame
from undertow.runtime.metrics import Metrics

ROUNDS = 5
CLIENTS = 3
DEPTH = 200
KLINE_INTERVALS = ("1",)
FAR_NS = 10**15  # wall time by which every frame is due


class NoCore:
    """Takes frames and does nothing."""

    def on_frame(self, raw: bytes, now_ns: int) -> list[PrivateEvent]:  # noqa: ARG002 - nothing is done
        return []

    def on_time(self, now_ns: int) -> list[PrivateEvent]:  # noqa: ARG002 - nothing is done
        return []


class Counting(PublicSession):
    """A client that reads at once."""

    count = 0

    def send(self, raw: bytes) -> None:  # noqa: ARG002 - only counted
        self.count += 1


async def play(frames: list[MarketFrame], *, makes: bool, has_core: bool) -> tuple[float, float]:
    """Give frames per CPU second, and frames that each client got per frame of the market."""
    instruments, tiers = instruments_for(SYMBOLS), risk_tiers_for(SYMBOLS)
    wall = [0]
    clock = VenueClock(ORIGIN_NS, 1.0, lambda: wall[0])
    clock.start()
    wall[0] = FAR_NS
    core: TimedCore = NoCore()
    if has_core:
        core = VenueCore(instruments, tiers, [AccountSpec("1", Decimal(10_000))], book_depth=DEPTH)
    board = Board(SYMBOLS, DEPTH)
    offer = linear_offer(DEPTH, KLINE_INTERVALS, lambda _symbol, _now_ns: None)
    mischief = Mischief(Faults(), clock, KeyRing(()), Metrics("venue", "paper"), print)
    hub = PublicHub(board, offer, mischief)
    spot = SpotFloor(board, instruments, 7, mischief)
    private = PrivateHub(KeyRing(()), clock, mischief)
    feed = Played(lambda: iter(frames), clock)
    replay = Replay("bench", None, feed, clock, core, board, hub, spot, private, Renumbering(), mischief.tick)
    kinds = sorted(offer.own | (set(offer.made) if makes else set()))
    clients = [Counting(hub) for _ in range(CLIENTS)]
    for client in clients:
        client.hear({"op": "subscribe", "args": [f"{kind}.{symbol}" for kind in kinds for symbol in SYMBOLS]})
        client.count = 0
    begun = time.process_time()
    playing = asyncio.create_task(replay.run())
    while not replay.finished:  # noqa: ASYNC110 - a turn for the replay, not a wait
        await asyncio.sleep(0)
    spent = time.process_time() - begun
    playing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await playing
    return len(frames) / spent, clients[0].count / len(frames)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    frames = background(seconds)
    variants = {
        "own topics, no core": {"makes": False, "has_core": False},
        "own topics, with the core": {"makes": False, "has_core": True},
        "all topics, no core": {"makes": True, "has_core": False},
    }
    found: dict[str, list[float]] = {name: [] for name in variants}
    sent: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, how in variants.items():
            rate, sent[name] = asyncio.run(play(frames, **how))
            found[name].append(rate)
    for name, rates in found.items():
        label = f"venue frames to {CLIENTS} clients, {name} ({sent[name]:.2f} frames each per market frame)"
        print(json.dumps({"name": label, "value": statistics.median(rates), "unit": "frames/CPU s"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
