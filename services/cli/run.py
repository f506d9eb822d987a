"""`undertow run`: the whole fleet as local processes, from nothing to trading, and back to nothing.

Order of a run: check everything that can be wrong → compile kernels once → Redis, unless one is given → venue → guardian and the
fleet → all ready → open the market → trade → close positions → compare books with the venue → stop → report. Whatever happens in
between, what was started is stopped and the report is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, strftime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from services.cli import report as reporting
from services.cli.books import Books, read_books
from services.cli.counters import CounterTotals
from services.cli.embedded_redis import redis_spec, socket_path
from services.cli.exits import CommandError, ExitCode
from services.cli.fleet import SERVICES, STOP_ORDER, FleetPlan, free_ports, is_free, numba_cache, processes_of
from services.cli.given_bus import claim
from services.cli.http import FleetHttp
from services.cli.processes import ProcessSpec, Supervisor, last_line, run_to_end
from services.cli.story import Story
from services.cli.workspace import make_temporary
from undertow.bus import open_bus
from undertow.bus.ports import Bus, Delivery, Topic
from undertow.bus.stats import lags
from undertow.contracts.streams import FEATURES, ORDERS, SIGNALS
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import BusSettings

READY_TIMEOUT_SECONDS: Final = 90.0
FLAT_TIMEOUT_SECONDS: Final = 20.0
SCRAPE_SECONDS: Final = 1.0
LAG_EVERY_SCRAPES: Final = 5  # counting a lag reads what is unread
_KEPT_RUNS: Final = 5
_ASK_TO_STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the person asked for.

    Attributes:
        seconds: counted from the opening of the market; None = until Ctrl-C.
        bus_url: of a Redis that is there; "" = bring one along.
        shards: how many instances of each service of `SHARDED` share the symbols.
    """

    mode: Mode
    symbols: tuple[str, ...]
    seconds: float | None
    console_port: int
    var: Path
    bus_url: str = ""
    shards: int = 1


class FleetRun:
    """One run of the fleet."""

    def __init__(self, options: RunOptions, console: Console) -> None:
        self._options = options
        self._processes = processes_of(SERVICES, options.shards)
        self._console = console
        self._http = FleetHttp()
        self._counters = CounterTotals()
        self._failures: list[str] = []
        self._stop = asyncio.Event()
        self._supervisor = Supervisor(self._on_failure)
        self._bus: Bus | None = None
        self._opened_at: float | None = None
        self._bus_label = "embedded Redis"
        self._lag_max = 0
        self._scrapes = 0

    async def run(self) -> dict[str, Any]:
        """Run to the end and give the report.

        Raises:
            CommandError: the fleet could not be started.
        """
        loop = asyncio.get_running_loop()
        for each in _ASK_TO_STOP:
            loop.add_signal_handler(each, self._stop.set)
        temporary = make_temporary()
        books = Books()
        try:
            plan = self._plan(temporary)
            if self._options.bus_url:
                self._bus_label = await claim(self._options.bus_url, self._options.mode, plan.state.parent.name)
            async with self._started(plan):
                if not self._stop.is_set():
                    await self._trade(plan)
                if self._opened_at is not None:
                    books = await self._close_books(plan)
                await self._scrape(plan)
                facts = await self._facts(plan, books)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            await self._http.close()
            signal.pthread_sigmask(signal.SIG_BLOCK, _ASK_TO_STOP)  # it has stopped; the loop's handlers end before us
        report = reporting.compose(facts)  # after the stop, which may have failed too
        reporting.write(report, self._options.var / "run-report.json")
        return report

    def _plan(self, temporary: Path) -> FleetPlan:
        paper = self._options.mode is Mode.PAPER
        names = (*self._processes, "venue") if paper else self._processes
        others = [name for name in names if name != "admin"]
        ports = dict(zip(others, free_ports(len(others)), strict=True)) | {"admin": self._options.console_port}
        if not is_free("127.0.0.1", self._options.console_port):
            raise CommandError(
                ExitCode.BAD_CONFIGURATION,
                f"port {self._options.console_port} of the console is in use; stop what listens there or choose another with "
                "UNDERTOW_CONSOLE_PORT",
            )
        stamp = strftime("%Y%m%d-%H%M%S")
        home = self._options.var / ("runs/" + stamp if paper else f"live/{self._options.mode}")
        for old in sorted((self._options.var / "runs").glob("*"))[: -_KEPT_RUNS + 1]:
            shutil.rmtree(old, ignore_errors=True)
        embedded = f"unix://{socket_path(home.absolute(), temporary)}"
        return FleetPlan(
            state=(home / "state").absolute(),
            logs=(home / "logs").absolute(),
            temporary=temporary,
            bus_url=self._options.bus_url or embedded,
            has_own_bus=not self._options.bus_url,
            shards=self._options.shards,
            ports=ports,
            has_paper_venue=paper,
        )

    @contextlib.asynccontextmanager
    async def _started(self, plan: FleetPlan) -> AsyncIterator[None]:
        try:
            await self._start(plan)
            yield
        finally:
            codes = await self._supervisor.stop_all(processes_of(STOP_ORDER, plan.shards))
            if self._bus:
                await self._bus.close()
            self._failures += [
                f"{name} ended with code {code}: {last_line(plan.logs / f'{name}.log')}"
                for name, code in codes.items()
                if code not in (0, -signal.SIGTERM) and not any(f.startswith(name) for f in self._failures)
            ]

    async def _start(self, plan: FleetPlan) -> None:
        with self._console.status("compiling kernels (minutes at most, and only the first time)"):
            await self._unless_stopped(compile_kernels(plan.logs / "warm.log"))
        if self._stop.is_set():
            return
        if plan.has_own_bus:
            socket = Path(plan.bus_url.removeprefix("unix://"))
            socket.parent.mkdir(parents=True, exist_ok=True)
            await self._supervisor.start(redis_spec(plan.state / "redis", socket, plan.logs / "redis.log"))
        self._bus = open_bus(BusSettings(url=plan.bus_url), "cli")
        if plan.has_paper_venue:
            await self._supervisor.start(plan.spec("venue"))
            await self._unless_stopped(self._until_ready(plan, ("venue",)))
        for name in self._processes:
            if self._stop.is_set():
                return
            (plan.state / name).mkdir(parents=True, exist_ok=True)
            await self._supervisor.start(plan.spec(name))
        await self._unless_stopped(self._until_ready(plan, self._processes))
        if self._stop.is_set():
            return
        if plan.has_paper_venue:
            status, answer = await self._http.post_json(f"{plan.url('venue')}/control/start", {})
            if status != 200:  # noqa: PLR2004 - HTTP
                raise CommandError(ExitCode.ERROR, f"the venue did not open its market: {answer}")
        self._opened_at = monotonic()

    async def _until_ready(self, plan: FleetPlan, names: tuple[str, ...]) -> None:
        waiting = dict.fromkeys(names, "not listening yet")
        deadline = monotonic() + READY_TIMEOUT_SECONDS
        with self._console.status("") as status:
            while waiting:
                for name in list(waiting):
                    ready, why = await self._http.ready(plan.url(name))
                    if ready:
                        del waiting[name]
                    else:
                        waiting[name] = why
                line = f"starting: {len(names) - len(waiting)}/{len(names)} ready; waiting for {', '.join(waiting)}"
                status.update(Text(line, overflow="ellipsis", no_wrap=True))
                if self._failures:
                    raise CommandError(ExitCode.ERROR, self._failures[0])
                if waiting and monotonic() > deadline:
                    reasons = "; ".join(f"{name}: {why}" for name, why in waiting.items())
                    raise CommandError(ExitCode.TIMED_OUT, f"not ready after {READY_TIMEOUT_SECONDS:.0f} s: {reasons}")
                await asyncio.sleep(0.1)

    async def _unless_stopped(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return
        await task

    async def _trade(self, plan: FleetPlan) -> None:
        assert self._bus is not None  # noqa: S101 - `_start` opened it
        market = await self._market_label(plan)
        model = await self._http.get_json(f"{plan.url('model_server')}/version") or {}
        self._console.print(f"[bold]{self._options.mode.upper()}[/]  market: {market}", soft_wrap=True)
        self._console.print(
            f"model: {model.get('model_kind', 'unknown')} ({model.get('model_hash', '?')})", soft_wrap=True
        )
        if not plan.has_own_bus:
            self._console.print(f"bus: {self._bus_label}", soft_wrap=True)
        self._console.print(f"console: [link]http://127.0.0.1:{self._options.console_port}[/link]   stop: Ctrl-C")
        story = Story(self._bus, self._options.symbols, self._console)
        deadline = None if self._options.seconds is None else monotonic() + self._options.seconds
        while not self._stop.is_set() and not self._failures and (deadline is None or monotonic() < deadline):
            pause = SCRAPE_SECONDS if deadline is None else min(SCRAPE_SECONDS, max(0.0, deadline - monotonic()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            await self._scrape(plan)
            await story.tell()

    async def _close_books(self, plan: FleetPlan) -> Books:
        """Close positions (paper only), wait until our books and the venue's have both come to rest, and read them."""
        if plan.has_paper_venue:
            body = {"who": "undertow run", "why": "the run ends"}
            status, answer = await self._http.post_json(f"{plan.url('admin')}/api/flatten", body)
            if status != 200:  # noqa: PLR2004 - HTTP
                self._failures.append(f"flatten was refused: {answer}")
        deadline = monotonic() + FLAT_TIMEOUT_SECONDS
        settled = 0
        books = Books()
        while monotonic() < deadline and settled < 2:  # noqa: PLR2004 - two equal looks
            await asyncio.sleep(0.3)
            books = await read_books(self._http, plan, self._options.mode)
            settled = settled + 1 if books.at_rest(flat=plan.has_paper_venue) else 0
        if settled < 2:  # noqa: PLR2004
            self._failures.append(
                f"books did not come to rest within {FLAT_TIMEOUT_SECONDS:.0f} s: {books.why_restless}"
            )
        return books

    async def _scrape(self, plan: FleetPlan) -> None:
        names = tuple(plan.ports)
        pages = await asyncio.gather(*(self._http.get_text(f"{plan.url(name)}/metrics") for name in names))
        for name, page in zip(names, pages, strict=True):
            if page:
                self._counters.feed(name, page)
        self._scrapes += 1
        if self._bus and self._scrapes % LAG_EVERY_SCRAPES == 1 and await self._bus.connected():
            with contextlib.suppress(ConnectionError):
                self._lag_max = max([self._lag_max, *(each.lag for each in await lags(self._bus))])

    async def _facts(self, plan: FleetPlan, books: Books) -> reporting.RunFacts:
        stats = await self._venue_stats(plan)
        orders, decisions = await self._record()
        return reporting.RunFacts(
            mode=self._options.mode,
            market=str(stats.get("market_label", f"Bybit {self._options.mode}")),
            bus=self._bus_label,
            seconds=0.0 if self._opened_at is None else monotonic() - self._opened_at,
            counters=self._counters,
            frames_injected=int(stats.get("frames_injected", 0)),
            duplicate_orders=int(stats.get("duplicate_link_ids_refused", 0)),
            realised_pnl_usdt=books.realised_text,
            residuals=books.residuals(),
            stream_lag_max=self._lag_max,
            orders=orders,
            decisions=decisions,
            restarts=self._supervisor.restarts,
            failures=self._failures,
        )

    async def _record(self) -> tuple[list[Delivery], list[Delivery]]:
        if self._bus is None or not await self._bus.connected():
            return [], []
        orders = await self._bus.since(Topic(ORDERS), "-")
        decisions = list(orders)
        for symbol in self._options.symbols:
            decisions += await self._bus.since(Topic(FEATURES, symbol=symbol), "-")
            decisions += await self._bus.since(Topic(SIGNALS, symbol=symbol, source="model_server"), "-")
        return orders, decisions

    async def _market_label(self, plan: FleetPlan) -> str:
        return str((await self._venue_stats(plan)).get("market_label", f"Bybit {self._options.mode}"))

    async def _venue_stats(self, plan: FleetPlan) -> dict[str, Any]:
        if not plan.has_paper_venue:
            return {}
        return await self._http.get_json(f"{plan.url('venue')}/control/stats") or {}

    def _on_failure(self, name: str, why: str) -> None:
        self._failures.append(f"{name} {why}")


async def compile_kernels(log: Path) -> None:
    """Compile features and matching once, in a process of its own, so that no two services compile the same thing.

    Raises:
        CommandError: it failed.
        ConfigurationError: there is nowhere to keep them.
    """
    cache = numba_cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "NUMBA_CACHE_DIR", f"{cache} cannot be written ({error.strerror})", "name a folder of your own"
        ) from None
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    if await run_to_end(ProcessSpec("warm", [sys.executable, "-m", "services.cli.warm"], environment, log)):
        raise CommandError(ExitCode.ERROR, f"compiling the kernels failed: {last_line(log)}")
