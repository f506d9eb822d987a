from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal

import httpx
import pytest

from services.position_manager.app import PositionManagerApp
from services.position_manager.core import Memory
from services.position_manager.guardian import HttpGuardian
from services.position_manager.settings import Settings
from tests.services.position_manager.facts import (
    T0,
    D,
    S,
    execution,
    order,
    position,
    row,
    stopped,
    venue_execution,
    wallet,
)
from tests.support import eventually
from undertow.bus.errors import BusAwayError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.heartbeat import Heartbeat, Permit
from undertow.contracts.messages.market import Ticker
from undertow.contracts.metrics import FORCED_CLOSES
from undertow.contracts.streams import ACCOUNT, CONTROL, EXECUTIONS, MARKET, ORDERS
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.exchange.errors import VenueBusyError
from undertow.runtime.checkpoint import Checkpoint
from undertow.runtime.clock import ManualClock
from undertow.runtime.service import Runtime


class Venue:
    def __init__(self):
        self.money = D(10000)
        self.held = {}
        self.fills = []
        self.rows = []
        self.trouble = 0

    def fill(self, message):
        """Book as the venue does."""
        self.fills.append(venue_execution(message))
        self.held["BTCUSDT"] = self.held.get("BTCUSDT", D(0)) + message.qty * message.side.sign
        self.money -= message.fee

    async def positions(self):
        if self.trouble:
            self.trouble -= 1
            raise VenueBusyError(10016, "busy")
        return [position(str(qty)) for qty in self.held.values() if qty]

    async def wallet(self):
        return wallet(str(self.money))

    async def open_orders(self):
        return []

    async def executions(self, *, since_ns, order_id=""):
        return [each for each in self.fills if each.executed_ns >= since_ns]

    async def ledger(self, *, since_ns):
        return [each for each in self.rows if each.booked_ns >= since_ns]


class Guardian:
    def __init__(self):
        self.beats = []
        self.kills = []
        self.deaf = False

    async def beat(self, heartbeat):
        if self.deaf:
            raise OSError("away")
        self.beats.append(heartbeat)
        return Permit(
            state=TradingState.ACTIVE, reason="", boot_id=heartbeat.boot_id, entries_permitted=False, valid_until_ns=0
        )

    async def kill(self, who, why):
        if self.deaf:
            raise OSError("away")
        self.kills.append((who, why))


class AwayBus(MemoryBus):
    """Refuses everything until it is there."""

    is_away = True

    async def tail(self, *what, **how):
        self._refuse()
        return await super().tail(*what, **how)

    async def publish(self, *what, **how):
        self._refuse()
        return await super().publish(*what, **how)

    def _refuse(self):
        if self.is_away:
            raise BusAwayError("redis://127.0.0.1:1", "gone")


class World:
    def __init__(self, path):
        self.path = path
        self.store = Store()
        self.bus = MemoryBus("others/1", self.store)
        self.venue = Venue()
        self.guardian = Guardian()

    @contextlib.asynccontextmanager
    async def running(self, *, crash=False, bus=None):
        settings = Settings(
            bus={"url": "redis://127.0.0.1:1/0"},
            venue={"rest_url": "http://venue"},
            guardian={"url": "http://guardian"},
            watch={
                "account_every_seconds": 0.02,
                "heartbeat_every_seconds": 0.02,
                "reconcile_every_seconds": 0.02,
                "settle_seconds": 0.02,
            },
        )
        checkpoint = Checkpoint(self.path / "books.json", Memory)
        app = PositionManagerApp(
            Runtime("position_manager", settings, ManualClock(T0)),
            settings,
            bus or MemoryBus("position_manager/1", self.store),
            self.venue,
            self.guardian,
            checkpoint,
        )
        task = asyncio.create_task(app.run())
        try:
            yield app
        finally:
            kept = (self.path / "books.json").read_bytes() if crash else None
            await stopped(task)
            if kept is not None:  # kill -9 writes nothing at the end
                (self.path / "books.json").write_bytes(kept)

    async def happens(self, message):
        self.venue.fill(message)
        await self.bus.publish(Topic(EXECUTIONS), message)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def ready(app):
    await eventually(lambda: app.unready_reason() is None)


async def test_a_fill_becomes_an_account_view_that_agrees_with_the_venue(world):
    async with world.running() as app:
        await ready(app)
        await world.happens(execution(at=T0 + S))
        await world.bus.publish(
            Topic(MARKET, symbol="BTCUSDT"),
            Ticker(
                ts_event=T0,
                ts_recv=T0,
                symbol="BTCUSDT",
                last_price="",
                mark_price="101",
                index_price="",
                open_interest="",
                funding_rate="",
                next_funding_ns=0,
            ),
        )
        await eventually(lambda: app.core.account(T0).unrealised == 1)

        async def last():
            (delivery,) = await world.bus.tail(Topic(ACCOUNT), 1)
            return delivery.message.unrealised == 1 and delivery.message

        account = await eventually(last)
        assert (account.wallet, account.position_residual, account.money_residual) == (D("9999.98"), 0, 0)
        status, body, _ = await app._on_state(b"", {})
        assert (status, json.loads(body)["wallet"]) == (200, "9999.98")


async def test_killed_after_a_fill_it_resumes_exactly_and_finds_what_it_missed(world):
    async with world.running(crash=True) as app:
        await ready(app)
        await world.happens(execution("e1", at=T0 + S))
        await eventually(lambda: app.core.quantities)
    world.venue.fill(execution("e2", at=T0 + 2 * S))  # while nobody looked
    world.venue.rows.append(row("t1", "TRANSFER_IN", "7", T0 + 2 * S))
    world.venue.money += 7
    async with world.running() as app:
        await ready(app)
        assert app.core.quantities == {"BTCUSDT": D(2)}
        await world.bus.publish(Topic(EXECUTIONS), execution("e2", at=T0 + 2 * S))  # the router found it, too
        count = app.core.report(T0)["comparisons"]
        await eventually(lambda: app.core.report(T0)["comparisons"] > count + 2)
        assert (app.core.residuals.position, app.core.residuals.money) == (0, 0)
        assert app.core.account(T0).wallet == D("10006.96")


async def test_a_lasting_difference_asks_the_fleet_to_reduce(world):
    async with world.running() as app:
        await ready(app)
        world.venue.money -= D("0.01")
        topic = Topic(CONTROL, source="position_manager")
        (told,) = await eventually(lambda: world.bus.tail(topic, 5))
        assert isinstance(told.message, Command)
        assert (told.message.verb, told.message.who) == (Verb.REDUCE, "position_manager")
        resume = Command(ts_event=T0, ts_recv=T0, command_id="c", verb=Verb.RESUME, who="anna", why="ok")
        world.venue.money += D("0.01")
        await eventually(lambda: app.core.residuals.money == 0)
        await world.bus.publish(Topic(CONTROL, source="admin"), resume)
        await eventually(lambda: app.core.state is TradingState.ACTIVE)


async def test_books_that_changed_are_written_soon_and_beside_the_loop(world):
    async with world.running() as app:
        await ready(app)
        await world.happens(execution("e1", at=T0 + S))
        await eventually(lambda: b'"e1"' in (world.path / "books.json").read_bytes())


async def test_a_bus_that_is_away_ends_neither_start_nor_comparisons_nor_beats(world):
    away = AwayBus("position_manager/1", world.store)
    async with world.running(bus=away) as app:
        await ready(app)
        count = app.core.report(T0)["comparisons"]
        world.venue.fill(execution("e1", fee="0", at=T0 + S))
        await eventually(lambda: app.core.on_way == 1)
        await eventually(lambda: app.core.report(T0)["comparisons"] > count + 4)
        assert app.core.state is TradingState.ACTIVE
        assert world.guardian.beats
        away.is_away = False
        await world.bus.publish(Topic(EXECUTIONS), execution("e1", fee="0", at=T0 + S))
        await eventually(lambda: app.core.quantities == {"BTCUSDT": D(1)} and app.core.on_way == 0)


async def test_what_the_venue_forced_is_counted(world):
    async with world.running() as app:
        await ready(app)
        await world.happens(execution("e1", at=T0 + S))
        await world.happens(execution("e2", Side.SELL, exec_type="BustTrade", at=T0 + S))
        topic = Topic(CONTROL, source="position_manager")
        (told,) = await eventually(lambda: world.bus.tail(topic, 5))
        assert "BustTrade" in told.message.why
        counter = app._runtime.metrics.counter(FORCED_CLOSES, kind="BustTrade")
        assert counter._value.get() == 1


async def test_it_beats_with_its_positions_and_the_orders_that_rest(world):
    await world.bus.publish(Topic(ORDERS), order("before"))
    async with world.running() as app:
        await ready(app)
        await world.happens(execution(at=T0 + S))
        await eventually(lambda: world.guardian.beats and world.guardian.beats[-1].positions)
        beat = world.guardian.beats[-1]
        assert (beat.service, beat.positions, beat.open_order_ids) == (
            "position_manager",
            {"BTCUSDT": D(1)},
            ("before",),
        )


async def test_a_drawdown_is_told_to_the_guardian_even_after_it_was_deaf(world):
    async with world.running() as app:
        await ready(app)
        world.guardian.deaf = True
        await world.happens(execution(at=T0 + S, fee="1500"))
        await eventually(lambda: app.core.drawdown > Decimal("0.1"))
        await eventually(lambda: app.core._killed_ns is not None)
        world.guardian.deaf = False
        app._runtime.clock.advance(6)
        await eventually(lambda: world.guardian.kills)
        assert world.guardian.kills[0][0] == "position_manager"


async def test_an_opening_waits_for_two_equal_answers_of_a_venue_that_answers(world):
    world.venue.trouble = 1
    async with world.running() as app:
        assert (await app._on_state(b"", {}))[0] == 503
        assert app.unready_reason()
        await ready(app)
        assert app.core.account(T0).wallet == 10000


@pytest.mark.parametrize(("status", "body"), [(500, b"no"), (200, b"{}")])
async def test_the_guardians_nonsense_is_an_oserror(status, body):
    guardian = HttpGuardian("http://guardian")
    await guardian.close()
    guardian._client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(status, content=body)), base_url="http://guardian"
    )
    beat = Heartbeat(
        service="x", boot_id="b", sequence=1, sent_ns=0, state=TradingState.ACTIVE, open_order_ids=(), positions={}
    )
    with pytest.raises(OSError, match="guardian"):
        await guardian.beat(beat)
    await guardian.close()
