"""Shells in virtual time: they do what each service's `app.py` does around its core, with a stated latency for each hop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.guardian import rules as gd
from services.guardian.core import GuardianCore
from services.guardian.settings import GuardSettings
from services.order_router import events
from services.order_router.core import RouterCore
from services.order_router.settings import Settings as RouterSettings
from services.position_manager import core as pm
from services.position_manager.settings import WatchSettings
from tests.fleet.virtual import MS, SECOND, DirectHttp, Streams, Timeline, finished
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.audit import AuditChain
from undertow.contracts.messages.heartbeat import Heartbeat, Permit
from undertow.contracts.messages.market import Ticker
from undertow.contracts.messages.trading import Execution
from undertow.contracts.streams import ACCOUNT, AUDIT, CONTROL, EXECUTIONS, MARKET, ORDERS, REFERENCE, SIGNALS, VENUE
from undertow.domain.order import OrderType, TimeInForce
from undertow.exchange.bybit.private_ws import private_events
from undertow.exchange.errors import OrderGoneError, VenueError
from undertow.exchange.models import OrderRequest
from undertow.exchange.ports import FeedUp
from undertow.trading import effects as fx
from undertow.trading.keeper import Accepted, Answer
from undertow.trading.ledger import TRANSFERS

SHORTEST_NAP_NS = 2 * MS
BETWEEN_PASSES_NS = 50 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Market time of each hop: venue → ingestor, stream → reader, request → venue, venue → answer, venue → private feed, guardian."""

    frame_ns: int = 1 * MS
    bus_ns: int = MS // 4
    request_ns: int = 1 * MS
    answer_ns: int = 1 * MS
    private_ns: int = 1 * MS
    guardian_ns: int = 1 * MS


@dataclass
class Ground:
    """What every shell stands on."""

    timeline: Timeline
    streams: Streams
    http: DirectHttp
    symbols: tuple[str, ...]
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns()

    def ask(
        self,
        work: Callable[[], Coroutine[Any, Any, Any]],
        then: Callable[[Any], None],
        failed: Callable[[VenueError], None],
    ) -> None:
        """Let a request travel to the venue, and its answer back."""

        def arrive() -> None:
            try:
                answer = finished(work())
            except VenueError as error:
                self.timeline.after(self.latencies.answer_ns, lambda error=error: failed(error))
            else:
                self.timeline.after(self.latencies.answer_ns, lambda: then(answer))

        self.timeline.after(self.latencies.request_ns, arrive)


class GuardianShell:
    """The guardian: looks, ticks, permits."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.phases: list[gd.Announce] = []
        self.settings = GuardSettings()
        now_ns = ground.now_ns
        self.core = GuardianCore(self.settings.rules(), gd.Memory(born_ns=now_ns), now_ns)

    def start(self) -> None:
        self.ground.timeline.every(self.settings.look_every_ms * MS, self._look)
        self.ground.timeline.every(50 * MS, lambda: self.perform(self.core.on_tick(self.ground.now_ns)))

    def beat(self, heartbeat: Heartbeat, then: Callable[[Permit], None]) -> None:
        ground, raw = self.ground, msgspec.json.encode(heartbeat)

        def heard() -> None:
            permit = self.core.on_heartbeat(msgspec.json.decode(raw, type=Heartbeat), ground.now_ns)
            ground.timeline.after(ground.latencies.guardian_ns, lambda: then(permit))

        ground.timeline.after(ground.latencies.guardian_ns, heard)

    def _look(self) -> None:
        ground, started_ns = self.ground, self.ground.now_ns

        async def take() -> gd.Look:
            http = ground.http
            rows = await http.ledger(since_ns=self.core.ledger_since_ns)
            return gd.Look(
                started_ns=started_ns,
                positions={position.symbol: position.qty for position in await http.positions()},
                orders=tuple(
                    gd.OpenOrder(o.symbol, o.order_id, o.is_conditional, o.created_ns) for o in await http.open_orders()
                ),
                equity=(await http.wallet()).equity,
                transfers=tuple(gd.Transfer(row.entry_id, row.change) for row in rows if row.kind in TRANSFERS),
            )

        ground.ask(take, lambda look: self.perform(self.core.on_look(look, ground.now_ns)), _unexpected)

    def perform(self, effects: list[gd.Effect]) -> None:
        for effect in effects:
            match effect:
                case gd.Announce():
                    self.phases.append(effect)
                case gd.CancelAll(_, stops_too):
                    self.ground.ask(lambda s=stops_too: self.ground.http.cancel_all(stops_too=s), _nothing, _nothing)
                case gd.Flatten(order_id, symbol, side, qty):
                    request = OrderRequest(
                        order_id=order_id, symbol=symbol, side=side, order_type=OrderType.MARKET, qty=qty,
                        price=qty * 0, time_in_force=TimeInForce.IOC, reduce_only=True,
                    )  # fmt: skip
                    self.ground.ask(lambda r=request: self.ground.http.create_order(r), _nothing, _nothing)


class RouterShell:
    """The order router: a journal in memory, the venue a request away."""

    def __init__(self, ground: Ground, guardian: GuardianShell, settings: RouterSettings) -> None:
        self.ground, self.guardian = ground, guardian
        self.core = RouterCore("boot", settings.limits, settings.sizing, settings.breaker_rules, exits=settings.exits)
        self.journal: list[bytes] = []
        self.sent: list[str] = []
        self.anomalies: list[fx.Anomaly] = []
        self._settings = settings
        self._audit = AuditChain("order_router")
        self._journalled: set[str] = set()
        self._wake_ns: int | None = None
        self._beats = 0

    def start(self) -> None:
        ground, streams = self.ground, self.ground.streams
        for instrument in finished(ground.http.instruments(ground.symbols)):
            self.perform(self.core.on_instrument(instrument, ground.now_ns))
            finished(ground.http.set_leverage(instrument.symbol, format(self._settings.router.leverage, "f")))
        self._look_at_marks()
        ground.timeline.every(self._settings.risk.marks_every_ms * MS, self._look_at_marks)
        self.perform(self.core.restarted(ground.now_ns))
        self.perform(events.on_feed(self.core, FeedUp(), ground.now_ns))
        for symbol in ground.symbols:
            for source in self._settings.router.sources:
                streams.read(Topic(SIGNALS, symbol=symbol, source=source), self._on_signal)
            streams.read(Topic(REFERENCE, symbol=symbol), self._on_fleet)
        for topic in (Topic(ACCOUNT), Topic(VENUE), *(Topic(CONTROL, source=writer) for writer in CONTROL.writers)):
            streams.read(topic, self._on_fleet)
        ground.timeline.every(self._settings.router.heartbeat_ms * MS, self._beat)

    def on_private(self, raw: bytes) -> None:
        for event in private_events(raw):
            self.perform(events.on_feed(self.core, event, self.ground.now_ns))

    def perform(self, effects: list[fx.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, fx.Journal):
                self.journal.append(msgspec.msgpack.encode(effect.record))
                self._journalled.add(getattr(getattr(effect.record, "request", None), "order_id", ""))
        for effect in effects:
            self._do(effect)
        self._set_alarm()

    def _do(self, effect: fx.Effect) -> None:
        core, ground, http = self.core, self.ground, self.ground.http
        match effect:
            case fx.Send(request):
                assert request.order_id in self._journalled, "sent before it was in the journal"
                self._send(effect)
            case fx.Cancel(symbol, order_id):
                ground.ask(
                    lambda: http.cancel_order(symbol, order_id),
                    lambda _: self.perform(core.on_cancel_answer(order_id, ground.now_ns, is_gone=False)),
                    lambda error: self._cancel_failed(order_id, error),
                )
            case fx.Amend(symbol, order_id, price):
                ground.ask(
                    lambda: http.amend_order(symbol, order_id, format(price, "f")),
                    _nothing,
                    lambda error: self._cancel_failed(order_id, error),
                )
            case fx.LookAtTouch(symbol):
                ground.ask(
                    lambda: http.touch(symbol),
                    lambda touch: self.perform(core.on_touch(symbol, touch, ground.now_ns)),
                    lambda _: self.perform(core.on_touch(symbol, None, ground.now_ns)),
                )
            case fx.Lookup(symbol, order_id, since_ns):
                self._look_up(symbol, order_id, since_ns)
            case fx.Refresh(symbol, since_ns):
                self._refresh(symbol, since_ns)
            case fx.Sweep(since_ns):
                ground.ask(
                    lambda: http.executions(since_ns=since_ns),
                    lambda executions: self.perform(core.on_swept(executions, ground.now_ns)),
                    lambda _: self.perform(core.on_swept(None, ground.now_ns)),
                )
            case fx.SetStop(symbol, stop_loss):
                ground.ask(
                    lambda: http.set_stop_loss(symbol, format(stop_loss, "f")),
                    lambda _: self.perform(core.on_stop_set(symbol, ground.now_ns)),
                    _nothing,
                )
            case fx.Recover(since_ns):
                self._recover(since_ns, None)
            case fx.Publish(message):
                topic = Topic(EXECUTIONS) if isinstance(message, Execution) else Topic(ORDERS)
                ground.streams.publish("order_router", topic, message)
            case fx.Decide():
                decision = self._audit.record(
                    effect.verdict, ts_event=ground.now_ns, ts_recv=ground.now_ns, symbol=effect.symbol,
                    subject=effect.subject, detail=effect.numbers,
                )  # fmt: skip
                ground.streams.publish("order_router", Topic(AUDIT, source="order_router"), decision)
            case fx.Anomaly():
                self.anomalies.append(effect)

    def _send(self, effect: fx.Send) -> None:
        core, ground, request = self.core, self.ground, effect.request
        self.sent.append(request.order_id)

        def answered(answer: Answer) -> None:
            self.perform(core.on_answer(request.order_id, answer, ground.now_ns))

        ground.timeline.after(0, lambda: self.perform(core.on_written(request.order_id, ground.now_ns, ground.now_ns)))
        ground.ask(
            lambda: ground.http.create_order(request, effect.not_after_ns),
            lambda venue_order_id: answered(Accepted(venue_order_id)),
            lambda error: answered(events.answer_of(error)),
        )

    def _cancel_failed(self, order_id: str, error: VenueError) -> None:
        if isinstance(error, OrderGoneError):
            self.perform(self.core.on_cancel_answer(order_id, self.ground.now_ns, is_gone=True))

    def _look_up(self, symbol: str, order_id: str, since_ns: int) -> None:
        ground, asked_ns = self.ground, self.ground.now_ns

        async def look() -> tuple[Any, Any]:
            found = await ground.http.find_order(symbol, order_id)
            return found, await ground.http.executions(since_ns=since_ns, order_id=order_id)

        ground.ask(
            look,
            lambda seen: self.perform(self.core.on_lookup(order_id, *seen, asked_ns, ground.now_ns)),
            lambda _: self.perform(self.core.on_lookup_failed(order_id, ground.now_ns)),
        )

    def _refresh(self, symbol: str, since_ns: int) -> None:
        ground = self.ground

        async def look() -> tuple[Any, Any]:
            return events.of_symbol(
                symbol, await ground.http.positions(), await ground.http.executions(since_ns=since_ns)
            )

        ground.ask(
            look,
            lambda seen: self.perform(self.core.on_refreshed(symbol, *seen, ground.now_ns)),
            lambda _: self.perform(self.core.on_refresh_failed(symbol, ground.now_ns)),
        )

    def _recover(self, since_ns: int, before: object) -> None:
        ground, http = self.ground, self.ground.http

        async def look() -> tuple[Any, ...]:
            return (
                await http.open_orders(),
                await http.executions(since_ns=since_ns),
                await http.positions(),
                await http.wallet(),
            )

        def seen(facts: tuple[Any, ...]) -> None:
            if events.essence(*facts) == before:
                self.perform(self.core.on_recovered(*facts, ground.now_ns))
            else:
                ground.timeline.after(BETWEEN_PASSES_NS, lambda: self._recover(since_ns, events.essence(*facts)))

        ground.ask(look, seen, _unexpected)

    def _on_signal(self, delivery: Delivery) -> None:
        signal = delivery.message
        self.perform(self.core.on_signal(signal, self.ground.now_ns, (delivery.ref, *signal.cause)))

    def _on_fleet(self, delivery: Delivery) -> None:
        self.perform(events.on_fleet(self.core, delivery.message, self.ground.now_ns))

    def _beat(self) -> None:
        self._beats += 1
        heartbeat = Heartbeat(
            service="order_router", boot_id="boot", sequence=self._beats, sent_ns=self.ground.now_ns,
            state=self.core.state, open_order_ids=self.core.open_order_ids(), positions=self.core.held(),
        )  # fmt: skip
        self.guardian.beat(heartbeat, lambda permit: self.perform(self.core.on_permit(permit, self.ground.now_ns)))

    def _look_at_marks(self) -> None:
        core, ground, asked_ns = self.core, self.ground, self.ground.now_ns
        for symbol in ground.symbols:
            ground.ask(
                lambda symbol=symbol: ground.http.mark_price(symbol),
                lambda price, symbol=symbol: self.perform(core.on_mark(symbol, price, asked_ns, ground.now_ns)),
                _nothing,
            )

    def _set_alarm(self) -> None:
        due_ns = self.core.next_due_ns()
        if due_ns is None:
            return
        when_ns = max(due_ns, self.ground.now_ns + SHORTEST_NAP_NS)
        if self._wake_ns is None or when_ns < self._wake_ns:
            self._wake_ns = when_ns
            self.ground.timeline.at(when_ns, self._wake)

    def _wake(self) -> None:
        if self._wake_ns is not None and self._wake_ns <= self.ground.now_ns:
            self._wake_ns = None
        due_ns = self.core.next_due_ns()
        is_due = due_ns is not None and due_ns <= self.ground.now_ns
        self.perform(self.core.on_time(self.ground.now_ns) if is_due else [])


class PositionManagerShell:
    """The position manager: its books, opened on the venue's word."""

    def __init__(self, ground: Ground, guardian: GuardianShell) -> None:
        self.ground, self.guardian = ground, guardian
        self.watch = WatchSettings()
        self._beats = 0
        self._reread_ns = round(self.watch.reread_seconds * SECOND)
        floor_ns = ground.now_ns - self._reread_ns
        executions = finished(ground.http.executions(since_ns=floor_ns))
        view = finished(self._view(0, floor_ns))
        memory = pm.opened(self.watch.coin, view, executions, floor_ns=floor_ns, now_ns=ground.now_ns)
        self.core = pm.PositionManagerCore(memory, self.watch.limits())

    def start(self) -> None:
        ground, streams = self.ground, self.ground.streams
        for topic in (Topic(ORDERS), Topic(EXECUTIONS), Topic(CONTROL, source="admin")):
            streams.read(topic, lambda d: self.perform(self.core.on_message(d.message, ground.now_ns)))
        for symbol in ground.symbols:
            streams.read(Topic(MARKET, symbol=symbol), self._on_market)
        every = ground.timeline.every
        every(round(self.watch.account_every_seconds * SECOND), lambda: self.perform(self.core.on_time(ground.now_ns)))
        every(round(self.watch.heartbeat_every_seconds * SECOND), self._beat)
        self._compare()

    def perform(self, effects: list[pm.Effect]) -> None:
        views = [effect for effect in effects if isinstance(effect, pm.Publish)]
        for view in views[-1:]:
            self.ground.streams.publish(pm.SERVICE, Topic(ACCOUNT), view.account)
        for effect in effects:
            if isinstance(effect, pm.Tell):
                self.ground.streams.publish(pm.SERVICE, Topic(CONTROL, source=pm.SERVICE), effect.command)
            elif isinstance(effect, pm.Kill):
                self.guardian.perform(self.guardian.core.on_kill(pm.SERVICE, effect.why, self.ground.now_ns))

    def _on_market(self, delivery: Delivery) -> None:
        if isinstance(delivery.message, Ticker):
            self.core.on_ticker(delivery.message)

    def _beat(self) -> None:
        self._beats += 1
        heartbeat = Heartbeat(
            service=pm.SERVICE, boot_id="boot", sequence=self._beats, sent_ns=self.ground.now_ns,
            state=self.core.state, open_order_ids=self.core.open_order_ids, positions=self.core.quantities,
        )  # fmt: skip
        self.guardian.beat(heartbeat, lambda permit: self.core.on_guardian(permit.state))

    def _compare(self) -> None:
        ground, revision = self.ground, self.core.revision
        settle_ns = round(self.watch.settle_seconds * SECOND)

        def judge(view: pm.VenueView) -> None:
            self.perform(self.core.on_view(view, ground.now_ns))
            counted = self.core.revision == revision
            wait_ns = round(self.watch.reconcile_every_seconds * SECOND) if counted else settle_ns
            ground.timeline.after(wait_ns, self._compare)

        ground.ask(
            lambda: self._view(revision, self.core.through_ns - self._reread_ns),
            lambda view: ground.timeline.after(settle_ns, lambda: judge(view)),
            _unexpected,
        )

    async def _view(self, revision: int, since_ns: int) -> pm.VenueView:
        http = self.ground.http
        positions, wallet = await http.positions(), await http.wallet()
        return pm.VenueView(positions, wallet, await http.ledger(since_ns=since_ns), revision)


def _nothing(_answer: object) -> None: ...


def _unexpected(error: VenueError) -> None:
    raise error
