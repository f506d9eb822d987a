"""The bus is tested on the loop that the services run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tests.conftest import redis_executables
from tests.redis_cluster import RedisCluster


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RedisCluster]]:
    """Give a cluster of three masters of an executable, empty; made once, since it takes seconds to come up."""
    made: dict[str, RedisCluster] = {}

    def cluster_of(name: str) -> RedisCluster:
        if name not in made:
            cluster = RedisCluster(redis_executables()[name], tmp_path_factory.mktemp(name))
            cluster.start()
            made[name] = cluster
        made[name].empty()
        return made[name]

    yield cluster_of
    for cluster in made.values():
        cluster.stop()
