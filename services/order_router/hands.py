"""The router's hands at the venue: sends, cancels, looks up; each answer goes back to the core as an event.

An order goes out by the first way that is open: the trade socket, then HTTP. The next way is tried only when nothing can have left
by the one before (`VenueBusyError` without a venue's code): an order is never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from services.order_router.core import RouterCore
from services.order_router.events import answer_of, essence, of_symbol, was_not_sent
from undertow.exchange.errors import AccessError, OrderGoneError, VenueError
from undertow.exchange.models import Touch, VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.exchange.ports import OrderEntry
from undertow.runtime.clock import Clock
from undertow.runtime.retry import backoff
from undertow.trading.effects import (
    Amend,
    AtVenue,
    Cancel,
    Effect,
    LookAtTouch,
    Lookup,
    Recover,
    Refresh,
    Send,
    SetStop,
    Sweep,
)
from undertow.trading.keeper import Accepted, Answer, Refused, Unknown

RETRY_S: Final = 0.25
LONGEST_RETRY_S: Final = 5.0
BETWEEN_PASSES_S: Final = 0.05
REFRESH_PATIENCE_S: Final = 1.0
"""A position may be without its stop meanwhile: an answer that is lost is not waited for as long as others."""


class TruthAtVenue(Protocol):
    """What is asked over HTTP; part of `undertow.exchange.ports.TradingRest`."""

    async def find_order(self, symbol: str, order_id: str) -> VenueOrder | None: ...  # noqa: D102 - see TradingRest
    async def open_orders(self) -> list[VenueOrder]: ...  # noqa: D102 - see TradingRest
    async def executions(self, *, since_ns: int, order_id: str = "") -> list[VenueExecution]: ...  # noqa: D102 - see TradingRest
    async def positions(self) -> list[VenuePosition]: ...  # noqa: D102 - see TradingRest
    async def wallet(self) -> Wallet: ...  # noqa: D102 - see TradingRest
    async def touch(self, symbol: str) -> Touch: ...  # noqa: D102 - see MarketRest
    async def set_stop_loss(self, symbol: str, stop_loss: str) -> None: ...  # noqa: D102 - see TradingRest


class Hands:
    """Performs what the core wants done at the venue.

    Args:
        ways: where orders may be sent, the first preferred.
        perform: takes the effects of an answer.
        survived: told of an error that nobody expected.
    """

    def __init__(
        self,
        core: RouterCore,
        clock: Clock,
        venue: TruthAtVenue,
        ways: Sequence[OrderEntry],
        perform: Callable[[list[Effect]], None],
        survived: Callable[[str, BaseException], None],
    ) -> None:
        self._core = core
        self._clock = clock
        self._venue = venue
        self._ways = tuple(ways)
        self._perform = perform
        self._survived = survived
        self._busy: set[asyncio.Task[None]] = set()
        self._recovery: asyncio.Task[None] | None = None

    def do(self, effect: AtVenue) -> None:  # noqa: C901 - a line for each kind
        """Begin; the answer comes as an event."""
        match effect:
            case Send():
                self._start(self._send(effect))
            case Cancel():
                self._start(self._cancel(effect))
            case Amend():
                self._start(self._amend(effect))
            case LookAtTouch():
                self._start(self._look_at_touch(effect))
            case Lookup():
                self._start(self._look_up(effect))
            case Refresh():
                self._start(self._refresh(effect))
            case Sweep():
                self._start(self._sweep(effect))
            case SetStop():
                self._start(self._set_stop(effect))
            case Recover():
                if self._recovery is not None:
                    self._recovery.cancel()
                self._recovery = self._start(self._recover(effect))

    async def stop(self) -> None:
        """Leave everything as it is; a restart finds it by look-up."""
        for task in tuple(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._survived("venue_work_failed", error)

    async def _send(self, effect: Send) -> None:
        answer = await self._answer(effect)
        self._perform(self._core.on_answer(effect.request.order_id, answer, self._clock.now_ns()))

    async def _answer(self, effect: Send) -> Answer:
        answer: Answer = Refused(0, "no way to the venue is open")
        for way in self._ways:
            try:
                return Accepted(await way.create_order(effect.request, effect.not_after_ns))
            except VenueError as error:
                answer = answer_of(error)
                if not was_not_sent(error):
                    return answer
            except Exception as error:  # noqa: BLE001 - whatever broke, the order may be there: look it up
                self._survived("send_failed", error)
                return Unknown(f"{type(error).__name__}: {error}")
        return answer

    async def _cancel(self, effect: Cancel) -> None:
        for way in self._ways:
            try:
                await way.cancel_order(effect.symbol, effect.order_id)
            except OrderGoneError:
                now_ns = self._clock.now_ns()
                self._perform(self._core.on_cancel_answer(effect.order_id, now_ns, is_gone=True))
                return
            except VenueError:
                continue  # by the next way; the core asks again anyway
            else:
                self._perform(self._core.on_cancel_answer(effect.order_id, self._clock.now_ns(), is_gone=False))
                return

    async def _amend(self, effect: Amend) -> None:
        for way in self._ways:
            try:
                await way.amend_order(effect.symbol, effect.order_id, format(effect.price, "f"))
            except OrderGoneError:
                now_ns = self._clock.now_ns()
                self._perform(self._core.on_cancel_answer(effect.order_id, now_ns, is_gone=True))
                return
            except VenueError:
                continue  # by the next way; the core looks at the prices again anyway
            else:
                return

    async def _look_at_touch(self, effect: LookAtTouch) -> None:
        touch: Touch | None = None
        try:
            touch = await self._venue.touch(effect.symbol)
        except VenueError:
            pass  # the core asks again while the leg lasts, and goes to the market after it
        finally:  # whatever broke: the core must know that it may ask again
            self._perform(self._core.on_touch(effect.symbol, touch, self._clock.now_ns()))

    async def _look_up(self, effect: Lookup) -> None:
        asked_ns = self._clock.now_ns()
        try:
            found = await self._venue.find_order(effect.symbol, effect.order_id)
            executions = await self._venue.executions(since_ns=effect.since_ns, order_id=effect.order_id)
        except BaseException as error:  # cancelled too: the core must know that it may ask again
            self._perform(self._core.on_lookup_failed(effect.order_id, self._clock.now_ns()))
            if isinstance(error, VenueError):
                return
            raise
        now_ns = self._clock.now_ns()
        self._perform(self._core.on_lookup(effect.order_id, found, executions, asked_ns, now_ns))

    async def _refresh(self, effect: Refresh) -> None:
        try:
            async with asyncio.timeout(REFRESH_PATIENCE_S):
                positions = await self._venue.positions()
                executions = await self._venue.executions(since_ns=effect.since_ns)
        except BaseException as error:  # cancelled too: the core must know that it may ask again
            self._perform(self._core.on_refresh_failed(effect.symbol, self._clock.now_ns()))
            if isinstance(error, VenueError | TimeoutError):
                return
            raise
        position, ours = of_symbol(effect.symbol, positions, executions)
        self._perform(self._core.on_refreshed(effect.symbol, position, ours, self._clock.now_ns()))

    async def _sweep(self, effect: Sweep) -> None:
        executions: Sequence[VenueExecution] | None = None
        try:
            executions = await self._venue.executions(since_ns=effect.since_ns)
        except VenueError:
            pass  # the next one reaches as far back
        finally:  # whatever broke: the core must know that it may ask again
            self._perform(self._core.on_swept(executions, self._clock.now_ns()))

    async def _set_stop(self, effect: SetStop) -> None:
        try:
            await self._venue.set_stop_loss(effect.symbol, format(effect.stop_loss, "f"))
        except VenueError:
            return  # the core asks again, and closes the position when that does not help
        self._perform(self._core.on_stop_set(effect.symbol, self._clock.now_ns()))

    async def _recover(self, effect: Recover) -> None:
        before: object = None
        pauses = backoff(RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                orders = await self._venue.open_orders()
                executions = await self._venue.executions(since_ns=effect.since_ns)
                positions = await self._venue.positions()
                wallet = await self._venue.wallet()
            except Exception as error:  # noqa: BLE001 - whatever broke: without a recovery no entry is ever taken again
                if not isinstance(error, VenueError) or isinstance(error, AccessError):
                    self._survived("recovery_failed", error)
                await asyncio.sleep(next(pauses))  # the venue, or a person, needs time
                continue
            seen = essence(orders, executions, positions, wallet)
            if seen == before:
                self._perform(self._core.on_recovered(orders, executions, positions, wallet, self._clock.now_ns()))
                return
            before = seen
            await asyncio.sleep(BETWEEN_PASSES_S)
