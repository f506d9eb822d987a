"""One seed: market, venue, bus, network, disk and the fleet's own services on virtual time; what goes wrong; what must hold all the same.

Signals come from a script, as many as the fleet takes, until the last fault is over and enough trades were made; then everything has to be
flat, at peace and equal to the venue's books within ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

import httpx
import msgspec
import pytest

from services.guardian.rules import Phase
from services.venue.keys import ACCOUNT_UID
from tests.simulation import fleet
from tests.simulation.bus import SimulatedBus, SimulatedRedis
from tests.simulation.disk import SimulatedDisk
from tests.simulation.fleet import BOOKS, GUARDIAN, ROUTER, SERVICES, SYMBOLS, Clock, Door, Ground, Launcher
from tests.simulation.havoc import Havoc
from tests.simulation.lives import LIFE, Life, LivingLoop, bury
from tests.simulation.network import Network, Sent, Transport
from tests.simulation.plan import Planned, drawn
from tests.simulation.venue import SimulatedVenue
from tests.simulation.witness import SECOND, Witness
from undertow.bus.ports import Topic
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.decision import Signal
from undertow.contracts.messages.market import Ticker
from undertow.contracts.streams import CONTROL, MARKET, SIGNALS
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.exchange.bybit.http import BybitHttp

CONVERGENCE_S: Final = 10.0
LEAST_TRADES: Final = 3
LEAST_FAULTS: Final = 8
LONGEST_S: Final = 60.0
LONGEST_TRADING_S: Final = 20.0
"""After the last fault: so long the fleet may take for the trades that are lacking."""
LOOK_S: Final = 0.1
FIRST_SIGNAL_S: Final = 1.0
VALID_NS: Final = 400_000_000
SILENCE_NS: Final = 3 * SECOND
"""After so long without a word of any router the guardian's rule lets it close what is open."""


@dataclass
class Outcome:
    """What came of a seed.

    Attributes:
        problem: the first thing that must not be; "" in a good seed.
        hits: how often a fault struck an order in a state.
        trades: from an entry of ours to flat.
        converged_s: from the end of the last fault to peace.
        market_s: how long it took, in market time.
        digest: of the venue's and the fleet's story, every byte of the bus included.
    """

    seed: int
    plan: Sequence[Planned]
    problem: str = ""
    story: list[str] = field(default_factory=list)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    converged_s: float = 0.0
    market_s: float = 0.0
    digest: str = ""

    def report(self) -> str:
        """Tell all of it."""
        head = (
            f"seed {self.seed}: {self.trades} trades, {self.struck.total()} faults in {self.market_s:.1f} s, "
            f"at peace {self.converged_s:.1f} s after the last, {self.digest}"
        )
        return "\n".join([head, *self.story, f"WRONG: {self.problem}" if self.problem else "all holds"])


class Over(Exception):  # noqa: N818 - a signal of our own
    """The seed has come to its end."""


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, plan: Sequence[Planned], loop: LivingLoop) -> None:
        self.seed = seed
        self.loop = loop
        self._chances: dict[str, random.Random] = {}
        chance = self.chance("world")
        settings = fleet.settings_of(chance.choice((40, 150)), chance.choice(("0.15", "0.40")))
        risk = settings[ROUTER].risk
        self.disk = SimulatedDisk(self.chance("disk"), self._at_port)
        self.witness = Witness(risk.symbol_fraction, risk.gross_fraction, self._is_on_disk, loop.wall_ns)
        self.redis = SimulatedRedis(loop, loop.wall_ns, self._at_port)
        self.lives: dict[str, Life] = {}
        funding_s = chance.choice((0.0, chance.uniform(5.0, 15.0)))
        latency_ns = chance.choice((0, 2_000_000, 15_000_000))
        self.venue = SimulatedVenue(loop, self.witness, SYMBOLS, self.chance, self._survived, latency_ns, funding_s)
        self.witness.core = self.venue.core
        self.witness.why_may_close = self._why_guardian_may_close
        self.ground = Ground(settings, Clock(loop.wall_ns), self.disk, self._open_bus, self.witness.say)
        self.door = Door(self.ground, self.lives, self._serve)
        servers = {"venue": self.venue, "guardian": self.door}
        self.network = Network(
            loop,
            self.chance,
            self._at_port,
            self.witness.order_leaves,
            self.witness.order_refused,
            servers,
            self.venue.join,
        )
        self.havoc = Havoc(
            loop, self.witness, self.venue, self.redis, self.disk, self.door, self.lives, self._let_a_person_command
        )
        self.launchers = [Launcher(name, self.ground, self.lives, loop, self._pause_s, self._died) for name in SERVICES]
        self.plan = plan
        self.outcome = Outcome(seed, plan, story=self.witness.lines, hits=self.witness.hits, struck=self.witness.struck)
        self._commands: list[Command] = []
        self._commanding = 0
        self._signals = 0
        self._trading = True
        self._model = SimulatedBus(self.redis, "model_server/boot1", self.chance("model"))
        self._admin = SimulatedBus(self.redis, "admin/boot1", self.chance("admin"))
        self._ingestor = SimulatedBus(self.redis, "ingestor/boot1", self.chance("ingestor"))

    def chance(self, channel: str) -> random.Random:
        """Give the chance of a channel: what one draws is nothing to the others."""
        if channel not in self._chances:
            self._chances[channel] = random.Random(f"{self.seed} {channel}")
        return self._chances[channel]

    async def play(self) -> Outcome:
        """Let everything happen."""
        works = [self.venue.run(), *(launcher.run() for launcher in self.launchers)]
        works += [
            self._publish_marks(),
            *(self._publish_signals(symbol) for symbol in SYMBOLS),
            self._watch_time(),
            self._keep_armed(),
        ]
        tasks = [self.loop.create_task(work) for work in works]
        course = self.loop.create_task(self._run_its_course())
        tasks.append(self.loop.create_task(self._until_wrong()))
        done, _ = await asyncio.wait({course, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is not None:
                raise RuntimeError(f"seed {self.seed} could not be played") from error
        for task in (course, *tasks):
            task.cancel()
        self.network.close()
        await asyncio.gather(course, *tasks, return_exceptions=True)
        outcome = self.outcome
        outcome.problem = self.witness.problem
        outcome.trades = self.witness.trades
        outcome.market_s = self.loop.time()
        digest = hashlib.sha256("\n".join(self.witness.lines).encode())
        for _, log in sorted(self.redis.store.logs.items()):
            digest.update(b"".join(log.raws))
        outcome.digest = digest.hexdigest()[:16]
        return outcome

    async def _run_its_course(self) -> None:
        await self.havoc.unleash(self.plan)
        began_s = self.loop.time()
        self.witness.say("the last fault is over")
        while self.witness.trades < LEAST_TRADES or self._commanding:
            if self.loop.time() - began_s > LONGEST_TRADING_S:
                self.witness.complain(f"only {self.witness.trades} trades {LONGEST_TRADING_S:g} s after the last fault")
                return
            await asyncio.sleep(LOOK_S)
        self._trading = False
        ended_s = self.loop.time()
        unrest = self._unrest()
        while unrest:
            if self.loop.time() - ended_s > CONVERGENCE_S:
                self.witness.complain(f"not at peace {CONVERGENCE_S:g} s after the end: {unrest}")
                return
            await asyncio.sleep(LOOK_S)
            unrest = self._unrest()
        self.outcome.converged_s = self.loop.time() - ended_s
        self._judge()

    async def _until_wrong(self) -> None:
        while not self.witness.problem:
            await asyncio.sleep(LOOK_S)
            self.witness.look()

    async def _keep_armed(self) -> None:
        """Rearm in two steps what was halted by a rule, as a person would who has looked at it."""
        token = ""
        while True:
            await asyncio.sleep(0.5)
            app = self.ground.apps.get(GUARDIAN)
            if app is None or app._core is None or app._core.phase is not Phase.HALTED:
                continue
            body = msgspec.json.encode({"who": "a person", "why": "looked at it", "token": token})
            with contextlib.suppress(ConnectionError, TimeoutError):  # it is being started again, or cannot be heard
                async with asyncio.timeout(1.0):
                    answer = await self.door.answer(Sent("POST", "/rearm", {}, body, Transport(lambda: None)))
                    token = "" if token else msgspec.json.decode(answer.content).get("token", "")

    async def _watch_time(self) -> None:
        await asyncio.sleep(LONGEST_S)
        self.witness.complain(f"not over after {LONGEST_S:g} s")

    # what must hold

    def _unrest(self) -> str:
        """Say what is not yet as it has to be in the end, or ""."""
        apps, now_ns = self.ground.apps, self.loop.wall_ns()
        if not self.witness.is_flat:
            orders = len(self.venue.core.account.open)
            return f"the venue holds {', '.join(self.witness.held) or 'nothing'} and {orders} orders"
        for name in SERVICES:
            if name not in apps:
                return f"{name} does not run"
        router, books, guardian = apps[ROUTER].core, apps[BOOKS]._core, apps[GUARDIAN]._core
        if guardian is None or guardian.phase is not Phase.ACTIVE:
            return f"the guardian is {guardian and guardian.report(now_ns)}"
        if why := router.why_not_able() or router._why_no_permit(now_ns):
            return f"the router cannot enter: {why}"
        if live := router.desk.live_trades():
            return f"the router has live trades: {live[0].plan.signal_id} is {live[0].stage.name}"
        if router.state is not TradingState.ACTIVE or router._paused:
            why = f"account {router._account_state}, guardian {router._guardian_state}, commanded {router._commanded}"
            return f"the router is {router.state} ({why}), paused {router._paused}"
        if books is None or not books.is_reconciled:
            return "the books were not compared"
        if books.quantities or books.residuals.position or books.residuals.money:
            return f"the books hold {books.quantities}, residuals {books.residuals}"
        if books.account(now_ns).wallet != Decimal(self.venue.core.ledger(ACCOUNT_UID)["wallet"]):
            return "the books' wallet is not the venue's"
        if books.state is not TradingState.ACTIVE:
            return f"the books ask to be {books.state}: {books.account(now_ns).anomalies}"
        untold = [command.command_id for command in self._commands if not self._is_obeyed(command)]
        return f"commands not taken: {untold}" if untold else ""

    def _judge(self) -> None:
        books = self.ground.apps[BOOKS].core
        ours, theirs = books.account(self.loop.wall_ns()), self.venue.core.ledger(ACCOUNT_UID)
        for name in ("wallet", "realised", "fees", "funding"):
            if getattr(ours, name) != Decimal(theirs[name]):
                self.witness.complain(f"{name}: {getattr(ours, name)} in our books, {theirs[name]} at the venue")
        if self.witness.struck.total() < LEAST_FAULTS and len(self.plan) >= LEAST_FAULTS:
            self.witness.say(f"only {self.witness.struck.total()} faults struck")

    def _is_obeyed(self, command: Command) -> bool:
        raws = self.redis.store.log(Topic(CONTROL, source="admin").key).raws
        is_told = any(command.command_id.encode() in raw for raw in raws)
        return not is_told or command.command_id in self.ground.apps[ROUTER].core._commands

    def _why_guardian_may_close(self) -> str:
        silent_ns = self.loop.wall_ns() - self.door.heard_ns.get(ROUTER, self.loop.wall_ns())
        return "the router was silent" if silent_ns > SILENCE_NS else ""

    def _is_on_disk(self, order_id: str) -> bool:
        return order_id.encode() in self.disk.safe(fleet.JOURNAL)

    def _died(self, life: Life, error: BaseException | None) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.witness.complain(f"{life} ended by itself: {error!r}")

    def _survived(self, event: str, error: BaseException, **_: Any) -> None:
        self.witness.complain(f"the venue failed: {event} {error!r}")

    # what goes on

    async def _publish_marks(self) -> None:
        while True:
            now_ns = self.loop.wall_ns()
            for symbol, walk in self.venue.walks.items():
                ticker = Ticker(
                    ts_event=now_ns, ts_recv=now_ns, symbol=symbol, last_price=walk.price, mark_price=walk.price,
                    index_price=walk.price, open_interest="", funding_rate="", next_funding_ns=0,
                )  # fmt: skip
                await self._ingestor.publish(Topic(MARKET, symbol=symbol), ticker)
            await asyncio.sleep(0.5)

    async def _publish_signals(self, symbol: str) -> None:
        chance = self.chance(f"signals {symbol}")
        await asyncio.sleep(FIRST_SIGNAL_S)
        while True:
            await asyncio.sleep(chance.uniform(0.15, 0.7))
            if not self._trading:
                continue
            self._signals += 1
            now_ns = self.loop.wall_ns()
            signal = Signal(
                ts_event=now_ns,
                ts_recv=now_ns,
                signal_id=f"s{self._signals}-{symbol}",
                symbol=symbol,
                source="model_server",
                side=chance.choice((Side.BUY, Side.SELL)),
                mid=Decimal(self.venue.walks[symbol].price),
                delta_bps=chance.choice((0.1, 0.5, 1.0, 2.0)),
                hold_ns=round(chance.choice((0.3, 0.8, 1.6, 4.0)) * SECOND),
                rest_ns=round(chance.choice((0.3, 0.7, 1.5)) * SECOND),
                valid_until_ns=now_ns + VALID_NS,
                expected_bps=5.0,
                drawn_bps=5.0,
                fill_probability=0.5,
                size_hint=1.0,
                model_hash="simulated",
            )
            self.witness.signalled(signal)
            topic = Topic(SIGNALS, symbol=symbol, source="model_server")
            for _ in range(1 + (chance.random() < 0.1)):
                await self._model.publish(topic, signal)

    async def _let_a_person_command(self, amount: float) -> None:
        """Pause or flatten, and resume a little later."""
        self._commanding += 1
        symbol = SYMBOLS[round(amount * 10) % 2]
        await self._command(Verb.FLATTEN if amount < 0.6 else Verb.PAUSE, symbol)
        await asyncio.sleep(0.4 + amount)
        await self._command(Verb.RESUME, symbol)
        self._commanding -= 1

    async def _command(self, verb: Verb, symbol: str) -> None:
        now_ns = self.loop.wall_ns()
        command_id = f"command-{self.seed}-{len(self._commands) + 1}."
        command = Command(
            ts_event=now_ns, ts_recv=now_ns, command_id=command_id, verb=verb, who="a person", why="test", symbol=symbol
        )
        self._commands.append(command)
        self.witness.say(f"a person commands {verb} of {symbol}")
        await self._admin.publish(Topic(CONTROL, source="admin"), command)

    # how it hangs together

    def _open_bus(self, producer: str) -> SimulatedBus:
        return SimulatedBus(self.redis, producer, self.chance(f"bus {LIFE.get()}"))

    def _at_port(self, port: str) -> None:
        self.havoc.at_port(port)

    def _serve(self, life: Life, work: Any) -> None:
        self.loop.begin(life, lambda: work)

    def _pause_s(self) -> float:
        return self.chance("launcher").uniform(0.2, fleet.LONGEST_PAUSE_S)


@contextlib.contextmanager
def _seams(world_of: list[World]) -> Iterator[pytest.MonkeyPatch]:
    """Put virtual time, seeded jitter and the simulated network where the services' own come from."""
    clients = SimpleNamespace(
        AsyncClient=lambda **how: world_of[0].network.client(**how),  # noqa: PLW0108 - the world comes later
        **{
            name: getattr(httpx, name)
            for name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "HTTPError", "codes")
        },
    )

    def now_ns() -> int:
        return world_of[0].loop.wall_ns()

    jitter = SimpleNamespace(Random=lambda _: world_of[0].chance(f"jitter {LIFE.get()}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("undertow.runtime.clock.time", SimpleNamespace(time_ns=now_ns, monotonic_ns=now_ns))
        patch.setattr("undertow.runtime.retry.random", jitter)
        for caller in (BybitHttp, fleet.RoutersGuardian, fleet.BooksGuardian):
            patch.setattr(f"{caller.__module__}.httpx", clients)
        for module in ("undertow.exchange.bybit.trade_ws", "undertow.exchange.bybit.private_ws"):
            patch.setattr(f"{module}.open_socket", lambda url, **_: world_of[0].network.open_socket(url))
        patch.setattr("services.order_router.app.settle", lambda: None)
        yield patch


def play(seed: int, plan: Sequence[Planned] | None = None) -> Outcome:
    """Play a seed with its own plan, or with a part of it: the same each time."""
    worlds: list[World] = []
    loop = LivingLoop(seed)
    loop.set_exception_handler(lambda _loop, _context: None)  # of those who were killed
    was_on = gc.isenabled()
    gc.disable()  # what is thrown away in the middle of a seed must not run its `finally` there

    async def main() -> Outcome:
        worlds.append(World(seed, drawn(seed) if plan is None else plan, loop))
        return await worlds[0].play()

    try:
        with _seams(worlds):
            return loop.run_until_complete(main())
    finally:
        for world in worlds:
            bury([life for launcher in world.launchers for life in launcher.all_lives])
        loop.close()
        if was_on:
            gc.enable()
