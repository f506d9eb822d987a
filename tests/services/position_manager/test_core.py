from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.position_manager.comparison import Cause, Limits, VenueView
from services.position_manager.core import Kill, Page, PositionManagerCore, Publish, Remember, Tell, opened
from tests.services.position_manager.facts import (
    T0,
    D,
    S,
    execution,
    order,
    position,
    resting,
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


def compare(core_, positions=(), money="10000", rows=(), at=T0, executions=(), orders=()):
    view = VenueView(list(positions), wallet(money), list(rows), core_.revision, executions, orders)
    return core_.on_view(view, at)


def command(verb):
    return Command(ts_event=T0, ts_recv=T0, command_id="c", verb=verb, who="anna", why="ok")


def test_a_fill_is_remembered_before_it_is_published_and_its_repetition_does_nothing():
    books = core()
    effects = books.on_execution(execution(), T0)
    assert [type(effect) for effect in effects] == [Remember, Publish]
    assert books.memory().books.booked_executions == ("e1",)
    assert effects[1].account.wallet == D("9999.98")
    assert books.on_execution(execution(), T0) == []


def test_messages_find_their_way_and_foreign_ones_do_nothing():
    books = core()
    assert books.on_message(execution(), T0)
    assert books.on_message(order("a"), T0) == []
    assert books.open_order_ids == ("a",)
    assert books.on_message(command(Verb.RESUME), T0) == []
    assert books.on_message("something else", T0) == []
    assert books.through_ns == T0


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
    assert "money +10" in tell.command.why
    account = books.account(T0)
    assert (account.position_residual, account.money_residual) == (D(1), D(10))
    assert account.state is TradingState.REDUCING
    assert tell.command.why in account.anomalies
    assert "our books minus the venue's: positions BTCUSDT -1" in account.anomalies


def test_reducing_for_money_is_asked_once_until_a_person_resumes():
    books = core()
    for step in range(4):
        effects = compare(books, money="9990", at=T0 + step)
        assert bool(of(Tell, effects)) is (step == 1)
    for _ in range(5):
        compare(books)  # the money is right again, and was wrong nevertheless
    assert books.on_command(command(Verb.PAUSE)) == []
    assert books.state is TradingState.REDUCING
    assert books.on_command(command(Verb.RESUME)) == [Remember()]
    assert books.on_command(command(Verb.RESUME)) == []
    assert books.state is TradingState.ACTIVE
    compare(books, money="9990", at=T0 + 9)
    assert of(Tell, compare(books, money="9990", at=T0 + 10))


def test_reducing_for_a_position_is_said_by_the_account_and_ends_after_three_agreeing_comparisons():
    books = core()
    compare(books, [position()])
    effects = compare(books, [position()])
    assert not of(Tell, effects)
    assert of(Publish, effects)[0].account.state is TradingState.REDUCING
    compare(books)
    compare(books)
    compare(books, [position()])  # the count starts anew
    for _ in range(2):
        assert compare(books) == []
    assert books.state is TradingState.REDUCING
    effects = compare(books)
    assert of(Publish, effects)[0].account.state is TradingState.ACTIVE
    assert compare(books) == []


def test_a_wish_to_reduce_survives_a_restart():
    books = core()
    for _ in range(2):
        compare(books, [position()], "9990")
    again = PositionManagerCore(books.memory(), Limits())
    assert again.state is TradingState.REDUCING
    assert set(again.report(T0)["reducing"]) == {Cause.POSITIONS, Cause.MONEY}
    for _ in range(3):
        compare(again)
    assert set(again.report(T0)["reducing"]) == {Cause.MONEY}


@pytest.mark.parametrize("late_s", [5, 29])
def test_a_fill_that_reaches_the_books_late_accuses_nobody(late_s):
    books, fill = core(), execution(fee="0.5", at=T0)
    missing = venue_execution(fill)
    for second in range(0, late_s, 2):
        assert compare(books, [position()], "9999.5", at=T0 + second * S, executions=[missing]) == []
        assert (books.residuals.position, books.residuals.money, books.on_way) == (0, 0, 1)
    assert "on their way" in books.account(T0).anomalies[-1]
    assert books.state is TradingState.ACTIVE
    newer = execution("newer", Side.SELL, fee="0", at=T0 + S, symbol="ETHUSDT")
    books.on_execution(newer, T0 + S)
    assert books.missing_since_ns == T0  # however far the books are
    books.on_execution(fill, T0 + late_s * S)
    books.on_execution(execution("back", fee="0", at=T0 + S, symbol="ETHUSDT"), T0 + S)
    for _ in range(3):
        compare(books, [position()], "9999.5", at=T0 + 60 * S, executions=[missing])
    assert (books.residuals.position, books.on_way, books.account(T0).anomalies) == (0, 0, ())


def test_fills_that_fall_between_the_venues_answers_accuse_nobody_while_the_router_is_away():
    books, missing = core(), []
    compare(books)
    for number in range(5):  # each is in the list of executions already, and not yet in the wallet that was read before
        missing.append(venue_execution(execution(f"e{number}", fee="1", at=T0 + number * S)))
        compare(
            books,
            [position(str(number))] if number else [],
            str(10_000 - number),
            executions=missing,
            at=T0 + number * S,
        )
    assert books.state is TradingState.ACTIVE
    assert books.residuals.money == 0
    for _ in range(2):
        compare(books, [position("5")], "9995", executions=missing, at=T0 + 6 * S)
    assert books.state is TradingState.ACTIVE


def test_a_fill_that_never_comes_reduces_until_it_does_and_is_no_matter_of_money():
    books, fill = core(), execution(fee="0.5", at=T0)
    view = {"positions": [position()], "money": "9999.5", "executions": [venue_execution(fill)]}
    assert compare(books, **view, at=T0 + 30 * S) == []
    effects = compare(books, **view, at=T0 + 30 * S + 1)
    assert not of(Tell, effects)
    assert "1 executions have not reached the books, the oldest for 30 s" in of(Publish, effects)[0].account.anomalies
    books.on_execution(fill, T0 + 40 * S)
    for step in range(3):
        assert books.state is TradingState.REDUCING
        compare(books, **view, at=T0 + 41 * S + step)
    assert books.state is TradingState.ACTIVE


def test_a_real_error_beside_a_fill_on_its_way_is_found_all_the_same():
    books, fill = core(), execution(fee="0.5", at=T0)
    for _ in range(2):
        effects = compare(books, [position("1.001")], "9999.49", at=T0 + S, executions=[venue_execution(fill)])
    assert books.residuals.qty == {"BTCUSDT": D("-0.001")}
    assert books.residuals.money == D("0.01")
    assert of(Tell, effects)


def test_one_lot_or_one_cent_is_found_in_one_cycle_of_two_comparisons():
    for money, held in (("9999.99", []), ("10000.01", []), ("10000", [position("0.001")])):
        books = core()
        compare(books)
        assert not books.suspects
        compare(books, held, money)
        assert books.suspects  # the second follows at once
        assert books.state is TradingState.ACTIVE
        compare(books, held, money)
        assert books.state is TradingState.REDUCING


def test_what_lies_before_the_opening_is_not_on_its_way():
    books = core()
    ancient = venue_execution(execution("ancient", at=T0 - 61 * S))
    compare(books, executions=[ancient])
    assert books.on_way == 0


def test_resting_orders_that_one_side_alone_knows_are_said_when_they_are_settled():
    books = core()
    books.on_order(order("ours"))
    books.on_order(order("both"))
    there = [resting("both"), resting("foreign"), resting(""), resting("young", created_ns=T0 + 31 * S)]
    stop = resting("stop", is_conditional=True)
    for at in (T0 + 30 * S, T0 + 31 * S):  # nothing is settled in the first
        compare(books, orders=[*there, stop], at=at)
        assert books.order_residual == 0
    compare(books, orders=[*there, stop], at=T0 + 32 * S)
    assert books.order_residual == 3
    assert sorted(word.split()[1] for word in books.account(T0).anomalies) == ["foreign", "ours", "v1"]
    assert books.state is TradingState.ACTIVE
    compare(books, orders=[resting("both"), resting("ours")], at=T0 + 33 * S)
    assert books.order_residual == 0


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
def test_a_forced_close_is_booked_named_and_pages_a_person(kind):
    books = core()
    books.on_execution(execution(), T0)
    effects = books.on_execution(execution("e2", Side.SELL, exec_type=kind), T0)
    assert books.quantities == {}
    assert kind in books.account(T0).anomalies[0]
    (page,) = of(Page, effects)
    assert (page.kind, "closed by the venue" in page.words) == (kind, True)


def test_a_liquidation_reduces_until_a_person_resumes_and_a_deleveraging_does_not():
    books = core()
    assert not of(Tell, books.on_execution(execution("e1", exec_type="AdlTrade"), T0))
    assert books.state is TradingState.ACTIVE
    (tell,) = of(Tell, books.on_execution(execution("e2", Side.SELL, exec_type="BustTrade"), T0))
    assert "BustTrade" in tell.command.why
    assert not of(Tell, books.on_execution(execution("e3", Side.SELL, exec_type="BustTrade"), T0))
    for _ in range(4):
        compare(books, [position("-1")], "9999.94")
    assert books.state is TradingState.REDUCING
    books.on_command(command(Verb.RESUME))
    assert books.state is TradingState.ACTIVE


def test_the_warning_reduces_where_that_is_set_once_for_each_fall_below_it():
    books = core(drawdown_reduces=True)
    books.on_time(T0)
    books.on_execution(execution(qty="100", price="100", fee="0"), T0)
    mark(books, "95.01")
    assert not of(Tell, books.on_time(T0))
    mark(books, "95")
    (tell,) = of(Tell, books.on_time(T0))
    assert "drawdown 5.00%" in tell.command.why
    assert not of(Tell, books.on_time(T0))
    books.on_command(command(Verb.RESUME))
    again = PositionManagerCore(books.memory(), Limits(drawdown_reduces=True))
    mark(again, "94")
    assert not of(Tell, again.on_time(T0))  # a person has seen it
    mark(again, "96")
    again.on_time(T0)
    mark(again, "94")
    assert of(Tell, again.on_time(T0))
    assert again.state is TradingState.REDUCING
    mark(again, "96")
    again.on_time(T0)
    mark(again, "94")
    assert not of(Tell, again.on_time(T0))  # it still reduces for the fall before


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
    written = random.randint(0, cut)  # the books are written now and then: the last fills before the end may be missing
    for number, each in enumerate(happened[:cut]):
        if number == written:
            kept = first.memory()
        first.on_execution(each, T0)
    second = PositionManagerCore(kept, Limits())
    reread = [venue_execution(each) for each in happened]
    random.shuffle(reread)
    second.on_reread(sorted(reread, key=lambda each: each.executed_ns), [], T0)
    for each in happened:  # redelivered by the bus
        assert second.on_execution(each, T0) == []
    assert second.memory() == straight.memory()
