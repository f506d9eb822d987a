from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from services.feature_hub.app import AWAY, GROUP, FeatureHub, build
from services.feature_hub.core import HubCore
from services.feature_hub.settings import FeatureSettings, Settings
from tests.services.feature_hub.test_core import SLOW
from tests.services.feature_hub.test_outside import from_outside
from tests.support import eventually
from tests.undertow.features.facts import SYMBOL, RandomMarket, outside_world, value
from undertow.bus.errors import BusAwayError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.metrics import FEATURE_VECTORS
from undertow.contracts.streams import FEATURES, MACRO, MARKET, REFERENCE
from undertow.runtime.service import Runtime

FEATURES_OF = Topic(FEATURES, symbol=SYMBOL)
MARKET_OF = Topic(MARKET, symbol=SYMBOL)


@pytest.fixture
def settings(monkeypatch):
    for name, text in {
        "BUS__URL": "redis://127.0.0.1:1/0",
        "SYMBOLS": SYMBOL,
        "FEATURES__THRESHOLD_USDT": "20000",
        "FEATURES__WARM_SECONDS": "2",
        "FEATURES__HISTORY_SECONDS": "62",
    }.items():
        monkeypatch.setenv(f"UNDERTOW_{name}", text)
    return Settings()


async def publish(store, messages):
    if not hasattr(store, "ingestor"):
        store.ingestor = MemoryBus("ingestor/1", store)
    await store.ingestor.publish_many(
        [(Topic(REFERENCE if isinstance(m, SLOW) else MARKET, symbol=SYMBOL), m, (1,)) for m in messages]
    )


@asynccontextmanager
async def running(settings, bus):
    runtime = Runtime("feature_hub", settings)
    hub = FeatureHub(settings, runtime, bus)
    task = asyncio.create_task(hub.run())
    try:
        yield hub, runtime
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def vectors(store):
    return [d.message for d in await MemoryBus("test", store).since(FEATURES_OF, "0-0")]


async def done(store):
    """Everything is read and acknowledged."""
    lags = await MemoryBus("test", store).lags([MARKET_OF])
    return all(lag.group == GROUP and lag.lag == lag.pending == 0 for lag in lags)


def expected(settings, messages, world=()):
    """What one core makes of the same facts in the same streams."""
    core = HubCore({SYMBOL: settings.features.rule(SYMBOL)})
    numbers = {MARKET: 0, REFERENCE: 0}
    deliveries = []
    for entry, message in enumerate(messages, 1):
        stream = REFERENCE if isinstance(message, SLOW) else MARKET
        numbers[stream] += 1
        deliveries.append(
            Delivery(Topic(stream, symbol=SYMBOL), f"{entry}-0", "ingestor/1", numbers[stream], (), message)
        )
    core.on_outside(from_outside(world))
    return [message for _, message, _ in core.on_batch(deliveries)]


def market():
    """Facts of the market alone."""
    return [m for m in RandomMarket(31, step_ms=50, checkpoint_every=40).messages(4000) if not isinstance(m, SLOW)]


async def test_vectors_are_published_counted_and_acknowledged(settings):
    store, facts = Store(), market()
    await publish(store, facts)
    async with running(settings, MemoryBus("feature_hub/1", store)) as (hub, runtime):
        assert hub.unready_reason() == "compiling the kernels"
        await eventually(lambda: done(store))
        assert hub.unready_reason() is None
        found = await vectors(store)
        assert runtime.metrics.counter(FEATURE_VECTORS, symbol=SYMBOL)._value.get() == len(found)
    wanted = expected(settings, facts)
    assert len(found) > 20
    assert [m.values for m in found] == [m.values for m in wanted]
    assert [m.cause for m in found] == [m.cause for m in wanted]


async def test_hops_grow_by_the_hub_s_own_stamp(settings):
    store = Store()
    await publish(store, market())
    async with running(settings, MemoryBus("feature_hub/1", store)):
        await eventually(lambda: vectors(store))
    (last,) = await MemoryBus("test", store).tail(FEATURES_OF, 1)
    assert len(last.hops) == 3


async def test_a_restarted_hub_goes_on_as_if_it_had_never_stopped(settings):
    store, facts = Store(), market()
    for boot, part in enumerate((facts[:2600], facts[2600:])):
        await publish(store, part)
        async with running(settings, MemoryBus(f"feature_hub/{boot}", store)):
            await eventually(lambda: done(store))
    assert [m.values for m in await vectors(store)] == [m.values for m in expected(settings, facts)]


async def test_the_outside_world_is_followed_and_remembered_over_a_restart(settings):
    store, facts, world = Store(), market(), outside_world(31, 200, 400)
    collector = MemoryBus("macro_collector/1", store)
    for boot, part in enumerate((facts[:2600], facts[2600:])):
        ready = [fact for fact in world if fact.ts_recv <= part[-1].ts_event]
        await collector.publish_many([(Topic(MACRO), fact, ()) for fact in ready])
        world = world[len(ready) :]
        await publish(store, part)
        async with running(settings, MemoryBus(f"feature_hub/{boot}", store)):
            await eventually(lambda: done(store))
    wanted = expected(settings, facts, outside_world(31, 200, 400))
    assert [m.values for m in await vectors(store)] == [m.values for m in wanted]


async def test_each_shard_gets_all_of_the_outside_world(settings, monkeypatch):
    monkeypatch.setenv("UNDERTOW_SYMBOLS", f"{SYMBOL},ETHUSDT")
    store = Store()
    await MemoryBus("macro_collector/1", store).publish(Topic(MACRO), value("dollar_index", "120", 5))
    for shard, group in (("0/2", "feature_hub.0-of-2"), ("1/2", "feature_hub.1-of-2")):
        monkeypatch.setenv("UNDERTOW_SHARD", shard)
        async with running(Settings(), MemoryBus("feature_hub/1", store)):
            await eventually(partial(all_read, store, group))


async def all_read(store, group):
    lags = await MemoryBus("test", store).lags([Topic(MACRO)])
    return [lag.lag + lag.pending for lag in lags if lag.group == group] == [0]


class DeafBus(MemoryBus):
    """Acknowledgements are lost, as when the process is killed between publishing and acknowledging."""

    def reader(self, *args, **kwargs):
        reader = super().reader(*args, **kwargs)
        reader.ack = lambda deliveries: None
        return reader


async def test_a_vector_is_not_published_twice_when_its_facts_come_again(settings):
    store, facts = Store(), market()
    wanted = expected(settings, facts)
    await publish(store, facts)
    async with running(settings, DeafBus("feature_hub/1", store)):
        await eventually(lambda: _has(store, len(wanted)))
    async with running(settings, MemoryBus("feature_hub/2", store)):
        await eventually(lambda: done(store))
    assert [m.values for m in await vectors(store)] == [m.values for m in wanted]


async def _has(store, count):
    return len(await vectors(store)) >= count


class AbsentBus(MemoryBus):
    """Away until `back` is set."""

    back = False

    async def acked_position(self, group, topic):
        if not self.back:
            raise BusAwayError("away")
        return await super().acked_position(group, topic)

    async def connected(self):
        return self.back


async def test_while_the_bus_is_away_the_hub_is_not_ready_and_goes_on_by_itself(settings):
    store = Store()
    await publish(store, market())
    bus = AbsentBus("feature_hub/1", store)
    async with running(settings, bus) as (hub, _):
        await eventually(lambda: hub.unready_reason() == AWAY)
        bus.back = True
        await eventually(lambda: hub.unready_reason() is None)
        await eventually(lambda: done(store))
        bus.back = False
        await eventually(lambda: hub.unready_reason() == AWAY)


def test_a_symbol_may_have_a_threshold_of_its_own():
    features = FeatureSettings(threshold_usdt=10, thresholds_usdt={"ETHUSDT": 20})
    assert features.rule("BTCUSDT").threshold_usdt == 10
    assert features.rule("ETHUSDT").threshold_usdt == 20


async def test_the_real_hub_is_built_on_the_bus_of_its_settings(settings):
    hub = build(settings, Runtime("feature_hub", settings))
    assert hub.unready_reason() == "compiling the kernels"
