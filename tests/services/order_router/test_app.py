from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from services.order_router.app import OrderRouter
from services.order_router.journal import parse
from services.order_router.settings import Settings
from tests.services.order_router.rig import INSTRUMENT, MARK, MS, WALLET, FakeVenue, signal
from tests.support import eventually
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.audit import verify
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.decision import Verdict
from undertow.contracts.messages.heartbeat import Permit
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.contracts.metrics import ANOMALIES, ERRORS, FILLS, ORDERS_SUBMITTED, ROUND_TRIPS, TICK_TO_ORDER
from undertow.contracts.streams import AUDIT, CONTROL, EXECUTIONS, ORDERS, SIGNALS
from undertow.domain.order import OrderStatus, Side, TimeInForce
from undertow.domain.state import TradingState
from undertow.exchange.errors import (
    AccessError,
    OrderGoneError,
    OrderRefusedError,
    OutcomeUnknownError,
    TooLateError,
    VenueBusyError,
)
from undertow.exchange.models import AccountInfo, Touch
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.runtime.clock import WallClock
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime
from undertow.trading.keeper import Refused
from undertow.trading.records import CommandTaken, OrderSettled, Outcome, Published

SIGNALS_BTC = Topic(SIGNALS, symbol="BTCUSDT", source="model_server")


class Wire:
    """The venue behind asynchronous doors: HTTP, one way for orders, and the private stream."""

    def __init__(self) -> None:
        self.venue = FakeVenue()
        self.clock = WallClock()
        self.margin_mode = "REGULAR_MARGIN"
        self.position_idx = 0
        self.instruments_known = [INSTRUMENT]
        self.leverage: dict[str, str] = {}
        self.trouble: list[Exception] = []
        self.lookup_trouble: list[Exception] = []
        self.touch_trouble: list[Exception] = []
        self.after_acceptance: list[Exception] = []
        self.deadlines: dict[str, int | None] = {}
        self.fills = True
        self.written = None
        self.feed_down = asyncio.Event()
        self.is_subscribed = False
        self.mark: Decimal | None = MARK

    def _tick(self) -> None:
        self.venue.now = self.clock.now_ns()

    async def create_order(self, request, not_after_ns=None):
        self._tick()
        self.deadlines[request.order_id] = not_after_ns
        if self.trouble:
            raise self.trouble.pop(0)
        if self.written:
            self.written(request.order_id, self.clock.now_ns())
        answer = self.venue.create(request)
        if self.after_acceptance:
            raise self.after_acceptance.pop(0)
        if isinstance(answer, Refused):
            raise OrderRefusedError(answer.code, answer.reason)
        if self.fills and not request.reduce_only:
            self.venue.fill(answer.venue_order_id, request.qty, request.price)
        return answer.venue_order_id

    async def cancel_order(self, _symbol, order_id):
        self._tick()
        if not self.venue.cancel(order_id):
            raise OrderGoneError(110001, "order not exists or too late to cancel")

    async def amend_order(self, _symbol, order_id, price):
        self._tick()
        if not self.venue.amend(order_id, Decimal(price)):
            raise OrderGoneError(110001, "order not exists or too late to replace")

    async def mark_price(self, _symbol):
        if self.mark is None:
            raise VenueBusyError(0, "away")
        return self.mark

    async def touch(self, _symbol):
        if self.touch_trouble:
            raise self.touch_trouble.pop(0)
        return self.venue.touch

    async def find_order(self, _symbol, order_id):
        if self.lookup_trouble:
            raise self.lookup_trouble.pop(0)
        return self.venue.find(order_id)

    async def open_orders(self):
        return self.venue.open_orders()

    async def executions(self, *, since_ns, order_id=""):
        rows = self.venue.executions_of(order_id) if order_id else self.venue.executions
        return [row for row in rows if row.executed_ns >= since_ns]

    async def positions(self):
        return [self.venue.position()] if self.venue.qty else []

    async def position(self, _symbol):
        return [replace(self.venue.position(), position_idx=self.position_idx)]

    async def wallet(self):
        return WALLET

    async def set_stop_loss(self, _symbol, stop_loss):
        self.venue.stop_loss = Decimal(stop_loss)

    async def set_leverage(self, symbol, leverage):
        self.leverage[symbol] = leverage

    async def account_info(self):
        return AccountInfo(margin_mode=self.margin_mode)

    async def instruments(self, _symbols=()):
        return self.instruments_known

    async def events(self) -> AsyncIterator:
        self.is_subscribed = True
        yield FeedUp()
        while True:
            while self.venue.outbox:
                yield self.venue.outbox.pop(0)
            if self.feed_down.is_set():
                self.feed_down.clear()
                yield FeedDown("cut")
                yield FeedUp()
            await asyncio.sleep(0.001)


class Closed:
    """A way that is not open."""

    async def create_order(self, _request, _not_after_ns=None):
        raise VenueBusyError(0, "not connected; nothing was sent")

    async def cancel_order(self, _symbol, _order_id):
        raise VenueBusyError(0, "not connected")

    async def amend_order(self, _symbol, _order_id, _price):
        raise VenueBusyError(0, "not connected")


class Guard:
    """A guardian that permits, or does not."""

    def __init__(self, clock: WallClock) -> None:
        self.clock = clock
        self.beats = []
        self.answers = True

    async def beat(self, heartbeat):
        self.beats.append(heartbeat)
        if not self.answers:
            return None
        return Permit(
            state=TradingState.ACTIVE,
            reason="",
            boot_id=heartbeat.boot_id,
            entries_permitted=True,
            valid_until_ns=self.clock.now_ns() + 2_000_000_000,
        )


class AwayBus(MemoryBus):
    """A bus that can go away."""

    is_away = False
    refuses = False

    def _refuse(self):
        if self.refuses:
            raise BusRefusedError("MISCONF the disk is full")

    async def connected(self):
        return not (self.is_away or self.refuses)

    async def publish_many(self, items):
        self._refuse()
        if self.is_away:
            raise BusAwayError("gone")
        await super().publish_many(items)

    def reader(self, *args, **kwargs):
        reader = super().reader(*args, **kwargs)
        batches = reader.batches

        async def batches_or_refusal():
            self._refuse()
            async for batch in batches():
                self._refuse()
                yield batch

        reader.batches = batches_or_refusal
        return reader


class House:
    """One router, again and again, on the same disk, bus and venue."""

    def __init__(self, directory: Path, monkeypatch) -> None:
        monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
        monkeypatch.setenv("UNDERTOW_VENUE__REST_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("UNDERTOW_GUARDIAN__URL", "http://127.0.0.1:1")
        monkeypatch.setenv("UNDERTOW_SYMBOLS", "BTCUSDT")
        monkeypatch.setenv("UNDERTOW_STATE_DIR", str(directory))
        monkeypatch.setenv("UNDERTOW_RISK__MAX_SIGNAL_AGE_MS", "60000")
        self.monkeypatch = monkeypatch
        self.journal = directory / "orders.journal"
        self.store = Store()
        self.wire = Wire()
        self.guard = Guard(self.wire.clock)
        self.ways = [Closed(), self.wire]
        self.bus = AwayBus("order_router/test", self.store)
        self.others = MemoryBus("model_server/test", self.store)

    @contextlib.asynccontextmanager
    async def living(self, *, is_ready: bool = True):
        settings = Settings()
        runtime = Runtime("order_router", settings)
        self.bus = AwayBus("order_router/" + runtime.boot_id, self.store)
        router = OrderRouter(settings, runtime, self.bus, self.wire, self.wire, self.ways, self.guard)
        self.wire.written = router.on_written
        self.runtime = runtime
        self.life = life = asyncio.create_task(router.run())
        try:
            if is_ready:
                await eventually(lambda: life.done() or (router.unready_reason() is None and self.guard.beats))
                if life.done():
                    life.result()
                await eventually(lambda: router.core.picture(self.now())["permit"] == "valid" or not self.guard.answers)
                await eventually(lambda: router.core.picture(self.now())["marks"])
            yield router
        finally:
            life.cancel()
            await asyncio.wait({life}, timeout=5.0)
            assert life.done(), "a router that is asked to stop stops"
            if not life.cancelled():
                life.result()

    def now(self) -> int:
        return self.wire.clock.now_ns()

    async def fire(self, signal_id: str = "s1", **changes) -> None:
        now = self.now()
        wish = signal(now, signal_id=signal_id, **{"hold_ns": 300 * MS, "valid_until_ns": now + 10**10, **changes})
        await self.others.publish(SIGNALS_BTC, wish, hops=(now, now))

    async def told(self, topic: Topic, kind: type):
        return [d.message for d in await self.others.tail(topic, 500) if isinstance(d.message, kind)]

    async def round_trips(self) -> int:
        return len({closed.trade_id for closed in await self.told(Topic(ORDERS), TradeClosed)})

    def records(self):
        return parse(self.journal.read_bytes())[0]


@pytest.fixture
def house(tmp_path: Path, monkeypatch) -> House:
    return House(tmp_path, monkeypatch)


async def test_a_signal_becomes_a_round_trip_that_the_fleet_hears_of(house: House):
    async with house.living() as router:
        assert house.wire.leverage == {"BTCUSDT": "10"}
        await house.fire()
        await eventually(house.round_trips)
        await eventually(lambda: router.core.desk.live_trades() == ())
        orders = await house.told(Topic(ORDERS), OrderChanged)
        assert orders[0].status is OrderStatus.SUBMITTED or orders[0].written_wall_ns
        assert {order.status for order in orders} >= {OrderStatus.NEW, OrderStatus.FILLED}
        assert len(await house.told(Topic(EXECUTIONS), Execution)) == 2
        [decision] = await house.told(Topic(AUDIT, source="order_router"), object)
        assert decision.verdict is Verdict.SUBMITTED
        metrics = house.runtime.metrics
        assert metrics.counter(ORDERS_SUBMITTED, symbol="BTCUSDT")._value.get() == 2
        assert metrics.counter(FILLS, symbol="BTCUSDT")._value.get() == 2
        assert metrics.counter(ROUND_TRIPS, symbol="BTCUSDT")._value.get() == 1
        assert metrics.histogram(TICK_TO_ORDER)._sum.get() > 0


async def test_the_submitted_order_carries_the_journey_of_its_signal(house: House):
    async with house.living():
        await house.fire()
        await eventually(house.round_trips)
        deliveries = await house.others.tail(Topic(ORDERS), 100)
        written = [d for d in deliveries if isinstance(d.message, OrderChanged) and d.message.written_wall_ns]
        entry = written[0]
        assert len(entry.hops) == 4  # received, published, published by the model, published by us
        assert entry.message.cause[0].startswith(SIGNALS_BTC.key)


async def test_decisions_are_one_chain_across_restarts(house: House):
    for number in range(2):
        async with house.living():
            await house.fire(f"s{number}", valid_until_ns=1)
            await eventually(lambda n=number: house.told_decisions(n + 1))
    records = await house.told(Topic(AUDIT, source="order_router"), object)
    assert [record.verdict for record in records] == [Verdict.EXPIRED, Verdict.EXPIRED]
    assert verify(records) is None


async def _told_decisions(self: House, count: int) -> bool:
    return len(await self.told(Topic(AUDIT, source="order_router"), object)) >= count


House.told_decisions = _told_decisions


async def test_a_restart_in_the_middle_of_a_trade_finishes_it_without_a_second_entry(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=1_500 * MS)
        await eventually(lambda: router.core.held() == {"BTCUSDT": Decimal("0.133")})
    assert house.wire.venue.qty
    async with house.living() as router:
        assert router.core.desk.live_trades()
        await house.fire(hold_ns=1_500 * MS)
        await eventually(house.round_trips)
    assert len(house.wire.venue.created) == 2
    assert house.wire.venue.duplicates == 0
    assert house.wire.venue.qty == 0


async def test_an_answer_lost_after_acceptance_is_one_order(house: House):
    house.wire.after_acceptance.append(OutcomeUnknownError(10016, "server error"))
    house.wire.lookup_trouble.append(VenueBusyError(0, "unreachable"))
    house.wire.fills = False
    async with house.living() as router:
        await house.fire(rest_ns=200 * MS)
        await eventually(lambda: house.wire.venue.created and router.core.desk.live_trades() == ())
    assert len(house.wire.venue.created) == 1
    assert house.wire.venue.open_orders() == []


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (OrderRefusedError(110007, "ab not enough for new order"), "110007: ab not enough for new order"),
        (AccessError(10005, "permission denied"), "10005: permission denied"),
        (VenueBusyError(110066, "trading not allowed now"), "110066: trading not allowed now"),
        (VenueBusyError(0, "connection refused"), "0: not sent: connection refused"),
    ],
)
async def test_a_certain_refusal_ends_the_trade(house: House, trouble, reason):
    house.wire.trouble.append(trouble)
    async with house.living() as router:
        await house.fire()
        orders = await eventually(lambda: _rejected(house))
        assert orders[0].reason == reason
        assert router.core.desk.live_trades() == ()


async def _rejected(house: House):
    return [o for o in await house.told(Topic(ORDERS), OrderChanged) if o.status is OrderStatus.REJECTED]


async def test_an_entry_that_no_way_may_write_any_more_is_settled_as_never_sent(house: House):
    house.wire.trouble.append(TooLateError(0, "its deadline passed 3.0 ms before it could be written"))
    async with house.living() as router:
        await house.fire()
        orders = await eventually(lambda: _rejected(house))
        assert orders[0].reason == "its deadline passed 3.0 ms before it could be written"
        assert router.core.desk.live_trades() == ()
        assert house.runtime.metrics.counter(ANOMALIES, kind="entry_too_late")._value.get() == 1
        [deadline] = house.wire.deadlines.values()
        assert house.now() < deadline <= house.now() + 2_000 * MS
    assert house.wire.venue.created == []
    assert [r.outcome for r in house.records() if isinstance(r, OrderSettled)] == [Outcome.NEVER_SENT]


@pytest.mark.parametrize("trouble", [VenueBusyError(429, "overloaded"), RuntimeError("a bug")])
async def test_what_is_not_certainly_refused_is_looked_up(house: House, trouble):
    house.wire.trouble.append(trouble)
    async with house.living() as router:
        await house.fire()
        await eventually(router.core.desk.working_orders)
        assert router.core.desk.exposure() > 0
    assert house.wire.venue.created == []


async def test_a_patient_exit_rests_is_moved_and_goes_to_the_market_in_its_time(house: House):
    house.monkeypatch.setenv("UNDERTOW_ROUTER__EXIT_PASSIVE_MS", "1500")
    house.wire.touch_trouble.append(VenueBusyError(0, "away"))
    async with house.living():
        await house.fire(hold_ns=100 * MS)
        resting = await eventually(lambda: [o for o in house.wire.venue.open_orders() if o.order_id])
        assert (resting[0].time_in_force, resting[0].price) == (TimeInForce.POST_ONLY, Decimal("49990.1"))
        house.wire.venue.touch = Touch(Decimal("49979.9"), Decimal("49980.0"))
        await eventually(lambda: house.wire.venue.find(resting[0].order_id).price == Decimal("49980.0"))
        await eventually(house.round_trips)
    assert house.wire.venue.qty == 0
    assert house.wire.venue.find(resting[0].order_id).status is OrderStatus.CANCELLED


async def test_commands_reach_the_core_and_flatten_closes(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=60_000 * MS)
        await eventually(router.core.held)
        flatten = Command(ts_event=0, ts_recv=0, command_id="c", verb=Verb.FLATTEN, who="me", why="test")
        await house.others.publish(Topic(CONTROL, source="admin"), flatten)
        await eventually(house.round_trips)
        assert router.core.picture(house.now())["paused"] == {"": "flatten by me: test"}


async def test_a_command_is_on_the_disk_before_it_is_acknowledged(house: House):
    async with house.living() as router:
        synced, append = [], router._journal.append

        def spy(records, *, durable):
            synced.extend(record.verb for record in records if durable and isinstance(record, CommandTaken))
            append(records, durable=durable)

        router._journal.append = spy
        command = Command(ts_event=1, ts_recv=1, command_id="c9", verb=Verb.PAUSE, who="anna", why="news")
        await house.others.publish(Topic(CONTROL, source="admin"), command)
        await eventually(lambda: synced == [Verb.PAUSE])


async def test_without_the_guardian_there_are_no_entries(house: House):
    house.guard.answers = False
    async with house.living():
        await house.fire()
        await eventually(lambda: house.told_decisions(1))
        [decision] = await house.told(Topic(AUDIT, source="order_router"), object)
        assert decision.verdict is Verdict.NO_PERMIT
        assert house.wire.venue.created == []


async def test_the_heartbeat_says_what_is_believed(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=60_000 * MS)
        await eventually(lambda: house.guard.beats[-1].positions == {"BTCUSDT": Decimal("0.133")})
        assert house.guard.beats[-1].boot_id == house.runtime.boot_id
        assert [beat.sequence for beat in house.guard.beats[:2]] == [1, 2][: len(house.guard.beats)]
        assert router.core.state is TradingState.ACTIVE


async def test_while_the_bus_is_away_exits_go_on_and_are_told_on_its_return(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=700 * MS)
        await eventually(router.core.held)
        house.bus.is_away = True
        await eventually(lambda: router.core.desk.live_trades() == ())
        assert house.wire.venue.qty == 0
        assert await house.round_trips() == 0
        await eventually(lambda: router.unready_reason() == "the bus is away")
        house.bus.is_away = False
        await eventually(house.round_trips)
        assert {e.exec_id for e in await house.told(Topic(EXECUTIONS), Execution)} == {"x1", "x2"}


async def test_while_the_bus_refuses_everything_exits_go_on_and_are_told_later(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=700 * MS)
        await eventually(router.core.held)
        house.bus.refuses = True
        await house.fire("s2")
        await eventually(lambda: router.unready_reason() == "the bus is away")
        await eventually(lambda: router.core.desk.live_trades() == ())
        assert house.wire.venue.qty == 0
        house.bus.refuses = False
        await eventually(house.round_trips)
        assert {e.exec_id for e in await house.told(Topic(EXECUTIONS), Execution)} >= {"x1", "x2"}


async def test_a_restart_without_the_bus_still_closes_what_is_held(house: House, monkeypatch):
    async with house.living() as router:
        await house.fire(hold_ns=700 * MS)
        await eventually(router.core.held)
    monkeypatch.setattr(AwayBus, "is_away", True)
    async with house.living(is_ready=False) as router:
        await eventually(lambda: house.wire.venue.qty == 0)
        await eventually(lambda: router.core.desk.live_trades() == ())
        assert house.guard.beats[-1].boot_id == house.runtime.boot_id
        monkeypatch.setattr(AwayBus, "is_away", False)
        await eventually(house.round_trips)


async def test_what_the_private_stream_missed_is_fetched_on_its_return(house: House):
    house.wire.fills = False
    async with house.living() as router:
        await house.fire(hold_ns=60_000 * MS, rest_ns=60_000 * MS)
        entry = await eventually(house.wire.venue.open_orders)
        await eventually(lambda: router.core.desk.working_orders()[0].status is OrderStatus.NEW)
        house.wire.venue.fill(entry[0].venue_order_id, entry[0].qty, entry[0].price)
        house.wire.venue.outbox.clear()
        house.wire.feed_down.set()
        await eventually(lambda: router.core.held() == {"BTCUSDT": Decimal("0.133")})
        await eventually(lambda: router.unready_reason() is None)
        assert house.runtime.metrics.counter(ANOMALIES, kind="feed_down")._value.get() == 1


@pytest.mark.parametrize(
    "trouble", [AccessError(10003, "invalid key"), RuntimeError("a bug"), VenueBusyError(0, "away")]
)
async def test_a_recovery_that_fails_is_told_and_tried_again(house: House, trouble, monkeypatch):
    monkeypatch.setattr("services.order_router.hands.RETRY_S", 0.01)
    asked = house.wire.open_orders

    async def fail_once():
        if house.wire.is_subscribed:  # the start has asked before
            monkeypatch.setattr(house.wire, "open_orders", asked)
            raise trouble
        return await asked()

    house.wire.open_orders = fail_once
    async with house.living():
        errors = house.runtime.metrics.counter(ERRORS)._value.get()
        assert errors == (0 if isinstance(trouble, VenueBusyError) else 1)


async def test_state_is_json_for_admin(house: House):
    async with house.living() as router:
        await house.fire(hold_ns=60_000 * MS)
        await eventually(router.core.held)
        status, body, kind = await router._on_state(b"", {})
        assert (status, kind) == (200, "application/json")
        picture = msgspec.json.decode(body)
        assert picture["mode"] == "paper"
        assert picture["trades"][0]["held"] == "0.133"


async def test_stopping_leaves_orders_as_they_are_unless_told_otherwise(house: House):
    house.wire.fills = False
    async with house.living() as router:
        await house.fire(rest_ns=60_000 * MS)
        await eventually(router.core.desk.working_orders)
        await eventually(house.wire.venue.open_orders)
    assert house.wire.venue.open_orders()
    house.monkeypatch.setenv("UNDERTOW_ROUTER__CANCEL_ON_STOP", "true")
    async with house.living():
        pass
    assert house.wire.venue.open_orders() == []


async def test_what_has_reached_the_bus_is_marked_in_the_journal(house: House):
    async with house.living():
        await house.fire()
        await eventually(house.round_trips)
        await eventually(lambda: any(isinstance(record, Published) for record in house.records()))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda wire: setattr(wire, "margin_mode", "PORTFOLIO_MARGIN"), "is PORTFOLIO_MARGIN"),
        (lambda wire: setattr(wire, "position_idx", 1), "is hedge mode for BTCUSDT"),
        (lambda wire: setattr(wire, "instruments_known", []), "the venue has no contract BTCUSDT"),
        (lambda wire: setattr(wire, "instruments_known", [replace(INSTRUMENT, max_leverage=Decimal(5))]), "at most 5"),
    ],
)
async def test_an_account_that_does_not_fit_is_refused_at_start(house: House, spoil, words):
    spoil(house.wire)
    with pytest.raises(ConfigurationError, match=words):
        async with house.living():
            pass
    assert house.wire.leverage == {}


async def test_a_foreign_order_or_position_is_named_and_refused_at_start(house: House):
    house.wire.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    house.wire.venue.qty = Decimal("0.3")
    words = r"order hand-1: Buy 0.1 BTCUSDT at 49990; position BTCUSDT \+0.3 at 49990; cancel these orders"
    with pytest.raises(ConfigurationError, match=words):
        async with house.living():
            pass
    assert house.wire.venue.created == []


async def test_a_restart_with_a_live_trade_is_not_refused_for_a_foreign_order(house: House):
    async with house.living():
        await house.fire(hold_ns=60 * 1_000 * MS)
        await eventually(lambda: house.wire.venue.qty)
    house.wire.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    async with house.living() as router:
        assert router.core.state is TradingState.REDUCING
        assert "hand-1" in router.core.picture(house.now())["reducing"]


async def test_marks_are_read_again_and_again_and_old_ones_stop_entries(house: House, monkeypatch):
    monkeypatch.setenv("UNDERTOW_RISK__MARKS_EVERY_MS", "100")
    monkeypatch.setenv("UNDERTOW_RISK__MAX_MARK_AGE_MS", "100")
    async with house.living() as router:
        house.wire.mark = Decimal(50_001)
        await eventually(lambda: router.core.picture(house.now())["marks"]["BTCUSDT"] == "50001")
        house.wire.mark = None
        read_ns = router.core.restraint.marks.at_ns("BTCUSDT")
        await eventually(lambda: house.now() > read_ns + 300 * MS)
        await house.fire()
        await eventually(lambda: router.core._denied)
    assert house.wire.venue.created == []


async def test_a_disk_that_refuses_stops_the_router_and_nothing_is_sent(house: House):
    def refuse(_records, *, durable):
        raise OSError(28, "No space left on device")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with house.living() as router:
            router._journal.append = refuse
            await house.fire()
            await eventually(house.life.done)
    [error] = caught.value.exceptions
    assert "orders.journal cannot be written" in str(error)
    assert house.wire.venue.created == []
