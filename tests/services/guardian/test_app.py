from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from services.guardian.app import GuardianApp
from services.guardian.rules import Memory, Phase
from services.guardian.settings import Settings
from tests.services.position_manager.facts import position, resting, row, wallet
from tests.support import eventually
from undertow.contracts.messages.heartbeat import Heartbeat, Permit
from undertow.domain.order import OrderType, Side
from undertow.domain.state import TradingState
from undertow.exchange.errors import (
    BannedError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
)
from undertow.runtime.checkpoint import Checkpoint
from undertow.runtime.clock import WallClock
from undertow.runtime.service import Runtime

ENTRY = resting("entry-1")


class Venue:
    """A venue with one account; `trouble` holds errors that the next calls meet."""

    def __init__(self):
        self.held = {"BTCUSDT": Decimal("0.5")}
        self.resting = {"entry-1": ENTRY}
        self.requests = []
        self.cancels = 0
        self.asked_since = []
        self.trouble = {"positions": [], "cancel_all": [], "create_order": []}
        self.money = "10000"

    def _meet(self, call):
        if self.trouble[call]:
            error = self.trouble[call].pop(0)
            if error is not None:
                raise error

    async def positions(self):
        self._meet("positions")
        return [position(str(qty), symbol=symbol) for symbol, qty in self.held.items() if qty]

    async def open_orders(self):
        return list(self.resting.values())

    async def wallet(self):
        return wallet(self.money)

    async def ledger(self, *, since_ns):
        self.asked_since.append(since_ns)
        return [row("1", "TRANSFER_IN", "10000"), row("2", "TRADE", "-1")]

    async def cancel_all(self, *, stops_too=True):
        self.cancels += 1
        self._meet("cancel_all")
        for order_id, order in list(self.resting.items()):
            if stops_too or not order.is_conditional:
                del self.resting[order_id]
        return 1

    async def cancel_order(self, symbol, order_id):
        self.resting.pop(order_id, None)

    async def create_order(self, request):
        self.requests.append(request)
        self._meet("create_order")
        self.held[request.symbol] += request.qty * request.side.sign
        return "v1"


class Broken:
    """A way that never works."""

    def __init__(self, error):
        self.error = error
        self.requests = []

    async def create_order(self, request):
        self.requests.append(request)
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error

    async def cancel_order(self, symbol, order_id):
        raise self.error


@contextlib.asynccontextmanager
async def guardian(tmp_path, venue, ways=None, companions=(), ping_by=None, **guard):
    settings = Settings(state_dir=tmp_path, venue={"rest_url": "http://venue"}, guard={"look_every_ms": 50} | guard)
    runtime = Runtime("guardian", settings, WallClock())
    checkpoint = Checkpoint(tmp_path / "guardian.json", Memory)
    app = GuardianApp(runtime, settings, venue, ways or [venue], checkpoint, companions, ping_by)
    task = asyncio.create_task(app.run())
    try:
        yield app
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ready(app):
    await eventually(lambda: app.unready_reason() is None)


async def kill(app, who="anna", why="news"):
    return await app._on_kill(json.dumps({"who": who, "why": why}).encode(), {})


def flat(app, venue):
    return app.core.phase is Phase.HALTED and not any(venue.held.values()) and not venue.resting


async def test_a_kill_over_http_cancels_flattens_and_halts(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        status, body, _ = await kill(app)
        assert (status, json.loads(body)["state"]) == (200, "HALTED")
        await eventually(lambda: flat(app, venue))
        (request,) = venue.requests
        assert (request.side, request.qty, request.reduce_only) == (Side.SELL, Decimal("0.5"), True)
        assert request.order_type is OrderType.MARKET
        assert request.order_id.startswith("g-")


async def test_a_signal_kills(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: flat(app, venue))


async def test_a_kill_file_kills_and_forbids_rearming_while_it_is_there(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        (tmp_path / "KILL").touch()
        await eventually(lambda: flat(app, venue))
        status, body, _ = await app._on_rearm(b'{"who":"anna","why":"ok"}', {})
        assert (status, "kill file" in body.decode()) == (409, True)
        (tmp_path / "KILL").unlink()

        async def token():
            status, body, _ = await app._on_rearm(b'{"who":"anna","why":"ok"}', {})
            return status == 200 and json.loads(body)["token"]

        given = await eventually(token)
        order = json.dumps({"who": "anna", "why": "ok", "token": given}).encode()
        assert json.loads((await app._on_rearm(order, {}))[1])["rearmed"]
        assert app.core.phase is Phase.ACTIVE


async def test_halted_survives_a_restart(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        await kill(app)
        await eventually(lambda: flat(app, venue))
    venue.held["BTCUSDT"] = Decimal(-2)
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        await eventually(lambda: flat(app, venue))
        assert app.core.memory.reason == "anna: news"
    assert len({request.order_id for request in venue.requests}) == 2


@pytest.mark.parametrize(
    "error", [OutcomeUnknownError(10016, "?"), VenueBusyError(0, "socket away"), ValueError("a bug"), None]
)
async def test_when_the_socket_fails_or_hangs_the_same_order_goes_by_http(tmp_path, error):
    venue, socket = Venue(), Broken(error)
    async with guardian(tmp_path, venue, [socket, venue]) as app:
        await ready(app)
        await kill(app)
        await eventually(lambda: flat(app, venue))
    assert socket.requests[0].order_id in {request.order_id for request in venue.requests}


async def test_http_under_a_ban_still_flattens_and_cancels_by_the_socket(tmp_path):
    venue, socket = Venue(), Venue()
    socket.held, socket.resting = venue.held, venue.resting
    async with guardian(tmp_path, venue, [socket, Broken(BannedError(403, "banned"))]) as app:
        await ready(app)
        venue.trouble["cancel_all"] = [BannedError(403, "banned")] * 100
        await kill(app)
        await eventually(lambda: not venue.resting and not any(venue.held.values()))


async def test_refusals_and_limits_do_not_end_the_trying(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        venue.trouble["create_order"] = [RateLimitedError(10006, "slow", 0), OrderRefusedError(110017, "not now")]
        venue.trouble["cancel_all"] = [RateLimitedError(10006, "slow", 0), VenueBusyError(10016, "busy")]
        venue.trouble["positions"] = [VenueBusyError(10016, "busy"), RuntimeError("a bug"), None]
        await kill(app)
        await eventually(lambda: flat(app, venue))
    assert len({request.order_id for request in venue.requests}) == len(venue.requests) == 3


async def test_a_position_above_the_largest_market_order_is_closed_in_parts(tmp_path):
    venue = Venue()
    venue.held["BTCUSDT"] = Decimal(3)
    create = venue.create_order

    async def bounded(request):
        if request.qty > 1:
            raise OrderRefusedError(10001, "The number of contracts exceeds maximum limit allowed")
        return await create(request)

    venue.create_order = bounded
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        await kill(app)
        await eventually(lambda: flat(app, venue))
    assert [request.qty for request in venue.requests] == [1, 1, 1]


async def test_a_duplicate_by_the_second_way_says_that_the_first_has_brought_it(tmp_path):
    venue, socket = Venue(), Broken(OutcomeUnknownError(10016, "?"))
    venue.trouble["create_order"] = [OutcomeUnknownError(110072, "OrderLinkedID is duplicate")]
    async with guardian(tmp_path, venue, [socket, venue]) as app:
        await ready(app)
        lost = []
        app.core.on_close_lost = lambda *what: lost.append(what)
        await kill(app)
        await eventually(lambda: venue.requests)
        await eventually(lambda: flat(app, venue))
    assert lost == []


async def test_the_stop_of_a_position_outlives_it(tmp_path):
    venue = Venue()
    venue.resting["stop"] = replace(ENTRY, order_id="stop", is_conditional=True)
    stop_seen = []
    create = venue.create_order

    async def watched(request):
        stop_seen.append("stop" in venue.resting)
        return await create(request)

    venue.create_order = watched
    venue.trouble["create_order"] = [VenueBusyError(10016, "busy")] * 3
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        await kill(app)
        await eventually(lambda: flat(app, venue))
    assert stop_seen == [True] * 4


def obstructed(path: Path) -> bool:
    """Put a folder where the file would go, unless it is just being written."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


async def test_a_disk_that_refuses_does_not_stop_the_kill(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        await eventually(lambda: obstructed(tmp_path / "guardian.new"))
        await kill(app)
        await eventually(lambda: flat(app, venue))


async def test_a_disk_that_hangs_does_not_stop_the_kill(tmp_path):
    venue, let_go = Venue(), threading.Event()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        save = app._scribe._save

        def hang(memory):
            let_go.wait(5)
            save(memory)

        app._scribe._save = hang
        began = asyncio.get_running_loop().time()
        try:
            await kill(app)
            await eventually(lambda: flat(app, venue))
            assert asyncio.get_running_loop().time() - began < 4
        finally:
            let_go.set()
        await eventually(lambda: "anna" in app._checkpoint.load().reason)


async def test_it_is_not_ready_while_it_cannot_see_the_venue(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        assert app.unready_reason()
        await ready(app)
        venue.trouble["positions"] = [VenueBusyError(10016, "busy")] * 1000
        await eventually(lambda: "cannot see" in (app.unready_reason() or ""))
        assert app.core.phase is Phase.ACTIVE


async def test_a_heartbeat_is_answered_with_a_permit_and_nonsense_with_400(tmp_path):
    async with guardian(tmp_path, Venue()) as app:
        await ready(app)
        beat = Heartbeat(
            service="order_router",
            boot_id="b",
            sequence=1,
            sent_ns=0,
            state=TradingState.ACTIVE,
            open_order_ids=("entry-1",),
            positions={"BTCUSDT": Decimal("0.5")},
        )
        status, body, _ = await app._on_heartbeat(msgspec.json.encode(beat), {})
        permit = msgspec.json.decode(body, type=Permit)
        assert (status, permit.entries_permitted, permit.boot_id) == (200, True, "b")
        assert (await app._on_heartbeat(b"{", {}))[0] == 400
        for body in (b"{", b'{"who":"anna","why":" "}', b'{"who":"","why":"x"}'):
            assert (await app._on_kill(body, {}))[0] == 400
            assert (await app._on_rearm(body, {}))[0] == 400
        assert app.core.phase is Phase.ACTIVE


async def test_before_it_runs_every_question_is_answered_with_503(tmp_path):
    settings = Settings(state_dir=tmp_path, venue={"rest_url": "http://venue"})
    app = GuardianApp(Runtime("guardian", settings), settings, Venue(), [Venue()], Checkpoint(tmp_path / "g", Memory))
    for handler in (app._on_heartbeat, app._on_kill, app._on_rearm, app._on_state):
        assert (await handler(b"{}", {}))[0] == 503


async def test_drawdown_in_the_venues_wallet_halts(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue) as app:
        await ready(app)
        venue.money = "8999"
        await eventually(lambda: flat(app, venue))
        assert "drawdown" in app.core.memory.reason


async def test_a_fall_of_equity_is_held_against_the_log_at_once(tmp_path):
    venue = Venue()
    async with guardian(tmp_path, venue, ledger_every_seconds=60) as app:
        await ready(app)
        assert len(venue.asked_since) == 1
        venue.money = "8999"
        await eventually(lambda: "drawdown" in app.core.memory.reason)
        assert venue.asked_since == [app.core.memory.born_ns] * 3


async def test_a_socket_that_is_refused_does_not_end_the_guardian(tmp_path):
    tried = []

    async def refused():
        tried.append(1)
        raise PermissionError("key refused")

    async with guardian(tmp_path, Venue(), companions=[refused]) as app:
        await ready(app)
        assert tried
        await kill(app)
        await eventually(lambda: app.core.phase is Phase.HALTED)


def test_the_guardian_needs_no_bus_no_kernels_and_no_web_framework():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, services.guardian.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "services.guardian.core" in loaded
    assert not loaded & {
        "redis",
        "hiredis",
        "numba",
        "numpy",
        "fastapi",
        "starlette",
        "aiohttp",
        "rich.console",
        "pygments",
    }
