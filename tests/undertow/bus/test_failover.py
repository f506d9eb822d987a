"""A master dies for good and its replica takes over: what a living publisher had confirmed is kept; what nobody else had is not."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import redis_executables
from tests.redis_cluster import Node, RedisCluster
from tests.undertow.bus.test_cluster import TOPICS, consuming
from tests.undertow.bus.test_outage import command, events, opened

Eventually = Callable[..., Awaitable[Any]]
pytestmark = [pytest.mark.long, pytest.mark.timeout(90)]


@pytest.fixture(params=redis_executables())
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    made = RedisCluster(redis_executables()[request.param], tmp_path, replicas=1)
    made.start()
    yield made
    made.stop()


def replica_of(cluster: RedisCluster, master: Node) -> Node:
    return cluster.replicas[cluster.masters.index(master)]


async def test_what_was_published_across_a_failover_is_there_once_and_in_order(
    cluster: RedisCluster, eventually: Eventually
) -> None:
    victim = cluster.master_of(TOPICS[0].key)
    async with opened(cluster) as bus, consuming(bus) as found:
        number = 0
        while number < 200 or not await bus.connected():
            await bus.publish_many([(topic, command(number), ()) for topic in TOPICS])
            number += 1
            if number == 100:
                victim.kill()
            await asyncio.sleep(0.005)
        await eventually(lambda: all(len(each) >= number for each in found.values()), seconds=20)
        assert all(each == list(range(number)) for each in found.values())
        assert cluster.master_of(TOPICS[0].key) is replica_of(cluster, victim)
        assert all([events(await bus.tail(topic, number + 1)) == list(range(number)) for topic in TOPICS])


async def confirmed_without_replica(cluster: RedisCluster, bus: Any) -> None:
    """Publish 0–9 to the master and its replica, and 10–19 to the master alone."""
    topic, victim = TOPICS[0], cluster.master_of(TOPICS[0].key)
    await bus.publish_many([(topic, command(number), ()) for number in range(10)])
    assert victim.ask("WAIT", 1, 5000) == 1
    replica_of(cluster, victim).signal(signal.SIGSTOP)
    victim.ask("CLIENT", "KILL", "TYPE", "replica")  # else the bytes would wait for it in its socket
    await bus.publish_many([(topic, command(number), ()) for number in range(10, 20)])


async def test_a_living_publisher_gives_the_new_master_what_the_old_one_had_confirmed(
    cluster: RedisCluster, eventually: Eventually
) -> None:
    topic, victim = TOPICS[0], cluster.master_of(TOPICS[0].key)
    async with opened(cluster) as bus, consuming(bus) as found:
        await confirmed_without_replica(cluster, bus)
        await eventually(lambda: found[topic] == list(range(20)))  # the reader had all of it from the old master
        victim.kill()
        replica_of(cluster, victim).signal(signal.SIGCONT)

        async def whole() -> bool:
            return await bus.connected() and events(await bus.tail(topic, 100)) == list(range(20))

        await eventually(whole, seconds=20)
        await bus.publish(topic, command(20))
        await eventually(lambda: len(found[topic]) > 20)
        assert found[topic] == list(range(21))


async def test_the_window_counts_back_from_the_first_request_without_an_answer(
    cluster: RedisCluster, eventually: Eventually
) -> None:
    topic, victim = TOPICS[0], cluster.master_of(TOPICS[0].key)
    async with opened(cluster, answer_timeout_s=3.0, republish_window_s=1.0) as bus:
        await confirmed_without_replica(cluster, bus)
        victim.signal(signal.SIGSTOP)  # noticed three seconds later, when all it had confirmed is older than the window
        replica_of(cluster, victim).signal(signal.SIGCONT)
        await bus.publish(topic, command(20))

        async def whole() -> bool:
            return await bus.connected() and events(await bus.tail(topic, 100)) == list(range(21))

        await eventually(whole, seconds=20)


async def test_what_only_the_dead_master_had_is_lost_with_a_dead_publisher_and_nothing_before_it(
    cluster: RedisCluster, eventually: Eventually
) -> None:
    topic, victim = TOPICS[0], cluster.master_of(TOPICS[0].key)
    async with opened(cluster) as bus:
        await confirmed_without_replica(cluster, bus)
    victim.kill()
    replica_of(cluster, victim).signal(signal.SIGCONT)
    async with opened(cluster) as other:

        async def served() -> bool:
            return await other.connected() and bool(await other.tail(topic, 1))

        await eventually(lambda: cluster.master_of(topic.key) is not victim, seconds=20)
        await eventually(served, seconds=20)
        assert events(await other.tail(topic, 100)) == list(range(10))
