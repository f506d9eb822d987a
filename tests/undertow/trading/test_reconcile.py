from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.services.order_router.rig import START, FakeVenue
from tests.undertow.trading.test_orders import REQUEST
from tests.undertow.trading.test_trade import PLAN
from undertow.domain.order import OrderRole, OrderStatus, Side
from undertow.exchange.models import VenueExecution, VenueOrder, VenuePosition
from undertow.trading.desk import Desk
from undertow.trading.reconcile import Action, Difference, compare_orders, compare_positions, held_by_symbol
from undertow.trading.records import EntrySubmitted, ExecutionSeen, OrderSeen


def desk_and_venue() -> tuple[Desk, FakeVenue]:
    """Give a desk whose entry was submitted, and a venue that has it."""
    desk, venue = Desk(), FakeVenue()
    desk.fold(EntrySubmitted(at_ns=START, plan=PLAN, request=replace(REQUEST, stop_loss=Decimal(0))))
    venue.create(replace(REQUEST, stop_loss=Decimal(0)))
    return desk, venue


def seen(desk: Desk, fact: VenueOrder) -> None:
    desk.fold(OrderSeen(at_ns=START, order_id=REQUEST.order_id, trade_id="t", role=OrderRole.ENTRY, fact=fact))


def booked(desk: Desk, fact: VenueExecution) -> None:
    desk.fold(ExecutionSeen(at_ns=START, order_id=REQUEST.order_id, trade_id="t", role=OrderRole.ENTRY, fact=fact))


def actions(differences: list[Difference]) -> list[tuple[Action, str]]:
    return [(each.action, each.order_id) for each in differences]


def test_an_open_order_that_says_something_new_is_adopted_with_its_fact():
    desk, venue = desk_and_venue()
    [difference] = compare_orders(desk, venue.open_orders())
    assert (difference.action, difference.order_id) == (Action.ADOPT, "en-1")
    assert difference.fact == venue.find("en-1")
    assert difference.detail == "the venue has it as New with 0 filled"


def test_an_order_on_which_both_agree_is_no_difference():
    desk, venue = desk_and_venue()
    seen(desk, venue.open_orders()[0])
    assert compare_orders(desk, venue.open_orders()) == []


def test_an_order_of_ours_that_the_venue_does_not_show_is_looked_up():
    desk, _ = desk_and_venue()
    [difference] = compare_orders(desk, [])
    assert (difference.action, difference.order_id, difference.fact) == (Action.LOOK_UP, "en-1", None)
    assert difference.detail == "we have it as Submitted, the venue not as open"


def test_an_order_that_is_over_and_lacks_an_execution_is_looked_up():
    desk, venue = desk_and_venue()
    venue.fill("v1", Decimal(10), Decimal(100))
    seen(desk, venue.orders["v1"])
    [difference] = compare_orders(desk, venue.open_orders())
    assert (difference.action, difference.detail) == (Action.LOOK_UP, "filled further than its executions say")
    booked(desk, venue.executions[0])
    assert compare_orders(desk, venue.open_orders()) == []


def test_an_open_order_that_is_not_ours_is_reported():
    desk, venue = desk_and_venue()
    seen(desk, venue.open_orders()[0])
    venue.place_by_hand(Side.SELL, Decimal("0.1"))
    [difference] = compare_orders(desk, venue.open_orders())
    assert (difference.action, difference.order_id) == (Action.REPORT, "hand-1")
    assert difference.detail == "an open order that is not ours: Sell 0.1 at 49990"


def position(qty: str, symbol: str = "BTCUSDT") -> VenuePosition:
    return replace(FakeVenue().position(), symbol=symbol, qty=Decimal(qty))


def holding() -> Desk:
    desk, venue = desk_and_venue()
    venue.fill("v1", Decimal(10), Decimal(100))
    seen(desk, venue.orders["v1"])
    booked(desk, venue.executions[0])
    return desk


def test_positions_on_which_both_agree_are_no_difference():
    desk = holding()
    assert held_by_symbol(desk) == {"BTCUSDT": Decimal(10)}
    assert compare_positions(desk, [position("10")]) == []
    assert compare_positions(Desk(), []) == []
    assert compare_positions(Desk(), [position("0")]) == []


def test_a_position_of_a_live_trade_that_differs_is_asked_for_and_another_is_reported():
    differences = compare_positions(holding(), [position("3"), position("-2", "ETHUSDT")])
    assert actions(differences) == [(Action.REFRESH, ""), (Action.REPORT, "")]
    assert [each.detail for each in differences] == [
        "we hold 10, the venue says 3",
        "we hold 0, the venue says -2",
    ]
    [gone] = compare_positions(holding(), [])
    assert (gone.action, gone.symbol) == (Action.REFRESH, "BTCUSDT")


def test_a_trade_that_holds_nothing_is_left_out_of_what_is_held():
    desk, venue = desk_and_venue()
    assert held_by_symbol(desk) == {}
    assert desk.orders["en-1"].status is OrderStatus.SUBMITTED
    assert actions(compare_positions(desk, [position("4")])) == [(Action.REFRESH, "")]
    assert venue.qty == 0
