"""The position manager's shell: reads streams, asks the venue, keeps the checkpoint, speaks to the guardian."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from services.position_manager.comparison import VenueView
from services.position_manager.core import (
    SERVICE,
    Effect,
    Kill,
    Memory,
    Page,
    PositionManagerCore,
    Publish,
    Remember,
    Tell,
    opened,
)
from services.position_manager.guardian import Guardian, HttpGuardian
from services.position_manager.settings import SECOND_NS, Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusError, BusRefusedError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.heartbeat import Heartbeat
from undertow.contracts.messages.market import Ticker
from undertow.contracts.metrics import (
    DRAWDOWN,
    EQUITY,
    EXECUTIONS_ON_WAY,
    FORCED_CLOSES,
    MONEY_RESIDUAL,
    ORDER_RESIDUAL,
    POSITION_RESIDUAL,
    REALISED_PNL,
    RECONCILED,
    TRADING_STATE,
)
from undertow.contracts.streams import ACCOUNT, CONTROL, EXECUTIONS, MARKET, ORDERS
from undertow.exchange.budget.ports import Priority
from undertow.exchange.budget.shared import SharedBudget, expose
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.errors import VenueError
from undertow.exchange.models import LedgerEntry, VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.runtime.checkpoint import Checkpoint
from undertow.runtime.health import JSON
from undertow.runtime.scribe import Scribe
from undertow.runtime.service import Runtime
from undertow.runtime.settings import credentials_for

RECONCILE_LATE_S: Final = 30.0
REMEMBERED_ORDERS: Final = 2_000
OPENING_PAUSE_S: Final = 0.2
LEAST_BEAT_S: Final = 0.02
WRITE_EVERY_S: Final = 0.5
"""Wall seconds between two writes of changed books."""
DISK_PATIENCE_S: Final = 2.0
RETRY_S: Final = 0.5
UNHURRIED_S: Final = 0.02
"""Wall seconds between two reads of the market: few large batches leave the cores to those on an order's way."""

T = TypeVar("T")


class Venue(Protocol):
    """What the position manager asks; part of `undertow.exchange.ports.TradingRest`."""

    async def executions(self, *, since_ns: int, order_id: str = "") -> list[VenueExecution]: ...  # noqa: D102
    async def positions(self) -> list[VenuePosition]: ...  # noqa: D102
    async def open_orders(self) -> list[VenueOrder]: ...  # noqa: D102
    async def wallet(self) -> Wallet: ...  # noqa: D102
    async def ledger(self, *, since_ns: int) -> list[LedgerEntry]: ...  # noqa: D102


class PositionManagerApp:
    """The service."""

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        bus: Bus,
        venue: Venue,
        guardian: Guardian,
        checkpoint: Checkpoint[Memory],
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._watch = settings.watch
        self._bus = bus
        self._venue = venue
        self._guardian = guardian
        self._checkpoint = checkpoint
        self._scribe = Scribe(checkpoint.save, lambda error: runtime.survived("books_not_written", error))
        self._is_changed = False
        self._core: PositionManagerCore | None = None
        self._failure = "the books are not open yet"
        self._counted_at: float | None = None
        self._beats = 0
        runtime.add_route("GET", "/state", self._on_state)

    @property
    def core(self) -> PositionManagerCore:
        """The core; there once the books are open."""
        if self._core is None:
            raise RuntimeError("the books are not open yet")
        return self._core

    def unready_reason(self) -> str | None:
        """Not ready until the books were compared with the venue's, and when that was too long ago."""
        if self._counted_at is None:
            return self._failure or "not compared with the venue yet"
        if asyncio.get_running_loop().time() - self._counted_at > RECONCILE_LATE_S:
            return (
                f"not compared with the venue for {RECONCILE_LATE_S:.0f} s: {self._failure or 'trading never paused'}"
            )
        return None

    async def run(self) -> None:
        """Keep the books until cancelled."""
        self._core, happened = await self._open()
        await self._perform(happened)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._despite_refusals(self._read_trading), name="trading")
                tasks.create_task(self._despite_refusals(self._read_market), name="market")
                tasks.create_task(self._write_for_ever(), name="write")
                tasks.create_task(self._publish_for_ever(), name="account")
                tasks.create_task(self._beat_for_ever(), name="heartbeat")
                tasks.create_task(self._reconcile_for_ever(), name="reconcile")
        finally:
            self._scribe.write(self.core.memory())
            await self._scribe.settled(DISK_PATIENCE_S)
            await self._bus.close()

    # opening

    async def _open(self) -> tuple[PositionManagerCore, list[Effect]]:
        memory = self._checkpoint.load()
        while memory is None:
            memory = await self._retried(self._first_opening)
        core = PositionManagerCore(memory, self._watch.limits())
        since_ns = max(memory.floor_ns, memory.through_ns - int(self._watch.reread_seconds * SECOND_NS))
        missed = None
        while missed is None:
            missed = await self._retried(lambda: self._happened(since_ns))
        effects = core.on_reread(*missed, self._now())
        self._checkpoint.save(core.memory())
        return core, effects

    async def _despite_refusals(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:  # a bus that is away must not end the books, the beats and the comparisons
            try:
                return await work()
            except (BusAwayError, BusRefusedError) as error:
                self._runtime.survived("bus_failed", error)
                await asyncio.sleep(RETRY_S)

    async def _first_opening(self) -> Memory | None:
        """Read the account twice; only two equal answers are an opening balance."""
        now_ns = self._now()
        floor_ns = now_ns - int(self._watch.reread_seconds * SECOND_NS)
        one = await self._opening_facts(floor_ns)
        await asyncio.sleep(OPENING_PAUSE_S)
        view, executions = await self._opening_facts(floor_ns)
        if _facts(*one) != _facts(view, executions):
            return None
        return opened(self._watch.coin, view, executions, floor_ns=floor_ns, now_ns=now_ns)

    async def _opening_facts(self, floor_ns: int) -> tuple[VenueView, list[VenueExecution]]:
        return await self._view(0, floor_ns), await self._venue.executions(since_ns=floor_ns)

    async def _happened(self, since_ns: int) -> tuple[list[VenueExecution], list[LedgerEntry]]:
        executions, rows = await asyncio.gather(
            self._venue.executions(since_ns=since_ns), self._venue.ledger(since_ns=since_ns)
        )
        return executions, rows

    # streams

    async def _read_trading(self) -> None:
        for delivery in await self._bus.tail(Topic(ORDERS), REMEMBERED_ORDERS):
            self.core.on_message(delivery.message, self._now())
        topics = [Topic(ORDERS), Topic(EXECUTIONS), Topic(CONTROL, source="admin")]
        reader = self._bus.reader(SERVICE, self._settings.instance, topics)
        async for batch in reader.batches():
            effects: list[Effect] = []
            for delivery in batch:
                effects += self.core.on_message(delivery.message, self._now())
            await self._perform(effects)
            reader.ack(batch)

    async def _read_market(self) -> None:
        topics = [Topic(MARKET, symbol=symbol) for symbol in self._settings.symbols]
        reader = self._bus.reader(SERVICE, self._settings.instance, topics, batch=1024, from_start=False)
        async for batch in reader.batches():
            newest = {d.message.symbol: d.message for d in batch if isinstance(d.message, Ticker)}
            for ticker in newest.values():
                self.core.on_ticker(ticker)
            reader.ack(batch)
            await asyncio.sleep(UNHURRIED_S)

    # rhythm

    async def _publish_for_ever(self) -> None:
        while True:
            await self._perform(self.core.on_time(self._now()))
            self._measure()
            await asyncio.sleep(self._watch.account_every_seconds)

    async def _beat_for_ever(self) -> None:
        while True:
            self._beats += 1
            heartbeat = Heartbeat(
                service=SERVICE,
                boot_id=self._runtime.boot_id,
                sequence=self._beats,
                sent_ns=self._now(),
                state=self.core.state,
                open_order_ids=self.core.open_order_ids,
                positions=self.core.quantities,
            )
            try:
                permit = await self._guardian.beat(heartbeat)
            except OSError as error:
                self._runtime.log.warning("guardian_silent", reason=str(error))
            else:
                self.core.on_guardian(permit.state)
            every = self._watch.heartbeat_every_seconds
            await asyncio.sleep(max(LEAST_BEAT_S, every / max(1.0, self._runtime.clock.rate)))

    async def _reconcile_for_ever(self) -> None:
        while True:
            counted = await self._retried(self._compare)
            calm = counted and not self.core.suspects
            await asyncio.sleep(self._watch.reconcile_every_seconds if calm else self._watch.settle_seconds)

    async def _write_for_ever(self) -> None:
        while True:
            if self._is_changed:
                self._is_changed = False
                self._scribe.write(self.core.memory())
            await asyncio.sleep(WRITE_EVERY_S)

    async def _compare(self) -> bool:
        revision = self.core.revision
        reread_ns = int(self._watch.reread_seconds * SECOND_NS)
        view = await self._view(revision, self.core.through_ns - reread_ns)
        orders, executions = await asyncio.gather(
            self._venue.open_orders(), self._venue.executions(since_ns=self.core.missing_since_ns - reread_ns)
        )
        view = replace(view, orders=orders, executions=executions)
        await asyncio.sleep(self._watch.settle_seconds)
        await self._perform(self.core.on_view(view, self._now()))
        if self.core.revision == revision:
            self._counted_at = asyncio.get_running_loop().time()
        return self.core.revision == revision

    async def _view(self, revision: int, since_ns: int) -> VenueView:
        positions, wallet = await asyncio.gather(self._venue.positions(), self._venue.wallet())
        rows = await self._venue.ledger(since_ns=since_ns)  # after the wallet, so that what moved it is in here
        return VenueView(positions, wallet, rows, revision)

    async def _retried(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        try:
            answer = await ask()
        except VenueError as error:
            self._failure = f"the venue does not answer as it should: {error}"
            self._runtime.log.warning("venue_failed", reason=str(error))
            await asyncio.sleep(RETRY_S)
            return None
        self._failure = ""
        return answer

    # effects

    async def _perform(self, effects: Sequence[Effect]) -> None:
        self._is_changed = self._is_changed or any(isinstance(effect, Remember) for effect in effects)
        views = [effect for effect in effects if isinstance(effect, Publish)]
        if views:
            await self._published(Topic(ACCOUNT), views[-1].account)
        for effect in effects:
            match effect:
                case Tell():
                    self._runtime.log.error("reduce", reason=effect.command.why)
                    await self._published(Topic(CONTROL, source=SERVICE), effect.command)
                case Page():
                    self._runtime.log.error("closed_by_the_venue", kind=effect.kind, words=effect.words)
                    self._runtime.metrics.counter(FORCED_CLOSES, kind=effect.kind).inc()
                case Kill():
                    await self._kill(effect.why)

    async def _published(self, topic: Topic, message: Message) -> None:
        try:
            await self._bus.publish(topic, message)
        except BusError as error:  # `account` comes each second, and says REDUCING by itself
            self._runtime.survived("not_published", error)

    async def _kill(self, why: str) -> None:
        self._runtime.log.error("kill", reason=why)
        try:
            await self._guardian.kill(SERVICE, why)
        except OSError as error:  # the core asks again
            self._runtime.survived("kill_not_heard", error)

    def _measure(self) -> None:
        account = self.core.account(self._now())
        metrics = self._runtime.metrics
        for spec, value in (
            (EQUITY, account.equity),
            (REALISED_PNL, self.core.net_realised),
            (DRAWDOWN, account.drawdown),
            (POSITION_RESIDUAL, account.position_residual),
            (MONEY_RESIDUAL, account.money_residual),
            (ORDER_RESIDUAL, Decimal(self.core.order_residual)),
            (EXECUTIONS_ON_WAY, Decimal(self.core.on_way)),
            (RECONCILED, account.reconciled_ns / SECOND_NS),
            (TRADING_STATE, account.state.severity),
        ):
            metrics.gauge(spec).set(float(value))

    def _now(self) -> int:
        return self._runtime.clock.now_ns()

    async def _on_state(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        if self._core is None:
            return 503, json.dumps({"error": self._failure}).encode(), JSON
        return 200, json.dumps(self._core.report(self._now())).encode(), JSON


def _facts(view: VenueView, executions: Sequence[VenueExecution]) -> object:
    held = sorted((each.symbol, each.qty, each.entry_price) for each in view.positions)
    return held, view.wallet.wallet, [each.exec_id for each in executions], [each.entry_id for each in view.rows]


def build(settings: Settings, runtime: Runtime) -> PositionManagerApp:
    """Choose the real implementations."""
    key = credentials_for(settings.mode, "reader", os.environ)
    budget = SharedBudget(settings.bus.url, settings.venue.rest_url, runtime.clock, Priority.TRUTH)
    expose(budget, runtime.metrics)
    return PositionManagerApp(
        runtime,
        settings,
        open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch),
        BybitHttp(settings.venue.rest_url, runtime.clock, key, budget=budget),
        HttpGuardian(settings.guardian.url),
        Checkpoint(settings.state_dir / "books.json", Memory),
    )
