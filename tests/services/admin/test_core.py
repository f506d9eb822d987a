from __future__ import annotations

import json
from decimal import Decimal

from services.admin.core import KEPT, MINUTE_NS, Health, View
from tests.services.position_manager.facts import execution, order
from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.messages.decision import Decision, Signal, Verdict
from undertow.contracts.messages.market import Liquidation, Liquidations, Resync
from undertow.contracts.messages.trading import Account, PositionView, TradeClosed
from undertow.domain.order import OrderStatus, Side
from undertow.domain.state import TradingState

D = Decimal
NOW = 100 * MINUTE_NS
S = 1_000_000_000


def account(equity="10000", state=TradingState.ACTIVE, anomalies=()):
    zero = D(0)
    view = PositionView("BTCUSDT", D("0.5"), D(100), D(101), D("0.5"), zero, zero, zero, zero, D(90))
    return Account(
        ts_event=NOW,
        ts_recv=NOW,
        equity=D(equity),
        wallet=D(equity),
        available=D(equity),
        realised=D("3.00000001"),
        unrealised=D("0.5"),
        fees=D(1),
        funding=D("-0.5"),
        drawdown=zero,
        positions=(view,),
        position_residual=zero,
        money_residual=zero,
        reconciled_ns=NOW,
        state=state,
        anomalies=anomalies,
    )


def trade(gross):
    return TradeClosed(
        ts_event=NOW,
        ts_recv=NOW,
        trade_id="t",
        signal_id="s",
        symbol="BTCUSDT",
        source="model_server",
        side=Side.BUY,
        delta_bps=7.0,
        hold_ns=5 * S,
        model_hash="m",
        qty=D(1),
        entry_price=D(100),
        exit_price=D(101),
        gross_pnl=D(gross),
        fees=D(1),
        return_bps=1.0,
        expected_bps=2.0,
    )


def decision(verdict, service="model_server", number=0):
    return Decision(
        ts_event=NOW + number,
        ts_recv=NOW,
        service=service,
        symbol="BTCUSDT",
        verdict=verdict,
        subject=f"d{number}",
        detail="{}",
        previous="",
        hash="",
    )


def command(verb):
    return Command(ts_event=NOW, ts_recv=NOW, command_id=verb, verb=verb, who="anna", why="ok")


def test_the_most_severe_state_is_shown_with_its_reason():
    view = View("paper")
    assert view.status(NOW)["state"] == "ACTIVE"
    view.on_message(account(state=TradingState.REDUCING, anomalies=("money +1",)), NOW)
    assert (view.status(NOW)["state"], view.status(NOW)["reason"]) == ("REDUCING", "money +1")
    view.on_guardian({"state": "HALTED", "reason": "anna: news"}, NOW)
    assert (view.status(NOW)["state"], view.status(NOW)["reason"]) == ("HALTED", "anna: news")


def test_a_silent_guardian_is_said_and_its_last_state_stays():
    view = View("paper")
    view.on_guardian({"state": "HALTED"}, NOW)
    view.on_guardian_silent("does not answer")
    assert view.status(NOW)["state"] == "HALTED"
    assert view.status(NOW)["guardian"] == "does not answer"


def test_every_source_has_an_age_and_one_never_heard_says_so():
    view = View("paper")
    view.on_message(account(), NOW)
    view.on_message(Resync(ts_event=NOW, ts_recv=NOW, symbol="BTCUSDT"), NOW + S)
    ages = view.ages(NOW + 3 * S)
    assert (ages["account"], ages["market"], ages["executions"]) == (3000, 2000, -1)


def test_a_state_fact_of_the_guardian_is_no_command():
    view = View("paper")
    fact = GuardianState(ts_event=NOW, ts_recv=NOW, state=TradingState.HALTED, reason="", heartbeat_age_ns=1)
    view.on_message(fact, NOW)
    assert view.commands() == []
    assert view.ages(NOW)["commands"] == -1


def test_orders_rest_until_they_end():
    view = View("paper")
    view.on_message(order("a"), NOW)
    view.on_message(order("b", OrderStatus.SUBMITTED), NOW)
    view.on_message(order("a", OrderStatus.FILLED), NOW)
    assert [each["order_id"] for each in view.open_orders()] == ["b"]
    assert [(each["order_id"], each["status"]) for each in view.orders()] == [("b", "Submitted"), ("a", "Filled")]


def test_money_is_shown_to_the_last_digit_and_trips_are_counted():
    view = View("paper")
    assert view.equity() == {"known": False, "curve": []}
    view.on_message(account(), NOW)
    view.on_message(trade("2"), NOW)
    view.on_message(trade("1"), NOW)
    shown = view.equity()
    assert (shown["realised"], shown["net_pnl"]) == ("3.00000001", "1.50000001")
    assert (shown["round_trips"], shown["wins"]) == (2, 1)
    assert [each["net_pnl"] for each in view.trades()] == ["0", "1"]
    assert view.positions()[0]["qty"] == "0.5"


def test_the_curve_has_one_point_a_second():
    view = View("paper")
    for tenth in range(31):
        view.on_message(account(), NOW + tenth * S // 10)
    assert [at for at, _, _ in view.equity()["curve"]] == [(NOW + second * S) // 1_000_000 for second in range(4)]


def test_liquidations_are_single_newest_first_and_carry_their_notional():
    view = View("paper")
    singles = (Liquidation(1, Side.BUY, "64000.5", "0.5"), Liquidation(2, Side.SELL, "64001", "1"))
    view.on_message(Liquidations(ts_event=2, ts_recv=2, symbol="BTCUSDT", liquidations=singles), NOW)
    newest, oldest = view.liquidations()
    assert (newest["side"], oldest["notional"]) == ("Sell", "32000.25")


def test_why_counts_the_verdicts_of_the_last_minutes_only():
    view = View("paper")
    view.on_message(decision(Verdict.NO_EDGE), NOW - 5 * MINUTE_NS)
    for number in range(3):
        view.on_message(decision(Verdict.NO_EDGE, number=number), NOW - MINUTE_NS)
    view.on_message(decision(Verdict.DENIED, "order_router", 9), NOW)
    shown = view.why(NOW, 5)
    assert [(each["verdict"], each["count"]) for each in shown["counts"]] == [("no_edge", 3), ("denied", 1)]
    assert shown["last"][0]["subject"] == "d9"
    assert sum(each["count"] for each in view.why(NOW, 6)["counts"]) == 5


def test_commands_are_understood_as_the_router_understands_them():
    view = View("paper")
    for verb, state, paused in (
        (Verb.PAUSE, "ACTIVE", True),
        (Verb.RESUME, "ACTIVE", False),
        (Verb.REDUCE, "REDUCING", False),
        (Verb.FLATTEN, "REDUCING", True),
        (Verb.RESUME, "ACTIVE", False),
        (Verb.HALT, "HALTED", False),
        (Verb.REDUCE, "HALTED", False),
        (Verb.RESUME, "HALTED", False),
        (Verb.PROMOTE, "HALTED", False),
        (Verb.REARM, "ACTIVE", False),
    ):
        view.on_message(command(verb), NOW)
        assert (view.status(NOW)["state"], view.is_paused) == (state, paused), verb


def test_the_view_is_bounded_and_json_all_through():
    view = View("paper")
    for number in range(KEPT + 50):
        view.on_message(execution(f"e{number}"), NOW)
        view.on_message(order(f"o{number}"), NOW)
        view.on_message(decision(Verdict.NO_EDGE, number=number), NOW)
    view.on_message(
        Signal(
            ts_event=NOW,
            ts_recv=NOW,
            signal_id="s",
            symbol="BTCUSDT",
            source="model_server",
            side=Side.BUY,
            mid=D(100),
            delta_bps=1.0,
            hold_ns=1,
            rest_ns=1,
            valid_until_ns=1,
            expected_bps=1.0,
            drawn_bps=1.0,
            fill_probability=0.5,
            size_hint=1.0,
            model_hash="m",
        ),
        NOW,
    )
    view.on_health({"venue": Health(ready=False, reason="away"), "admin": Health(ready=True, reason="")}, NOW)
    view.on_message(account(), NOW)
    view.on_market("recorded")
    page = json.loads(json.dumps(view.page(NOW)))
    assert page["status"]["services"] == {"venue": "away", "admin": "ready"}
    assert page["status"]["market"] == "recorded"
    assert len(view.executions()) == len(view.open_orders()) == KEPT
    assert view.signals()[0]["mid"] == "100"
