"""The shell of the feature hub: facts in, feature vectors out, acknowledged after they are published."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.feature_hub.core import HubCore, SymbolFeed
from services.feature_hub.settings import Settings
from undertow.bus import open_bus
from undertow.bus.errors import BusAwayError
from undertow.bus.ports import Bus, Topic, entry_order
from undertow.contracts.metrics import FEATURE_FACTS_LATE, FEATURE_HOLES, FEATURE_ROWS_IGNORED, FEATURE_VECTORS
from undertow.contracts.streams import FEATURES, MACRO, MARKET, REFERENCE
from undertow.features.warm import warm
from undertow.runtime.memory import settle
from undertow.runtime.retry import backoff
from undertow.runtime.service import Runtime

GROUP = "feature_hub"
REFERENCE_TAIL = 2_000
PUBLISHED_TAIL = 512  # more than one batch of facts can trigger
CHECKPOINT_MARGIN_SECONDS = 30.0  # the snapshot that opens the history may be this much older than the history wanted
SLOWEST_RATE = 0.1
LOOK_SECONDS = 1.0
AWAY = "the bus does not answer"


class FeatureHub:
    """Feeds the kernels of its symbols."""

    def __init__(self, settings: Settings, runtime: Runtime, bus: Bus) -> None:
        self._settings = settings
        self._runtime = runtime
        self._bus = bus
        self._core = HubCore({symbol: settings.features.rule(symbol) for symbol in settings.own_symbols})
        self._reason: str | None = "compiling the kernels"
        self._vectors = {s: runtime.metrics.counter(FEATURE_VECTORS, symbol=s) for s in settings.own_symbols}
        for feed in self._core.feeds.values():
            self._expose(feed)

    def unready_reason(self) -> str | None:
        """Ready with compiled kernels, filled windows and a bus that answers."""
        return self._reason

    async def run(self) -> None:
        """Compile, fill the windows from history, then follow the streams."""
        try:
            await asyncio.to_thread(warm)
            self._reason = "filling the windows from history"
            await self._when_there(self._read_outside)
            for symbol in self._settings.own_symbols:
                await self._when_there(partial(self._warm_up, symbol))
            settle()
            self._reason = None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_bus(), name="bus")
                tasks.create_task(self._follow_outside(), name="outside")
                tasks.create_task(self._follow(), name="market")
        finally:
            await self._bus.close()

    def _expose(self, feed: SymbolFeed) -> None:
        metrics = self._runtime.metrics
        metrics.gauge(FEATURE_HOLES, symbol=feed.symbol).set_function(lambda: float(feed.holes))
        metrics.gauge(FEATURE_FACTS_LATE, symbol=feed.symbol).set_function(lambda: float(feed.late))
        metrics.gauge(FEATURE_ROWS_IGNORED, symbol=feed.symbol).set_function(lambda: float(feed.state.ignored_rows))

    async def _follow(self) -> None:
        topics = [Topic(stream, symbol=s) for s in self._settings.own_symbols for stream in (MARKET, REFERENCE)]
        reader = self._bus.reader(GROUP, self._settings.instance, topics)
        async for batch in reader.batches():
            publications = self._core.on_batch(batch)
            if publications:
                await self._bus.publish_many(publications)
                for topic, _, _ in publications:
                    self._vectors[topic.symbol].inc()
            reader.ack(batch)

    async def _follow_outside(self) -> None:
        reader = self._bus.reader(self._outside_group, self._settings.instance, [Topic(MACRO)])
        async for batch in reader.batches():
            self._core.on_outside(batch)
            reader.ack(batch)

    @property
    def _outside_group(self) -> str:
        """A group of its own for each shard: every one of them needs every fact."""
        index, count = self._settings.shard.split("/")
        return GROUP if count == "1" else f"{GROUP}.{index}-of-{count}"

    async def _read_outside(self) -> None:
        self._core.on_outside(await self._bus.tail(Topic(MACRO), MACRO.maxlen))

    async def _when_there(self, work: Callable[[], Awaitable[None]]) -> None:
        for wait in backoff(longest_s=LOOK_SECONDS):
            try:
                await work()
            except BusAwayError:
                self._reason = AWAY
                await asyncio.sleep(wait)
            else:
                return

    async def _warm_up(self, symbol: str) -> None:
        features = self._settings.features
        reference, market = Topic(REFERENCE, symbol=symbol), Topic(MARKET, symbol=symbol)
        known = entry_order(await self._bus.acked_position(GROUP, reference))
        slow = [d for d in await self._bus.tail(reference, REFERENCE_TAIL) if entry_order(d.entry_id) <= known]
        position = await self._bus.acked_position(GROUP, market)
        wall_seconds = (features.history_seconds + CHECKPOINT_MARGIN_SECONDS) / max(
            self._runtime.clock.rate, SLOWEST_RATE
        )
        begin = max(0, entry_order(position)[0] - round(wall_seconds * 1e3))
        history = await self._bus.since(market, f"{begin}-0", position)
        published = await self._bus.tail(Topic(FEATURES, symbol=symbol), PUBLISHED_TAIL)
        fed = self._core.warm_up(symbol, slow, history, round(features.history_seconds * 1e9), published)
        self._runtime.log.info("warmed_up", symbol=symbol, market_facts=fed, reference_facts=len(slow))

    async def _watch_bus(self) -> None:
        while True:
            self._reason = None if await self._bus.connected() else AWAY
            await asyncio.sleep(LOOK_SECONDS)


def build(settings: Settings, runtime: Runtime) -> FeatureHub:
    """Choose the real implementations."""
    return FeatureHub(settings, runtime, open_bus(settings.bus, runtime.producer, watch=runtime.bus_watch))
