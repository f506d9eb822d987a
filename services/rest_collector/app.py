"""The shell of the REST collector: asks what is due, publishes what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from services.rest_collector.core import CollectorCore, Request, topic_of
from services.rest_collector.failures import ABSENT, BUS, REASONS, reason_of
from services.rest_collector.kinds import Kind, Task
from services.rest_collector.schedule import SECOND_NS
from services.rest_collector.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError, BusError, BusOverflowError, BusRefusedError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import ClockOffset
from undertow.contracts.metrics import (
    REFERENCE_AGE,
    REFERENCE_FACTS,
    REFERENCE_SKIPPED,
    REST_FAILURES,
    REST_REQUESTS,
    VENUE_CLOCK_OFFSET,
)
from undertow.contracts.streams import REFERENCE
from undertow.exchange.budget.ports import Budget, Priority
from undertow.exchange.budget.shared import SharedBudget, expose
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.venue_clock import estimate
from undertow.exchange.errors import ClockSkewError, OrderRefusedError, RateLimitedError, VenueError
from undertow.runtime.clock import wall_ns
from undertow.runtime.retry import backoff
from undertow.runtime.service import Runtime

TICK_S: Final = 0.1
PORTION: Final = 1_000
"""Facts published at once: far fewer than a publisher remembers, for a year of a series is more."""
LATE_INTERVALS: Final = 3
LATE_S: Final = 60.0
"""A kind is late when it has not been answered for so many of its intervals, and for so much wall time."""


class RestCollector:
    """Keeps the slow facts of its symbols on the bus.

    Args:
        venue: asks; it waits for the budget by itself.
        budget: the same, for what it knows of a ban.
    """

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus, venue: BybitHttp, budget: Budget) -> None:
        collect = settings.collect
        self._runtime = runtime
        self._bus = bus
        self._venue = venue
        self._budget = budget
        self._clock_readings = collect.clock_readings
        self._intervals_ns = collect.intervals_ns()
        self._slots = asyncio.Semaphore(collect.concurrency)
        self._core = CollectorCore(
            settings.own_symbols,
            self._intervals_ns,
            collect.reach_ns,
            runtime.clock.now_ns(),
            asks_for_venue=settings.is_first_shard,
        )
        self._is_remembering = True
        for kind in Kind:
            runtime.metrics.gauge(REFERENCE_AGE, kind=kind).set_function(partial(self._age_s, kind))
            runtime.metrics.counter(REST_REQUESTS, kind=kind)
            runtime.metrics.counter(REFERENCE_FACTS, kind=kind)
            runtime.metrics.counter(REFERENCE_SKIPPED, kind=kind)
            for reason in REASONS:  # series that are 0 from the start can be alerted on
                runtime.metrics.counter(REST_FAILURES, kind=kind, reason=reason)

    def unready_reason(self) -> str | None:
        """Ready when every symbol's filters are published and no kind is late."""
        if self._is_remembering:
            return "the bus does not answer, and what was published last is not known"
        if self._budget.banned_for_s:
            return f"the venue has banned our address for {self._budget.banned_for_s:.0f} s more"
        unknown = self._core.unknown_symbols()
        if unknown:
            return f"the filters of {', '.join(unknown)} have not been published yet"
        late = [kind for kind in Kind if self._age_s(kind) > self._late_s(kind)]
        return f"no answer for too long about {', '.join(late)}" if late else None

    async def run(self) -> None:
        """Ask and publish until cancelled."""
        try:
            for symbol in self._core.symbols:
                await self._remember(symbol)
            self._is_remembering = False
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._slots.acquire()
                    task = self._next()
                    if task is None:
                        self._slots.release()
                        await asyncio.sleep(TICK_S)
                        continue
                    begun = self._core.begin(task, self._now_ns())
                    if begun.skipped_ns:
                        self._skipped(task, begun.skipped_ns)
                    group.create_task(self._collect(task, begun.request), name=f"{task.kind} {task.symbol}")
        finally:
            await self._venue.close()
            await self._bus.close()

    async def _remember(self, symbol: str) -> None:
        topic = Topic(REFERENCE, symbol=symbol)
        for wait_s in backoff(longest_s=1.0):
            try:
                published = await self._bus.tail(topic, topic.stream.maxlen)
            except BusAwayError:
                await asyncio.sleep(wait_s)
            else:
                self._core.remember(symbol, [delivery.message for delivery in published])
                return

    def _next(self) -> Task | None:
        if self._budget.banned_for_s:
            return None
        return self._core.schedule.next(self._now_ns(), wall_ns())

    async def _collect(self, task: Task, request: Request | None) -> None:
        try:
            await self._ask(task, request)
        except VenueError as error:
            self._failed(task, error)
        else:
            await self._publish(task)
        finally:
            self._slots.release()

    async def _ask(self, task: Task, request: Request | None) -> None:
        asked = self._runtime.metrics.counter(REST_REQUESTS, kind=task.kind)
        if request is None:
            asked.inc(self._clock_readings)
            self._core.on_measured(task, await self._clock_offset())
        while request is not None:
            asked.inc()
            try:
                result = await self._venue.get(request.path, request.params, attempts=1)
            except OrderRefusedError:
                if not request.may_be_refused:
                    raise
                result = {"list": []}
            request = self._core.on_answer(task, result, self._now_ns())

    async def _clock_offset(self) -> ClockOffset:
        readings = [await self._venue.read_clock() for _ in range(self._clock_readings)]
        offset, last = estimate(readings), readings[-1]
        self._venue.venue_clock.take(offset)
        self._runtime.metrics.gauge(VENUE_CLOCK_OFFSET).set(offset.offset_ns / SECOND_NS)
        return ClockOffset(
            ts_event=last.venue_ns,
            ts_recv=last.received_ns,
            offset_ns=offset.offset_ns,
            uncertainty_ns=offset.uncertainty_ns,
            readings=len(readings),
        )

    async def _publish(self, task: Task) -> None:
        news = self._core.news(task, self._now_ns())
        for begin in range(0, len(news), PORTION):
            portion = news[begin : begin + PORTION]
            try:
                await self._bus.publish_many([(topic_of(fact), fact, ()) for fact in portion])
            except BusOverflowError as error:
                self._taken(task, [fact for fact in portion if topic_of(fact).key not in error.keys])
                self._not_taken(task, error)
                return
            except BusRefusedError as error:
                self._not_taken(task, error)
                return
            self._taken(task, portion)
        self._core.on_published(task, (), self._now_ns())

    def _taken(self, task: Task, news: Sequence[Message]) -> None:
        self._core.on_taken(task, news)
        self._runtime.metrics.counter(REFERENCE_FACTS, kind=task.kind).inc(len(news))

    def _not_taken(self, task: Task, error: BusError) -> None:
        self._core.on_failure(task, wall_ns())  # what is not on the bus is given again
        self._count_failure(task, BUS, error)

    def _failed(self, task: Task, error: VenueError) -> None:
        schedule, now_ns, reason = self._core.schedule, wall_ns(), reason_of(error)
        if reason == ABSENT:
            self._core.on_absence(task, now_ns)
        else:
            self._core.on_failure(task, now_ns)
        if isinstance(error, RateLimitedError):
            clock = self._venue.venue_clock
            schedule.rest(task.kind, now_ns + round(max(0, error.retry_at_ns - clock.now_ns()) / clock.rate))
        elif isinstance(error, ClockSkewError):
            schedule.hasten(Task(Kind.CLOCK), self._now_ns())
        self._count_failure(task, reason, error)

    def _count_failure(self, task: Task, reason: str, error: Exception) -> None:
        self._runtime.metrics.counter(REST_FAILURES, kind=task.kind, reason=reason).inc()
        self._runtime.log.warning(
            "request_failed", kind=task.kind, symbol=task.symbol, reason=reason, detail=str(error)
        )

    def _skipped(self, task: Task, skipped_ns: int) -> None:
        seconds = skipped_ns / SECOND_NS
        self._runtime.metrics.counter(REFERENCE_SKIPPED, kind=task.kind).inc(seconds)
        self._runtime.log.warning("backfill_cut", kind=task.kind, symbol=task.symbol, skipped_seconds=round(seconds))

    def _age_s(self, kind: Kind) -> float:
        return self._core.schedule.age_ns(kind, self._now_ns()) / SECOND_NS

    def _late_s(self, kind: Kind) -> float:
        return LATE_INTERVALS * self._intervals_ns[kind] / SECOND_NS + LATE_S * self._runtime.clock.rate

    def _now_ns(self) -> int:
        return self._runtime.clock.now_ns()


def build(settings: Settings, runtime: Runtime) -> RestCollector:
    """Choose the real implementations."""
    bus = open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch)
    budget = SharedBudget(settings.bus.url, settings.venue.rest_url, runtime.clock, Priority.FACTS)
    expose(budget, runtime.metrics)
    venue = BybitHttp(settings.venue.rest_url, runtime.clock, budget=budget)
    return RestCollector(settings, runtime, bus, venue, budget)
