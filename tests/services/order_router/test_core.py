from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from services.order_router.core import RouterCore
from services.order_router.journal import MAGIC, frame
from tests.services.order_router.rig import (
    BREAKER,
    ENCODER,
    INSTRUMENT,
    LIMITS,
    MARK,
    MS,
    SECOND,
    SIZING,
    START,
    WALLET,
    Rig,
    Script,
    permit,
    signal,
)
from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.messages.decision import Verdict
from undertow.contracts.messages.reference import InstrumentChanged, VenueStatus
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, TradeClosed
from undertow.domain.order import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from undertow.domain.state import TradingState
from undertow.exchange.models import Touch
from undertow.trading.effects import Amend, Cancel, Journal, LookAtTouch, Lookup, Recover, Refresh, Send, SetStop
from undertow.trading.exit_plan import ExitRules
from undertow.trading.keeper import Accepted, NeverSent, Refused
from undertow.trading.orders import order_id_for
from undertow.trading.records import EntrySubmitted, ExitSubmitted, OrderSettled, Outcome, TradeEnded
from undertow.trading.sweep import EVERY_NS

ENTRY = order_id_for("s1", OrderRole.ENTRY)


def booted(script: Script | None = None, crash_at: frozenset[int] = frozenset()) -> Rig:
    rig = Rig(script, crash_at)
    rig.restart() if crash_at else rig.boot()
    rig.step()
    return rig


def sends(rig: Rig) -> list[Send]:
    return [effect for effect in rig.effects if isinstance(effect, Send)]


def closed(rig: Rig) -> list[TradeClosed]:
    return [message for message in rig.published if isinstance(message, TradeClosed)]


def fill_entry(fraction: Decimal = Decimal(1), after_ns: int = 300 * MS, price: Decimal = Decimal(49_980)):
    def each_step(rig: Rig) -> None:
        entry = rig.venue.find(ENTRY)
        if entry and not entry.status.is_terminal and not entry.filled_qty and rig.now >= START + after_ns:
            step = INSTRUMENT.qty_step
            rig.venue.fill(entry.venue_order_id, max(step, (entry.qty * fraction) // step * step), price)

    return each_step


def quiet(_rig: Rig) -> None:
    return


# a trade


def test_an_entry_is_journalled_before_it_is_sent_and_carries_its_stop():
    rig = booted()
    effects = rig.core.on_signal(signal(rig.now), rig.now)
    assert isinstance(effects[0], Journal)
    assert isinstance(effects[0].record, EntrySubmitted)
    assert isinstance(effects[1], Send)
    request = effects[1].request
    assert request.order_id == ENTRY
    assert len(ENTRY) <= 36
    assert request.order_type is OrderType.LIMIT
    assert request.time_in_force is TimeInForce.POST_ONLY
    assert request.price == Decimal("49980.0")
    assert request.stop_loss == Decimal("49230.3")
    assert request.qty == Decimal("0.133")  # 100,000 · 0.001 / 0.015 / 49,980, rounded down
    assert effects[2].verdict is Verdict.SUBMITTED


def test_a_trade_goes_from_entry_to_flat_and_tells_its_result():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(6)
    [result] = closed(rig)
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.qty == 0
    assert result.qty == Decimal("0.133")
    assert result.entry_price == Decimal(49_980)
    assert result.exit_price == Decimal(49_990)
    assert result.gross_pnl == Decimal("1.330")
    assert result.fees == sum(execution.fee for execution in rig.venue.executions)
    expected = (result.gross_pnl - result.fees) / (result.qty * result.entry_price) * 10_000
    assert result.return_bps == pytest.approx(float(expected))
    assert result.expected_bps == 3.0
    assert [type(record) for record in rig.records()].count(TradeEnded) == 1


def test_the_exit_is_a_reduce_only_market_order_at_t_from_the_first_fill():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(6)
    [submitted] = [record for record in rig.records() if isinstance(record, ExitSubmitted)]
    first_fill = rig.venue.executions[0].executed_ns
    assert 2 * SECOND <= submitted.at_ns - first_fill <= 2 * SECOND + 2 * Rig.STEP
    assert submitted.request.reduce_only
    assert submitted.request.order_type is OrderType.MARKET
    assert submitted.request.side is Side.SELL


def test_an_entry_that_does_not_fill_is_cancelled_after_its_rest_and_leaves_nothing():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.run(5)
    cancels = [effect for effect in rig.effects if isinstance(effect, Cancel)]
    assert [cancel.order_id for cancel in cancels] == [ENTRY]
    assert rig.venue.open_orders() == []
    assert rig.core.desk.live_trades() == ()
    assert closed(rig) == []


def test_a_part_filled_entry_is_cancelled_and_what_filled_is_closed():
    rig = booted(Script(fill_entry(Decimal("0.5"))))
    rig.signal(signal(rig.now))
    rig.run(6)
    assert rig.venue.qty == 0
    assert rig.venue.open_orders() == []
    assert closed(rig)[0].qty == Decimal("0.066")


def test_a_fill_that_crosses_the_cancel_is_closed_too():
    rig = booted()
    rig.signal(signal(rig.now))

    def cross(rig: Rig) -> None:
        entry = rig.venue.find(ENTRY)
        if entry and entry.status is OrderStatus.CANCELLED and not rig.venue.executions:
            rig.venue.fill(entry.venue_order_id, entry.qty, entry.price)

    rig.script.each_step = cross
    rig.run(8)
    assert rig.venue.executions
    assert rig.venue.qty == 0
    assert len(closed(rig)) == 1


def test_a_post_only_entry_that_would_take_ends_the_trade():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.venue._end("v1", OrderStatus.CANCELLED, "")
    rig.run(0.2)
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.created == [ENTRY]


@pytest.mark.parametrize(("permit_ms", "signal_ms", "least_ms"), [(2_000, 250, 250), (100, 250, 100)])
def test_an_entry_must_be_written_before_its_permit_and_its_signal_end_and_an_exit_at_any_time(
    permit_ms, signal_ms, least_ms
):
    rig = booted(Script(fill_entry()))
    rig.core.on_permit(permit(rig.now, valid_until_ns=rig.now + permit_ms * MS), rig.now)
    sent_ns = rig.now
    rig.signal(signal(rig.now, valid_until_ns=rig.now + signal_ms * MS))
    rig.run(6)
    assert [send.not_after_ns for send in sends(rig)] == [sent_ns + least_ms * MS, None]


def test_an_entry_that_came_too_late_to_be_written_was_never_sent_and_is_told_and_counted():
    rig = booted()
    rig.perform(rig.core.on_signal(signal(rig.now), rig.now)[:1])  # the journal, and then the process stood still
    rig.now += 10 * SECOND
    rig.perform(rig.core.on_answer(ENTRY, NeverSent("its deadline passed 9750.0 ms before"), rig.now))
    assert rig.core.desk.live_trades() == ()
    assert rig.core.desk.exposure() == 0
    assert [(anomaly.kind, anomaly.symbol) for anomaly in rig.anomalies] == [("entry_too_late", "BTCUSDT")]
    told = [message for message in rig.published if isinstance(message, OrderChanged)][-1]
    assert (told.status, told.reason) == (OrderStatus.REJECTED, "its deadline passed 9750.0 ms before")
    settled = [record.outcome for record in rig.records() if isinstance(record, OrderSettled)]
    assert settled == [Outcome.NEVER_SENT]
    assert rig.core.on_answer(ENTRY, NeverSent("again"), rig.now) == []


def test_a_refused_entry_ends_the_trade_and_is_told_with_its_reason():
    rig = booted()
    rig.venue.create = lambda _request: Refused(110007, "ab not enough for new order")
    rig.signal(signal(rig.now))
    rig.run(0.2)
    told = [message for message in rig.published if isinstance(message, OrderChanged)]
    assert told[-1].status is OrderStatus.REJECTED
    assert told[-1].reason == "110007: ab not enough for new order"
    assert rig.core.desk.live_trades() == ()


def test_the_venues_stop_closes_the_trade_and_is_told_as_a_stop():
    def each_step(rig: Rig) -> None:
        fill_entry()(rig)
        if rig.now >= START + SECOND:
            rig.venue.hit_stop()

    rig = booted(Script(each_step))
    rig.signal(signal(rig.now))
    rig.run(2)
    assert rig.venue.qty == 0
    [result] = closed(rig)
    assert result.exit_price == rig.venue.stop_loss
    roles = {message.role for message in rig.published if isinstance(message, OrderChanged)}
    assert roles == {OrderRole.ENTRY, OrderRole.STOP}
    executions = [message for message in rig.published if isinstance(message, Execution)]
    assert {execution.trade_id for execution in executions} == {result.trade_id}


def test_an_exit_refused_because_the_stop_was_faster_ends_in_a_closed_trade():
    def each_step(rig: Rig) -> None:
        fill_entry()(rig)
        if rig.venue.qty and rig.now >= START + SECOND:
            rig.venue.hit_stop()
            rig.venue.outbox.clear()  # the stream says nothing of it

    rig = booted(Script(each_step))
    rig.signal(signal(rig.now))
    rig.run(6)
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()
    assert closed(rig)[0].exit_price == rig.venue.stop_loss


def test_a_position_that_vanished_without_a_trace_is_given_up_with_an_anomaly():
    def each_step(rig: Rig) -> None:
        fill_entry()(rig)
        if rig.now >= START + SECOND and rig.venue.qty:
            rig.venue.qty = Decimal(0)

    rig = booted(Script(each_step))
    rig.signal(signal(rig.now))
    rig.run(20)
    assert rig.core.desk.live_trades() == ()
    assert "position_gone" in {anomaly.kind for anomaly in rig.anomalies}


def test_an_exit_that_fills_in_part_is_followed_by_a_numbered_one_after_it_is_over():
    rig = booted(Script(fill_entry()))
    whole = rig.venue.create

    def thin(request):
        if not request.reduce_only or len(rig.venue.created) > 2:
            return whole(request)
        rig.venue.created.append(request.order_id)
        order = rig.venue._new(request)
        rig.venue.fill(order.venue_order_id, Decimal("0.001"), rig.venue.price)
        rig.venue._end(order.venue_order_id, OrderStatus.CANCELLED, "")
        return Accepted(order.venue_order_id)

    rig.venue.create = thin
    rig.signal(signal(rig.now))
    rig.run(8)
    assert rig.venue.created == [
        ENTRY,
        order_id_for("s1", OrderRole.EXIT, 1),
        order_id_for("s1", OrderRole.EXIT, 2),
        *rig.venue.created[3:],
    ]
    assert rig.venue.qty == 0
    assert len(closed(rig)) == 1


def test_an_exit_refused_for_another_reason_is_tried_again_with_patience():
    rig = booted(Script(fill_entry()))
    whole, refusals = rig.venue.create, []

    def refuse(request):
        if request.reduce_only and len(refusals) < 3:
            refusals.append(request.order_id)
            return Refused(110066, "trading not allowed now")
        return whole(request)

    rig.venue.create = refuse
    rig.signal(signal(rig.now))
    rig.run(8)
    assert len(set(refusals)) == 3
    assert rig.venue.qty == 0


def without_stop(rig: Rig) -> None:
    if not rig.venue.qty:
        rig.venue.stop_loss = Decimal(0)  # what the entry brought is lost
    fill_entry()(rig)


def stops_set(rig: Rig) -> list[Decimal]:
    return [effect.stop_loss for effect in rig.effects if isinstance(effect, SetStop)]


STOP = Decimal("49230.3")


def test_a_fill_whose_stop_the_venue_does_not_confirm_gets_one():
    rig = booted(Script(without_stop))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(3)
    assert stops_set(rig) == [STOP]
    assert rig.venue.stop_loss == STOP
    assert rig.core.held()


def test_a_fill_whose_stop_cannot_be_set_is_closed_two_seconds_later_whatever_the_answers_say():
    rig = booted(Script(without_stop))
    rig.venue.takes_stops = False  # every request is answered with success, and the position has no stop
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(4)
    assert rig.venue.qty == 0
    assert len(stops_set(rig)) == 4
    assert rig.core.desk.trades[closed(rig)[0].trade_id].stage.why == "the venue-side stop is not confirmed"
    entry, exit_ = rig.venue.executions
    assert 2 * SECOND <= exit_.executed_ns - entry.executed_ns <= 2 * SECOND + 3 * Rig.STEP


@pytest.mark.parametrize(
    ("price", "trigger_by", "wrong"),
    [
        (Decimal(0), "MarkPrice", "it has none"),
        (Decimal("49230.2"), "MarkPrice", "it is at 49230.2, wider than 49230.3"),
        (STOP, "LastPrice", "it is triggered by LastPrice"),
    ],
)
def test_a_stop_that_is_removed_or_moved_while_held_is_set_again_at_once(price, trigger_by, wrong):
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(3)
    assert stops_set(rig) == []
    rig.venue.set_stop(price, trigger_by, by_hand=True)
    rig.step()
    assert stops_set(rig) == [STOP]
    rig.run(3)
    assert stops_set(rig) == [STOP]
    assert rig.venue.position().stop_loss == STOP
    assert rig.core.held()
    assert [(each.kind, each.detail) for each in rig.anomalies] == [("stop_missing", wrong)]


def test_a_stop_that_is_removed_and_cannot_be_set_again_has_the_position_closed_within_two_seconds():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(3)
    rig.venue.takes_stops = False
    rig.venue.set_stop(Decimal(0), by_hand=True)
    removed_ns = rig.now
    rig.run(3)
    assert rig.venue.qty == 0
    assert rig.venue.executions[-1].executed_ns - removed_ns <= 2 * SECOND + 3 * Rig.STEP


def test_a_stop_drawn_tighter_by_hand_is_left_alone():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    rig.venue.set_stop(STOP + 100, by_hand=True)
    rig.run(2)
    assert stops_set(rig) == []


def test_a_removed_stop_whose_fact_is_lost_is_found_by_looking_at_the_position():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    rig.venue.set_stop(Decimal(0), by_hand=True)
    rig.venue.outbox.clear()
    rig.run(6)
    assert stops_set(rig) == [STOP]
    assert rig.core.held()


def test_an_older_word_about_the_position_confirms_no_stop():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    before = rig.venue.position()
    rig.run(1)
    rig.venue.takes_stops = False
    rig.venue.set_stop(Decimal(0), by_hand=True)
    rig.step()
    rig.do(rig.core.on_position(before, rig.now))
    rig.run(2.2)
    assert rig.venue.qty == 0


def test_a_stop_is_set_again_also_while_the_position_waits_for_its_exit():
    rig = booted(Script(fill_entry()))
    whole = rig.venue.create
    rig.venue.create = lambda r: Refused(110066, "trading not allowed now") if r.reduce_only else whole(r)
    rig.signal(signal(rig.now))
    rig.run(4)
    rig.venue.set_stop(Decimal(0), by_hand=True)
    rig.run(0.2)
    assert stops_set(rig) == [STOP]
    assert rig.venue.stop_loss == STOP


# leaving


PATIENT = ExitRules(passive_ns=2 * SECOND, aggressive_ns=SECOND, through_bps=Decimal(2))


def leaving(exits: ExitRules = PATIENT, **changes) -> Rig:
    """Give a rig that holds, with T a moment ahead."""
    rig = Rig(Script(fill_entry()), exits=exits)
    rig.boot()
    rig.step()
    rig.signal(signal(rig.now, hold_ns=SECOND, **changes))
    rig.run(1.2)
    return rig


def exits_of(rig: Rig) -> list[tuple[OrderType, TimeInForce, Decimal, Decimal]]:
    requests = [send.request for send in sends(rig) if send.request.reduce_only]
    return [(each.order_type, each.time_in_force, each.price, each.qty) for each in requests]


QTY = Decimal("0.133")
RESTS = (OrderType.LIMIT, TimeInForce.POST_ONLY, Decimal("49990.1"), QTY)
MARKET = (OrderType.MARKET, TimeInForce.IOC, Decimal(0), QTY)


def test_a_passive_exit_rests_at_the_touch_and_its_fill_ends_the_trade():
    rig = leaving()
    rig.run(0.4)
    assert exits_of(rig) == [RESTS]
    [resting] = [order for order in rig.venue.open_orders() if order.order_id]
    rig.venue.fill(resting.venue_order_id, QTY, resting.price)
    rig.run(0.2)
    assert rig.core.desk.live_trades() == ()
    assert closed(rig)[0].exit_price == Decimal("49990.1")


def test_a_passive_exit_is_moved_towards_the_market_and_never_away_from_it():
    rig = leaving()
    rig.run(0.4)
    rig.venue.touch = Touch(Decimal("49995.0"), Decimal("49995.1"))
    rig.run(0.5)
    assert [effect for effect in rig.effects if isinstance(effect, Amend)] == []
    rig.venue.touch = Touch(Decimal("49980.0"), Decimal("49980.1"))
    rig.run(0.6)
    exit_id = order_id_for("s1", OrderRole.EXIT, 1)
    assert [effect for effect in rig.effects if isinstance(effect, Amend)] == [
        Amend("BTCUSDT", exit_id, Decimal("49980.1"))
    ]
    assert rig.core.desk.orders[exit_id].request.price == Decimal("49980.1")
    assert exits_of(rig) == [RESTS]


def test_an_exit_goes_from_the_touch_through_it_to_the_market_each_in_its_time():
    rig = leaving()
    rig.run(0.2)
    asked_ns = rig.core.desk.live_trades()[0].stage.asked_ns
    whole = rig.venue.create
    rig.venue._crosses = lambda _request: False  # nobody is there to take
    rig.venue.create = lambda r: Refused(110066, "later") if r.order_type is OrderType.MARKET else whole(r)
    rig.run(2.9)
    through = (OrderType.LIMIT, TimeInForce.IOC, Decimal("49980.0"), QTY)  # 2 bps below 49,989.9, rounded up
    kinds = exits_of(rig)
    assert kinds[0] == RESTS
    assert set(kinds[1:]) == {through}
    assert 2 <= len(kinds) <= 5
    rig.venue.create = whole
    rig.run(0.4)
    assert exits_of(rig)[-1] == MARKET
    assert rig.venue.qty == 0
    assert rig.venue.executions[-1].executed_ns - asked_ns <= 3 * SECOND + 6 * Rig.STEP
    assert rig.core.desk.live_trades() == ()


def test_a_resting_exit_that_cannot_be_cancelled_does_not_hold_the_market_back():
    rig = leaving(ExitRules(passive_ns=SECOND))
    rig.run(0.4)
    rig.venue.cancel = lambda _order_id: True  # it says yes and does nothing
    rig.run(1.5)
    assert exits_of(rig) == [RESTS, MARKET]
    assert rig.venue.qty == 0
    cancels = [effect.order_id for effect in rig.effects if isinstance(effect, Cancel)]
    assert cancels[0] == order_id_for("s1", OrderRole.EXIT, 1)


def test_an_exit_without_prices_goes_to_the_market_when_its_soft_legs_are_over():
    rig = leaving()
    rig.venue.touch = None
    rig.run(2.5)
    assert exits_of(rig) == []
    assert 5 <= sum(isinstance(effect, LookAtTouch) for effect in rig.effects) <= 12
    rig.run(1)
    assert exits_of(rig) == [MARKET]
    assert rig.core.desk.live_trades() == ()


def test_who_wants_out_at_once_does_not_wait_for_a_patient_exit():
    rig = leaving()
    rig.run(0.4)
    assert exits_of(rig) == [RESTS]
    rig.do(rig.core.on_command(command(Verb.FLATTEN), rig.now))
    rig.run(0.6)
    assert exits_of(rig) == [RESTS, MARKET]
    assert rig.core.desk.trades[closed(rig)[0].trade_id].stage.why == "held 1 s"


def test_an_exit_that_nobody_planned_goes_to_the_market_at_once():
    rig = Rig(Script(fill_entry()), exits=PATIENT)
    rig.boot()
    rig.step()
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    rig.do(rig.core.on_command(command(Verb.HALT), rig.now))
    rig.run(0.2)
    assert exits_of(rig) == [MARKET]


def test_a_patient_exit_that_loses_its_stop_goes_to_the_market():
    rig = leaving(ExitRules(passive_ns=60 * SECOND))
    rig.run(0.4)
    rig.venue.takes_stops = False
    rig.venue.set_stop(Decimal(0), by_hand=True)
    rig.run(3)
    assert exits_of(rig) == [RESTS, MARKET]
    assert rig.venue.qty == 0


def test_a_patient_exit_survives_a_restart():
    rig = leaving()
    rig.run(0.4)
    rig.restart()
    rig.run(4)
    assert exits_of(rig)[0] == RESTS
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.duplicates == 0


@pytest.mark.parametrize("status", ["Delivering", "Closed", "Unlisted"])
def test_a_contract_that_is_no_longer_traded_is_left_at_once_and_not_entered(status):
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    rig.do(rig.core.on_instrument(replace(INSTRUMENT, status=status), rig.now))
    rig.run(0.3)
    assert rig.venue.qty == 0
    assert rig.core.desk.trades[closed(rig)[0].trade_id].stage.why == f"BTCUSDT is {status}"
    assert verdict_of(rig) is Verdict.DENIED


def test_an_exit_is_rounded_to_the_filters_as_they_are_by_then():
    rig = leaving(ExitRules(passive_ns=10 * SECOND), rest_ns=500 * MS)
    coarse = replace(INSTRUMENT, qty_step=Decimal("0.05"), min_qty=Decimal("0.05"), tick_size=Decimal(10))
    rig.core.on_instrument(coarse, rig.now)
    rig.run(0.4)
    assert exits_of(rig) == [(OrderType.LIMIT, TimeInForce.POST_ONLY, Decimal(50_000), Decimal("0.10"))]
    rig.do(rig.core.on_command(command(Verb.FLATTEN), rig.now))
    rig.run(0.7)
    last = sends(rig)[-1].request
    assert (last.order_type, last.qty, last.closes_all) == (OrderType.MARKET, QTY, True)
    assert rig.venue.qty == 0


# redelivery, unknown outcomes


def test_a_redelivered_signal_is_placed_once():
    rig = booted(Script(fill_entry()))
    for _ in range(3):
        rig.signal(signal(rig.now))
    rig.run(6)
    rig.signal(signal(rig.now))
    rig.restart()
    rig.step()
    rig.signal(signal(rig.now))
    assert rig.venue.created.count(ENTRY) == 1
    assert len([send for send in sends(rig) if send.request.order_id == ENTRY]) == 1


def test_an_answer_lost_after_acceptance_is_found_by_look_up():
    rig = booted(Script(fill_entry(), lose_answers=True, lose_events=1))
    rig.signal(signal(rig.now))
    rig.run(12)
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()
    assert len(closed(rig)) == 1
    assert rig.venue.duplicates == 0


def test_an_order_that_never_arrived_counts_as_exposure_until_its_signature_has_expired():
    rig = booted(Script(lose_requests=True))
    sent_ns = rig.now
    rig.signal(signal(rig.now))
    exposure = rig.core.desk.exposure("BTCUSDT")
    assert exposure == Decimal("0.133") * Decimal("49980.0")
    while rig.core.desk.live_trades():
        assert rig.core.desk.exposure("BTCUSDT") == exposure
        rig.step()
    assert rig.now - sent_ns > 2 * SECOND
    assert rig.now - sent_ns < 3 * SECOND
    assert len(sends(rig)) == 1
    [last] = [message for message in rig.published if isinstance(message, OrderChanged)][-1:]
    assert last.status is OrderStatus.REJECTED


def test_an_order_that_surfaces_late_is_one_order():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    request = sends(rig)[0].request
    rig.run(1.5)
    rig.venue.create(request)
    rig.run(5)
    assert rig.venue.created == [ENTRY]
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.open_orders() == []


def test_a_look_up_that_began_before_the_signature_ended_proves_nothing():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    asked = rig.now + SECOND
    rig.step()
    effects = rig.core.on_lookup(ENTRY, None, [], asked, rig.now + 60 * SECOND)
    assert effects == []
    assert rig.core.desk.live_trades()


def test_a_look_up_proves_nothing_while_the_request_may_still_be_unsigned():
    rig = booted()
    rig.core.on_signal(signal(rig.now), rig.now)
    assert rig.core.on_lookup(ENTRY, None, [], rig.now + 60 * SECOND, rig.now + 60 * SECOND) == []
    assert rig.core.desk.live_trades()


def test_a_failed_look_up_is_repeated():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    rig.core.on_answer(ENTRY, Refused(110072, "duplicate"), rig.now)
    rig.core.on_lookup_failed(ENTRY, rig.now)
    effects = rig.core.on_time(rig.now + SECOND)
    assert [effect.order_id for effect in effects if isinstance(effect, Lookup)] == [ENTRY]


def test_an_exit_whose_outcome_is_unknown_is_never_sent_again():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(1)
    rig.script.lose_answers = True
    rig.script.lose_events = 1
    rig.run(5)
    exits = [send for send in sends(rig) if send.request.reduce_only]
    assert len(exits) == 1
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()


@pytest.mark.parametrize("script", [Script(twice=True), Script(backwards=True), Script(lose_events=2)])
def test_facts_may_come_twice_backwards_or_not_at_all(script: Script):
    script.each_step = fill_entry(Decimal("0.5"))
    rig = booted(script)
    rig.signal(signal(rig.now))
    rig.run(15)
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()
    [result] = closed(rig)
    assert result.fees == sum(execution.fee for execution in rig.venue.executions)
    assert len({m.exec_id for m in rig.published if isinstance(m, Execution)}) == len(rig.venue.executions)
    assert len([m for m in rig.published if isinstance(m, Execution)]) == len(rig.venue.executions)


# crashes


def stop_hits(rig: Rig) -> None:
    fill_entry()(rig)
    if rig.now >= START + SECOND:
        rig.venue.hit_stop()


SCRIPTS = {
    "filled": lambda: Script(fill_entry()),
    "part filled": lambda: Script(fill_entry(Decimal("0.5"))),
    "unfilled": lambda: Script(quiet),
    "stopped out": lambda: Script(stop_hits),
    "answers lost": lambda: Script(fill_entry(), lose_answers=True),
    "requests lost": lambda: Script(quiet, lose_requests=True),
    "events lost": lambda: Script(fill_entry(), lose_events=3),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_crash_between_any_two_effects_leaves_no_order_twice_and_no_position_unknown(name: str):
    calm = booted(SCRIPTS[name]())
    calm.signal(signal(calm.now))
    calm.run(16)
    boundaries = calm.performed
    assert boundaries > 10
    for crash_at in range(1, boundaries + 1):
        rig = booted(SCRIPTS[name](), frozenset({crash_at, crash_at + 7}))
        wish = signal(rig.now)
        rig.signal(wish)
        rig.signal(wish)  # delivered again, as after a crash before the acknowledgement
        rig.run(16)
        assert rig.crashes >= 2  # the first start counts as one
        assert_safe(rig)


def assert_safe(rig: Rig) -> None:
    assert rig.venue.duplicates == 0
    assert len(rig.venue.created) == len(set(rig.venue.created))
    submitted = [send.request.order_id for send in sends(rig)]
    assert len(submitted) == len(set(submitted))
    assert rig.venue.qty == 0
    assert rig.core.held() == {}
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.open_orders() == []
    assert all(rig.core.desk.knows_order(order_id) for order_id in rig.venue.created)
    told = {message.exec_id for message in rig.published if isinstance(message, Execution)}
    assert told == {execution.exec_id for execution in rig.venue.executions}
    for trade in rig.core.desk.trades.values():
        assert trade.position.is_flat
        assert trade.position.fees == sum(execution.fee for execution in rig.venue.executions)


def test_a_compacted_journal_is_shorter_and_says_the_same():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(6)
    rig.do(rig.core.on_command(command(Verb.PAUSE), rig.now))
    second = Rig(Script(quiet))
    second.venue = rig.venue
    second.disk = rig.disk
    second.now = rig.now
    second.boot()
    compact = second.core.compacted(second.records(), second.now, len(second.records()))
    assert len(compact) < len(rig.records())
    third = RouterCore("boot", LIMITS, SIZING, BREAKER)
    for record in compact:
        third.replay(record)
    assert third.desk.knows_order(ENTRY)
    assert all(third.desk.knows_execution(execution.exec_id) for execution in rig.venue.executions)
    assert third.picture(rig.now)["paused"] == {"": "pause by me: test"}
    assert third.on_signal(signal(rig.now), rig.now) == []


def test_a_compacted_journal_keeps_live_trades_whole():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(1)
    rig.boot()
    third = RouterCore("boot", LIMITS, SIZING, BREAKER)
    for record in rig.core.compacted(rig.records(), rig.now):
        third.replay(record)
    assert third.desk.live_trades() == rig.core.desk.live_trades()
    assert third.held() == {"BTCUSDT": Decimal("0.133")}


# state, permit, commands


def command(verb: Verb, symbol: str = "", command_id: str = "c1") -> Command:
    return Command(ts_event=0, ts_recv=0, command_id=command_id, verb=verb, who="me", why="test", symbol=symbol)


def verdict_of(rig: Rig, wish=None) -> Verdict:
    effects = rig.core.on_signal(wish or signal(rig.now, signal_id=f"s{rig.performed}{rig.now}"), rig.now)
    [decide] = [effect for effect in effects if hasattr(effect, "verdict")]
    return decide.verdict


def test_entries_need_a_valid_permit_of_this_boot():
    rig = booted()
    core = RouterCore("boot", LIMITS, SIZING, BREAKER)
    rig.core = core
    core.on_instrument(INSTRUMENT, rig.now)
    core.on_mark("BTCUSDT", MARK, rig.now, rig.now)
    core.on_feed_up(rig.now)
    core.on_recovered([], [], [], WALLET, rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="a")) is Verdict.NO_PERMIT
    core.on_permit(permit(rig.now, boot_id="another"), rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="b")) is Verdict.NO_PERMIT
    core.on_permit(permit(rig.now, entries_permitted=False), rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="c")) is Verdict.NO_PERMIT
    core.on_permit(permit(rig.now, valid_until_ns=rig.now - 1), rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="d")) is Verdict.NO_PERMIT
    core.on_permit(permit(rig.now), rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="e")) is Verdict.SUBMITTED


def test_a_permit_holds_no_longer_than_two_seconds_whatever_the_guardians_clock_says():
    rig = booted()
    rig.core.on_permit(permit(rig.now, valid_until_ns=rig.now + 60 * SECOND), rig.now)
    rig.now += 2 * SECOND
    assert verdict_of(rig, signal(rig.now, signal_id="a")) is Verdict.SUBMITTED
    rig = booted()
    rig.core.on_permit(permit(rig.now, valid_until_ns=rig.now + 60 * SECOND), rig.now)
    rig.now += 2 * SECOND + 1
    assert verdict_of(rig, signal(rig.now, signal_id="b")) is Verdict.NO_PERMIT


def test_a_late_signal_is_expired():
    rig = booted()
    assert verdict_of(rig, signal(rig.now, valid_until_ns=rig.now - 1)) is Verdict.EXPIRED


def test_a_shadow_signal_is_not_traded():
    rig = booted()
    assert rig.core.on_signal(signal(rig.now, shadow=True), rig.now) == []


def test_a_symbol_without_filters_is_denied():
    rig = booted()
    assert verdict_of(rig, signal(rig.now, symbol="XUSDT")) is Verdict.DENIED


def test_a_denied_signal_is_decided_once_and_told_with_what_was_wanted():
    rig = booted()
    poor = Account(
        ts_event=rig.now,
        ts_recv=rig.now,
        equity=Decimal(50),
        wallet=Decimal(50),
        available=Decimal(50),
        realised=Decimal(0),
        unrealised=Decimal(0),
        fees=Decimal(0),
        funding=Decimal(0),
        drawdown=Decimal(0),
        positions=(),
        position_residual=Decimal(0),
        money_residual=Decimal(0),
        reconciled_ns=0,
        state=TradingState.ACTIVE,
    )
    rig.core.on_account(poor, rig.now)
    decide, told = rig.core.on_signal(signal(rig.now), rig.now)
    assert decide.verdict is Verdict.DENIED
    assert decide.numbers["check"] == "sizing"
    assert told.message.status is OrderStatus.DENIED
    assert "below the minimum" in told.message.reason
    assert rig.core.on_signal(signal(rig.now), rig.now) == []


def test_a_refusal_after_sizing_is_denied_with_its_numbers():
    rig = booted()
    decide, told = rig.core.on_signal(signal(rig.now, delta_bps=60.0), rig.now)
    assert decide.numbers["check"] == "price_is_near_mark"
    assert told.message.status is OrderStatus.DENIED


@pytest.mark.parametrize(
    ("verbs", "verdict", "state"),
    [
        ([Verb.PAUSE], Verdict.PAUSED, TradingState.ACTIVE),
        ([Verb.PAUSE, Verb.RESUME], Verdict.SUBMITTED, TradingState.ACTIVE),
        ([Verb.REDUCE], Verdict.PAUSED, TradingState.REDUCING),
        ([Verb.REDUCE, Verb.RESUME], Verdict.SUBMITTED, TradingState.ACTIVE),
        ([Verb.HALT], Verdict.PAUSED, TradingState.HALTED),
        ([Verb.HALT, Verb.RESUME], Verdict.PAUSED, TradingState.HALTED),
        ([Verb.HALT, Verb.REDUCE], Verdict.PAUSED, TradingState.HALTED),
        ([Verb.HALT, Verb.REARM], Verdict.SUBMITTED, TradingState.ACTIVE),
        ([Verb.FLATTEN], Verdict.PAUSED, TradingState.ACTIVE),
    ],
)
def test_commands_decide_what_may_be_done_also_after_a_restart(verbs, verdict, state):
    rig = booted()
    for number, verb in enumerate(verbs):
        rig.do(rig.core.on_command(command(verb, command_id=f"c{number}"), rig.now))
    assert rig.core.state is state
    rig.restart()
    rig.step()
    assert rig.core.state is state
    assert verdict_of(rig) is verdict


def test_a_pause_of_one_symbol_leaves_the_others_alone():
    rig = booted()
    rig.do(rig.core.on_command(command(Verb.PAUSE, "ETHUSDT"), rig.now))
    assert verdict_of(rig) is Verdict.SUBMITTED


def test_a_command_is_taken_once_and_a_promotion_is_not_ours():
    rig = booted()
    assert rig.core.on_command(command(Verb.PAUSE), rig.now)
    assert rig.core.on_command(command(Verb.PAUSE), rig.now) == []
    assert rig.core.on_command(command(Verb.PROMOTE, command_id="p"), rig.now) == []


@pytest.mark.parametrize("verb", [Verb.FLATTEN, Verb.HALT])
def test_flatten_and_halt_close_what_is_held_at_once(verb):
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    assert rig.venue.qty
    rig.do(rig.core.on_command(command(verb), rig.now))
    rig.run(1)
    assert rig.venue.qty == 0
    assert len(closed(rig)) == 1


def test_flatten_cancels_an_entry_that_rests():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.step()
    rig.do(rig.core.on_command(command(Verb.FLATTEN, "BTCUSDT"), rig.now))
    rig.step()
    assert rig.venue.open_orders() == []
    assert rig.core.desk.live_trades() == ()


def test_flatten_of_another_symbol_leaves_a_trade_alone():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.step()
    rig.do(rig.core.on_command(command(Verb.FLATTEN, "ETHUSDT"), rig.now))
    rig.step()
    assert rig.venue.open_orders()


def test_a_halted_guardian_closes_what_is_held():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    rig.do(
        rig.core.on_guardian_state(
            GuardianState(
                ts_event=rig.now, ts_recv=rig.now, state=TradingState.HALTED, reason="kill", heartbeat_age_ns=0
            ),
            rig.now,
        )
    )
    assert rig.core.state is TradingState.HALTED
    rig.run(1)
    assert rig.venue.qty == 0
    rig.do(rig.core.on_permit(permit(rig.now, state=TradingState.HALTED, entries_permitted=False), rig.now))
    assert rig.core.state is TradingState.HALTED
    rig.core.on_permit(permit(rig.now), rig.now)
    assert rig.core.state is TradingState.ACTIVE


def test_a_reducing_guardian_state_on_the_bus_stops_entries():
    rig = booted()
    fact = GuardianState(ts_event=rig.now, ts_recv=0, state=TradingState.REDUCING, reason="", heartbeat_age_ns=0)
    assert rig.core.on_guardian_state(fact, rig.now) == []
    assert verdict_of(rig) is Verdict.PAUSED


def test_a_halt_in_a_backlog_closes_nothing_and_stops_nothing():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    old = GuardianState(
        ts_event=rig.now - 11 * SECOND, ts_recv=0, state=TradingState.HALTED, reason="kill", heartbeat_age_ns=0
    )
    assert rig.core.on_guardian_state(old, rig.now) == []
    assert rig.core.state is TradingState.ACTIVE
    at_border = msgspec.structs.replace(old, ts_event=rig.now - 10 * SECOND)
    assert any(isinstance(effect, Send) for effect in rig.core.on_guardian_state(at_border, rig.now))


def test_entries_need_the_private_stream_a_reconciliation_and_the_bus():
    rig = booted()
    rig.core.on_bus(is_up=False)
    assert verdict_of(rig, signal(rig.now, signal_id="a")) is Verdict.DENIED
    rig.core.on_bus(is_up=True)
    assert rig.core.on_feed_down("cut")
    assert rig.core.why_not_able() == "the private stream is down"
    assert verdict_of(rig, signal(rig.now, signal_id="b")) is Verdict.DENIED
    [recover] = rig.core.on_feed_up(rig.now)
    assert isinstance(recover, Recover)
    assert not rig.core.is_recovered
    assert verdict_of(rig, signal(rig.now, signal_id="c")) is Verdict.DENIED
    rig.core.on_recovered([], [], [], WALLET, rig.now)
    assert rig.core.is_recovered
    assert verdict_of(rig, signal(rig.now, signal_id="d")) is Verdict.SUBMITTED


def test_exits_go_on_while_the_bus_and_the_private_stream_are_away():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(1)
    rig.core.on_bus(is_up=False)
    rig.core.on_feed_down("cut")
    rig.script.lose_events = 1
    rig.run(6)
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()


def test_the_second_trade_of_a_symbol_is_denied_while_one_is_live():
    rig = booted()
    rig.signal(signal(rig.now))
    effects = rig.core.on_signal(signal(rig.now, signal_id="s2"), rig.now)
    assert effects[0].numbers["check"] == "symbol_has_no_trade"


def test_orders_of_the_last_second_count_against_the_rate():
    rig = booted()
    tight = RouterCore("boot", replace(LIMITS, max_orders_per_second=1), SIZING, BREAKER)
    rig.core = tight
    tight.on_instrument(INSTRUMENT, rig.now)
    tight.on_mark("BTCUSDT", MARK, rig.now, rig.now)
    tight.on_instrument(replace(INSTRUMENT, symbol="ETHUSDT"), rig.now)
    tight.on_mark("ETHUSDT", MARK, rig.now, rig.now)
    tight.on_feed_up(rig.now)
    tight.on_recovered([], [], [], WALLET, rig.now)
    tight.on_permit(permit(rig.now), rig.now)
    assert verdict_of(rig, signal(rig.now, signal_id="a")) is Verdict.SUBMITTED
    late = rig.now + SECOND - 1
    effects = tight.on_signal(signal(late, signal_id="b", symbol="ETHUSDT"), late)
    assert effects[0].numbers["check"] == "order_rate_fits"
    later = rig.now + SECOND
    effects = tight.on_signal(signal(later, signal_id="c", symbol="ETHUSDT"), later)
    assert isinstance(effects[1], Send)


def test_the_wallet_stands_for_the_account_until_position_manager_speaks():
    rig = booted()
    assert rig.core.picture(rig.now)["equity"] == "100000"
    poorer = replace(WALLET, equity=Decimal(1), available=Decimal(1))
    rig.core.on_wallet(poorer, rig.now)
    assert rig.core.picture(rig.now)["equity"] == "100000"
    rig.core.on_wallet(poorer, rig.now + 31 * SECOND)
    assert rig.core.picture(rig.now)["equity"] == "1"


def test_an_instrument_change_from_the_bus_holds_from_then_on():
    rig = booted()
    fields = {name: getattr(INSTRUMENT, name) for name in INSTRUMENT.__dataclass_fields__}
    rig.core.on_instrument(InstrumentChanged(ts_event=0, ts_recv=0, **{**fields, "status": "Delivering"}), rig.now)
    effects = rig.core.on_signal(signal(rig.now), rig.now)
    assert "Delivering" in effects[0].numbers["reason"]


# what is not ours


def test_a_foreign_order_is_reported_once_and_not_touched():
    rig = booted()
    rig.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    rig.run(2)
    assert [anomaly.kind for anomaly in rig.anomalies] == ["foreign_order"]
    assert [order.order_id for order in rig.venue.open_orders()] == ["hand-1"]


def test_a_foreign_fill_without_a_trade_of_ours_is_told_and_reported():
    rig = booted()
    order = rig.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    rig.venue.fill(order, Decimal("0.1"), Decimal(50_000))
    rig.run(1)
    assert "foreign_execution" in {anomaly.kind for anomaly in rig.anomalies}
    [execution] = [message for message in rig.published if isinstance(message, Execution)]
    assert execution.trade_id == ""


def test_what_somebody_else_closes_of_our_position_ends_the_trade():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    order = rig.venue.place_by_hand(Side.SELL, rig.venue.qty, link="guardian-1")
    rig.venue.fill(order, rig.venue.qty, Decimal(49_900))
    rig.run(1)
    assert rig.core.desk.live_trades() == ()
    assert closed(rig)[0].exit_price == Decimal(49_900)
    assert "foreign_execution" in {anomaly.kind for anomaly in rig.anomalies}


def test_a_foreign_position_is_reported_at_recovery():
    rig = booted()
    rig.venue.qty = Decimal(3)
    rig.do(rig.core.on_feed_up(rig.now))
    rig.step()
    assert [anomaly.kind for anomaly in rig.anomalies] == ["position_residual"]


@pytest.mark.parametrize("exec_type", ["BustTrade", "AdlTrade"])
def test_what_the_venue_closes_by_force_ends_the_trade_and_is_an_anomaly_of_its_own(exec_type):
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    bust = replace(
        rig.venue.executions[0],
        exec_id="bust",
        order_id="",
        venue_order_id="liq-1",
        side=Side.SELL,
        exec_type=exec_type,
        price=Decimal(40_000),
    )
    rig.do(rig.core.on_execution(bust, rig.now))
    assert rig.core.desk.live_trades() == ()
    assert closed(rig)[0].exit_price == Decimal(40_000)
    [anomaly] = rig.anomalies
    assert (anomaly.kind, anomaly.symbol) == ("forced_execution", "BTCUSDT")
    assert exec_type in anomaly.detail
    told = [message for message in rig.published if isinstance(message, OrderChanged)][-1]
    assert told.role is OrderRole.FOREIGN


def test_an_order_whose_executions_no_list_shows_is_given_up_and_the_result_is_not_known():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(1)
    rig.venue.unlisted = True
    rig.script.lose_executions = True
    rig.run(10)
    assert rig.core.desk.live_trades()
    lookups = [effect for effect in rig.effects if isinstance(effect, Lookup)]
    assert len(lookups) < 20  # four a second at first, then with patience
    rig.run(30)
    assert rig.core.desk.live_trades() == ()
    assert [anomaly.kind for anomaly in rig.anomalies] == ["execution_unlisted"]
    [result] = closed(rig)
    assert not result.is_complete
    assert not rig.core.keeper._orders


def test_a_stop_whose_executions_no_list_shows_is_given_up_too():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    entry = list(rig.venue.executions)
    rig.script.lose_executions = True
    rig.venue.hit_stop()
    rig.venue.executions[:] = entry
    rig.run(20)
    assert rig.core.desk.live_trades()
    rig.run(20)
    assert rig.core.desk.live_trades() == ()
    assert "execution_unlisted" in {anomaly.kind for anomaly in rig.anomalies}
    assert not closed(rig)[0].is_complete


def test_an_order_that_surfaces_after_its_trade_was_forgotten_is_cancelled_also_after_a_restart():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    rig.run(4)
    compact = rig.core.compacted(rig.records(), rig.now, len(rig.records()))
    request = sends(rig)[0].request
    rig.disk = bytearray(MAGIC + b"".join(frame(ENCODER.encode(record)) for record in compact))
    rig.restart()
    rig.step()
    refuse = rig.venue.cancel
    rig.venue.cancel = lambda _order_id: True  # it says yes and does nothing
    rig.venue.create(request)
    rig.run(1)
    assert [anomaly.kind for anomaly in rig.anomalies] == ["surfaced_order"]
    rig.restart()
    rig.run(1)
    assert rig.venue.open_orders()
    rig.venue.cancel = refuse
    rig.run(1.5)
    assert rig.venue.open_orders() == []
    assert next_due_of_trades(rig) is None
    cancels = [effect.order_id for effect in rig.effects if isinstance(effect, Cancel)]
    assert set(cancels) == {ENTRY}
    assert len(cancels) < 8


def test_funding_is_told_and_moves_no_position():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    fill = rig.venue.executions[0]
    funding = replace(fill, exec_id="f1", exec_type="Funding", order_id="", venue_order_id="", fee=Decimal(2))
    held = rig.core.held()
    rig.do(rig.core.on_execution(funding, rig.now))
    assert rig.core.held() == held
    [told] = [m for m in rig.published if isinstance(m, Execution) and m.exec_id == "f1"]
    assert told.fee == 2
    assert told.trade_id
    rig.do(rig.core.keeper.ask_exit("enough", rig.now))
    rig.run(1)
    [result] = closed(rig)
    assert result.funding == -2
    assert result.net_pnl == result.gross_pnl - result.fees - 2


def test_the_picture_names_trades_orders_and_reservations_and_is_json():
    rig = booted()
    rig.signal(signal(rig.now))
    picture = msgspec.json.decode(msgspec.json.encode(rig.core.picture(rig.now)))
    assert picture["trades"][0]["stage"] == "entering"
    assert picture["orders"][0]["order_id"] == ENTRY
    assert Decimal(picture["gross_exposure"]) == Decimal(6650)  # at the mark
    assert picture["limits"]["symbol_fraction"] == "0.1"
    assert picture["marks"] == {"BTCUSDT": "50000"}
    assert rig.core.open_order_ids() == (ENTRY,)


def next_due_of_trades(rig):
    return rig.core.keeper.next_due_ns()


def test_nothing_is_due_when_nothing_lives_but_the_next_sweep():
    rig = booted()
    assert next_due_of_trades(rig) is None
    assert rig.now < rig.core.next_due_ns() <= rig.now + EVERY_NS


def test_a_payment_whose_frame_is_lost_is_found_by_the_next_sweep_and_booked_once():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=30 * SECOND))
    rig.run(1)
    fill = rig.venue.executions[0]
    rig.venue.executions.append(
        replace(fill, exec_id="f1", exec_type="Funding", order_id="", venue_order_id="", fee=Decimal(2))
    )
    rig.run(5 + EVERY_NS / SECOND)
    rig.run(EVERY_NS / SECOND)
    assert [m.fee for m in rig.published if isinstance(m, Execution) and m.exec_id == "f1"] == [2]


def test_while_the_private_stream_is_down_a_held_position_is_asked_for_again_and_again():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=30 * SECOND))
    rig.run(1)
    rig.do(rig.core.on_feed_down("cut"))
    before = len([effect for effect in rig.effects if isinstance(effect, Refresh)])
    rig.run(2)
    during = len([effect for effect in rig.effects if isinstance(effect, Refresh)])
    assert during - before >= 4
    rig.venue.set_stop(Decimal(0), by_hand=True)
    rig.run(1)
    assert [effect for effect in rig.effects if isinstance(effect, SetStop)]


def test_what_is_due_is_done_so_that_time_always_moves_on():
    rig = booted(Script(fill_entry(Decimal("0.5"))))
    rig.signal(signal(rig.now))
    for _ in range(120):
        rig.step()
        due = rig.core.next_due_ns()
        assert due is None or due > rig.now - Rig.STEP


def test_while_an_exit_works_there_is_no_second_one():
    rig = booted(Script(fill_entry()))
    whole = rig.venue.create

    def slow(request):
        if not request.reduce_only:
            return whole(request)
        rig.venue.created.append(request.order_id)
        order = rig.venue._new(request)
        rig.venue._tell(order)
        return Accepted(order.venue_order_id)

    rig.venue.create = slow
    rig.signal(signal(rig.now))
    rig.run(9)
    exits = [send.request.order_id for send in sends(rig) if send.request.reduce_only]
    assert exits == [order_id_for("s1", OrderRole.EXIT, 1)]
    rig.venue.fill(rig.venue.find(exits[0]).venue_order_id, rig.venue.qty, rig.venue.price)
    rig.run(0.2)
    assert rig.core.desk.live_trades() == ()


def test_the_resting_stop_is_told_as_an_order_of_the_trade():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(1)
    [trade] = rig.core.desk.live_trades()
    [stop] = [m for m in rig.published if isinstance(m, OrderChanged) and m.role is OrderRole.STOP]
    assert stop.trade_id == trade.plan.trade_id
    assert stop.status is OrderStatus.NEW
    assert stop.order_id == rig.venue.stop_order


def test_an_order_the_venue_had_and_no_longer_knows_is_gone_with_an_anomaly():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.run(0.2)
    rig.venue.orders.clear()
    rig.venue.by_link.clear()
    rig.run(6)
    assert rig.core.desk.live_trades() == ()
    assert "order_gone" in {anomaly.kind for anomaly in rig.anomalies}
    last = [message for message in rig.published if isinstance(message, OrderChanged)][-1]
    assert last.status is OrderStatus.CANCELLED


def test_an_order_believed_never_arrived_that_fills_late_is_closed_and_reported():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    rig.run(4)
    assert rig.core.desk.live_trades() == ()
    rig.script.lose_requests = False
    rig.venue.create(sends(rig)[0].request)
    entry = rig.venue.find(ENTRY)
    rig.venue.fill(entry.venue_order_id, entry.qty, entry.price)
    rig.run(6)
    assert "impossible_transition" in {anomaly.kind for anomaly in rig.anomalies}
    assert rig.venue.qty == 0
    assert rig.core.desk.live_trades() == ()
    assert len(closed(rig)) == 1


def test_an_order_believed_never_arrived_that_rests_late_is_cancelled():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    rig.run(4)
    assert rig.core.desk.live_trades() == ()
    rig.script.lose_requests = False
    rig.venue.create(sends(rig)[0].request)
    rig.step()
    assert rig.core.open_order_ids() == (ENTRY,)
    assert rig.core.desk.exposure("BTCUSDT")
    rig.run(2)
    assert rig.venue.open_orders() == []
    assert rig.core.desk.live_trades() == ()
    assert rig.venue.created == [ENTRY]


def test_an_order_that_surfaces_late_and_is_lost_again_does_not_live_for_ever():
    rig = booted(Script(lose_requests=True))
    rig.signal(signal(rig.now))
    rig.run(4)
    rig.venue.create(sends(rig)[0].request)
    rig.step()
    rig.venue.orders.clear()
    rig.venue.by_link.clear()
    rig.run(5)
    assert rig.core.desk.live_trades() == ()


def test_an_answer_about_an_order_nobody_sent_is_an_anomaly():
    rig = booted()
    [anomaly] = rig.core.on_answer("nobody", Accepted("v"), rig.now)
    assert anomaly.kind == "answer_to_nothing"
    assert rig.core.on_written("nobody", rig.now, 1) == []
    assert rig.core.on_cancel_answer("nobody", rig.now, is_gone=True) == []


def test_events_about_a_trade_that_is_over_change_nothing():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.run(6)
    assert rig.core.on_answer(ENTRY, Accepted("v1"), rig.now) == []
    assert rig.core.on_lookup(ENTRY, rig.venue.find(ENTRY), rig.venue.executions, rig.now, rig.now) == []
    assert rig.core.on_refreshed("BTCUSDT", None, rig.venue.executions, rig.now) == []
    assert rig.core.on_refresh_failed("BTCUSDT", rig.now) == []
    assert rig.core.on_stop_set("BTCUSDT", rig.now) == []
    assert rig.core.on_lookup_failed(ENTRY, rig.now) == []
    assert rig.core.on_time(rig.now) == []


def test_a_refresh_that_fails_is_repeated_and_does_not_hold_the_exit_back():
    def each_step(rig: Rig) -> None:
        fill_entry()(rig)
        if rig.venue.qty and rig.now >= START + SECOND:
            rig.venue.hit_stop()
            rig.venue.outbox.clear()

    rig = booted(Script(each_step))
    refreshed, failures = rig.core.on_refreshed, []

    def fail_first(symbol, position, executions, now_ns):
        if len(failures) < 2:
            failures.append(symbol)
            return rig.core.on_refresh_failed(symbol, now_ns)
        return refreshed(symbol, position, executions, now_ns)

    rig.core.on_refreshed = fail_first
    rig.signal(signal(rig.now))
    rig.run(8)
    assert len(failures) == 2
    assert rig.core.desk.live_trades() == ()


def test_a_position_that_differs_is_refreshed_and_found():
    rig = booted(Script(quiet))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND, rest_ns=15 * SECOND))
    rig.run(0.2)
    entry = rig.venue.find(ENTRY)
    rig.venue.fill(entry.venue_order_id, Decimal("0.05"), entry.price)
    rig.venue.outbox = [rig.venue.position()]  # the fill itself is lost
    rig.run(3)
    assert rig.core.held() == {"BTCUSDT": Decimal("0.05")}


def test_a_position_that_differs_for_long_is_asked_for_patiently():
    def each_step(rig: Rig) -> None:
        fill_entry()(rig)
        if rig.now == START + SECOND:
            rig.venue.qty += 1  # somebody else's, and no execution tells of it
            rig.venue.outbox.append(rig.venue.position())

    rig = booted(Script(each_step))
    rig.signal(signal(rig.now, hold_ns=15 * SECOND))
    rig.run(12)
    asked = sum(isinstance(effect, Refresh) for effect in rig.effects)
    assert 5 < asked <= 22


def test_a_venue_clock_that_is_ahead_of_ours_does_not_delay_the_exit():
    rig = booted()
    rig.signal(signal(rig.now))
    entry = rig.venue.find(ENTRY)
    rig.venue.now += 3_600 * SECOND
    rig.venue.fill(entry.venue_order_id, entry.qty, entry.price)
    rig.run(4)
    assert rig.venue.qty == 0


def test_a_large_position_leaves_in_orders_the_venue_takes():
    rig = booted(Script(fill_entry()))
    rig.signal(signal(rig.now))
    rig.core.on_instrument(replace(INSTRUMENT, max_market_qty=Decimal("0.05")), rig.now)
    rig.run(6)
    quantities = [send.request.qty for send in sends(rig) if send.request.reduce_only]
    assert quantities == [Decimal("0.05"), Decimal("0.05"), Decimal("0.033")]
    assert rig.core.desk.live_trades() == ()


def test_maintenance_stops_entries():
    rig = booted()
    rig.core.on_venue_status(VenueStatus(ts_event=0, ts_recv=0, operational=False, maintenance="upgrade"))
    assert rig.core.why_not_able() == "maintenance: upgrade"
    rig.core.on_venue_status(VenueStatus(ts_event=0, ts_recv=0, operational=True, maintenance=""))
    assert rig.core.why_not_able() == ""


def test_what_the_books_remember_is_bounded(monkeypatch):
    monkeypatch.setattr("undertow.trading.desk.FINISHED_KEPT", 3)
    rig = booted()
    for number in range(6):
        rig.signal(signal(rig.now, signal_id=f"n{number}", rest_ns=100 * MS))
        rig.venue.place_by_hand(Side.BUY, Decimal("0.1"), link=f"hand-{number}")
        rig.run(0.25)
        rig.venue.cancel(f"hand-{number}")
        rig.run(0.25)
    assert len(rig.core.desk.trades) == 3
    assert len(rig.core.desk.orders) == 6
    assert rig.core.desk.knows_order(order_id_for("n0", OrderRole.ENTRY))
    assert rig.core.on_signal(signal(rig.now, signal_id="n0"), rig.now) == []
    assert not rig.core.keeper._orders
    assert not rig.core.keeper._trades
