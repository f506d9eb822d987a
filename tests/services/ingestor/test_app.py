from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from services.ingestor import app
from services.ingestor.app import compose
from services.ingestor.settings import Settings
from tests.services.ingestor.test_core import SYMBOL, book, snapshot
from tests.support import eventually
from tests.undertow.exchange.bybit.frames import LIQUIDATION, changed, raw
from tests.undertow.exchange.bybit.test_sockets import ack, served
from undertow.bus.errors import BusOverflowError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.market import Book, FeedFault, FeedSuspect, Gap, GapReason, Liquidations, Resync
from undertow.contracts.messages.reference import VenueStatus
from undertow.contracts.metrics import (
    BOOK_GAPS,
    CIRCUIT_OPEN,
    FACTS_LOST,
    FEED_CONNECTIONS,
    FEED_MAINTENANCE,
    FRAMES_DROPPED,
    FRAMES_RECEIVED,
    LIQUIDATION_FEED_SUSPECT,
    LIQUIDATIONS,
    REJECTS_KEPT,
)
from undertow.contracts.streams import MARKET, REJECTS, VENUE
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.bybit import socket
from undertow.runtime.clock import ManualClock, wall_ns
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.service import Runtime


class Bus(MemoryBus):
    """A bus whose memory can be full, for all keys or for some."""

    full = False
    full_keys = frozenset()

    async def publish_many(self, items):
        refused = {topic.key for topic, _, _ in items if self.full or topic.key in self.full_keys}
        await super().publish_many([item for item in items if item[0].key not in refused])
        if refused:
            raise BusOverflowError("full", refused)


@asynccontextmanager
async def ingesting(monkeypatch, script, budget=None, **told):
    monkeypatch.setattr(socket, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(app, "LOOK_EVERY_S", 0.01)
    async with served(script) as peer:
        monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
        monkeypatch.setenv("UNDERTOW_VENUE__REST_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("UNDERTOW_VENUE__PUBLIC_URL", peer.url)
        monkeypatch.setenv("UNDERTOW_SYMBOLS", SYMBOL)
        for name, value_ in told.items():
            monkeypatch.setenv(f"UNDERTOW_{name.upper()}", value_)
        settings, store = Settings(), Store()
        runtime = Runtime("ingestor", settings)
        ingestor = compose(settings, runtime, Bus("ingestor/1", store), budget or Circuit(runtime.clock))
        life = asyncio.create_task(ingestor.run())
        try:
            yield ingestor, runtime, peer, store, life
        finally:
            life.cancel()
            with suppress(asyncio.CancelledError, ConfigurationError):
                await life


async def has(store, kinds, symbol=SYMBOL):
    found = await MemoryBus("test", store).since(Topic(MARKET, symbol=symbol), "0-0")
    return [type(delivery.message) for delivery in found] == kinds


async def ready(connection, message):
    await ack(connection, message)
    if message["op"] == "subscribe" and message["args"][0].startswith("orderbook"):
        await connection.send(snapshot(10).decode())


def value(runtime, spec, **labels):
    return runtime.metrics.counter(spec, **labels)._value.get()


async def test_a_suspect_liquidation_feed_is_a_fact_and_a_metric(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        await eventually(lambda: ingestor.unready_reason() is None)

        def suspected(fault):
            gauge = runtime.metrics.gauge(LIQUIDATION_FEED_SUSPECT, symbol=SYMBOL, fault=fault)
            return gauge._value.get()

        assert {fault: suspected(fault) for fault in FeedFault} == dict.fromkeys(FeedFault, 0)
        of_nothing = raw(changed(LIQUIDATION, v="0")).decode()
        await peer.connections[0].send(of_nothing)
        await eventually(lambda: has(store, [Resync, Book, FeedSuspect]))
        assert suspected(FeedFault.ZERO_SIZE) == 1
        assert value(runtime, FRAMES_DROPPED, reason="empty") == 1


async def test_frames_become_facts_and_are_counted(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        assert ingestor.unready_reason()
        await eventually(lambda: ingestor.unready_reason() is None)
        connection = peer.connections[0]
        for frame in (book(11), raw({**LIQUIDATION, "data": LIQUIDATION["data"] * 2}), b"garbage"):
            await connection.send(frame.decode())
        await eventually(lambda: value(runtime, FRAMES_DROPPED, reason="malformed"))
        await eventually(lambda: has(store, [Resync, Book, Book, Liquidations]))
        assert value(runtime, FRAMES_RECEIVED, symbol=SYMBOL) == 3
        assert value(runtime, FRAMES_RECEIVED, symbol="none") == 1
        assert value(runtime, LIQUIDATIONS, symbol=SYMBOL) == 2
        assert {topic for message in peer.heard for topic in message["args"]} == {
            f"orderbook.200.{SYMBOL}", f"publicTrade.{SYMBOL}", f"tickers.{SYMBOL}", f"kline.1.{SYMBOL}",
            f"allLiquidation.{SYMBOL}",
        }  # fmt: skip


async def test_a_gap_is_counted_and_healed_by_subscribing_again(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        await peer.connections[0].send(book(15).decode())
        await eventually(lambda: peer.count("unsubscribe"))
        await eventually(lambda: ingestor.unready_reason() is None)
        await eventually(lambda: has(store, [Resync, Book, Gap, Resync, Book]))
        assert value(runtime, BOOK_GAPS, symbol=SYMBOL) == 1


async def test_a_lost_connection_is_a_gap_and_the_next_one_begins_with_a_snapshot(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, _runtime, peer, store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        await peer.connections[0].close()
        await eventually(lambda: len(peer.connections) == 2 and ingestor.unready_reason() is None)
        await eventually(lambda: has(store, [Resync, Book, Gap, Resync, Book]))


async def test_what_a_full_bus_refused_is_counted_and_readers_go_on_from_a_whole_book(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        await eventually(lambda: has(store, [Resync, Book]))
        ingestor._bus.full = True
        for u in (11, 12):
            await peer.connections[0].send(book(u, bids=((f"0.{u}", "1"),)).decode())
            await eventually(lambda u=u: value(runtime, FRAMES_DROPPED, reason="bus_away") == u - 10)
        ingestor._bus.full = False
        for u in (13, 14):
            await peer.connections[0].send(book(u).decode())
        await eventually(lambda: has(store, [Resync, Book, Gap, Resync, Book, Book, Book]))
        facts = [d.message for d in await MemoryBus("test", store).since(Topic(MARKET, symbol=SYMBOL), "0-0")]
        gap = facts[2]
        assert (gap.reason, gap.lost_facts) == (GapReason.UNPUBLISHED, 2)
        assert (gap.lost_from_ns, gap.lost_until_ns) == (facts[1].ts_event, facts[1].ts_event)
        assert [fact.update_id for fact in facts if isinstance(fact, Book)] == [10, 12, 13, 14]
        assert facts[4].bids == (("1.0", "5"), ("0.12", "1"), ("0.11", "1"))
        assert value(runtime, BOOK_GAPS, symbol=SYMBOL) == 1
        assert value(runtime, FRAMES_DROPPED, reason="bus_away") == 2


async def test_where_the_bus_is_full_for_one_symbol_the_others_miss_nothing(monkeypatch):
    async with ingesting(monkeypatch, both_ready, symbols=f"{SYMBOL},{DEF}") as (ingestor, runtime, peer, store, _):
        await eventually(lambda: has(store, [Resync, Book]))
        await eventually(lambda: ingestor.unready_reason() is None)
        ingestor._bus.full_keys = {Topic(MARKET, symbol=DEF).key}
        for u in (11, 12):
            await peer.connections[0].send(book(u, symbol=DEF).decode())
            await peer.connections[0].send(book(u).decode())
        await eventually(lambda: has(store, [Resync, Book, Book, Book]))
        await eventually(lambda: value(runtime, FACTS_LOST, symbol=DEF) == 2)
        assert (value(runtime, FACTS_LOST, symbol=SYMBOL), value(runtime, BOOK_GAPS, symbol=SYMBOL)) == (0, 0)
        ingestor._bus.full_keys = frozenset()
        await peer.connections[0].send(book(13, symbol=DEF).decode())
        whole = [Resync, Book, Gap, Resync, Book, Book]
        await eventually(lambda: has(store, whole, DEF))


async def test_during_a_ban_it_connects_nowhere_and_says_why_but_a_line_that_is_up_is_ready(monkeypatch):
    circuit = Circuit(ManualClock(rate=2_000.0))  # whose ten minutes are 0.3 s
    circuit.ban()
    async with ingesting(monkeypatch, ready, circuit) as (ingestor, runtime, peer, *_):
        assert "the venue has banned our address" in ingestor.unready_reason()
        of_ours = {"service": "ingestor", "mode": "paper"}
        assert runtime.metrics.registry.get_sample_value(CIRCUIT_OPEN.name, of_ours) == 1
        while circuit.banned_for_s:
            assert peer.connections == []
            await asyncio.sleep(0.01)  # the pace at which it is looked at
        await eventually(lambda: ingestor.unready_reason() is None)
        circuit.ban()
        assert ingestor.unready_reason() is None
        await eventually(lambda: not circuit.banned_for_s)
        assert len(peer.connections) == 1


async def test_a_refused_topic_ends_the_service_and_is_named(monkeypatch):
    async def refuse(connection, message):
        await ack(connection, message, success="allLiquidation" not in message["args"][0], ret_msg="no such topic")

    async with ingesting(monkeypatch, refuse) as (*_, life):
        with pytest.raises(
            ConfigurationError, match=rf"SYMBOLS: the venue refuses allLiquidation\.{SYMBOL}: no such topic"
        ):
            await asyncio.wait_for(life, 5)


ABC, DEF = SYMBOL, "DEFUSDT"


async def both_ready(connection, message):
    await ack(connection, message)
    if message["op"] == "subscribe" and message["args"][0].startswith("orderbook"):
        for topic in message["args"]:
            await connection.send(snapshot(10, symbol=topic.rpartition(".")[2]).decode())


async def test_symbols_are_spread_over_connections_and_a_lost_one_blinds_its_own_alone(monkeypatch):
    told = {"symbols": f"{ABC},{DEF}", "feed__symbols_per_connection": "1"}
    async with ingesting(monkeypatch, both_ready, **told) as (ingestor, runtime, peer, _store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        assert len(peer.connections) == 2
        topics = [{t for m in peer.heard if m["args"][0].endswith(s) for t in m["args"]} for s in (ABC, DEF)]
        assert [len(each) for each in topics] == [5, 5]
        await peer.connections[0].close()
        await eventually(lambda: value(runtime, FEED_CONNECTIONS) == 3)
        gaps = {symbol: value(runtime, BOOK_GAPS, symbol=symbol) for symbol in (ABC, DEF)}
        assert sorted(gaps.values()) == [0, 1]


async def test_a_shard_follows_its_own_symbols_alone(monkeypatch):
    told = {"symbols": f"DEFUSDT,{ABC}", "shard": "1/2"}
    async with ingesting(monkeypatch, both_ready, **told) as (ingestor, _runtime, peer, _store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        assert {topic.rpartition(".")[2] for message in peer.heard for topic in message["args"]} == {ABC}


def status(*, operational, at_ns=None, end_ns=0):
    now_ns = wall_ns() if at_ns is None else at_ns
    return VenueStatus(
        ts_event=now_ns, ts_recv=now_ns, operational=operational, maintenance="upgrade", begin_ns=1, end_ns=end_ns
    )


async def test_maintenance_is_announced_once_nobody_knocks_and_the_end_brings_snapshots(monkeypatch):
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        venue = MemoryBus("rest_collector/1", store)
        await venue.publish(Topic(VENUE), status(operational=False))
        await eventually(lambda: has(store, [Resync, Book, Gap]))
        (*_, gap) = await MemoryBus("test", store).since(Topic(MARKET, symbol=SYMBOL), "0-0")
        assert (gap.message.reason, gap.message.detail) == (GapReason.MAINTENANCE, "upgrade")
        await eventually(lambda: runtime.metrics.gauge(FEED_MAINTENANCE)._value.get() == 1)
        assert "maintenance of the venue: upgrade" in ingestor.unready_reason()
        await venue.publish(Topic(VENUE), status(operational=False))
        await peer.connections[0].wait_closed()
        assert len(peer.connections) == 1
        await venue.publish(Topic(VENUE), status(operational=True))
        await eventually(lambda: has(store, [Resync, Book, Gap, Resync, Book]))
        assert runtime.metrics.gauge(FEED_MAINTENANCE)._value.get() == 0
        await eventually(lambda: ingestor.unready_reason() is None)


async def test_malformed_frames_are_kept_with_their_reason_and_a_flood_of_them_is_not(monkeypatch):
    monkeypatch.setattr("services.ingestor.rejects.BURST", 3)
    monkeypatch.setattr("services.ingestor.rejects.A_SECOND", 0)
    async with ingesting(monkeypatch, ready) as (ingestor, runtime, peer, store, _):
        await eventually(lambda: ingestor.unready_reason() is None)
        connection = peer.connections[0]
        wrong = raw(changed(LIQUIDATION, v="-1")).decode()
        for frame in (wrong, "x" * 10_000, *["garbage"] * 10):
            await connection.send(frame)
        await eventually(lambda: value(runtime, FRAMES_DROPPED, reason="malformed") == 12)
        assert value(runtime, REJECTS_KEPT) == 3
        found = await MemoryBus("test", store).since(Topic(REJECTS, symbol=SYMBOL), "0-0")
        first, second, third = (delivery.message for delivery in found)
        assert first.reason == f"allLiquidation.{SYMBOL}: '-1' is not a price or size"
        assert first.raw == wrong.encode()
        assert (second.size, len(second.raw)) == (10_000, 4_096)
        assert third.raw == b"garbage"
        await connection.send(book(11).decode())
        await eventually(lambda: has(store, [Resync, Book, Book]))


async def test_what_the_bus_was_away_for_is_counted_fact_by_fact(monkeypatch):
    async with ingesting(monkeypatch, ready) as (_ingestor, runtime, peer, store, _):
        await eventually(lambda: has(store, [Resync, Book]))
        Bus.full = True
        try:
            for u in (11, 12, 13):
                await peer.connections[0].send(book(u).decode())
            await eventually(lambda: value(runtime, FACTS_LOST, symbol=SYMBOL) == 3)
        finally:
            Bus.full = False
        await peer.connections[0].send(book(14).decode())
        await eventually(lambda: has(store, [Resync, Book, Gap, Resync, Book, Book]))
