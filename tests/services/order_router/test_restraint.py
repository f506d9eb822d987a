from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.order_router.core import RouterCore
from tests.services.order_router.rig import (
    BREAKER,
    INSTRUMENT,
    LIMITS,
    MARK,
    MS,
    SECOND,
    SIZING,
    START,
    WALLET,
    ZERO,
    Rig,
    Script,
    permit,
    signal,
)
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.decision import Verdict
from undertow.contracts.messages.trading import Account, PositionView
from undertow.domain.order import GUARDIAN_PREFIX, OrderRole, Side
from undertow.domain.state import TradingState
from undertow.exchange.models import VenueExecution
from undertow.trading.effects import Anomaly, Decide, Refresh, Send
from undertow.trading.keeper import Accepted, Refused
from undertow.trading.orders import order_id_for
from undertow.trading.records import CommandTaken, Tripped

ENTRY = order_id_for("s1", OrderRole.ENTRY)


def booted(script: Script | None = None) -> Rig:
    rig = Rig(script)
    rig.boot()
    rig.step()
    return rig


def asked(rig: Rig, signal_id: str = "x", **changes) -> Decide:
    """Ask for an entry on the rig's core; give what was decided. What it decided is not performed."""
    [decide] = [
        effect
        for effect in rig.core.on_signal(signal(rig.now, signal_id=signal_id, **changes), rig.now)
        if isinstance(effect, Decide)
    ]
    return decide


def account(now_ns: int, **changes) -> Account:
    base = Account(
        ts_event=now_ns, ts_recv=now_ns, equity=Decimal(100_000), wallet=Decimal(100_000), available=Decimal(100_000),
        realised=ZERO, unrealised=ZERO, fees=ZERO, funding=ZERO, drawdown=ZERO, positions=(), position_residual=ZERO,
        money_residual=ZERO, reconciled_ns=now_ns, state=TradingState.ACTIVE,
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def command(verb: Verb, number: int = 1, **changes) -> Command:
    base = Command(ts_event=START, ts_recv=START, command_id=f"c{number}", verb=verb, who="me", why="test")
    return msgspec.structs.replace(base, **changes)


def kinds(rig: Rig) -> list[str]:
    return [anomaly.kind for anomaly in rig.anomalies]


# what is not ours


def test_a_foreign_order_stops_entries_until_it_is_gone():
    rig = booted()
    rig.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    rig.step()
    assert rig.core.state is TradingState.REDUCING
    decide = asked(rig, "a")
    assert decide.verdict is Verdict.PAUSED
    assert "order hand-1: Buy 0.1 BTCUSDT at 49990" in decide.numbers["reason"]
    assert kinds(rig) == ["foreign_order"]
    rig.venue.cancel("hand-1")
    rig.step()
    assert rig.core.state is TradingState.ACTIVE
    assert asked(rig, "b").verdict is Verdict.SUBMITTED


def test_a_foreign_order_whose_end_was_missed_is_gone_after_the_next_recovery():
    rig = booted()
    rig.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    rig.step()
    rig.venue.cancel("hand-1")
    rig.venue.outbox.clear()
    rig.step()
    assert rig.core.state is TradingState.REDUCING
    rig.do(rig.core.on_feed_up(rig.now))
    rig.run(0.2)
    assert rig.core.state is TradingState.ACTIVE


def test_a_foreign_position_stops_entries_once_the_venue_says_so_again_and_until_it_is_gone():
    rig = booted()
    rig.venue.qty = Decimal("0.3")
    rig.venue.outbox.append(rig.venue.position())
    rig.run(1.5)
    assert rig.core.state is TradingState.ACTIVE
    assert not any(isinstance(effect, Refresh) for effect in rig.effects)
    rig.run(1)
    assert rig.core.state is TradingState.REDUCING
    assert "position BTCUSDT +0.3" in asked(rig).numbers["reason"]
    assert kinds(rig) == ["foreign_position"]
    rig.run(30)
    assert kinds(rig) == ["foreign_position"]
    rig.venue.qty = ZERO  # and the stream does not say so
    rig.run(6)
    assert rig.core.state is TradingState.ACTIVE


def test_a_position_that_is_told_before_its_fill_is_not_foreign():
    rig = booted(Script(backwards=True, each_step=_fill))
    rig.signal(signal(rig.now, hold_ns=SECOND))
    rig.run(6)
    assert rig.core.state is TradingState.ACTIVE
    assert rig.venue.qty == 0
    assert "foreign_position" not in kinds(rig)


def _fill(rig: Rig) -> None:
    entry = rig.venue.find(ENTRY)
    if entry and not entry.status.is_terminal:
        rig.venue.fill(entry.venue_order_id, entry.qty, entry.price)


def test_at_start_foreign_orders_and_positions_are_named_and_ours_are_not():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.step()
    rig.venue.place_by_hand(Side.SELL, Decimal("0.2"))
    rig.venue.place_by_hand(Side.SELL, Decimal("0.2"), link=f"{GUARDIAN_PREFIX}1")
    position = replace(rig.venue.position(), symbol="ETHUSDT", qty=Decimal(-3), entry_price=Decimal(2_000))
    found = rig.core.strangers(rig.venue.open_orders(), [position], [])
    assert found == ["order hand-1: Sell 0.2 BTCUSDT at 49990", "position ETHUSDT -3 at 2000"]
    own = replace(rig.venue.position(), qty=Decimal("0.133"))
    assert rig.core.strangers([], [own], []) == []


def test_at_start_a_position_that_our_unbooked_fills_explain_is_ours():
    rig = booted()
    rig.signal(signal(rig.now))
    rig.run(8)  # it was cancelled, its trade is over
    assert rig.core.desk.live_trades() == ()
    fill = _execution("late", order_id=ENTRY)
    position = replace(rig.venue.position(), qty=Decimal("0.1"))
    assert rig.core.strangers([], [position], [fill]) == []
    assert rig.core.strangers([], [position], [replace(fill, order_id="hand-1")]) == ["position BTCUSDT +0.1 at 49990"]


def test_a_compaction_does_not_make_a_foreign_order_ours():
    rig = booted()
    rig.venue.place_by_hand(Side.BUY, Decimal("0.1"))
    rig.step()
    compact = rig.core.compacted(rig.records(), rig.now)
    rig.core = rig.new_core()
    for record in compact:
        rig.core.replay(record)
    assert rig.core.strangers(rig.venue.open_orders(), [], []) == ["order hand-1: Buy 0.1 BTCUSDT at 49990"]
    rig.do(rig.core.on_order(rig.venue.find("hand-1"), rig.now))
    assert not rig.venue.find("hand-1").status.is_terminal


# the circuit breaker


def _execution(exec_id: str, **changes) -> VenueExecution:
    base = VenueExecution(
        exec_id=exec_id, order_id="hand-1", venue_order_id="v99", symbol="BTCUSDT", side=Side.BUY, exec_type="Trade",
        price=Decimal(50_000), qty=Decimal("0.1"), fee=ZERO, fee_coin="USDT", is_maker=False, executed_ns=START,
    )  # fmt: skip
    return replace(base, **changes)


def test_a_fill_that_is_not_ours_stops_entries_until_a_person_resumes_also_after_a_restart():
    rig = booted()
    rig.do(rig.core.on_execution(_execution("x-1"), rig.now))
    assert "a fill that is not ours: Buy 0.1 BTCUSDT at 50000, order hand-1" in asked(rig, "a").numbers["reason"]
    assert "breaker_foreign_fill" in kinds(rig)
    assert [decide.verdict for decide in rig.decided] == [Verdict.TRIPPED]
    rig.restart()
    rig.run(0.2)
    assert rig.core.state is TradingState.REDUCING
    compact = rig.core.compacted(rig.records(), rig.now)
    assert sum(isinstance(record, Tripped) for record in compact) == 1
    rig.do(rig.core.on_command(command(Verb.RESUME), rig.now))
    assert rig.core.state is TradingState.ACTIVE
    rig.restart()
    rig.run(0.2)
    assert rig.core.state is TradingState.ACTIVE


@pytest.mark.parametrize(
    "changes",
    [{"order_id": f"{GUARDIAN_PREFIX}1"}, {"exec_type": "BustTrade", "order_id": ""}, {"exec_type": "Funding"}],
)
def test_what_the_guardian_or_the_venue_does_trips_nothing(changes):
    rig = booted()
    rig.do(rig.core.on_execution(_execution("x-1", **changes), rig.now))
    assert rig.core.state is TradingState.ACTIVE


def test_entries_refused_by_the_venue_in_a_row_pause_the_entries_and_refused_exits_do_not():
    rig = booted()
    for number in range(3):
        assert rig.core.state is TradingState.ACTIVE
        wish = signal(rig.now, signal_id=f"r{number}")
        rig.core.on_signal(wish, rig.now)
        order_id = order_id_for(wish.signal_id, OrderRole.ENTRY)
        rig.do(rig.core.on_answer(order_id, Refused(110007, "not enough"), rig.now))
    assert rig.core.state is TradingState.REDUCING
    assert "3 entries refused" in asked(rig).numbers["reason"]
    rig.run(61)
    assert rig.core.state is TradingState.ACTIVE


def test_a_mark_that_jumps_pauses_the_entries():
    rig = booted()
    rig.do(rig.core.on_mark("BTCUSDT", Decimal(51_501), rig.now + 1, rig.now))
    assert rig.core.state is TradingState.REDUCING
    assert "breaker_price_jump" in kinds(rig)


def test_residuals_that_stay_pause_the_entries():
    rig = booted()
    for number in range(3):
        at = rig.now + number * SECOND
        rig.do(rig.core.on_account(account(at, position_residual=Decimal(1), reconciled_ns=at), rig.now))
    assert "3 comparisons in a row found residuals" in asked(rig).numbers["reason"]


# money


def test_a_drawdown_of_five_per_cent_warns_once_and_reduces_where_that_is_set():
    rig = booted()
    for drawdown in ("0.0499", "0.05", "0.06", "0.04", "0.05"):
        rig.do(rig.core.on_account(account(rig.now, drawdown=Decimal(drawdown)), rig.now))
    assert kinds(rig) == ["drawdown_warning"] * 2
    assert rig.core.state is TradingState.ACTIVE
    rig.core.restraint.limits = replace(LIMITS, reduces_at_warning=True)
    assert rig.core.state is TradingState.REDUCING
    assert "drawdown 0.05, warned from 0.05" in asked(rig).numbers["reason"]


def test_losses_in_a_row_pause_the_entries_also_after_a_compaction():
    def lose(rig: Rig) -> None:
        for order in rig.venue.open_orders():
            if not order.is_conditional and not order.reduce_only:
                rig.venue.fill(order.venue_order_id, order.qty, order.price)

    rig = booted(Script(lose))
    rig.venue.price = Decimal(49_900)
    for number in range(5):
        rig.signal(signal(rig.now, signal_id=f"l{number}", hold_ns=100 * MS))
        rig.run(2)
    assert kinds(rig) == ["losses_in_row"]
    assert "left of the pause" in asked(rig).numbers["reason"]
    compact = rig.core.compacted(rig.records(), rig.now)
    fresh = rig.new_core()
    for record in compact:
        fresh.replay(record)
    assert fresh.restraint._caps.cooling_until_ns == rig.core.restraint._caps.cooling_until_ns > rig.now


def test_a_position_near_its_liquidation_by_the_venues_word_stops_entries():
    rig = booted()
    near = PositionView(
        "ETHUSDT", Decimal(1), Decimal(100), Decimal(100), ZERO, ZERO, ZERO, ZERO, Decimal("80.1"), ZERO
    )  # fmt: skip
    rig.core.on_account(account(rig.now, positions=(near,)), rig.now)
    assert asked(rig).numbers["check"] == "liquidation_is_far"


def test_a_volatile_market_makes_the_entry_smaller():
    def qty_after(move: str) -> Decimal:
        rig = booted()
        minute = 60 * SECOND
        rig.now += minute - rig.now % minute
        for number in range(33):
            rig.now += minute
            rig.core.on_mark("BTCUSDT", MARK * (1 + Decimal(move) * (number % 2)), rig.now, rig.now)
        rig.core.on_wallet(WALLET, rig.now)
        rig.core.on_permit(permit(rig.now), rig.now)
        return Decimal(asked(rig, hold_ns=4 * minute).numbers["qty"])

    assert qty_after("0.005") < qty_after("0") / 2  # 50 bps a minute, 100 over the time, times 3


def test_free_margin_that_is_older_than_a_fill_does_not_count_twice():
    # a margin that was free before the fills is not free for the next entry
    sizing = replace(SIZING, leverage=Decimal(1), risk_per_trade=Decimal("0.05"), gross_fraction=Decimal(5))
    sizing = replace(sizing, symbol_fraction=Decimal("0.1"), correlated_fraction=Decimal(5))
    limits = replace(LIMITS, max_gross_fraction=Decimal(5), max_correlated_fraction=Decimal(5))
    limits = replace(limits, min_liquidation_buffer=Decimal(-1), max_open_orders=99, max_orders_per_second=99)
    core = RouterCore("boot", limits, sizing, BREAKER)
    core.on_feed_up(START)
    core.on_recovered([], [], [], WALLET, START)
    core.on_permit(permit(START), START)
    accepted = ZERO
    for number in range(20):
        symbol = f"S{number}USDT"
        core.on_instrument(replace(INSTRUMENT, symbol=symbol), START)
        core.on_mark(symbol, MARK, START, START)
        accepted += _accepted_and_filled(core, symbol, START)
    assert Decimal(79_000) < accepted <= Decimal(80_000)


@pytest.mark.parametrize(("compared_after_s", "bound"), [(-1, "margin"), (10, "margin"), (11, "risk")])
def test_a_fill_counts_against_free_margin_until_a_comparison_well_after_it(compared_after_s, bound):
    rig = booted(Script(_fill))
    rig.core.on_instrument(replace(INSTRUMENT, symbol="ETHUSDT"), rig.now)
    rig.signal(signal(rig.now, hold_ns=60 * SECOND))
    rig.run(1)
    filled_ns = rig.core.desk.orders[ENTRY].updated_ns
    rig.core.on_mark("ETHUSDT", MARK, rig.now, rig.now)
    # 1,000 · 0.8 · leverage 10 is 8,000 of notional, of which the fill of 6,650 has taken its part or not
    fact = account(rig.now, available=Decimal(1_000), reconciled_ns=filled_ns + compared_after_s * SECOND - 1)
    rig.core.on_account(fact, rig.now)
    assert asked(rig, symbol="ETHUSDT").numbers["bound"] == bound


def _accepted_and_filled(core: RouterCore, symbol: str, now_ns: int) -> Decimal:
    effects = core.on_signal(signal(now_ns, signal_id=symbol, symbol=symbol), now_ns)
    requests = [effect.request for effect in effects if isinstance(effect, Send)]
    for request in requests:
        core.on_answer(request.order_id, Accepted("v" + symbol), now_ns)
        fill = _execution("x" + symbol, order_id=request.order_id, venue_order_id="v" + symbol, symbol=symbol)
        core.on_execution(replace(fill, qty=request.qty, price=request.price, executed_ns=now_ns), now_ns)
    return sum((request.qty * MARK for request in requests), ZERO)


SYMBOLS = [f"S{number}USDT" for number in range(6)]
STEPS = st.one_of(
    st.tuples(st.just("signal"), st.sampled_from(SYMBOLS), st.sampled_from(Side)),
    st.tuples(st.just("fill"), st.sampled_from(SYMBOLS), st.sampled_from(["0.5", "1"])),
    st.tuples(st.just("trade"), st.sampled_from(SYMBOLS), st.sampled_from(Side)),  # a signal, and its whole fill
    st.tuples(st.just("mark"), st.sampled_from(SYMBOLS), st.integers(49_600, 50_400)),
    st.tuples(st.just("account"), st.integers(0, 25), st.just(0)),
)


@example(
    [*(("trade", symbol, Side.BUY) for symbol in SYMBOLS[:3]), ("account", 0, 0), ("signal", SYMBOLS[3], Side.BUY)]
)
@given(st.lists(STEPS, max_size=40))
def test_accepted_exposure_and_margin_stay_under_every_limit_however_late_the_account_is(steps):
    sizing = replace(SIZING, leverage=Decimal(1), risk_per_trade=Decimal("0.05"), gross_fraction=Decimal("0.4"))
    limits = replace(LIMITS, max_orders_per_second=99, min_liquidation_buffer=Decimal("0.05"), account_lag_ns=0)
    sizing = replace(sizing, margin_fraction=Decimal("0.3"), correlated_fraction=Decimal(5))
    limits = replace(limits, max_margin_fraction=Decimal("0.3"), max_correlated_fraction=Decimal(5))
    core, now = RouterCore("boot", limits, sizing, BREAKER), START
    core.on_feed_up(now)
    core.on_recovered([], [], [], WALLET, now)
    for symbol in SYMBOLS:
        core.on_instrument(replace(INSTRUMENT, symbol=symbol), now)
    marks = dict.fromkeys(SYMBOLS, MARK)
    fills = 0
    for kind, what, how in [
        one
        for step in steps
        for one in ([("signal", *step[1:]), ("fill", step[1], "1")] if step[0] == "trade" else [step])
    ]:
        now += 200 * MS
        core.on_permit(permit(now), now)
        match kind:
            case "signal":
                for symbol in SYMBOLS:
                    core.on_mark(symbol, marks[symbol], now, now)
                effects = core.on_signal(signal(now, signal_id=f"{what}{now}", symbol=what, side=how), now)
                if any(isinstance(effect, Send) for effect in effects):
                    _check_limits(core, what, marks, limits)
            case "fill":
                entries = [
                    o for o in core.desk.working_orders() if o.role is OrderRole.ENTRY and o.request.symbol == what
                ]
                for order in entries:
                    fills += 1
                    qty = INSTRUMENT.round_qty(order.open_qty * Decimal(how)) or order.open_qty
                    fact = _execution(f"f{fills}", order_id=order.order_id, symbol=what, side=order.request.side)
                    core.on_execution(replace(fact, qty=qty, price=order.request.price, executed_ns=now), now)
            case "mark":
                marks[what] = Decimal(how)
            case "account":  # as it was so many seconds ago: nothing filled, all free
                core.on_account(account(now - what * SECOND), now)


def _check_limits(core: RouterCore, symbol: str, marks: dict[str, Decimal], limits) -> None:
    equity, gross = Decimal(100_000), core.desk.exposure(marks=marks)
    assert gross <= equity * limits.max_gross_fraction
    assert gross <= equity * limits.max_margin_fraction  # the leverage is 1
    at_mark = sum(
        (abs(core.desk.held_qty(t)) + core.desk.orders[t.entry_id].open_qty) * marks[symbol]
        for t in core.desk.live_trades()
        if t.plan.symbol == symbol
    )
    assert at_mark <= equity * limits.max_symbol_fraction


# limits that change


def limit(name: str, value: str, number: int = 1) -> Command:
    return command(Verb.LIMIT, number, limit=name, value=value)


def test_a_limit_is_changed_audited_and_survives_restarts_and_compaction():
    rig = booted()
    rig.do(rig.core.on_command(limit("symbol_fraction", "0.01"), rig.now))
    [decide] = rig.decided
    assert decide.verdict is Verdict.LIMIT_CHANGED
    assert decide.numbers == {"value": "0.01", "who": "me", "why": "test", "settings": "0.1"}
    for _ in range(2):
        assert rig.core.restraint.limits.max_symbol_fraction == Decimal("0.01")
        assert Decimal(asked(rig, f"a{rig.crashes}").numbers["symbol_exposure"]) <= 1_000
        assert rig.core.on_command(limit("symbol_fraction", "0.01"), rig.now) == []
        rig.restart()
        rig.run(0.2)
    compact = rig.core.compacted(rig.records(), rig.now)
    fresh = rig.new_core()
    for record in compact:
        fresh.replay(record)
    assert fresh.picture(rig.now)["limits"]["symbol_fraction"] == "0.01"
    assert fresh.picture(rig.now)["limits_changed"] == {"symbol_fraction": "me"}


def test_a_changed_limit_outlives_a_thousand_other_commands():
    rig = booted()
    rig.do(rig.core.on_command(limit("max_open_orders", "3"), rig.now))
    for number in range(2, 1_003):
        rig.core.on_command(command(Verb.RESUME, number), rig.now)
    compact = rig.core.compacted([], rig.now)
    assert [record.limit for record in compact if isinstance(record, CommandTaken) and record.limit] == [
        "max_open_orders"
    ]


def test_a_limit_that_cannot_be_is_refused_audited_once_and_changes_nothing():
    rig = booted()
    wish = limit("symbol_fraction", "0.5")
    [decide] = rig.core.on_command(wish, rig.now)
    assert decide.verdict is Verdict.LIMIT_REFUSED
    assert "0.5 is outside its range" in decide.numbers["reason"]
    assert rig.core.on_command(wish, rig.now) == []
    assert rig.core.restraint.limits is LIMITS
    assert not any(isinstance(record, CommandTaken) for record in rig.records())


def test_settings_edited_after_a_change_hold_and_it_is_told():
    rig = booted()
    rig.do(rig.core.on_command(limit("max_open_orders", "3"), rig.now))
    edited = RouterCore("boot", replace(LIMITS, max_open_orders=8), SIZING, BREAKER)
    for record in rig.records():
        edited.replay(record)
    assert edited.restraint.limits.max_open_orders == 8
    edited.on_feed_up(rig.now)
    told = [e for e in edited.on_recovered([], [], [], WALLET, rig.now) if isinstance(e, Anomaly)]
    assert [(each.kind, each.detail) for each in told] == [
        ("limit_not_restored", "the settings of max_open_orders were edited since me changed it to 3")
    ]
    edited.on_feed_up(rig.now)
    assert not any(isinstance(e, Anomaly) for e in edited.on_recovered([], [], [], WALLET, rig.now))


def test_the_hard_cap_holds_whatever_the_equity_and_the_limits():
    core = RouterCore(
        "boot", replace(LIMITS, hard_notional=Decimal(250)), replace(SIZING, hard_notional=Decimal(250)), BREAKER
    )
    rig = booted()
    rig.core = core
    core.on_instrument(INSTRUMENT, rig.now)
    core.on_mark("BTCUSDT", MARK, rig.now, rig.now)
    core.on_feed_up(rig.now)
    core.on_recovered([], [], [], WALLET, rig.now)
    core.on_permit(permit(rig.now), rig.now)
    decide = asked(rig)
    assert decide.numbers["bound"] == "hard cap"
    assert Decimal(decide.numbers["gross_exposure"]) <= 250
    [refused] = core.on_command(limit("hard_notional", "9999"), rig.now)
    assert refused.verdict is Verdict.LIMIT_REFUSED


def test_an_account_that_is_older_than_the_last_changes_nothing():
    rig = booted()
    rig.core.on_account(account(rig.now + SECOND, equity=Decimal(7)), rig.now)
    rig.core.on_account(account(rig.now, equity=Decimal(9)), rig.now)
    assert rig.core.restraint.equity == 7
