from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from services.model_server.app import GROUP, ModelServer, build
from services.model_server.core import SOURCE
from services.model_server.settings import Settings
from tests.support import eventually
from undertow.bus.errors import BusAwayError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.audit import verify
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.decision import Features, Verdict
from undertow.contracts.messages.trading import TradeClosed
from undertow.contracts.metrics import DECISIONS, SIGNALS_SENT, TRADES_LEARNT
from undertow.contracts.streams import AUDIT, CONTROL, FEATURES, ORDERS, SIGNALS
from undertow.domain.order import Side
from undertow.domain.state import Mode
from undertow.features.catalogue import N_FEATURES, SCHEMA_HASH
from undertow.learning.registry import load_serving
from undertow.runtime.clock import ManualClock
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime

NOW = 1_786_310_900_000_000_000
SYMBOL = "BTCUSDT"
VECTORS = Topic(FEATURES, symbol=SYMBOL)
WISHES = Topic(SIGNALS, symbol=SYMBOL, source=SOURCE)
RECORDS = Topic(AUDIT, source=SOURCE)


@pytest.fixture
def settings(monkeypatch, tmp_path):
    for name, value in {
        "BUS__URL": "redis://127.0.0.1:1/0",
        "SYMBOLS": SYMBOL,
        "MODEL__REGISTRY": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"UNDERTOW_{name}", value)
    return Settings()


@asynccontextmanager
async def running(settings, bus):
    runtime = Runtime("model_server", settings, ManualClock(NOW))
    server = ModelServer(settings, runtime, bus, load_serving(settings.model.registry, Mode.PAPER))
    task = asyncio.create_task(server.run())
    try:
        yield server, runtime
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def vector(number=0, schema=SCHEMA_HASH, recv=NOW):
    values = np.zeros(N_FEATURES)
    values[0] = number
    return Features(
        ts_event=recv - 1, ts_recv=recv, symbol=SYMBOL, schema_hash=schema, trigger="liquidation",
        trigger_side=Side.BUY, values=values.astype("<f8").tobytes(), mid=Decimal("65000.05"),
        best_bid=Decimal("65000.0"), best_ask=Decimal("65000.1"),
    )  # fmt: skip


async def read(store, topic):
    return [delivery.message for delivery in await MemoryBus("test", store).since(topic, "0-0")]


async def acknowledged(store, count):
    async def done():
        lags = await MemoryBus("test", store).lags([VECTORS])
        return all(lag.lag == lag.pending == 0 for lag in lags if lag.group == GROUP) and lags

    await eventually(lambda: _length(store, RECORDS, count))
    return await eventually(done)


async def _length(store, topic, count):
    return len(await read(store, topic)) >= count


async def test_a_vector_becomes_a_record_and_its_signal_with_the_hops_of_the_frame(settings):
    store = Store()
    hub = MemoryBus("feature_hub/1", store)
    for number in range(30):
        await hub.publish(VECTORS, vector(number), hops=(1, 2))
    async with running(settings, MemoryBus("model_server/1", store)) as (server, runtime):
        await acknowledged(store, 30)
        records, signals = await read(store, RECORDS), await read(store, WISHES)
        signalled = [record.subject for record in records if record.verdict is Verdict.SIGNALLED]
        assert [signal.signal_id for signal in signals] == signalled
        assert verify(records) is None
        for delivery in await MemoryBus("test", store).since(WISHES, "0-0"):
            assert delivery.hops[:2] == (1, 2)
        assert runtime.metrics.counter(SIGNALS_SENT, symbol=SYMBOL)._value.get() == len(signals)
        assert runtime.facts["model_hash"] == server.core.scorer.model_hash
        assert server.unready_reason() is None


async def test_a_vector_of_another_schema_is_recorded_and_counted_and_gives_no_signal(settings):
    store = Store()
    await MemoryBus("feature_hub/1", store).publish(VECTORS, vector(schema="other"))
    async with running(settings, MemoryBus("model_server/1", store)) as (_, runtime):
        await acknowledged(store, 1)
        assert [record.verdict for record in await read(store, RECORDS)] == [Verdict.SCHEMA_MISMATCH]
        assert await read(store, WISHES) == []
        counter = runtime.metrics.counter(DECISIONS, symbol=SYMBOL, verdict=Verdict.SCHEMA_MISMATCH.value)
        assert counter._value.get() == 1


async def test_commands_orders_and_records_of_an_earlier_life_are_read_back(settings):
    store = Store()
    model_hash = load_serving(settings.model.registry, Mode.PAPER).model_hash
    admin, router = MemoryBus("admin/1", store), MemoryBus("order_router/1", store)
    async with running(settings, MemoryBus("model_server/1", store)):
        await MemoryBus("feature_hub/1", store).publish(VECTORS, vector())
        await acknowledged(store, 1)
    pause = Command(ts_event=1, ts_recv=1, command_id="c", verb=Verb.PAUSE, who="me", why="test")
    await admin.publish(Topic(CONTROL, source="admin"), pause)
    trade = TradeClosed(
        ts_event=5, ts_recv=5, trade_id="t", signal_id="s", symbol=SYMBOL, source=SOURCE, side=Side.BUY, delta_bps=7.0,
        hold_ns=5_000_000_000, model_hash=model_hash, qty=Decimal(1), entry_price=Decimal(1), exit_price=Decimal(1),
        gross_pnl=Decimal(0), fees=Decimal(0), return_bps=3.0, expected_bps=1.0,
    )  # fmt: skip
    await router.publish(Topic(ORDERS), trade)
    async with running(settings, MemoryBus("model_server/2", store)) as (_, runtime):
        await MemoryBus("feature_hub/2", store).publish(VECTORS, vector(1))
        await acknowledged(store, 2)
        records = await read(store, RECORDS)
        assert records[-1].verdict is Verdict.PAUSED
        assert verify(records) is None
        assert runtime.metrics.counter(TRADES_LEARNT)._value.get() == 1


class AwayAtFirst(MemoryBus):
    failures = 2

    async def tail(self, topic, count):
        if self.failures:
            self.failures -= 1
            raise BusAwayError("gone")
        return await super().tail(topic, count)


async def test_it_waits_for_a_bus_that_is_away_at_the_start(settings):
    store = Store()
    async with running(settings, AwayAtFirst("model_server/1", store)) as (server, _):
        assert server.unready_reason()
        await MemoryBus("feature_hub/1", store).publish(VECTORS, vector())
        await acknowledged(store, 1)
        assert server.unready_reason() is None


def test_a_truncated_model_is_a_configuration_error_that_names_the_file(settings, tmp_path):
    entry = load_serving(settings.model.registry, Mode.PAPER)
    folder = tmp_path / entry.model_hash
    folder.mkdir()
    (folder / "return.onnx").write_bytes(entry.return_onnx[:1000])
    (folder / "fill.onnx").write_bytes(entry.fill_onnx)
    (folder / "card.json").write_bytes(msgspec.json.encode(entry.card))
    (tmp_path / "champion").write_text(entry.model_hash + "\n")
    with pytest.raises(ConfigurationError, match=r"UNDERTOW_MODEL__REGISTRY: .*restore the entry") as caught:
        build(settings, Runtime("model_server", settings, ManualClock(NOW)))
    assert "\n" not in str(caught.value)


async def test_build_serves_the_demonstration_model_in_paper(settings):
    server = build(settings, Runtime("model_server", settings, ManualClock(NOW)))
    assert server.core.scorer.schema_hash == SCHEMA_HASH
