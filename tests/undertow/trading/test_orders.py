from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.order_router.rig import START, FakeVenue
from undertow.domain.order import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from undertow.exchange.models import OrderRequest, VenueExecution, VenueOrder
from undertow.trading.orders import (
    OwnOrder,
    order_changed,
    order_id_for,
    request_of,
    trade_id_for,
    with_execution,
    with_fact,
    with_outcome,
)
from undertow.trading.records import Outcome

REQUEST = OrderRequest(
    order_id="en-1",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    qty=Decimal(10),
    price=Decimal(100),
    time_in_force=TimeInForce.POST_ONLY,
    reduce_only=False,
    stop_loss=Decimal(98),
)
ORDER = OwnOrder(order_id="en-1", trade_id="t", role=OrderRole.ENTRY, request=REQUEST, submitted_ns=START)


def facts_of(*fills: int, cancelled: bool) -> list[VenueOrder | VenueExecution]:
    venue = FakeVenue()
    venue.create(replace(REQUEST, stop_loss=Decimal(0)))
    for qty in fills:
        venue.now += 1_000_000
        venue.fill("v1", Decimal(qty), Decimal(100))
    if cancelled:
        venue.now += 1_000_000
        venue.cancel("en-1")
    return [fact for fact in venue.outbox if isinstance(fact, VenueOrder | VenueExecution)]


def folded(facts) -> tuple[OwnOrder, list[str]]:
    order, anomalies, seen = ORDER, [], set()
    for fact in facts:
        if isinstance(fact, VenueOrder):
            order, anomaly = with_fact(order, fact)
        elif fact.exec_id in seen:
            continue
        else:
            seen.add(fact.exec_id)
            order, anomaly = with_execution(order, fact)
        anomalies += [anomaly] if anomaly else []
    return order, anomalies


@given(st.data(), st.sampled_from([((10,), False), ((3, 4), True), ((3, 7), False), ((), True), ((1, 2, 3), True)]))
def test_facts_in_any_order_and_repeated_end_in_the_same_order(data, story):
    fills, cancelled = story
    facts = facts_of(*fills, cancelled=cancelled)
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=5))
    shuffled = data.draw(st.permutations(facts + repeated))
    order, anomalies = folded(shuffled)
    straight, _ = folded(facts)
    assert order == straight
    assert anomalies == []
    assert order.is_settled
    assert order.executed_qty == order.filled_qty == sum(fills)
    assert order.status is (OrderStatus.CANCELLED if cancelled else OrderStatus.FILLED)


def test_a_fact_that_says_nothing_new_leaves_the_order_itself():
    fact = facts_of(cancelled=False)[0]
    order, _ = with_fact(ORDER, fact)
    assert with_fact(order, fact)[0] is order
    assert with_fact(order, replace(fact, updated_ns=fact.updated_ns + 1))[0] is order


def test_what_the_table_forbids_is_adopted_and_reported():
    gone, _ = with_outcome(ORDER, Outcome.NEVER_ARRIVED, "never", "")
    assert gone.status is OrderStatus.REJECTED
    fact = facts_of(cancelled=False)[0]
    order, anomaly = with_fact(gone, fact)
    assert order.status is OrderStatus.NEW
    assert "Rejected cannot be accepted" in anomaly
    filled, anomaly = with_execution(gone, facts_of(10, cancelled=False)[1])
    assert filled.status is OrderStatus.FILLED
    assert anomaly
    part, anomaly = with_execution(gone, facts_of(3, cancelled=False)[1])
    assert part.status is OrderStatus.PARTIALLY_FILLED
    assert anomaly


def test_an_answer_that_contradicts_the_stream_changes_no_status_and_is_reported():
    filled, _ = folded(facts_of(10, cancelled=False))
    order, anomaly = with_outcome(filled, Outcome.REFUSED, "no", "")
    assert order.status is OrderStatus.FILLED
    assert "cannot be rejected" in anomaly


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.ACCEPTED, OrderStatus.NEW),
        (Outcome.REFUSED, OrderStatus.REJECTED),
        (Outcome.NEVER_ARRIVED, OrderStatus.REJECTED),
        (Outcome.GONE, OrderStatus.CANCELLED),
        (Outcome.NEVER_SENT, OrderStatus.REJECTED),
    ],
)
def test_an_outcome_settles_a_submitted_order(outcome, status):
    order, anomaly = with_outcome(ORDER, outcome, "why", "v9")
    assert (order.status, order.reason, order.venue_order_id, anomaly) == (status, "why", "v9", "")


def test_fills_that_no_list_shows_may_be_given_up_and_what_comes_late_is_still_booked():
    facts = facts_of(10, cancelled=False)
    lacking, _ = folded([fact for fact in facts if isinstance(fact, VenueOrder)])
    given_up, anomaly = with_outcome(lacking, Outcome.UNLISTED, "unlisted", "")
    assert (given_up.is_settled, given_up.unlisted_qty, given_up.status, anomaly) == (True, 10, OrderStatus.FILLED, "")
    late, anomaly = with_execution(given_up, next(fact for fact in facts if isinstance(fact, VenueExecution)))
    assert (late.executed_qty, late.is_settled, anomaly) == (10, True, "")


def test_more_filled_than_ordered_is_an_anomaly():
    _, anomaly = with_fact(ORDER, replace(facts_of(cancelled=False)[0], filled_qty=Decimal(11)))
    assert anomaly == "filled 11 of 10"
    _, anomaly = with_execution(ORDER, replace(facts_of(10, cancelled=False)[1], qty=Decimal(11)))
    assert anomaly == "executed 11 of 10"


def test_a_price_that_was_amended_is_the_orders_price_unless_the_word_is_old_or_the_price_is_the_venues_own():
    fact = facts_of(cancelled=False)[0]
    order, _ = with_fact(ORDER, fact)
    moved, anomaly = with_fact(order, replace(fact, price=Decimal(101), updated_ns=fact.updated_ns + 1))
    assert (moved.request.price, anomaly) == (101, "")
    assert with_fact(moved, fact)[0] is moved
    assert with_fact(moved, replace(fact, price=Decimal(0), updated_ns=fact.updated_ns + 2))[0] is moved
    market = replace(ORDER, request=replace(REQUEST, order_type=OrderType.MARKET))
    protected, _ = with_fact(market, replace(fact, price=Decimal(95)))
    assert protected.request.price == 100


def test_an_order_that_we_did_not_make_is_described_as_if_it_had_been_asked_for():
    venue = FakeVenue()
    venue.qty, venue.stop_loss = Decimal(2), Decimal(98)
    venue._rest_stop()
    stop = request_of(venue.outbox[-1])
    assert (stop.order_id, stop.side, stop.qty, stop.reduce_only, stop.stop_loss) == ("", Side.SELL, 2, True, 98)


def test_the_reason_of_the_end_is_kept():
    cancelled = replace(facts_of(cancelled=True)[-1], reject_reason="EC_PostOnlyWillTakeLiquidity")
    order, _ = with_fact(ORDER, cancelled)
    assert order.reason == "EC_PostOnlyWillTakeLiquidity"
    late, _ = with_fact(order, replace(cancelled, reject_reason="", cancel_type="CancelByUser"))
    assert late.reason == "EC_PostOnlyWillTakeLiquidity"
    rejected, _ = with_fact(ORDER, replace(cancelled, status=OrderStatus.REJECTED, reject_reason="EC_Other"))
    assert rejected.reason == "EC_Other"


def test_what_may_still_fill_is_open_and_nothing_is_once_it_is_over():
    assert ORDER.open_qty == 10
    part, _ = folded(facts_of(3, cancelled=False))
    assert part.open_qty == 7
    assert part.average_price == 100
    done, _ = folded(facts_of(3, cancelled=True))
    assert done.open_qty == 0
    assert ORDER.average_price == 0


def test_a_fill_without_its_execution_is_not_settled():
    facts = [fact for fact in facts_of(10, cancelled=False) if isinstance(fact, VenueOrder)]
    order, _ = folded(facts)
    assert order.status is OrderStatus.FILLED
    assert not order.is_settled
    assert order.known_qty == 10


def test_ids_are_functions_of_the_signal_and_fit_the_venue():
    ids = {order_id_for("s", role, number) for role in OrderRole for number in range(1, 20)}
    assert len(ids) == 19 * len(OrderRole)
    assert all(len(each) <= 36 for each in ids)
    assert order_id_for("s", OrderRole.EXIT) == order_id_for("s", OrderRole.EXIT, 1)
    assert trade_id_for("s") != trade_id_for("s2")


def test_the_message_says_the_whole_order():
    part, _ = folded(facts_of(3, cancelled=False))
    message = order_changed(part, START, ("signals/1",), 77)
    assert message.filled_qty == 3
    assert message.stop_loss == 98
    assert message.cause == ("signals/1",)
    assert message.written_wall_ns == 77
    assert message.ts_event == part.updated_ns
    assert order_changed(ORDER, START, ()).ts_event == START
