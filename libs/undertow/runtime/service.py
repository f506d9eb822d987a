"""How every service lives: settings, logging, metrics, health endpoints, clock, signals, one task that is its work.

A service's `app.py` exports a class that satisfies `Application` and a function `build`; its `__main__.py` calls
`run("name", Settings, build)`. Exit codes: 0 stopped or done, 1 error, 4 bad configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, NoReturn, Protocol, TypeVar

import structlog
import uvicorn
import uvloop

from undertow.contracts.metrics import ERRORS, READY
from undertow.domain.state import Mode
from undertow.runtime.clock import Clock, ClockFollower, WallClock
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.health import JSON, METRICS, TEXT, HealthApp
from undertow.runtime.log import open_log
from undertow.runtime.memory import settle
from undertow.runtime.metrics import BusMetrics, Metrics
from undertow.runtime.settings import PREFIX, ServiceSettings, load
from undertow.runtime.version import config_hash, git_sha

EXIT_ERROR: Final = 1
EXIT_CONFIGURATION: Final = 4
STOP_TIMEOUT_S: Final = 3.5
BACKLOG: Final = 128


class Application(Protocol):
    """The thin shell of one service."""

    async def run(self) -> None:
        """Work until cancelled; on cancellation finish what is in hand (acks, journal) and return."""
        ...

    def unready_reason(self) -> str | None:
        """Say in words why the service cannot do its job now, or None when it can."""
        ...


S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[S, "Runtime"], Application]


class Runtime:
    """What a service stands on.

    Attributes:
        name: of the service.
        boot_id: new at each start.
        clock: market time.
        log: identity is bound already.
        metrics: the service's own registry.
        facts: shown by `/version`; a service adds its `model_hash` here.
        listener: the open port of a service with a server of its own, which serves `asgi` too; None for all others.
    """

    def __init__(self, name: str, settings: ServiceSettings, clock: Clock | None = None) -> None:
        self.name = name
        self.boot_id = secrets.token_hex(6)
        self.clock: Clock = clock or WallClock()
        self.listener: socket.socket | None = None
        self.metrics = Metrics(name, settings.mode)
        self.log: structlog.stdlib.BoundLogger = open_log(
            settings.log.level,
            settings.log.format,
            **{
                "service.name": name,
                "service.instance": settings.instance,
                "boot_id": self.boot_id,
                "mode": settings.mode.value,
            },
        )
        self.facts = {
            "service": name,
            "boot_id": self.boot_id,
            "mode": settings.mode.value,
            "git_sha": git_sha(),
            "config_hash": config_hash(settings),
        }
        self._errors = self.metrics.counter(ERRORS)
        self._app = HealthApp()
        self._app.on_error = lambda path, error: self.survived("request_failed", error, path=path)

    @property
    def producer(self) -> str:
        """Who this process is on the bus."""
        return f"{self.name}/{self.boot_id}"

    @property
    def bus_watch(self) -> BusMetrics:
        """What the bus reports to, as metrics."""
        return BusMetrics(self.metrics)

    @property
    def asgi(self) -> HealthApp:
        """The HTTP face, to be served."""
        return self._app

    def add_route(
        self, method: str, path: str, handler: Callable[[bytes, dict[str, str]], Awaitable[tuple[int, bytes, str]]]
    ) -> None:
        """Answer `method path` on the health port.

        Args:
            method: upper case.
            path: exact.
            handler: (body, query) -> (status, body, content type).

        Raises:
            ValueError: it is answered already.
        """
        self._app.add_route(method, path, handler)

    def add_asgi(self, app: Callable[..., Awaitable[None]]) -> None:
        """Give all other paths of the health port to a whole ASGI application.

        Raises:
            ValueError: there is one already.
        """
        self._app.add_asgi(app)

    def survived(self, event: str, error: BaseException, **keys: Any) -> None:
        """Count and log an unexpected error after which the service goes on."""
        self._errors.inc()
        self.log.error(event, **{"error.type": type(error).__name__, "error.message": str(error), **keys})


def run(name: str, settings: type[S], build: Build[S]) -> NoReturn:
    """Live as the service `name` until a signal or the end of its work; never returns."""
    try:
        values = load(settings)
        listener = _listen(values)
    except ConfigurationError as error:
        _complain(f"configuration: {error}", EXIT_CONFIGURATION)
    code = 0
    with contextlib.suppress(KeyboardInterrupt), listener:
        try:
            code = uvloop.run(_live(Runtime(name, values), values, build, listener))
        except ConfigurationError as error:
            _complain(f"configuration: {error}", EXIT_CONFIGURATION)
    sys.exit(code)


async def _live(runtime: Runtime, settings: S, build: Build[S], listener: socket.socket) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    state = _Readiness(runtime)
    serving = _handed_over if settings.has_own_server else _serving
    async with serving(runtime, listener):
        life = asyncio.create_task(_work(runtime, settings, build, state), name=runtime.name)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        state.reason = "stopping"
        if not life.done():
            runtime.log.info("stopping")
            life.cancel()
            await asyncio.wait({life}, timeout=STOP_TIMEOUT_S)
        return _outcome(runtime, life)


def _outcome(runtime: Runtime, life: asyncio.Task[None]) -> int:
    if not life.done():
        runtime.log.error("stop_timed_out", seconds=STOP_TIMEOUT_S)
        os._exit(EXIT_ERROR)  # a task that swallows its cancellation would hold up the loop's own ending too
    error = None if life.cancelled() else life.exception()
    if isinstance(error, ConfigurationError):
        raise error
    if error is not None:
        keys = {"error.type": type(error).__name__, "error.message": str(error)}
        runtime.log.error("failed", exc_info=error, **keys)
        return EXIT_ERROR
    runtime.log.info("stopped")
    return 0


async def _work(runtime: Runtime, settings: S, build: Build[S], state: _Readiness) -> None:
    following: asyncio.Task[None] | None = None
    if settings.mode is Mode.PAPER and not settings.owns_market_clock:
        if not settings.clock.url:
            raise ConfigurationError(
                f"{PREFIX}CLOCK__URL",
                "is missing, and in paper mode every service follows the venue's clock",
                "set it to http://HOST:PORT/control/clock of the venue",
            )
        follower = ClockFollower(settings.clock.url)
        clock = await follower.acquire()
        runtime.clock = clock
        following = asyncio.create_task(follower.follow(clock), name="clock")
    try:
        application = build(settings, runtime)
        settle()
        state.application = application
        await application.run()
    finally:
        if following is not None:
            following.cancel()


class _Readiness:
    """Why the service is not ready: what the life around it says, then what the application says."""

    def __init__(self, runtime: Runtime) -> None:
        self.application: Application | None = None
        self.reason = ""
        gauge = runtime.metrics.gauge(READY)
        gauge.set_function(lambda: float(self.unready() is None))
        runtime.add_route("GET", "/healthz", self._health)
        runtime.add_route("GET", "/readyz", self._ready)
        runtime.add_route("GET", "/metrics", self._metrics)
        runtime.add_route("GET", "/version", self._version)
        self._runtime = runtime

    def unready(self) -> str | None:
        if self.reason:
            return self.reason
        if self.application is None:
            return "starting: waiting for the venue's clock"
        return self.application.unready_reason()

    async def _health(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        return 200, b"alive", TEXT

    async def _ready(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        reason = self.unready()
        return (200, b"ready", TEXT) if reason is None else (503, reason.encode(), TEXT)

    async def _metrics(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        return 200, self._runtime.metrics.render(), METRICS

    async def _version(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        return 200, json.dumps(self._runtime.facts).encode(), JSON


class _Server(uvicorn.Server):
    """A uvicorn that leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(runtime: Runtime, listener: socket.socket) -> Any:
    server = _Server(
        uvicorn.Config(
            runtime.asgi,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="health")
    _announce(runtime, listener)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def _handed_over(runtime: Runtime, listener: socket.socket) -> Any:
    runtime.listener = listener
    _announce(runtime, listener)
    yield


def _announce(runtime: Runtime, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    print(json.dumps({"event": "listening", "service": runtime.name, "port": port}), flush=True)  # noqa: T201 - the launcher reads it
    runtime.log.info("listening", port=port)


def _listen(settings: ServiceSettings) -> socket.socket:
    try:
        return socket.create_server((settings.http.host, settings.http.port), backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        at = f"{settings.http.host}:{settings.http.port} {reason.lower()}"
        raise ConfigurationError(f"{PREFIX}HTTP__PORT", at, "set it to a free port, or to 0 for any") from None


def _complain(line: str, code: int) -> NoReturn:
    print("undertow: " + " ".join(line.split()), file=sys.stderr, flush=True)  # noqa: T201 - the last word of a process
    sys.exit(code)
