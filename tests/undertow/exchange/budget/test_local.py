from __future__ import annotations

import pytest

from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.budget.limits import BAN_S
from undertow.exchange.budget.local import LocalBudget
from undertow.exchange.budget.ports import Priority
from undertow.exchange.errors import BannedError
from undertow.runtime.clock import ManualClock


class Time:
    def __init__(self):
        self.s = 50.0

    def __call__(self):
        return self.s


@pytest.fixture
def time():
    return Time()


def granted(budget, endpoint="market/tickers"):
    count = 0
    while not budget.take(endpoint):
        count += 1
    return count


async def test_alone_a_process_keeps_to_a_twentieth_of_the_addresss_limit_in_every_window(time):
    budget = LocalBudget(ManualClock(), steady=time)
    sent = []
    for _ in range(2_000):
        if not budget.take("market/tickers"):
            sent.append(time.s)
        time.s += 0.01
    assert 25 <= max(sum(at <= other < at + 5.0 for other in sent) for at in sent) <= 30


@pytest.mark.parametrize(("priority", "burst"), [(Priority.ORDERS, 7), (Priority.TRUTH, 5), (Priority.FACTS, 2)])
async def test_what_matters_more_has_more_of_the_burst(time, priority, burst):
    assert granted(LocalBudget(ManualClock(), priority, steady=time)) == burst


async def test_an_endpoints_limit_holds_for_that_endpoint_alone(time):
    budget = LocalBudget(ManualClock(), steady=time)
    budget.learn("order/create", limit=10)
    assert granted(budget, "order/create") == 1
    assert granted(budget, "order/cancel") == 6
    time.s += 0.5
    assert granted(budget, "order/create") == 1


async def test_an_endpoint_rests_for_as_long_as_the_venue_said(time):
    budget = LocalBudget(ManualClock(), steady=time)
    budget.learn("order/create", limit=0, pause_s=1.5)
    assert budget.take("order/create") == pytest.approx(1.5)
    assert not budget.take("order/cancel")
    time.s += 1.5
    assert not budget.take("order/create")


async def test_a_market_that_runs_faster_brings_more_requests_to_a_wall_second(time):
    slow, fast = (LocalBudget(ManualClock(rate=rate), steady=time) for rate in (1.0, 10.0))
    granted(slow), granted(fast)
    time.s += 0.5
    assert (granted(slow), granted(fast)) == (2, 7)


@pytest.mark.parametrize("kind", [Circuit, LocalBudget])
async def test_after_a_ban_nothing_passes_for_the_venues_ten_minutes_of_market_time(time, kind):
    budget = kind(ManualClock(rate=4.0), steady=time)
    await budget.acquire("market/time")
    budget.ban()
    time.s += BAN_S / 4.0 - 0.1
    with pytest.raises(BannedError, match=r"0\.1 s"):
        await budget.acquire("market/time")
    time.s += 0.2
    await budget.acquire("market/time")
