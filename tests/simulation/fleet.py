"""The services as processes of the simulation: the real applications on simulated ports, and a launcher that starts them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import SecretStr

from services.guardian.app import GuardianApp
from services.guardian.rules import Memory as GuardianMemory
from services.guardian.settings import Settings as GuardianSettings
from services.order_router.app import HttpGuardian as RoutersGuardian
from services.order_router.app import OrderRouter
from services.order_router.settings import Settings as RouterSettings
from services.position_manager.app import PositionManagerApp
from services.position_manager.core import Memory as BooksMemory
from services.position_manager.guardian import HttpGuardian as BooksGuardian
from services.position_manager.settings import Settings as BooksSettings
from tests.simulation import network
from tests.simulation.lives import Killed, Life, LivingLoop
from undertow.bus.ports import Bus
from undertow.contracts.messages.heartbeat import Heartbeat
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.runtime.checkpoint import Checkpoint
from undertow.runtime.disk import Disk
from undertow.runtime.service import Runtime
from undertow.runtime.settings import Credentials

ROUTER: Final = "order_router"
BOOKS: Final = "position_manager"
GUARDIAN: Final = "guardian"
SERVICES: Final = (GUARDIAN, BOOKS, ROUTER)
SYMBOLS: Final = ("BTCUSDT", "DOGEUSDT")
VENUE_URL: Final = "http://venue"
GUARDIAN_URL: Final = "http://guardian"
HTTP_TIMEOUT_S: Final = 1.5
HEARTBEAT: Final = "/heartbeat"
_WHO: Final = msgspec.json.Decoder(Heartbeat)
LONGEST_PAUSE_S: Final = 1.0
"""Before the launcher starts again what has died."""
JOURNAL: Final = Path("/router/orders.journal")


@cache
def settings_of(stop_bps: int, gross_fraction: str) -> dict[str, Any]:
    """Give the settings of all services."""
    shared: dict[str, Any] = {"symbols": SYMBOLS, "venue": {"rest_url": VENUE_URL}, "log": {"level": "error"}}
    bus = {"url": "redis://127.0.0.1:1/0"}
    guardian = {"url": GUARDIAN_URL}
    return {
        ROUTER: RouterSettings(
            **shared,
            bus=bus,
            guardian=guardian,
            router={"journal": JOURNAL, "stop_bps": Decimal(stop_bps)},
            risk={
                "gross_fraction": Decimal(gross_fraction),
                "max_losses_in_row": 1_000,  # signals are drawn, and lose
                "max_entries_per_cascade": 10_000,
                "max_entries_per_symbol": 10_000,
            },
            breaker={"max_jump_bps": 0, "max_rejections": 0},  # the market jumps and the venue refuses on purpose
        ),
        BOOKS: BooksSettings(**shared, bus=bus, guardian=guardian, state_dir=Path("/books")),
        GUARDIAN: GuardianSettings(**shared, state_dir=Path("/guardian")),
    }


class Clock:
    """Market time, which is the loop's."""

    rate = 1.0

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        self.now_ns = wall_ns

    async def sleep(self, market_seconds: float) -> None:
        await asyncio.sleep(market_seconds)


class Ear:
    """A service's log: warnings and errors go into the story."""

    def __init__(self, say: Callable[[str], None], who: Life) -> None:
        self._say = say
        self._who = who

    def debug(self, event: str, **keys: Any) -> None:
        """Nobody reads these."""

    info = debug

    def warning(self, event: str, **keys: Any) -> None:
        words = ", ".join(f"{name} {value}" for name, value in keys.items())
        self._say(f"  {self._who}: {event} {words}"[:240])

    error = warning


class Ground:
    """What a service stands on in the simulation."""

    def __init__(
        self,
        settings: dict[str, Any],
        clock: Clock,
        disk: Disk,
        open_bus: Callable[[str], Bus],
        say: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.disk = disk
        self.open_bus = open_bus
        self.say = say
        self.apps: dict[str, Any] = {}
        self.runtimes: dict[str, Runtime] = {}

    def runtime(self, life: Life) -> Runtime:
        """Make a runtime whose boot id is a function of the seed."""
        runtime = Runtime(life.name, self.settings[life.name], self.clock)
        runtime.boot_id = f"boot{life.number}"
        runtime.log = Ear(self.say, life)  # type: ignore[assignment]  # as much of a logger as services use
        self.runtimes[life.name] = runtime
        return runtime

    def http(self, role: str, **how: Any) -> BybitHttp:
        """Make a client of the venue."""
        return BybitHttp(VENUE_URL, self.clock, _key(role), **how)


def _key(role: str) -> Credentials:
    return Credentials(api_key=f"paper-{role}", api_secret=SecretStr(f"paper-{role}-secret"))


def router(ground: Ground, life: Life) -> OrderRouter:
    """Put a router together."""
    runtime = ground.runtime(life)
    apps: list[OrderRouter] = []

    def on_written(order_id: str, wall_ns: int) -> None:
        apps[0].on_written(order_id, wall_ns)

    http = ground.http("router", on_written=on_written)
    socket = BybitTradeSocket("ws://venue/v5/trade", _key("router"), http.venue_clock, on_written=on_written)
    app = OrderRouter(
        ground.settings[ROUTER],
        runtime,
        ground.open_bus(runtime.producer),
        http,
        BybitPrivateFeed("ws://venue/v5/private", _key("router"), http.venue_clock),
        [socket, http],
        RoutersGuardian(GUARDIAN_URL),
        beside=[socket.run],
        close=http.close,
        disk=ground.disk,
    )
    apps.append(app)
    return app


def books(ground: Ground, life: Life) -> PositionManagerApp:
    """Put a position manager together."""
    runtime = ground.runtime(life)
    return PositionManagerApp(
        runtime,
        ground.settings[BOOKS],
        ground.open_bus(runtime.producer),
        ground.http("reader"),
        BooksGuardian(GUARDIAN_URL),
        Checkpoint(Path("/books/books.json"), BooksMemory, ground.disk),
    )


def guardian(ground: Ground, life: Life) -> GuardianApp:
    """Put a guardian together."""
    http = ground.http("guardian", timeout_s=HTTP_TIMEOUT_S)
    socket = BybitTradeSocket("ws://venue/v5/trade", _key("guardian"), http.venue_clock)
    return GuardianApp(
        ground.runtime(life),
        ground.settings[GUARDIAN],
        http,
        [socket, http],
        Checkpoint(Path("/guardian/guardian.json"), GuardianMemory, ground.disk),
        [socket.run],
    )


BUILDS: Final[dict[str, Callable[[Ground, Life], Any]]] = {ROUTER: router, BOOKS: books, GUARDIAN: guardian}


class Door:
    """The guardian's HTTP, as its network neighbours reach it."""

    def __init__(self, ground: Ground, lives: dict[str, Life], spawn: Callable[[Life, Coroutine[Any, Any, Any]], Any]):
        self._ground = ground
        self._lives = lives
        self._spawn = spawn
        self.is_cut = False
        self.heard_ns: dict[str, int] = {}

    async def answer(self, request: network.Sent) -> network.Answer:
        life = self._lives.get(GUARDIAN)
        if life is None or life.is_over or GUARDIAN not in self._ground.apps:
            raise ConnectionError("nobody listens")
        if self.is_cut:
            await asyncio.Event().wait()  # what gets lost is never answered
        if request.path == HEARTBEAT:
            self.heard_ns[_WHO.decode(request.body).service] = self._ground.clock.now_ns()
        handler = self._ground.runtimes[GUARDIAN].asgi._routes[request.method, request.path]
        answer: asyncio.Future[tuple[int, bytes, str]] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            network._give(answer, await handler(request.body, {}))

        self._spawn(life, serve())
        status, body, _ = await answer
        return network.Answer(status, body)


class Launcher:
    """Keeps a service running, as `undertow run` does.

    Args:
        pause_s: before a start.
        died: told of a life that ended by itself.
    """

    def __init__(
        self,
        name: str,
        ground: Ground,
        lives: dict[str, Life],
        loop: LivingLoop,
        pause_s: Callable[[], float],
        died: Callable[[Life, BaseException | None], None],
    ) -> None:
        self.name = name
        self.all_lives: list[Life] = []
        self._ground = ground
        self._lives = lives
        self._loop = loop
        self._pause_s = pause_s
        self._died = died

    async def run(self) -> None:
        """Start it again and again."""
        while True:
            life = Life(self.name, len(self.all_lives) + 1)
            self.all_lives.append(life)
            self._lives[self.name] = life
            ended = asyncio.Event()
            life.farewells.append(ended.set)
            task = self._loop.begin(life, lambda life=life: self._live(life))
            task.add_done_callback(lambda _, ended=ended: ended.set())
            await ended.wait()
            self._ground.apps.pop(self.name, None)
            if task.done() and not life.is_over:
                self._loop.kill(life)
                self._died(life, None if task.cancelled() else task.exception())
            await asyncio.sleep(self._pause_s())

    async def _live(self, life: Life) -> None:
        try:
            app = BUILDS[self.name](self._ground, life)
            self._ground.apps[self.name] = app
            await app.run()
        except Killed:
            return
