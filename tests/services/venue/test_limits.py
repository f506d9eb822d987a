from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.venue.answers import AccountSpec
from services.venue.core import VenueCore
from services.venue.limits import (
    CONNECTIONS,
    FIXED,
    PER_MINUTE,
    RAISABLE,
    REQUESTS,
    TRADE_REQUESTS,
    AddressLimit,
    EndpointLimits,
    Grant,
)
from undertow.markets.instruments import instruments_for

SECOND = 1_000_000_000


def test_the_eleventh_order_of_a_second_waits_for_the_first_to_age():
    limits = EndpointLimits({})
    grants = [limits.take("u", "order/create", 1, n * 10) for n in range(11)]
    assert [grant.allowed for grant in grants] == [1] * 10 + [0]
    assert grants[10].reset_in_ns == SECOND - 100
    assert limits.take("u", "order/create", 1, SECOND).allowed == 1


def test_accounts_and_endpoints_have_budgets_of_their_own():
    limits = EndpointLimits({})
    limits.take("u", "order/create", 10, 0)
    assert limits.take("u", "order/create", 1, 0).allowed == 0
    assert limits.take("v", "order/create", 1, 0).allowed == 1
    assert limits.take("u", "order/cancel", 1, 0).allowed == 1
    assert limits.take("u", "order/create-batch", 1, 0).allowed == 1


def test_endpoints_that_nobody_asks_any_more_take_no_room():
    limits = EndpointLimits({})
    limits.take("u", "order/create", 10, 0)
    for number in range(5_000):
        limits.take("u", f"order/made-up-{number}", 1, number * 100 * SECOND // 1_000)
    assert limits.remembered < 1_300
    limits.take("u", "account/demo-apply-money", 1, 600 * SECOND)
    limits.take("u", "order/create", 1, 659 * SECOND)
    assert limits.take("u", "account/demo-apply-money", 1, 659 * SECOND).allowed == 0


def test_a_raised_limit_replaces_the_default():
    assert EndpointLimits({"order/create": 400}).take("u", "order/create", 1, 0).limit == 400


@pytest.mark.parametrize(("level", "limit"), [(0, 10), (1, 20), (2, 40), (3, 60), (5, 60)])
def test_a_vip_level_raises_the_order_endpoints_alone(level, limit):
    limits = EndpointLimits({"order/cancel": 7})
    assert limits.take("u", "order/create", 1, 0, vip_level=level).limit == limit
    assert limits.take("u", "order/realtime", 1, 0, vip_level=level).limit == 50
    assert limits.take("u", "order/cancel", 1, 0, vip_level=level).limit == 7


def test_headers_say_limit_remaining_and_reset():
    limits = EndpointLimits({})
    assert limits.take("u", "order/create", 9, 0).headers(1000) == {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "1",
        "X-Bapi-Limit-Reset-Timestamp": "1000",
    }
    assert limits.take("u", "order/create", 1, 1).headers(1000)["X-Bapi-Limit-Reset-Timestamp"] == "2000"


@given(st.lists(st.tuples(st.integers(0, SECOND // 2), st.integers(1, 25)), max_size=60))
def test_no_rolling_second_ever_holds_more_than_the_limit(steps):
    limits = EndpointLimits({})
    now, passed = 0, []
    for gap, wanted in steps:
        now += gap
        grant = limits.take("u", "order/create", wanted, now)
        passed += [now] * grant.allowed
        assert sum(1 for at in passed if at > now - SECOND) <= 10
        assert grant.remaining == 10 - sum(1 for at in passed if at > now - SECOND)


def test_money_for_tests_is_given_once_a_minute():
    limits = EndpointLimits({})
    gift = "account/demo-apply-money"
    assert limits.take("u", gift, 1, 0) == Grant(limit=1, allowed=1, remaining=0, reset_in_ns=60 * SECOND)
    assert limits.take("u", gift, 1, 60 * SECOND - 1) == Grant(limit=1, allowed=0, remaining=0, reset_in_ns=1)
    assert limits.take("v", gift, 1, 60 * SECOND - 1).allowed == 1
    assert limits.take("u", gift, 1, 60 * SECOND).allowed == 1


def test_every_endpoint_with_a_limit_is_served():
    core = VenueCore(instruments_for(["BTCUSDT"]), [], [AccountSpec("u1", Decimal(1))])
    served = {path.removeprefix("/v5/") for path in core.paths} | {"user/query-api"}
    assert {*FIXED, *RAISABLE, *PER_MINUTE} <= served


def test_raisable_and_fixed_limits_do_not_overlap():
    assert not RAISABLE.keys() & FIXED.keys()


def test_the_601st_request_in_five_seconds_bans_the_address_for_ten_minutes():
    limit = AddressLimit(REQUESTS)
    assert all(limit.admits("a", n) for n in range(600))
    assert not limit.admits("a", 600)
    assert limit.admits("b", 600)
    assert not limit.admits("a", 599 * SECOND)
    assert limit.admits("a", 601 * SECOND)


def test_a_steady_hundred_a_second_is_never_banned():
    limit = AddressLimit(REQUESTS)
    assert all(limit.admits("a", n * SECOND // 100) for n in range(3000))


def test_a_limit_remembers_its_busiest_window():
    limit = AddressLimit(REQUESTS)
    for at_ns in (0, 4 * SECOND, 5 * SECOND, 6 * SECOND, 20 * SECOND):
        limit.admits("a", at_ns)
    assert (limit.admitted, limit.refused, limit.busiest) == (5, 0, 3)
    for _ in range(700):
        limit.admits("b", 20 * SECOND)
    assert (limit.admitted, limit.refused, limit.busiest) == (605, 100, 600)


def test_the_501st_connection_in_five_minutes_bans_the_address():
    limit = AddressLimit(CONNECTIONS)
    assert all(limit.admits("a", n * SECOND // 2) for n in range(500))
    assert not limit.admits("a", 299 * SECOND)
    assert not limit.admits("a", 898 * SECOND)
    assert limit.admits("a", 899 * SECOND)


def test_beyond_three_thousand_trade_requests_a_second_only_the_excess_is_refused():
    limit = AddressLimit(TRADE_REQUESTS)
    assert sum(limit.admits("a", 0) for _ in range(3_100)) == 3_000
    assert limit.admits("a", SECOND)
