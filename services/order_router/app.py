"""The order router's shell: reads streams and the private feed, performs the core's effects, counts what it did.

The journal is written before anything is sent; the bus is only told. So an exit needs the journal and the venue, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import httpx
import msgspec

from services.order_router import events
from services.order_router.core import RouterCore
from services.order_router.hands import Hands, TruthAtVenue
from services.order_router.herald import Herald
from services.order_router.journal import Journal, JournalError
from services.order_router.rehearsal import rehearse
from services.order_router.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.ports import Bus, Delivery, Topic
from undertow.contracts.audit import GENESIS, AuditChain
from undertow.contracts.messages.control import Command
from undertow.contracts.messages.decision import Signal
from undertow.contracts.messages.heartbeat import Heartbeat, Permit
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.contracts.metrics import (
    ANOMALIES,
    DECISIONS,
    FILLS,
    JOURNAL_SYNC,
    ORDERS_SUBMITTED,
    ROUND_TRIPS,
    SIGNAL_TO_ORDER,
    TICK_TO_ORDER,
    TRADING_STATE,
)
from undertow.contracts.streams import ACCOUNT, AUDIT, CONTROL, EXECUTIONS, ORDERS, REFERENCE, SIGNALS, VENUE
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderRole
from undertow.exchange.budget.pace import Pace
from undertow.exchange.budget.ports import Priority
from undertow.exchange.budget.shared import SharedBudget, expose
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.errors import AccessError, VenueError
from undertow.exchange.models import AccountInfo, VenuePosition
from undertow.exchange.ports import OrderEntry, PrivateFeed
from undertow.runtime.clock import wall_ns
from undertow.runtime.disk import Disk, LocalDisk
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.health import JSON
from undertow.runtime.memory import settle
from undertow.runtime.service import Runtime
from undertow.runtime.settings import credentials_for
from undertow.trading import effects as fx
from undertow.trading.records import AnyRecord, CommandTaken, Published, Tripped

SERVICE: Final = "order_router"
MARGIN_MODE: Final = "REGULAR_MARGIN"
GUARDIAN_TIMEOUT_S: Final = 1.0
LONGEST_NAP_S: Final = 0.25
SHORTEST_NAP_S: Final = 0.002
BUS_LOOK_S: Final = 0.5
START_RETRY_S: Final = 0.5
LEAST_BEAT_S: Final = 0.02
REMEMBERED_HOPS: Final = 4_096


class Venue(TruthAtVenue, Protocol):
    """What the router asks over HTTP; part of `undertow.exchange.ports`."""

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]: ...  # noqa: D102 - see MarketRest
    async def account_info(self) -> AccountInfo: ...  # noqa: D102 - see TradingRest
    async def position(self, symbol: str) -> list[VenuePosition]: ...  # noqa: D102 - see BybitHttp
    async def mark_price(self, symbol: str) -> Decimal: ...  # noqa: D102 - see MarketRest
    async def set_leverage(self, symbol: str, leverage: str) -> None: ...  # noqa: D102 - see TradingRest


class Guardian(Protocol):
    """Gives permits."""

    async def beat(self, heartbeat: Heartbeat) -> Permit | None:
        """Say that we live; None when it does not answer."""
        ...


class HttpGuardian:
    """The guardian's HTTP face."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=GUARDIAN_TIMEOUT_S, trust_env=False)

    async def beat(self, heartbeat: Heartbeat) -> Permit | None:
        """Say that we live; None when it does not answer."""
        try:
            answer = await self._client.post("/heartbeat", content=msgspec.json.encode(heartbeat))
            return msgspec.json.decode(answer.content, type=Permit) if answer.is_success else None
        except (httpx.HTTPError, msgspec.MsgspecError):
            return None


class OrderRouter:
    """The service.

    Args:
        ways: where orders may be sent, the first preferred.
        beside: what the ways need to run beside us, once the venue has answered.
        close: awaited at the end.
        disk: on which the journal is.
    """

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        bus: Bus,
        venue: Venue,
        feed: PrivateFeed,
        ways: Sequence[OrderEntry],
        guardian: Guardian,
        *,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
        close: Callable[[], Awaitable[None]] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._clock = runtime.clock
        self._bus = bus
        self._venue = venue
        self._feed = feed
        self._guardian = guardian
        self._beside = tuple(beside)
        self._close = close
        self._disk = disk or LocalDisk()
        self.core = RouterCore(
            runtime.boot_id, settings.limits, settings.sizing, settings.breaker_rules, exits=settings.exits
        )
        self.hands = Hands(self.core, runtime.clock, venue, ways, self.perform, runtime.survived)
        self._herald = Herald(bus, self._mark, lambda error: runtime.survived("publish_failed", error))
        self._journal: Journal | None = None
        self._audit = AuditChain(SERVICE)
        self._wake = asyncio.Event()
        self._broken: asyncio.Future[None] | None = None
        self._hops: OrderedDict[str, tuple[tuple[int, ...], int]] = OrderedDict()
        self._beats = 0
        self._is_set_up = False
        runtime.add_route("GET", "/state", self._on_state)

    def unready_reason(self) -> str | None:
        """Ready once reconciled with the venue, while the private stream and the bus are up."""
        if not self._is_set_up:
            return "reading the journal and the venue's filters"
        return self.core.why_not_able() or None

    async def run(self) -> None:
        """Trade until cancelled; orders and positions are left as they are for the next start."""
        self._broken = asyncio.get_running_loop().create_future()
        self._journal = await asyncio.to_thread(self._open_journal)
        try:
            await self._set_up()
            async with asyncio.TaskGroup() as tasks:
                for work in (
                    self._follow_feed(),
                    self._follow_signals(),
                    self._follow_fleet(),
                    self._keep_time(),
                    self._follow_marks(),
                    self._beat_for_ever(),
                    self._watch_bus(),
                    self._herald.run(),
                    self._wait_broken(),
                    *(run() for run in self._beside),
                ):
                    tasks.create_task(work)
        finally:
            await self._stop()

    # effects

    def perform(self, effects: list[fx.Effect]) -> None:
        """Journal first, in one write; then the venue, then whoever is told, each in its order."""
        records = [effect.record for effect in effects if isinstance(effect, fx.Journal)]
        durable = any(isinstance(effect, fx.Send) for effect in effects)
        durable = durable or any(
            isinstance(record, CommandTaken | Tripped) for record in records
        )  # it is acknowledged after this, or must not be forgotten
        if records and not self._write(records, durable=durable):
            return
        for effect in effects:
            if isinstance(effect, fx.AtVenue):
                self.hands.do(effect)
        for effect in effects:
            match effect:
                case fx.Publish(message):
                    self._tell(message)
                case fx.Decide():
                    asyncio.get_running_loop().call_soon(self._decide, effect)  # the order leaves first
                case fx.Anomaly():
                    self._runtime.metrics.counter(ANOMALIES, kind=effect.kind).inc()
                    self._runtime.log.warning("anomaly", kind=effect.kind, symbol=effect.symbol, detail=effect.detail)
        if effects:
            self._wake.set()

    def on_written(self, order_id: str, written_wall_ns: int) -> None:
        """An order's bytes were handed to the socket."""
        order = self.core.desk.orders.get(order_id)
        if order is not None:
            metrics = self._runtime.metrics
            metrics.counter(ORDERS_SUBMITTED, symbol=order.request.symbol).inc()
            hops, read_wall_ns = self._hops.get(order_id, ((), 0))
            if hops and order.role is OrderRole.ENTRY:
                metrics.histogram(TICK_TO_ORDER).observe((written_wall_ns - hops[0]) / 1e9)
                metrics.histogram(SIGNAL_TO_ORDER).observe((written_wall_ns - read_wall_ns) / 1e9)
        self.perform(self.core.on_written(order_id, self._clock.now_ns(), written_wall_ns))

    def _write(self, records: Sequence[AnyRecord], *, durable: bool) -> bool:
        journal, broken = self._journal, self._broken
        if journal is None or broken is None or broken.done():
            return False
        try:
            journal.append(records, durable=durable and self._settings.router.journal_sync)
        except OSError as error:
            broken.set_exception(JournalError(f"{self._settings.journal_path} cannot be written: {error}"))
            return False
        if durable:
            self._runtime.metrics.histogram(JOURNAL_SYNC).observe(journal.sync_seconds)
        return True

    def _tell(self, message: OrderChanged | Execution | TradeClosed) -> None:
        metrics = self._runtime.metrics
        match message:
            case OrderChanged():
                hops = self._hops.get(message.order_id, ((), 0))[0] if message.written_wall_ns else ()
                self._herald.tell(Topic(ORDERS), message, hops)
            case TradeClosed():
                metrics.counter(ROUND_TRIPS, symbol=message.symbol).inc()
                self._herald.tell(Topic(ORDERS), message)
            case Execution():
                if message.trade_id and message.exec_type == "Trade":
                    metrics.counter(FILLS, symbol=message.symbol).inc()
                self._herald.tell(Topic(EXECUTIONS), message)

    def _decide(self, effect: fx.Decide) -> None:
        now_ns = self._clock.now_ns()
        self._runtime.metrics.counter(DECISIONS, symbol=effect.symbol, verdict=effect.verdict).inc()
        decision = self._audit.record(
            effect.verdict,
            ts_event=now_ns,
            ts_recv=now_ns,
            symbol=effect.symbol,
            subject=effect.subject,
            detail=effect.numbers,
        )
        self._herald.tell(Topic(AUDIT, source=SERVICE), decision)

    def _mark(self) -> None:
        self._write([Published(at_ns=self._clock.now_ns())], durable=False)

    # start and end

    def _open_journal(self) -> Journal:
        journal = Journal(self._settings.journal_path, disk=self._disk)
        if journal.cut_bytes:
            self._runtime.log.warning("journal_tail_cut", bytes=journal.cut_bytes)
        marks = [index for index, record in enumerate(journal.records) if isinstance(record, Published)]
        again_from = marks[-2] if len(marks) > 1 else 0
        untold: list[OrderChanged | Execution | TradeClosed] = []
        for index, record in enumerate(journal.records):
            messages = self.core.replay(record)
            if index >= again_from:
                untold += messages
        now_ns = self._clock.now_ns()
        journal.rewrite(self.core.compacted(journal.records, now_ns, again_from))
        self._runtime.log.info("journal_read", records=len(journal.records), told_again=len(untold))
        journal.records = []
        for message in untold:
            topic = Topic(EXECUTIONS) if isinstance(message, Execution) else Topic(ORDERS)
            self._herald.tell(topic, message)
        self.core.restarted(now_ns)
        return journal

    async def _set_up(self) -> None:
        await self._until_answered(self._check_account)
        await self._until_answered(self._refuse_strangers)
        settle()
        self._is_set_up = True

    async def _check_account(self) -> None:
        symbols = self._settings.symbols
        found = {instrument.symbol: instrument for instrument in await self._venue.instruments(symbols)}
        for symbol in symbols:
            if symbol not in found:
                raise ConfigurationError("UNDERTOW_SYMBOLS", f"the venue has no contract {symbol}", "remove it")
            self.perform(self.core.on_instrument(found[symbol], self._clock.now_ns()))
            rehearse(self._settings.limits, self._settings.sizing, self._settings.breaker_rules, found[symbol])
        info = await self._venue.account_info()
        if info.margin_mode != MARGIN_MODE:
            raise ConfigurationError(
                "the account's margin mode",
                f"is {info.margin_mode}, and the risk limits reckon with {MARGIN_MODE}",
                "switch it to cross margin at the venue, with no position and no order open",
            )
        leverage = self._settings.router.leverage
        for symbol in symbols:
            if any(position.position_idx for position in await self._venue.position(symbol)):
                raise ConfigurationError(
                    "the account's position mode",
                    f"is hedge mode for {symbol}, and Undertow trades one-way",
                    "switch it to one-way mode at the venue, with no position and no order open",
                )
            if leverage > found[symbol].max_leverage:
                most = found[symbol].max_leverage
                raise ConfigurationError("UNDERTOW_ROUTER__LEVERAGE", f"{symbol} allows at most {most}", "lower it")
            await self._venue.set_leverage(symbol, format(leverage, "f"))

    async def _refuse_strangers(self) -> None:
        if self.core.desk.live_trades():
            return  # their exits matter more; entries stop by themselves until the strangers are gone
        orders, positions = await self._venue.open_orders(), await self._venue.positions()
        executions = await self._venue.executions(since_ns=self.core.recover_since_ns(self._clock.now_ns()))
        strangers = self.core.strangers(orders, positions, executions)
        if strangers:
            raise ConfigurationError(
                "the account",
                f"has what Undertow did not make: {'; '.join(strangers)}",
                "cancel these orders and close these positions at the venue, or give Undertow a sub-account of its own",
            )

    async def _until_answered(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except AccessError:
                raise
            except VenueError as error:
                self._runtime.log.warning("venue_not_ready", error=str(error))
                await asyncio.sleep(START_RETRY_S)
            else:
                return

    async def _continue_chain(self) -> None:
        while not await self._bus.connected():  # noqa: ASYNC110 - the bus has no event for its return
            await asyncio.sleep(START_RETRY_S)
        last = await self._bus.tail(Topic(AUDIT, source=SERVICE), 1)
        self._audit = AuditChain(SERVICE, last[-1].message.hash if last else GENESIS)

    async def _stop(self) -> None:
        if self._settings.router.cancel_on_stop:
            for order in self.core.desk.working_orders():
                if order.role is OrderRole.ENTRY:
                    self.hands.do(fx.Cancel(order.request.symbol, order.order_id))
            await asyncio.sleep(BUS_LOOK_S)
        await self.hands.stop()
        await self._herald.drain()
        if self._journal is not None:
            self._journal.close()
        await self._bus.close()
        if self._close is not None:
            await self._close()

    # what comes in

    async def _follow_feed(self) -> None:
        core, clock = self.core, self._clock
        async for event in self._feed.events():
            self.perform(events.on_feed(core, event, clock.now_ns()))

    async def _follow_signals(self) -> None:
        router = self._settings.router
        topics = [Topic(SIGNALS, symbol=s, source=source) for s in self._settings.symbols for source in router.sources]
        reader = self._bus.reader(SERVICE, self._settings.instance, topics)
        await self._despite_refusals(self._continue_chain)

        async def follow() -> None:
            async for batch in reader.batches():
                self.on_signals(batch)
                await asyncio.sleep(0)  # orders go out before the next read does
                reader.ack(batch)

        await self._despite_refusals(follow)

    def on_signals(self, batch: Sequence[Delivery]) -> None:
        """Decide over a batch; one write of the journal for all of it."""
        read_wall_ns, now_ns = wall_ns(), self._clock.now_ns()
        effects: list[fx.Effect] = []
        for delivery in batch:
            signal: Signal = delivery.message
            decided = self.core.on_signal(signal, now_ns, (delivery.ref, *signal.cause))
            for effect in decided:
                if isinstance(effect, fx.Send):
                    self._hops[effect.request.order_id] = (delivery.hops, read_wall_ns)
            effects += decided
        while len(self._hops) > REMEMBERED_HOPS:
            self._hops.popitem(last=False)
        self.perform(effects)

    async def _follow_fleet(self) -> None:
        symbols = self._settings.symbols
        topics = [Topic(REFERENCE, symbol=symbol) for symbol in symbols]
        topics += [
            Topic(ACCOUNT),
            Topic(VENUE),
            Topic(CONTROL, source="admin"),
            Topic(CONTROL, source="position_manager"),
        ]
        reader = self._bus.reader(SERVICE, self._settings.instance, topics)

        async def follow() -> None:
            async for batch in reader.batches():
                for delivery in batch:
                    self.on_fleet(delivery)
                reader.ack(batch)

        await self._despite_refusals(follow)

    async def _despite_refusals(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:  # a bus that is full or has lost its disk stops entries, and no exit
            try:
                return await work()
            except (BusAwayError, BusRefusedError) as error:
                self._runtime.survived("bus_failed", error)
                await asyncio.sleep(START_RETRY_S)

    def on_fleet(self, delivery: Delivery) -> None:
        """Take a slow fact or a command."""
        message = delivery.message
        if isinstance(message, Command):
            self._runtime.log.info("command", verb=message.verb, who=message.who, why=message.why)
        self.perform(events.on_fleet(self.core, message, self._clock.now_ns()))

    # what goes on

    async def _keep_time(self) -> None:
        while True:
            self._wake.clear()
            now_ns, due_ns = self._clock.now_ns(), self.core.next_due_ns()
            if due_ns is not None and due_ns <= now_ns:
                self.perform(self.core.on_time(now_ns))
                await asyncio.sleep(SHORTEST_NAP_S)
                continue
            nap = LONGEST_NAP_S
            if due_ns is not None:
                nap = min(nap, (due_ns - now_ns) / 1e9 / self._clock.rate)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(nap):  # not wait_for, which may swallow our own cancellation
                    await self._wake.wait()

    async def _follow_marks(self) -> None:
        every_s = self._settings.risk.marks_every_ms / 1_000
        while True:
            for symbol in self._settings.symbols:
                asked_ns = self._clock.now_ns()
                try:
                    price = await self._venue.mark_price(symbol)
                except VenueError:  # none yet, or not now: entries need one, and are refused with its age
                    continue
                self.perform(self.core.on_mark(symbol, price, asked_ns, self._clock.now_ns()))
            await asyncio.sleep(max(LEAST_BEAT_S, every_s / self._clock.rate))  # the marks are read slowly

    async def _beat_for_ever(self) -> None:
        gauge = self._runtime.metrics.gauge(TRADING_STATE)
        while True:
            permit = await self._guardian.beat(self._heartbeat())
            if permit is not None:
                self.perform(self.core.on_permit(permit, self._clock.now_ns()))
            gauge.set(self.core.state.severity)
            every = self._settings.router.heartbeat_ms / 1_000
            await asyncio.sleep(max(LEAST_BEAT_S, every / max(1.0, self._clock.rate)))

    def _heartbeat(self) -> Heartbeat:
        self._beats += 1
        return Heartbeat(
            service=SERVICE,
            boot_id=self._runtime.boot_id,
            sequence=self._beats,
            sent_ns=self._clock.now_ns(),
            state=self.core.state,
            open_order_ids=self.core.open_order_ids(),
            positions=self.core.held(),
        )

    async def _watch_bus(self) -> None:
        was_up = True
        while True:
            is_up = await self._bus.connected()
            self.perform(self.core.on_bus(is_up=is_up))
            if is_up and not was_up:
                self._herald.tell_again()
            was_up = is_up
            await asyncio.sleep(BUS_LOOK_S)

    async def _wait_broken(self) -> None:
        if self._broken is not None:
            await self._broken

    async def _on_state(self, _body: bytes, _query: dict[str, str]) -> tuple[int, bytes, str]:
        picture = {
            "mode": self._settings.mode,
            **self.core.picture(self._clock.now_ns()),
            "waiting_for_bus": self._herald.waiting,
        }
        return 200, msgspec.json.encode(picture), JSON


def build(settings: Settings, runtime: Runtime) -> OrderRouter:
    """Choose the real implementations."""
    key = credentials_for(settings.mode, "router", os.environ)
    venue = settings.venue
    routers: list[OrderRouter] = []

    def on_written(order_id: str, written_wall_ns: int) -> None:
        routers[0].on_written(order_id, written_wall_ns)

    budget = SharedBudget(settings.bus.url, venue.rest_url, runtime.clock, Priority.ORDERS)
    expose(budget, runtime.metrics)
    http = BybitHttp(venue.rest_url, runtime.clock, key, on_written=on_written, budget=budget)
    ways: list[OrderEntry] = [http]
    beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
    if venue.trade_url:  # demo has no trade socket
        pace = Pace(runtime.clock.rate)
        socket = BybitTradeSocket(
            venue.trade_url, key, http.venue_clock, on_written=on_written, budget=budget, pace=pace
        )
        ways.insert(0, socket)
        beside.append(socket.run)
    router = OrderRouter(
        settings,
        runtime,
        open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch),
        http,
        BybitPrivateFeed(venue.private_url, key, http.venue_clock, budget=budget),
        ways,
        HttpGuardian(settings.guardian.url),
        beside=beside,
        close=http.close,
    )
    routers.append(router)
    return router
