"""The shell of the REST collector: asks what is due, publishes what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.rest_collector import read
from services.rest_collector.core import CollectorCore, Kind, Task
from services.rest_collector.settings import Settings
from undertow.bus import open_bus
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import ClockOffset
from undertow.contracts.metrics import REST_FAILURES, REST_REQUESTS
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.budget.ports import Priority
from undertow.exchange.budget.shared import SharedBudget, expose
from undertow.exchange.bybit import parse
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.errors import VenueError
from undertow.runtime.clock import wall_ns
from undertow.runtime.service import Runtime

TICK_S: Final = 0.25


class RestCollector:
    """Keeps the slow facts of its symbols on the bus."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, venue: BybitHttp) -> None:
        self._runtime = runtime
        self._bus = bus
        self._venue = venue
        self._pause_s = 1.0 / settings.collect.requests_per_second
        self._core = CollectorCore(settings.symbols, settings.collect.intervals_ns())

    def unready_reason(self) -> str | None:
        """Ready when every symbol's filters are published."""
        return None if self._core.has_instruments() else "the instruments have not been published yet"

    async def run(self) -> None:
        """Ask and publish until cancelled."""
        try:
            while True:
                for task in self._core.due(self._runtime.clock.now_ns(), wall_ns()):
                    await self._collect(task)
                    await asyncio.sleep(self._pause_s)
                await asyncio.sleep(TICK_S)
        finally:
            await self._venue.close()
            await self._bus.close()

    async def _collect(self, task: Task) -> None:
        self._runtime.metrics.counter(REST_REQUESTS, kind=task.kind).inc()
        try:
            facts = await self._ask(task)
        except VenueError as error:
            self._core.on_failure(task, wall_ns())
            self._runtime.metrics.counter(REST_FAILURES, kind=task.kind).inc()
            self._runtime.log.warning("request_failed", kind=task.kind, symbol=task.symbol, reason=str(error))
            return
        topic = Topic(REFERENCE, symbol=task.symbol) if task.symbol else Topic(VENUE)
        new = self._core.on_answer(task, facts, self._runtime.clock.now_ns())
        await self._bus.publish_many([(topic, fact, ()) for fact in new])

    async def _ask(self, task: Task) -> Sequence[Message]:
        if task.kind is Kind.CLOCK:
            return [await self._clock_offset()]
        path, query, reading = read.ENDPOINTS[task.kind]
        result = await self._venue.get(path, {**query, **({"symbol": task.symbol} if task.symbol else {})})
        now_ns = self._runtime.clock.now_ns()
        return parse.read(lambda r: reading(r, now_ns), result, path)

    async def _clock_offset(self) -> ClockOffset:
        clock = VenueClock(self._runtime.clock)
        sent_ns = self._runtime.clock.now_ns()
        venue_ns = await self._venue.server_time_ns()
        now_ns = self._runtime.clock.now_ns()
        clock.learn(sent_ns, now_ns, venue_ns)
        return ClockOffset(
            ts_event=venue_ns, ts_recv=now_ns, offset_ns=clock.offset_ns, uncertainty_ns=clock.uncertainty_ns
        )


def build(settings: Settings, runtime: Runtime) -> RestCollector:
    """Choose the real implementations."""
    bus = open_bus(settings.bus.url, runtime.producer, watch=runtime.bus_watch)
    budget = SharedBudget(settings.bus.url, settings.venue.rest_url, runtime.clock, Priority.FACTS)
    expose(budget, runtime.metrics)
    return RestCollector(settings, runtime, bus, BybitHttp(settings.venue.rest_url, runtime.clock, budget=budget))
