"""The guardian's shell: looks at the venue, ticks, answers HTTP, and sends what the core decides by whichever way is open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from services.guardian.core import GuardianCore
from services.guardian.dead_man import DeadMan
from services.guardian.looks import Venue, calm_look, urgent_look
from services.guardian.rules import (
    MILLISECOND_NS,
    SECOND_NS,
    Announce,
    CancelAll,
    Effect,
    Flatten,
    Look,
    Memory,
    OpenOrder,
    Phase,
    Remember,
)
from services.guardian.settings import Settings
from undertow.contracts.messages.heartbeat import Heartbeat
from undertow.contracts.metrics import GUARDIAN_ORDERS, GUARDIAN_PINGED, TRADING_STATE
from undertow.domain.order import OrderType, TimeInForce
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.parse import DUPLICATE_IDS, NOTHING_TO_REDUCE
from undertow.exchange.bybit.trade_ws import BybitTradeSocket
from undertow.exchange.errors import (
    AlreadySoError,
    OrderGoneError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueError,
)
from undertow.exchange.models import OrderRequest
from undertow.exchange.ports import OrderEntry
from undertow.runtime.checkpoint import Checkpoint
from undertow.runtime.health import JSON
from undertow.runtime.scribe import Scribe
from undertow.runtime.service import Runtime
from undertow.runtime.settings import credentials_for

TICK_S: Final = 0.05
"""Wall seconds between two ticks; a market second has at least two."""
LOOK_TIMEOUT_S: Final = 2.0
WAY_TIMEOUT_S: Final = 0.35
CANCEL_AGAIN_NS: Final = 200 * MILLISECOND_NS
DISK_PATIENCE_S: Final = 1.0
"""Wall seconds that an answer, or the end, waits for the memory to be on disk."""
COMPANION_PAUSE_S: Final = 2.0
HTTP_TIMEOUT_S: Final = 1.5
Answer = tuple[int, bytes, str]


class Order(msgspec.Struct, frozen=True):
    """A person's command."""

    who: str
    why: str
    token: str = ""


class GuardianApp:
    """The service.

    Args:
        ways: where orders may be sent, the first preferred: the trade socket, then HTTP.
        checkpoint: where the memory is kept.
        ping_by: the way to the outside watcher; by default the network, through the environment's proxy.
        companions: kept running beside, started anew when they fail: the trade socket's connection.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        venue: Venue,
        ways: Sequence[OrderEntry],
        checkpoint: Checkpoint[Memory],
        companions: Sequence[Callable[[], Awaitable[None]]] = (),
        ping_by: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._runtime = runtime
        self._guard = settings.guard
        self._rules = settings.guard.rules()
        self._kill_file = settings.guard.kill_file or settings.state_dir / "KILL"
        self._venue = venue
        self._ways = tuple(ways)
        self._checkpoint = checkpoint
        self._scribe = Scribe(checkpoint.save, lambda error: runtime.survived("memory_not_written", error))
        self._ping_by = ping_by
        self._companions = (*companions, *self._watchers())
        self._core: GuardianCore | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._ledger_at = float("-inf")
        self._look_failure = "no look at the venue yet"
        self._hurry = asyncio.Event()
        for method, path, handler in (
            ("POST", "/heartbeat", self._on_heartbeat),
            ("POST", "/kill", self._on_kill),
            ("POST", "/rearm", self._on_rearm),
            ("GET", "/state", self._on_state),
        ):
            runtime.add_route(method, path, handler)

    def unready_reason(self) -> str | None:
        """Not ready until the venue was seen, and while it cannot be seen."""
        return self._look_failure or None

    async def run(self) -> None:
        """Guard until cancelled."""
        now_ns = self._runtime.clock.now_ns()
        memory = self._checkpoint.load() or Memory(born_ns=now_ns)
        self._core = GuardianCore(self._rules, memory, now_ns)
        self._perform([Remember(memory)])
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._on_signal)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_for_ever(), name="look")
                tasks.create_task(self._tick_for_ever(), name="tick")
                for companion in self._companions:
                    tasks.create_task(self._keep(companion), name="companion")
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
            for task in self._sending:
                task.cancel()
            await self._scribe.settled(DISK_PATIENCE_S)

    async def _keep(self, companion: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await companion()
            except Exception as error:  # noqa: BLE001 - without the socket there is still HTTP
                self._runtime.survived("trade_socket_failed", error)
            await asyncio.sleep(COMPANION_PAUSE_S)

    def _watchers(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        gauge = self._runtime.metrics.gauge(GUARDIAN_PINGED)
        gauge.set(0)
        if self._guard.dead_man_url is None:
            return ()
        man = DeadMan(
            self._guard.dead_man_url,
            self._guard.dead_man_every_seconds,
            lambda: not self._look_failure,
            gauge.set,
            lambda error: self._runtime.survived("ping_failed", error),
            self._ping_by,
        )
        return (man.run,)

    # looking and ticking

    async def _look_for_ever(self) -> None:
        while True:
            self._hurry.clear()
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    look = await self._take_look()
            except (VenueError, TimeoutError) as error:
                self._look_failure = f"cannot see the venue: {error or 'no answer'}"
            except Exception as error:  # noqa: BLE001 - the guardian must outlive whatever a look brings
                self._look_failure = f"cannot see the venue: {error}"
                self._runtime.survived("look_failed", error)
            else:
                self._look_failure = ""
                self._perform(self.core.on_look(look, self._now()))
            await self._until_next_look()

    async def _until_next_look(self) -> None:
        if self.core.phase is Phase.HALTING:
            await asyncio.sleep(self._guard.press_every_ms / 1000)
            return
        # where the market runs fast, its seconds are short and a look is soon old
        stale_s = self._rules.view_timeout_ns / SECOND_NS / self._runtime.clock.rate
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(
                min(self._guard.look_every_ms / 1000, stale_s / 4)
            ):  # wait_for may swallow our own cancellation
                await self._hurry.wait()

    async def _take_look(self) -> Look:
        if self.core.phase is Phase.HALTING:
            return await urgent_look(self._venue, self._now)
        return await calm_look(self._venue, self._now, self._ledger_since_ns)

    def _ledger_since_ns(self) -> int | None:
        now = asyncio.get_running_loop().time()
        if not self.core.asks_ledger and now - self._ledger_at < self._guard.ledger_every_seconds:
            return None
        self._ledger_at = now
        return self.core.ledger_since_ns

    async def _tick_for_ever(self) -> None:
        gauge = self._runtime.metrics.gauge(TRADING_STATE)
        while True:
            now_ns = self._now()
            self._perform(self.core.on_kill_file(now_ns, present=_exists(self._kill_file)))
            self._perform(self.core.on_tick(now_ns))
            gauge.set(self.core.state.severity)
            await asyncio.sleep(min(TICK_S, 0.5 / self._runtime.clock.rate))

    def _on_signal(self) -> None:
        self._perform(self.core.on_kill("signal", "SIGUSR1", self._now()))

    # acting

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Remember():
                    self._scribe.write(effect.memory)
                case CancelAll():
                    self._send(self._cancel(effect))
                case Flatten():
                    self._send(self._flatten(effect))
                case Announce():
                    self._runtime.log.warning("phase_changed", phase=effect.phase, reason=effect.reason)
                    self._hurry.set()

    def _send(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _flatten(self, effect: Flatten) -> None:
        """Send by the first way that answers; the same id by the next, which a venue that has it refuses as a duplicate."""
        request = OrderRequest(
            order_id=effect.order_id,
            symbol=effect.symbol,
            side=effect.side,
            order_type=OrderType.MARKET,
            qty=effect.qty,
            price=effect.qty * 0,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
        )
        retry_at_ns = 0
        for number, way in enumerate(self._ways):
            if number and not self.core.may_send(self._now()):
                break
            failure = await self._sent(way, request)
            if failure is None:
                return
            if isinstance(failure, RateLimitedError):
                retry_at_ns = failure.retry_at_ns
        self.core.on_close_lost(effect.symbol, retry_at_ns)

    async def _sent(self, way: OrderEntry, request: OrderRequest) -> Exception | None:
        """Give what speaks for another way; None when the venue has answered for this order."""
        self._runtime.metrics.counter(GUARDIAN_ORDERS).inc()
        try:
            async with asyncio.timeout(WAY_TIMEOUT_S):
                await way.create_order(request)
        except AlreadySoError:
            return None
        except OrderRefusedError as error:
            if error.code != NOTHING_TO_REDUCE:  # else it is flat already: the next look tells
                self._runtime.survived("close_refused", error, order_id=request.order_id)
                self.core.on_close_refused(request.symbol, request.qty)
            return None
        except Exception as error:  # noqa: BLE001 - whatever it was, there is another way and another try
            if isinstance(error, OutcomeUnknownError) and error.code in DUPLICATE_IDS:
                return None  # the way before this one has brought it there
            if not isinstance(error, RateLimitedError):
                self._runtime.survived("close_failed", error, order_id=request.order_id)
            return error
        return None

    async def _cancel(self, effect: CancelAll) -> None:
        retry_at_ns = 0
        try:
            async with asyncio.timeout(WAY_TIMEOUT_S):
                await self._venue.cancel_all(stops_too=effect.stops_too)
        except RateLimitedError as error:
            retry_at_ns = error.retry_at_ns
        except Exception as error:  # noqa: BLE001 - whatever it was, there is another way and another try
            self._runtime.survived("cancel_all_failed", error)
        else:
            return
        await self._cancel_one_by_one(effect.known)
        self.core.on_cancel_lost(max(retry_at_ns, self._now() + CANCEL_AGAIN_NS))

    async def _cancel_one_by_one(self, known: Sequence[OpenOrder]) -> None:
        for order in known:
            if not order.order_id:
                continue
            if not self.core.may_cancel(self._now()):
                return
            try:
                async with asyncio.timeout(WAY_TIMEOUT_S):
                    await self._ways[0].cancel_order(order.symbol, order.order_id)
            except OrderGoneError:
                continue
            except (VenueError, TimeoutError) as error:
                self._runtime.survived("cancel_failed", error, order_id=order.order_id)
                return

    # HTTP

    @property
    def core(self) -> GuardianCore:
        """The core; there from the first moment of `run`."""
        if self._core is None:
            raise RuntimeError("the guardian does not run yet")
        return self._core

    def _now(self) -> int:
        return self._runtime.clock.now_ns()

    async def _on_heartbeat(self, body: bytes, _query: dict[str, str]) -> Answer:
        if self._core is None:
            return _error(503, "starting")
        try:
            heartbeat = msgspec.json.decode(body, type=Heartbeat)
        except msgspec.MsgspecError as error:
            return _error(400, str(error))
        permit = self.core.on_heartbeat(heartbeat, self._now())
        return 200, msgspec.json.encode(permit), JSON

    async def _on_kill(self, body: bytes, _query: dict[str, str]) -> Answer:
        if self._core is None:
            return _error(503, "starting")
        order = _order(body)
        if isinstance(order, str):
            return _error(400, order)
        self._perform(self.core.on_kill(order.who, order.why, self._now()))
        await self._scribe.settled(DISK_PATIENCE_S)
        return await self._on_state(b"", {})

    async def _on_rearm(self, body: bytes, _query: dict[str, str]) -> Answer:
        if self._core is None:
            return _error(503, "starting")
        order = _order(body)
        if isinstance(order, str):
            return _error(400, order)
        answer, effects = self.core.on_rearm(order.who, order.why, order.token, self._now())
        self._perform(effects)
        await self._scribe.settled(DISK_PATIENCE_S)
        if answer.refusal:
            return _error(409, answer.refusal)
        return 200, json.dumps({"rearmed": answer.rearmed, "token": answer.token}).encode(), JSON

    async def _on_state(self, _body: bytes, _query: dict[str, str]) -> Answer:
        if self._core is None:
            return _error(503, "starting")
        return 200, json.dumps(self.core.report(self._now())).encode(), JSON


def _order(body: bytes) -> Order | str:
    try:
        order = msgspec.json.decode(body, type=Order)
    except msgspec.MsgspecError as error:
        return str(error)
    if not order.who.strip() or not order.why.strip():
        return "who and why must not be empty"
    return order


def _error(status: int, words: str) -> Answer:
    return status, json.dumps({"error": words}).encode(), JSON


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def build(settings: Settings, runtime: Runtime) -> GuardianApp:
    """Choose the real implementations: the guardian's own key, connection and trade socket."""
    key = credentials_for(settings.mode, "guardian", os.environ)
    http = BybitHttp(settings.venue.rest_url, runtime.clock, key, timeout_s=HTTP_TIMEOUT_S, attempts=1)
    checkpoint = Checkpoint(settings.state_dir / "guardian.json", Memory)
    if not settings.venue.trade_url:  # demo has none
        return GuardianApp(runtime, settings, http, [http], checkpoint)
    socket = BybitTradeSocket(settings.venue.trade_url, key, http.venue_clock)
    return GuardianApp(runtime, settings, http, [socket, http], checkpoint, [socket.run])
