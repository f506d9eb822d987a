from __future__ import annotations

from decimal import Decimal

import pytest

from tests.services.order_router.rig import INSTRUMENT
from undertow.domain.order import OrderType, Side, TimeInForce
from undertow.exchange.models import OrderRequest, Touch
from undertow.trading.exit_plan import (
    KINDS,
    ExitRules,
    Improve,
    Leg,
    Look,
    Place,
    Situation,
    Wait,
    Withdraw,
    next_step,
)

RULES = ExitRules(passive_ns=10, aggressive_ns=5, through_bps=Decimal(10))
TOUCH = Touch(Decimal("49999.9"), Decimal("50000.1"))


def situation(leg: Leg = Leg.PASSIVE, **changes: object) -> Situation:
    fields = {"side": Side.SELL, "qty": Decimal("0.1"), "working": None, "touch": TOUCH, "instrument": INSTRUMENT}
    return Situation(leg=leg, **{**fields, **changes})


def working(leg: Leg = Leg.PASSIVE, price: str = "50000.1", side: Side = Side.SELL) -> OrderRequest:
    order_type, time_in_force = KINDS[leg]
    return OrderRequest(
        order_id="ex-1",
        symbol="BTCUSDT",
        side=side,
        order_type=order_type,
        qty=Decimal("0.1"),
        price=Decimal(price),
        time_in_force=time_in_force,
        reduce_only=True,
    )


def test_each_leg_has_its_time_and_then_comes_the_next():
    legs = [RULES.leg(100, now) for now in (100, 109, 110, 114, 115, 10**9)]
    assert legs == [Leg.PASSIVE, Leg.PASSIVE, Leg.AGGRESSIVE, Leg.AGGRESSIVE, Leg.MARKET, Leg.MARKET]
    assert [RULES.turns_ns(100, now) for now in (100, 110, 115)] == [[110, 115], [115], []]


def test_by_default_only_the_market_is_left_as_the_labels_have_it():
    assert ExitRules().leg(100, 100) is Leg.MARKET
    assert next_step(ExitRules(), situation(Leg.MARKET)) == Place(OrderType.MARKET, TimeInForce.IOC, Decimal("0.1"))


@pytest.mark.parametrize(
    ("leg", "side", "price"),
    [
        (Leg.PASSIVE, Side.SELL, "50000.1"),
        (Leg.PASSIVE, Side.BUY, "49999.9"),
        (Leg.AGGRESSIVE, Side.SELL, "49950.0"),  # 49,949.9001: not further than 10 bps
        (Leg.AGGRESSIVE, Side.BUY, "50050.1"),  # 50,050.1001
    ],
)
def test_a_soft_leg_is_priced_from_the_touch_within_its_bound(leg, side, price):
    assert next_step(RULES, situation(leg, side=side)) == Place(*KINDS[leg], Decimal("0.1"), Decimal(price))


@pytest.mark.parametrize("leg", [Leg.PASSIVE, Leg.AGGRESSIVE])
def test_a_soft_leg_needs_prices_and_the_market_needs_none(leg):
    assert next_step(RULES, situation(leg, touch=None)) == Look()
    assert isinstance(next_step(RULES, situation(Leg.MARKET, touch=None)), Place)
    assert next_step(RULES, situation(leg, instrument=None)) == Place(*KINDS[Leg.MARKET], Decimal("0.1"))


@pytest.mark.parametrize(
    ("side", "resting", "step"),
    [
        (Side.SELL, "50000.2", Improve(Decimal("50000.1"))),
        (Side.SELL, "50000.1", Wait()),
        (Side.SELL, "50000.0", Wait()),  # alone in front: it keeps its place
        (Side.BUY, "49999.8", Improve(Decimal("49999.9"))),
        (Side.BUY, "50000.0", Wait()),
    ],
)
def test_a_resting_exit_is_moved_only_towards_the_market(side, resting, step):
    assert next_step(RULES, situation(side=side, working=working(price=resting, side=side))) == step


def test_a_resting_exit_is_looked_after_and_withdrawn_when_its_leg_is_over():
    assert next_step(RULES, situation(working=working(), touch=None)) == Look()
    for leg in (Leg.AGGRESSIVE, Leg.MARKET):
        assert next_step(RULES, situation(leg, working=working())) == Withdraw()
        assert next_step(RULES, situation(leg, working=working(Leg.MARKET))) == Wait()
        assert next_step(RULES, situation(leg, working=working(Leg.AGGRESSIVE))) == Wait()
    assert next_step(RULES, situation(working=working(), instrument=None)) == Withdraw()


@pytest.mark.parametrize(
    ("held", "qty", "closes_all"),
    [
        ("0.1", "0.1", False),
        ("0.1005", "0.1005", True),  # no multiple of the step that is in force now
        ("0.0005", "0.0005", True),  # below the least order
        ("100.0005", "100", False),  # more than one order may be: a whole one first
    ],
)
def test_what_the_filters_no_longer_fit_leaves_as_all_of_it(held, qty, closes_all):
    step = next_step(RULES, situation(Leg.MARKET, qty=Decimal(held)))
    assert step == Place(*KINDS[Leg.MARKET], Decimal(qty), closes_all=closes_all)


def test_a_soft_leg_leaves_what_is_too_small_for_it_to_the_market():
    assert next_step(RULES, situation(qty=Decimal("0.0005"))) == Place(
        *KINDS[Leg.MARKET], Decimal("0.0005"), closes_all=True
    )
    assert next_step(RULES, situation(qty=Decimal("0.1005"))) == Place(
        *KINDS[Leg.PASSIVE], Decimal("0.100"), Decimal("50000.1")
    )
