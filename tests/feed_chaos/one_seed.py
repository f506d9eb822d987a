"""One seed: a market, a venue that misbehaves on its public side, the ingestor; then everything that must hold.

The venue and the ingestor are the real ones, put together by their own means. What the fleet knows of a ban outlives the ingestor, as it
does in Redis. Their world is either virtual (time, network and chance are
functions of the seed) or this machine's loopback. One seed decides market and faults in both.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import pytest

import services.ingestor.app as ingestor_app
from services.ingestor.settings import Settings as IngestorSettings
from services.rest_collector import read
from services.venue.app import Venue
from services.venue.faults.catalogue import CONNECT
from services.venue.faults.chaos import chaos
from services.venue.faults.fault import Frame, Request
from services.venue.maintenance import notice
from services.venue.market_choice import Choice
from services.venue.settings import PaperSettings
from services.venue.settings import Settings as VenueSettings
from tests.feed_chaos.reader import MarketReader
from tests.feed_chaos.witness import DISCONNECTED, LOST, WITNESS, Witness, WitnessedConnection, is_told
from tests.virtual.loop import VirtualLoop
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.market import Gap, GapReason, Kline, Liquidations, Ticker, Trades
from undertow.contracts.streams import VENUE
from undertow.exchange.budget.circuit import Circuit
from undertow.markets.generated import GeneratedMarket
from undertow.markets.ports import MarketFrame
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime

SYMBOLS: Final = ("BTCUSDT", "DOGEUSDT")
FRAMES_A_SECOND: Final = 5.0
"""Of each book: half of what is usual, as its faults are many times what is usual."""
DEPTHS: Final = (200, 50, 1000)
"""The first is the market's own topic, the others are made of it."""
BAN_S: Final = 1.0
"""The venue's ten minutes here, or a seed would see little else."""
UNDER_WAY_S: Final = 0.2
"""A handshake that was begun before its process could know of the ban arrives within it."""
LONGEST_RECOVERY_S: Final = 20.0 + BAN_S
"""From the end of the last fault to every book in step: a ban, a pause (5 s), a connection (5 s), its subscriptions (5 s), and some."""
START_S: Final = 1.0
"""From the start of the venue to that of its market, at most."""
SETTLING_S: Final = 0.5
LOOK_EVERY_S: Final = 0.13
"""No part of the book's rhythm, or each look could meet a frame under way."""
RESTART_S: Final = 1.0
STATUS_EVERY_S: Final = 1.0
HANG_UPS: Final = (GapReason.DISCONNECTED, GapReason.MAINTENANCE)


@dataclass(frozen=True)
class Stoppable:
    """A generated market that ends when it is told to: what is compared must stand still."""

    market: GeneratedMarket
    ended: asyncio.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.market, name)

    def frames(self) -> Iterator[MarketFrame]:
        for frame in self.market.frames():
            if self.ended.is_set():
                return
            yield frame


@dataclass
class Outcome:
    """What came of a seed.

    Attributes:
        problems: what did not hold; none in a good run.
        story: what went wrong by intention, each with its time.
        hits: faults that struck, by action.
        recovery_s: from the end of the faults to every book in step.
        gaps: that were published, all symbols.
        digest: of every entry of every stream, in order.
    """

    seed: int
    problems: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    recovery_s: float = 0.0
    gaps: int = 0
    frames: int = 0
    digest: str = ""

    def report(self) -> str:
        """Tell all of it."""
        lines = [f"seed {self.seed}: {self.frames} frames, {self.gaps} gaps, {self.hits.total()} faults, {self.digest}"]
        lines += [f"in step {max(0.0, self.recovery_s):.1f} s after the last fault", *self.story]
        return "\n".join([*lines, *(f"WRONG: {problem}" for problem in self.problems)])


class World:
    """The venue, the ingestor and those who watch them, for one seed."""

    def __init__(self, seed: int, faults_s: float, intensity: float) -> None:
        self.outcome = Outcome(seed)
        self.witness, self.store = Witness(), Store()
        WITNESS.set(self.witness)
        self._ended = asyncio.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        schedule = [
            {**fault, "ban_ms": round(BAN_S * 1000)} if fault["action"] == "ban" else fault
            for fault in chaos(seed, intensity, round(faults_s * 1000), "feed")
        ]
        self._faults_s = max([faults_s, *map(_ends_s, schedule)])
        paper = PaperSettings(seed=seed, faults=json.dumps(schedule))
        settings = VenueSettings(paper=paper, symbols=SYMBOLS, log={"level": "error"})
        runtime = Runtime("venue", settings)
        runtime.listener = self._listener
        market = Stoppable(GeneratedMarket(symbols=SYMBOLS, seed=seed, frame_rate=FRAMES_A_SECOND), self._ended)
        self.venue = Venue(settings, runtime, Choice(market, None))
        self.hub = self.venue._sockets.public
        self.witness.watch(self.hub)
        self._tell_of_faults()
        self._banned_s = -BAN_S
        self._circuit = Circuit(self.venue.clock, steady=lambda: asyncio.get_running_loop().time())
        self.depth = DEPTHS[seed % len(DEPTHS)]
        self._settings = IngestorSettings(
            symbols=SYMBOLS,
            bus={"url": "redis://127.0.0.1:1/0"},
            venue={"rest_url": f"http://127.0.0.1:{self._listener.getsockname()[1]}"},
            feed={"stale_seconds": 8.0, "symbols_per_connection": 1, "depth": self.depth},
            log={"level": "error"},
        )
        self.readers = {symbol: MarketReader(self.store, symbol, self.depth) for symbol in SYMBOLS}
        self.lives: list[tuple[Runtime, Any]] = []

    async def play(self) -> Outcome:
        """Let everything happen, then judge it."""
        loop = asyncio.get_running_loop()
        venue = asyncio.create_task(self.venue.run())
        ingestor = asyncio.create_task(self._keep_ingesting())
        herald = asyncio.create_task(self._tell_of_maintenance())
        try:
            self._began_s = loop.time()
            ceased_s = self._began_s + START_S + self._faults_s
            await asyncio.sleep(ceased_s - loop.time())
            for _ in range(round(LONGEST_RECOVERY_S / LOOK_EVERY_S)):
                if self._in_step():
                    break
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                self._complain(f"not in step {LONGEST_RECOVERY_S:g} s after the last fault")
            self.outcome.recovery_s = loop.time() - ceased_s
            self._ended.set()
            await asyncio.sleep(SETTLING_S)
            self.witness.is_closed = True
            self._judge()
            for task, who in ((venue, "the venue"), (ingestor, "the ingestor"), (herald, "the herald")):
                if task.done():
                    self._complain(f"{who} died: {task.exception()!r}")
        finally:
            for task in (herald, ingestor, venue):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self._listener.close()
        return self.outcome

    async def _keep_ingesting(self) -> None:
        """Start the ingestor again when it dies of a refusal, as the launcher does."""
        while True:
            runtime = Runtime("ingestor", self._settings, self.venue.clock)
            bus = MemoryBus("ingestor", self.store, wall_ns=wall_ns)
            ingestor = ingestor_app.compose(self._settings, runtime, bus, self._circuit)
            self.lives.append((runtime, ingestor))
            first_line = len(self.witness.lines)
            try:
                await ingestor.run()
            except ConfigurationError as refusal:
                self._note(f"ended: {refusal}")
                if not any(symbol in str(refusal) for symbol in SYMBOLS):
                    self._complain(f"the refusal names no topic: {refusal}")
                self.witness.orphan(first_line, _counted(runtime, "frames_received", "symbol"))
                await asyncio.sleep(RESTART_S)

    async def _tell_of_maintenance(self) -> None:
        """Publish the venue's status, as the REST collector does."""
        bus = MemoryBus("rest_collector", self.store, wall_ns=wall_ns)
        while True:
            now_ns = self.venue.clock.now_ns()
            notices = [notice(each) for each in self.hub.mischief.faults.notices(now_ns)]
            for status in read.status({"list": notices}, now_ns):
                await bus.publish(Topic(VENUE), status)
            await asyncio.sleep(STATUS_EVERY_S)

    def _in_step(self) -> bool:
        if self.lives[-1][1].unready_reason() is not None:
            return False
        for symbol, reader in self.readers.items():
            reader.read()
            shown = self.witness.latest.get(self._topic(symbol))
            if reader.is_blind or reader.last is None or shown is None:
                return False
            if reader.last.sequence < json.loads(shown)["data"]["seq"]:
                return False
        return True

    # what must hold

    def _judge(self) -> None:
        gaps = 0
        dropped: Counter[str] = Counter()
        for symbol, reader in self.readers.items():
            reader.read()
            verdict = self.witness.verdict(symbol, self._topic(symbol))
            board = self.hub._board.of(symbol)
            for complaint in reader.complaints:
                self._complain(f"{symbol}: {complaint}")
            self._same(f"{symbol}: the readers' book", reader.levels(), board.levels(self.depth))
            self._same(f"{symbol}: the ingestor's book", self._ingestors_book(symbol), board.levels(self.depth))
            told = [DISCONNECTED if gap.reason in HANG_UPS else LOST for gap in reader.of(Gap)]
            if not is_told(told, verdict.gaps):
                self._same(f"{symbol}: gaps", told, verdict.gaps)
            self._same(f"{symbol}: books", _without_repeats(reader.books()), _without_repeats(verdict.applied))
            trades = [each.trade_id for fact in reader.of(Trades) for each in fact.trades]
            self._same(f"{symbol}: trades", trades, verdict.trades)
            forced = [(each.price, each.size) for fact in reader.of(Liquidations) for each in fact.liquidations]
            self._same(f"{symbol}: liquidations", forced, verdict.liquidations)
            others = {"tickers": len(reader.of(Ticker)), "kline": len(reader.of(Kline))}
            self._same(f"{symbol}: others", others, {name: verdict.others[name] for name in others})
            gaps += len(told)
            dropped += verdict.dropped
        self._same("frames counted as received", self._counted("frames_received"), self.witness.received)
        self._same("frames counted as dropped", self._counted("frames_dropped"), dropped.total())
        self._same("gaps counted", self._counted("book_gaps"), gaps)
        self.outcome.gaps = gaps
        self.outcome.frames = self.witness.received
        self.outcome.hits.update(self.hub.mischief.faults.hits)
        published = b"".join(raw for _, log in sorted(self.store.logs.items()) for raw in log.raws)
        self.outcome.digest = hashlib.sha256(published).hexdigest()[:16]

    def _topic(self, symbol: str) -> str:
        return f"orderbook.{self.depth}.{symbol}"

    def _ingestors_book(self, symbol: str) -> Any:
        _, ingestor = self.lives[-1]
        (feed,) = (line._core._feeds[symbol] for line in ingestor._lines if symbol in line._symbols)
        return feed.book.levels()

    def _counted(self, metric: str) -> int:
        return sum(_counted(runtime, metric, "service").total() for runtime, _ in self.lives)

    def _same(self, what: str, ours: Any, theirs: Any) -> None:
        if ours == theirs:
            return
        if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
            pairs = enumerate(zip(ours, theirs, strict=False))
            at = next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
            here, there = ours[at : at + 3], theirs[at : at + 3]
            self._complain(f"{what}: {len(ours)}, not {len(theirs)}; from [{at}] on {here}, not {there}")
        else:
            self._complain(f"{what}: {ours}, not {theirs}")

    # the story

    def _complain(self, problem: str) -> None:
        self.outcome.problems.append(problem)

    def _note(self, what: str) -> None:
        at_s = asyncio.get_running_loop().time() - self._began_s
        self.outcome.story.append(f"{at_s:8.3f} s  {what}")

    def _tell_of_faults(self) -> None:
        faults = self.hub.mischief.faults

        def told(ask: Any, about: Any, *when: int) -> Any:
            before = dict(faults.hits)
            answer = ask(about, *when)
            struck = [action for action, hits in faults.hits.items() if hits != before.get(action, 0)]
            for action in struck:
                self._note(f"{action} {_words(about)}")
            return answer

        for seam in ("on_frame", "on_request", "loses", "due"):
            setattr(faults, seam, partial(told, getattr(faults, seam)))
        faults.on_request = partial(self._watch_the_door, faults.on_request)

    def _watch_the_door(self, ask: Any, request: Request, now_ns: int) -> Any:
        """The venue's own count of those who knock while they are banned."""
        bans = self.hub.mischief.faults.hits
        before, now_s = bans.get("ban", 0), asyncio.get_running_loop().time()
        verdict = ask(request, now_ns)
        if bans.get("ban", 0) > before:
            self._banned_s = now_s
        elif request.endpoint == CONNECT and UNDER_WAY_S < now_s - self._banned_s < BAN_S:
            self._complain(f"knocked {now_s - self._banned_s:.3f} s after a 403")
        return verdict


def _words(about: Any) -> str:
    match about:
        case Frame():
            return f"{about.topic} {about.kind}"
        case Request():
            return about.endpoint
        case str():
            return about
        case _:  # a moment
            return ""


def _ends_s(fault: dict[str, Any]) -> float:
    spans = ("from_ms", "for_ms", "drain_ms", "down_ms")
    return sum(fault.get(span, 0) for span in spans) / 1000


def _counted(runtime: Runtime, metric: str, label: str) -> Counter[str]:
    """Give a counter of the ingestor by one of its labels."""
    counted: Counter[str] = Counter()
    for family in runtime.metrics.registry.collect():
        for sample in family.samples:
            if sample.name == f"undertow_{metric}_total":
                counted[sample.labels[label]] += round(sample.value)
    return counted


def _without_repeats(books: list[tuple[bool, int, int]]) -> list[tuple[bool, int, int]]:
    """Leave out snapshots of what was published just before: checkpoints, and those that a fault has doubled."""
    kept = books[:1]
    for book in books[1:]:
        if not (book[0] and book[1:] == kept[-1][1:]):
            kept.append(book)
    return kept


def wall_ns() -> int:
    """Give the wall clock of the present world."""
    loop = asyncio.get_running_loop()
    return loop.wall_ns() if isinstance(loop, VirtualLoop) else time.time_ns()


@contextlib.contextmanager
def _seams() -> Iterator[pytest.MonkeyPatch]:
    """Let the ingestor listen past the witness of its context, bans be short, and nobody touch the garbage collector."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("undertow.exchange.bybit.socket.Connection", WitnessedConnection)
        patch.setattr("undertow.exchange.budget.circuit.BAN_S", BAN_S)
        patch.setattr("services.venue.app.settle", lambda: None)
        yield patch


def play_virtually(seed: int, faults_s: float = 10.0, intensity: float = 0.6) -> Outcome:
    """Play a seed in virtual time: the same each time."""
    draws = iter(range(10**9))
    chance = SimpleNamespace(Random=lambda given: random.Random(f"{seed} {next(draws)}" if given is None else given))
    with _seams() as patch, asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        patch.setattr("undertow.runtime.clock.time", SimpleNamespace(time_ns=wall_ns, monotonic_ns=wall_ns))
        patch.setattr("undertow.runtime.retry.random", chance)
        patch.setattr("services.venue.replay.PULSE_SECONDS", 0.05)
        return runner.run(_play(seed, faults_s, intensity))


def play_really(seeds: Iterable[int], faults_s: float = 4.0, intensity: float = 1.0) -> list[Outcome]:
    """Play seeds over real sockets, all at the same time."""

    async def play() -> list[Outcome]:
        return await asyncio.gather(*(_play(seed, faults_s, intensity) for seed in seeds))

    with _seams():
        return asyncio.run(play())


async def _play(seed: int, faults_s: float, intensity: float) -> Outcome:
    return await World(seed, faults_s, intensity).play()
