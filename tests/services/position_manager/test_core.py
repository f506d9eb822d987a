from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.position_manager.core import (
    Kill,
    Limits,
    PositionManagerCore,
    Publish,
    Remember,
    Tell,
    VenueView,
    opened,
)
from tests.services.position_manager.facts import (
    T0,
    D,
    S,
    execution,
    order,
    position,
    row,
    venue_execution,
    wallet,
)
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.market import Ticker
from undertow.domain.order import OrderStatus, Side
from undertow.domain.state import TradingState


def memory(view=None, executions=()):
    return opened("USDT", view or VenueView([], wallet(), [], 0), executions, floor_ns=T0 - 60 * S, now_ns=T0)


def core(**limits):
    return PositionManagerCore(memory(), Limits(**limits))


def mark(core_, price, symbol="BTCUSDT"):
    core_.on_ticker(
        Ticker(
            ts_event=T0,
            ts_recv=T0,
            symbol=symbol,
            last_price="",
            mark_price=price,
            index_price="",
            open_interest="",
            funding_rate="",
            next_funding_ns=0,
        )
    )


def of(kind, effects):
    return [effect for effect in effects if isinstance(effect, kind)]


def compare(core_, positions=(), money="10000", rows=(), at=T0):
    return core_.on_view(VenueView(list(positions), wallet(money), list(rows), core_.revision), at)


def command(verb):
    return Command(ts_event=T0, ts_recv=T0, command_id="c", verb=verb, who="anna", why="ok")


def test_a_fill_is_remembered_before_it_is_published_and_its_repetition_does_nothing():
    books = core()
    effects = books.on_execution(execution(), T0)
    assert [type(effect) for effect in effects] == [Remember, Publish]
    assert effects[0].memory.books.booked_executions == ("e1",)
    assert effects[1].account.wallet == D("9999.98")
    assert books.on_execution(execution(), T0) == []


def test_equity_follows_the_mark_and_the_account_names_the_position():
    books = core()
    books.on_execution(execution(qty="2"), T0)
    mark(books, "103.5")
    account = books.account(T0)
    assert (account.unrealised, account.equity) == (D(7), D("10006.98"))
    (view,) = account.positions
    assert (view.qty, view.entry_price, view.mark_price, view.unrealised) == (D(2), D(100), D("103.5"), D(7))
    mark(books, "")  # the venue has not said
    assert books.account(T0).unrealised == D(7)


def test_a_second_view_is_the_first_that_may_say_what_holds():
    books = core()
    assert not books.is_reconciled
    assert compare(books, [position()], "9990") == []
    assert books.is_reconciled
    assert books.residuals.position == 0
    effects = compare(books, [position()], "9990", at=T0 + S)
    (tell,) = of(Tell, effects)
    assert tell.command.verb is Verb.REDUCE
    assert "BTCUSDT -1" in tell.command.why
    assert "money +10" in tell.command.why
    account = books.account(T0)
    assert (account.position_residual, account.money_residual) == (D(1), D(10))
    assert account.state is TradingState.REDUCING
    assert tell.command.why in account.anomalies


def test_reducing_is_asked_once_until_a_person_resumes():
    books = core()
    for step in range(4):
        effects = compare(books, [position()], at=T0 + step)
        assert bool(of(Tell, effects)) is (step == 1)
    books.on_command(command(Verb.PAUSE))
    assert books.state is TradingState.REDUCING
    books.on_command(command(Verb.RESUME))
    assert books.state is TradingState.ACTIVE
    assert of(Tell, compare(books, [position()], at=T0 + 9))


def test_a_comparison_during_which_something_was_booked_does_not_count():
    books = core()
    compare(books)
    stale = VenueView([], wallet(), [], books.revision)
    books.on_execution(execution(), T0)
    assert books.on_view(stale, T0 + S) == []
    assert books.account(T0).reconciled_ns == T0
    compare(books, [position()], "9999.98", at=T0 + 2 * S)
    assert books.residuals.position == 0
    assert books.account(T0).reconciled_ns == T0 + 2 * S


def test_a_difference_that_changes_sign_or_goes_does_not_hold():
    books = core()
    compare(books, [position("1")])
    compare(books, [position("-1")])
    assert books.residuals.position == 0
    compare(books, [])
    assert books.residuals.position == 0


def test_of_a_difference_that_moves_the_common_part_holds():
    books = core()
    compare(books, [position("1")], "10005")
    compare(books, [position("3")], "10002")
    assert books.residuals.qty == {"BTCUSDT": D(-1)}
    assert books.residuals.money == D(-2)


@pytest.mark.parametrize(("difference", "speaks"), [("0.001", False), ("0.00100001", True)])
def test_money_speaks_above_its_epsilon_only(difference, speaks):
    books = core()
    for _ in range(2):
        effects = compare(books, money=str(D(10000) - D(difference)))
    assert bool(of(Tell, effects)) is speaks


def test_a_transfer_in_the_transaction_log_explains_the_money():
    books = core()
    rows = [row("1", "TRANSFER_IN", "500"), row("2", "TRADE", "-3")]
    effects = compare(books, money="10500", rows=rows)
    assert of(Remember, effects)
    assert compare(books, money="10500", rows=rows) == []
    assert books.residuals.money == 0
    assert books.account(T0).wallet == 10500


def test_deposits_and_withdrawals_never_move_drawdown():
    books = core()
    books.on_time(T0)
    compare(books, money="4000", rows=[row("1", "TRANSFER_OUT", "-6000")])
    assert not of(Kill, books.on_time(T0))
    assert books.drawdown == 0
    compare(books, money="14000", rows=[row("2", "TRANSFER_IN", "10000")])
    books.on_time(T0)
    assert books.memory().peak == 10000


def test_drawdown_warns_at_five_percent_and_kills_at_ten_again_and_again():
    books = core()
    books.on_time(T0)
    books.on_execution(execution(qty="100", price="100", fee="0"), T0)
    mark(books, "95.01")
    assert books.account(T0).anomalies == ()
    mark(books, "95")
    assert "drawdown 5.00%" in books.account(T0).anomalies[0]
    assert not of(Kill, books.on_time(T0))
    mark(books, "90")
    assert of(Kill, books.on_time(T0 + S))
    assert not of(Kill, books.on_time(T0 + 2 * S))
    assert of(Kill, books.on_time(T0 + 6 * S))
    books.on_guardian(TradingState.HALTED)
    assert not of(Kill, books.on_time(T0 + 60 * S))
    assert books.state is TradingState.HALTED


def test_a_peak_at_or_below_nothing_has_no_drawdown():
    books = PositionManagerCore(memory(VenueView([], wallet("0"), [], 0)), Limits())
    books.on_time(T0)
    books.on_execution(execution(), T0)
    assert books.drawdown == 0


@pytest.mark.parametrize("kind", ["BustTrade", "AdlTrade"])
def test_a_forced_close_is_booked_and_named(kind):
    books = core()
    books.on_execution(execution(), T0)
    books.on_execution(execution("e2", Side.SELL, exec_type=kind), T0)
    assert books.quantities == {}
    assert kind in books.account(T0).anomalies[0]


def test_fees_in_another_coin_are_named():
    books = core()
    books.on_execution(execution(fee="0.1", fee_coin="MNT"), T0)
    assert books.account(T0).wallet == 10000
    assert "0.1 MNT" in books.account(T0).anomalies[0]


def test_what_is_used_as_margin_is_not_available():
    books = core()
    assert books.account(T0).available == 10000
    books.on_view(VenueView([], wallet("10000", "9000"), [], 0), T0)
    assert books.account(T0).available == 9000


def test_orders_that_may_rest_are_known_until_they_end():
    books = core()
    books.on_order(order("a"))
    books.on_order(order("b", OrderStatus.SUBMITTED))
    books.on_order(order("a", OrderStatus.CANCELLED))
    books.on_order(order("z", OrderStatus.DENIED))
    assert books.open_order_ids == ("b",)


def test_the_opening_takes_over_positions_and_ignores_what_it_contains():
    before = execution("old", at=T0 - 1)
    ancient = execution("ancient", at=T0 - 61 * S)
    books = PositionManagerCore(
        memory(
            VenueView([position("3", "50")], wallet(), [row("1", "TRANSFER_IN", "10000")], 0), [venue_execution(before)]
        ),
        Limits(),
    )
    assert books.on_execution(before, T0) == []
    assert books.on_execution(ancient, T0) == []
    assert books.quantities == {"BTCUSDT": D(3)}
    compare(books, [position("3", "50")], rows=[row("1", "TRANSFER_IN", "10000")])
    compare(books, [position("3", "50")], rows=[row("1", "TRANSFER_IN", "10000")])
    assert (books.residuals.position, books.residuals.money) == (0, 0)


def test_a_mark_of_the_venues_position_serves_until_a_ticker_comes():
    books = core()
    books.on_execution(execution(fee="0"), T0)
    compare(books, [position(mark="101")])
    assert books.account(T0).unrealised == 1
    mark(books, "102")
    compare(books, [position(mark="101")])
    assert books.account(T0).unrealised == 2


def test_the_report_is_json_with_exact_decimal_strings():
    books = core()
    books.on_execution(execution(qty="0.003", price="64000.1", fee="0.00000001"), T0)
    books.on_time(T0)
    shown = json.loads(json.dumps(books.report(T0)))
    assert shown["wallet"] == "9999.99999999"
    assert shown["positions"][0]["qty"] == "0.003"
    assert shown["positions"][0]["symbol"] == "BTCUSDT"
    assert shown["state"] == "ACTIVE"
    assert Decimal(shown["peak"]) == Decimal(shown["equity"])


@given(
    st.lists(
        st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(1, 10_000), st.integers(0, 900)), max_size=30
    ),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_killed_anywhere_it_resumes_exactly_from_its_checkpoint(raw, cut, random):
    happened = [
        execution(f"e{n}", side, str(D(qty) / 10), str(D(price) / 10), str(D(fee) / 10**8), T0 + n * S)
        for n, (side, qty, price, fee) in enumerate(raw)
    ]
    straight = core()
    for each in happened:
        straight.on_execution(each, T0)
    first, kept = core(), memory()
    for each in happened[:cut]:
        for effect in of(Remember, first.on_execution(each, T0)):
            kept = effect.memory
    second = PositionManagerCore(kept, Limits())
    reread = [venue_execution(each) for each in happened]
    random.shuffle(reread)
    second.on_reread(sorted(reread, key=lambda each: each.executed_ns), [], T0)
    for each in happened:  # redelivered by the bus
        assert second.on_execution(each, T0) == []
    assert second.memory() == straight.memory()
