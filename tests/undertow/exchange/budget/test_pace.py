from __future__ import annotations

from tests.undertow.exchange.budget.test_local import time  # noqa: F401 - a fixture
from undertow.exchange.budget.pace import Pace


def test_our_share_of_the_limit_goes_out_at_once_and_no_more_in_any_second(time):  # noqa: F811 - the fixture
    pace = Pace(steady=time)
    pace.learn("order/create", limit=10)
    sent = []
    for _ in range(3_000):
        if not pace.take("order/create"):
            sent.append(time.s)
        time.s += 0.001
    assert sent[6] - sent[0] < 0.01
    assert max(sum(at <= other < at + 1.0 for other in sent) for at in sent) == 7


def test_who_has_to_wait_is_told_exactly_until_when(time):  # noqa: F811 - the fixture
    pace = Pace(steady=time)
    pace.learn("order/create", limit=1)  # one at least, whatever our share of it
    assert pace.take("order/create") == 0.0
    time.s += 0.25
    assert pace.take("order/create") == 0.75
    time.s += 0.75
    assert pace.take("order/create") == 0.0


def test_an_endpoint_of_which_the_venue_said_nothing_is_free_and_each_has_its_own_limit(time):  # noqa: F811 - the fixture
    pace = Pace(steady=time)
    pace.learn("order/create", limit=1)
    pace.learn("order/create", limit=0)  # says nothing new
    assert not any(pace.take("order/cancel") for _ in range(100))
    assert [bool(pace.take("order/create")) for _ in range(2)] == [False, True]


def test_a_pause_that_the_venue_asks_for_is_kept(time):  # noqa: F811 - the fixture
    pace = Pace(steady=time)
    pace.learn("order/create", limit=0, pause_s=0.5)
    pace.learn("order/create", limit=0, pause_s=0.25)
    assert pace.take("order/create") == 0.5
    time.s += 0.5
    assert pace.take("order/create") == 0.0


def test_a_second_of_the_market_is_shorter_when_time_runs_faster(time):  # noqa: F811 - the fixture
    pace = Pace(2.0, steady=time)
    pace.learn("order/create", limit=1)
    pace.take("order/create")
    assert pace.take("order/create") == 0.5


async def test_a_turn_comes_by_itself():
    pace = Pace(1_000.0)
    pace.learn("order/create", limit=1)
    for _ in range(3):
        await pace.acquire("order/create")
    assert pace.take("order/create") > 0.0
