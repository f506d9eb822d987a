from __future__ import annotations

from decimal import Decimal

import pytest

from services.guardian.core import GuardianCore
from services.guardian.press import halved
from services.guardian.rules import (
    SECOND_NS,
    Announce,
    CancelAll,
    Flatten,
    Look,
    Memory,
    OpenOrder,
    Phase,
    Remember,
    Rules,
    Transfer,
)
from undertow.contracts.messages.heartbeat import Heartbeat
from undertow.domain.order import Side
from undertow.domain.state import TradingState

D = Decimal
S = SECOND_NS
T0 = 1_000 * S
LONG = {"BTCUSDT": D("0.5")}
ENTRY = OpenOrder("BTCUSDT", "entry-1")


def core(memory=None, at=T0, **rules):
    return GuardianCore(Rules(**rules), memory or Memory(born_ns=T0), at)


def beat(boot="a", sequence=1, positions=None, orders=(), service="order_router", sent_ns=1):
    return Heartbeat(
        service=service,
        boot_id=boot,
        sequence=sequence,
        sent_ns=sent_ns,
        state=TradingState.ACTIVE,
        open_order_ids=tuple(orders),
        positions=positions or {},
    )


def look(at, positions=None, orders=(), equity=None, transfers=()):
    return Look(
        started_ns=at,
        positions=positions or {},
        orders=tuple(orders),
        equity=None if equity is None else D(equity),
        transfers=transfers if equity is not None else None,
    )


def of(kind, effects):
    return [effect for effect in effects if isinstance(effect, kind)]


def halted(guardian, at):
    """Halt and let it see flat twice."""
    guardian.on_kill("test", "drill", at)
    guardian.on_look(look(at + 1), at + 1)
    guardian.on_look(look(at + 2), at + 2)
    assert guardian.phase is Phase.HALTED
    return guardian


# permits


def test_a_router_gets_a_permit_of_two_seconds_once_the_venue_was_seen():
    guardian = core()
    blind = guardian.on_heartbeat(beat(), T0)
    assert not blind.entries_permitted
    assert "look" in blind.reason
    guardian.on_look(look(T0), T0)
    permit = guardian.on_heartbeat(beat(sequence=2), T0)
    assert permit.entries_permitted
    assert (permit.state, permit.boot_id, permit.valid_until_ns) == (TradingState.ACTIVE, "a", T0 + 2 * S)


def test_an_old_look_at_the_venue_withdraws_permits_and_does_not_halt():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    assert guardian.on_heartbeat(beat(positions=LONG), T0 + 5 * S).entries_permitted
    assert not guardian.on_heartbeat(beat(positions=LONG), T0 + 5 * S + 1).entries_permitted
    assert guardian.phase is Phase.ACTIVE


def test_the_position_manager_is_told_the_state_and_never_may_enter():
    guardian = core()
    guardian.on_look(look(T0), T0)
    permit = guardian.on_heartbeat(beat(service="position_manager"), T0)
    assert permit.state is TradingState.ACTIVE
    assert not permit.entries_permitted
    assert guardian.on_heartbeat(beat(), T0).entries_permitted


def test_a_second_router_waits_until_the_first_was_silent_for_two_permit_lives():
    guardian = core()
    guardian.on_look(look(T0), T0)
    assert guardian.on_heartbeat(beat("a"), T0).entries_permitted
    refused = guardian.on_heartbeat(beat("b"), T0 + 4 * S)
    assert not refused.entries_permitted
    assert "another router" in refused.reason
    guardian.on_look(look(T0 + 4 * S), T0 + 4 * S)
    assert guardian.on_heartbeat(beat("b"), T0 + 4 * S + 1).entries_permitted
    assert not guardian.on_heartbeat(beat("a"), T0 + 4 * S + 2).entries_permitted


def test_an_older_heartbeat_that_comes_late_changes_no_belief():
    guardian = core()
    guardian.on_look(look(T0), T0)
    guardian.on_heartbeat(beat(sequence=2, positions=LONG), T0)
    assert guardian.on_heartbeat(beat(sequence=1), T0).entries_permitted
    guardian.on_look(look(T0 + 1, LONG), T0 + 1)
    assert guardian.report(T0 + 1)["disagreement_ns"] == 0


def test_nobody_enters_while_reducing_or_halted():
    guardian = halted(core(), T0)
    permit = guardian.on_heartbeat(beat(), T0 + 3)
    assert permit.state is TradingState.HALTED
    assert not permit.entries_permitted
    assert permit.reason == "test: drill"


# commands


def test_a_kill_remembers_then_cancels_then_closes_each_position():
    guardian = core()
    guardian.on_look(look(T0, {"BTCUSDT": D("0.5"), "ETHUSDT": D("-2")}, [ENTRY]), T0)
    effects = guardian.on_kill("anna", "news", T0 + 1)
    assert isinstance(effects[0], Remember)
    assert effects[0].memory.reason == "anna: news"
    assert effects[1] == Announce(Phase.HALTING, "anna: news")
    assert effects[2] == CancelAll((ENTRY,), stops_too=False)
    assert of(Flatten, effects) == [
        Flatten(f"g-{T0:x}-1", "BTCUSDT", Side.SELL, D("0.5")),
        Flatten(f"g-{T0:x}-2", "ETHUSDT", Side.BUY, D("2")),
    ]
    last = of(Remember, effects)[-1]
    assert last.memory.orders == 2
    assert effects.index(last) < effects.index(of(Flatten, effects)[0])
    assert guardian.state is TradingState.HALTED
    assert all(len(effect.order_id) <= 36 for effect in of(Flatten, effects))


def test_a_kill_before_any_look_still_cancels_and_closes_what_the_router_believes():
    guardian = core()
    guardian.on_heartbeat(beat(positions={"BTCUSDT": D("-1"), "ETHUSDT": D(0)}), T0)
    effects = guardian.on_kill("anna", "news", T0)
    assert of(CancelAll, effects) == [CancelAll((), stops_too=False)]
    assert [(f.symbol, f.side, f.qty) for f in of(Flatten, effects)] == [("BTCUSDT", Side.BUY, D(1))]


def test_a_kill_without_any_knowledge_cancels_and_keeps_cancelling():
    guardian = core()
    assert of(CancelAll, guardian.on_kill("anna", "news", T0))
    assert guardian.on_tick(T0 + 1) == []
    assert of(CancelAll, guardian.on_tick(T0 + S)) == [CancelAll((), stops_too=False)]


def test_the_kill_file_halts_once_and_forbids_rearming_while_it_is_there():
    guardian = core()
    assert guardian.on_kill_file(T0, present=False) == []
    assert of(Announce, guardian.on_kill_file(T0, present=True)) == [Announce(Phase.HALTING, "kill file")]
    assert guardian.on_kill_file(T0 + 1, present=True) == []
    guardian.on_look(look(T0 + 2), T0 + 2)
    guardian.on_look(look(T0 + 3), T0 + 3)
    assert guardian.phase is Phase.HALTED
    answer, effects = guardian.on_rearm("anna", "ok", "", T0 + 4)
    assert "kill file" in answer.refusal
    assert effects == []
    guardian.on_kill_file(T0 + 5, present=False)
    assert guardian.on_rearm("anna", "ok", "", T0 + 6)[0].token


# flattening


def test_it_is_halted_only_after_two_flat_looks_that_began_after_the_last_action():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0 + 10)
    guardian.on_look(look(T0 + 5), T0 + 11)  # began before
    guardian.on_look(look(T0 + 12), T0 + 13)
    assert guardian.phase is Phase.HALTING
    effects = guardian.on_look(look(T0 + 14), T0 + 15)
    assert effects == [Announce(Phase.HALTED, "anna: news")]
    assert guardian.on_tick(T0 + 16) == []


def test_a_position_seen_between_two_flat_looks_starts_the_count_anew():
    guardian = core()
    guardian.on_kill("anna", "news", T0)
    guardian.on_look(look(T0 + 1), T0 + 1)
    guardian.on_look(look(T0 + 2, LONG), T0 + 2)
    guardian.on_look(look(T0 + 3), T0 + 3)
    assert guardian.phase is Phase.HALTING


def test_a_close_is_repeated_with_a_new_number_when_a_later_look_still_shows_the_position():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0)
    assert of(Flatten, guardian.on_look(look(T0 + 1, LONG), T0 + 2)) == []
    soon = T0 + 300_000_000
    again = of(Flatten, guardian.on_look(look(soon, {"BTCUSDT": D("0.2")}), soon))
    assert again == [Flatten(f"g-{T0:x}-2", "BTCUSDT", Side.SELL, D("0.2"))]


def test_without_a_new_look_a_close_is_repeated_after_a_second():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0)
    assert of(Flatten, guardian.on_tick(T0 + S - 1)) == []
    assert len(of(Flatten, guardian.on_tick(T0 + S))) == 1


def test_orders_that_still_rest_are_cancelled_again_and_no_longer_when_they_are_gone():
    guardian = core()
    guardian.on_kill("anna", "news", T0)
    later = T0 + 300_000_000
    assert of(CancelAll, guardian.on_look(look(later, orders=[ENTRY]), later)) == [CancelAll((ENTRY,), stops_too=False)]
    assert guardian.on_look(look(later + S), later + S) == []


def test_a_refusal_is_answered_after_the_time_the_venue_named_and_not_before():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0)
    named = T0 + 2 * S // 5
    guardian.on_close_lost("BTCUSDT", named)
    guardian.on_cancel_lost(named)
    assert guardian.on_tick(named - 1) == []
    effects = guardian.on_tick(named)
    assert len(of(Flatten, effects)) == len(of(CancelAll, effects)) == 1


def test_a_refused_cancel_holds_no_close_back():
    guardian = core()
    guardian.on_look(look(T0, LONG, [ENTRY]), T0)
    guardian.on_kill("anna", "news", T0)
    guardian.on_cancel_lost(T0 + 5 * S)
    effects = guardian.on_look(look(T0 + 1, LONG | {"ETHUSDT": D(1)}, [ENTRY]), T0 + 1)
    assert [close.symbol for close in of(Flatten, effects)] == ["ETHUSDT"]
    assert of(CancelAll, effects) == []


def test_the_stops_stay_at_the_venue_until_nothing_is_held_and_nothing_else_rests():
    guardian = core()
    stop = OpenOrder("BTCUSDT", "", is_conditional=True)
    guardian.on_look(look(T0, LONG, [ENTRY, stop]), T0)
    assert of(CancelAll, guardian.on_kill("anna", "news", T0)) == [CancelAll((ENTRY,), stops_too=False)]
    now = T0
    for positions, orders in ((LONG, [ENTRY, stop]), (LONG, [stop]), ({}, [ENTRY, stop])):
        now += S
        effects = guardian.on_look(look(now, positions, orders), now)
        assert not any(cancel.stops_too for cancel in of(CancelAll, effects))
    begun_before = look(now, {}, [stop])
    assert of(CancelAll, guardian.on_look(begun_before, now + 1)) == [CancelAll((stop,), stops_too=True)]
    assert of(CancelAll, guardian.on_look(look(now + 2, {}, [stop]), now + 2)) == []
    later = now + S
    assert of(CancelAll, guardian.on_look(look(later, {}, [stop]), later)) == [CancelAll((stop,), stops_too=True)]
    assert guardian.phase is Phase.HALTING
    guardian.on_look(look(later + 1), later + 1)
    guardian.on_look(look(later + 2), later + 2)
    assert guardian.phase is Phase.HALTED


def test_a_close_that_the_venue_refuses_is_halved_at_once_until_it_fits_and_the_parts_go_together():
    guardian = core()
    guardian.on_look(look(T0, {"BTCUSDT": D("-0.9")}), T0)
    (whole,) = of(Flatten, guardian.on_kill("anna", "news", T0))
    guardian.on_close_refused("BTCUSDT", whole.qty)
    parts = of(Flatten, guardian.on_tick(T0 + 1))
    assert [part.qty for part in parts] == [D("0.4"), D("0.4"), D("0.1")]
    assert {part.side for part in parts} == {Side.BUY}
    assert len({part.order_id for part in parts}) == 3
    guardian.on_close_refused("BTCUSDT", D("0.4"))
    guardian.on_close_refused("BTCUSDT", D("0.4"))  # what was sent beside it says nothing new
    assert [part.qty for part in of(Flatten, guardian.on_tick(T0 + 2))] == [
        D("0.2")
    ] * 4  # the share of a second ends here


def test_a_close_that_is_refused_at_every_size_is_tried_whole_again_and_never_given_up():
    guardian = core()
    guardian.on_look(look(T0, {"BTCUSDT": D(50_000)}), T0)
    sizes, effects = [], guardian.on_kill("anna", "news", T0)
    for step in range(1, 400):
        now = T0 + step * S // 10
        for close in of(Flatten, effects):
            sizes.append(close.qty)
            guardian.on_close_refused(close.symbol, close.qty)
        effects = guardian.on_look(look(now, {"BTCUSDT": D(50_000)}), now)
    assert sizes[:3] == [D(50_000), D(20_000), D(20_000)]
    assert sizes.count(D(50_000)) > 2
    assert min(sizes) >= D(50_000) / 256


@pytest.mark.parametrize(
    ("qty", "half"), [("12300", 6100), ("0.5", "0.2"), ("0.003", "0.001"), ("7E+2", 300), ("1000", 500)]
)
def test_half_of_a_multiple_of_a_step_is_a_multiple_of_it(qty, half):
    assert halved(D(qty)) == D(half)


def test_a_cancel_of_all_waits_for_its_share():
    guardian = core(orders_per_second=1)
    guardian.on_look(look(T0, orders=[ENTRY]), T0)
    assert of(CancelAll, guardian.on_kill("anna", "news", T0))
    for tenth in range(1, 10):
        now = T0 + tenth * S // 10
        assert guardian.on_look(look(now, orders=[ENTRY]), now) == []
    assert of(CancelAll, guardian.on_tick(T0 + S))


def test_a_second_way_and_single_cancels_come_out_of_the_same_share():
    guardian = core(orders_per_second=3)
    guardian.on_look(look(T0, {"BTCUSDT": D(1), "ETHUSDT": D(1)}), T0)
    assert len(of(Flatten, guardian.on_kill("anna", "news", T0))) == 2
    assert guardian.may_send(T0)
    assert not guardian.may_send(T0 + S - 1)
    assert guardian.may_send(T0 + S)
    assert [guardian.may_cancel(T0) for _ in range(3)] == [True, True, False]


def test_no_time_that_the_venue_names_holds_a_close_back_for_long():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0)
    guardian.on_close_lost("BTCUSDT", T0 + 3600 * S)
    effects = [effect for step in range(30) for effect in guardian.on_tick(T0 + step * S // 10)]
    assert of(Flatten, effects)


def test_a_close_that_got_lost_is_sent_again_without_waiting_for_a_look():
    guardian = core()
    guardian.on_look(look(T0, LONG), T0)
    guardian.on_kill("anna", "news", T0)
    guardian.on_close_lost("BTCUSDT", 0)
    assert of(Flatten, guardian.on_tick(T0 + 299_999_999)) == []
    assert len(of(Flatten, guardian.on_tick(T0 + 300_000_000))) == 1


def test_it_never_sends_more_than_its_share_of_orders_in_a_second():
    guardian = core(orders_per_second=3)
    many = {f"S{number}USDT": D(1) for number in range(7)}
    guardian.on_look(look(T0, many), T0)
    sent = [(T0, of(Flatten, guardian.on_kill("anna", "news", T0)))]
    for step in range(1, 40):
        now = T0 + step * S // 10
        sent.append((now, of(Flatten, guardian.on_tick(now))))
    times = [now for now, flattens in sent for _ in flattens]
    assert all(sum(start <= t < start + S for t in times) <= 3 for start in times)
    assert {f.symbol for _, flattens in sent for f in flattens} == set(many)


def test_a_position_that_appears_after_the_halt_is_closed_too():
    guardian = halted(core(), T0)
    assert guardian.on_look(look(T0 + S), T0 + S) == []
    effects = guardian.on_look(look(T0 + 2 * S, LONG), T0 + 2 * S)
    assert guardian.phase is Phase.HALTING
    assert of(Flatten, effects)
    assert guardian.memory.reason == "test: drill"


def test_a_halt_survives_a_restart_and_is_verified_again():
    before = core()
    before.on_look(look(T0, LONG), T0)
    before.on_kill("anna", "news", T0)
    after = core(before.memory, T0 + S)
    assert after.phase is Phase.HALTING
    assert of(CancelAll, after.on_tick(T0 + S))
    (close,) = of(Flatten, after.on_look(look(T0 + S, LONG), T0 + S))
    assert close.order_id == f"g-{T0:x}-2"  # never an id of its earlier life


# rearming


def test_rearming_takes_two_steps_and_measures_drawdown_from_there():
    guardian = core()
    guardian.on_look(look(T0, equity="1000"), T0)
    halted(guardian, T0)
    guardian.on_look(look(T0 + 3, equity="850"), T0 + 3)
    answer, effects = guardian.on_rearm("anna", "checked", "", T0 + 4)
    assert answer.token
    assert not answer.rearmed
    assert effects == []
    answer, effects = guardian.on_rearm("anna", "checked", answer.token, T0 + 5)
    assert answer.rearmed
    assert [type(effect) for effect in effects] == [Remember, Announce]
    assert guardian.memory.reason == ""
    for step in range(6, 10):
        guardian.on_look(look(T0 + step, equity="849"), T0 + step)
    assert guardian.phase is Phase.ACTIVE
    assert guardian.memory.peak == D(849)


def test_a_wrong_an_expired_and_a_used_token_are_refused():
    guardian = halted(core(), T0)
    assert not guardian.on_rearm("anna", "ok", "never given", T0)[0].rearmed
    token = guardian.on_rearm("anna", "ok", "", T0)[0].token
    assert "wrong" in guardian.on_rearm("anna", "ok", token + "x", T0)[0].refusal
    assert "expired" in guardian.on_rearm("anna", "ok", token, T0 + 60 * S + 1)[0].refusal
    token = guardian.on_rearm("anna", "ok", "", T0)[0].token
    assert guardian.on_rearm("anna", "ok", token, T0 + 60 * S)[0].rearmed
    assert "not halted" in guardian.on_rearm("anna", "ok", token, T0 + 60 * S)[0].refusal


def test_it_cannot_be_rearmed_while_it_flattens_and_a_new_kill_voids_the_token():
    guardian = core()
    guardian.on_kill("anna", "news", T0)
    assert "still" in guardian.on_rearm("anna", "ok", "", T0)[0].refusal
    halted(guardian, T0)
    token = guardian.on_rearm("anna", "ok", "", T0)[0].token
    halted(guardian, T0 + S)
    assert not guardian.on_rearm("anna", "ok", token, T0 + S + 3)[0].rearmed


# drawdown


def test_drawdown_at_the_limit_halts_on_the_second_look_and_just_below_it_never():
    guardian = core()
    guardian.on_look(look(T0, equity="1000"), T0)
    guardian.on_look(look(T0, equity="900.01"), T0)
    guardian.on_look(look(T0, equity="900.01"), T0)
    guardian.on_look(look(T0, equity="900"), T0)
    guardian.on_look(look(T0, equity="901"), T0)
    guardian.on_look(look(T0, equity="900"), T0)
    assert guardian.phase is Phase.ACTIVE
    effects = guardian.on_look(look(T0, equity="900"), T0)
    assert guardian.phase is Phase.HALTING
    assert "drawdown 10.00%" in of(Announce, effects)[0].reason


def test_the_peak_survives_a_restart():
    first = core()
    effects = first.on_look(look(T0, equity="1000"), T0)
    assert of(Remember, effects)[0].memory.peak == 1000
    second = core(first.memory)
    second.on_look(look(T0, equity="890"), T0)
    second.on_look(look(T0, equity="890"), T0)
    assert second.phase is Phase.HALTING


def test_deposits_and_withdrawals_never_move_drawdown_and_count_once():
    guardian = core()
    first = (Transfer("0", D(5000)),)  # before the first look: in its equity already
    guardian.on_look(look(T0, equity="1000", transfers=first), T0)
    out = (*first, Transfer("1", D(-500)))
    for _ in range(4):
        guardian.on_look(look(T0, equity="500", transfers=out), T0)
    assert guardian.phase is Phase.ACTIVE
    assert guardian.memory.transfers == -500
    into = (*out, Transfer("2", D(9000)))
    guardian.on_look(look(T0, equity="9500", transfers=into), T0)
    assert guardian.memory.peak == 1000
    guardian.on_look(look(T0, equity="9400", transfers=into), T0)
    guardian.on_look(look(T0, equity="9400", transfers=into), T0)
    assert guardian.phase is Phase.HALTING


@pytest.mark.parametrize(("amount", "equity"), [(D(-500), "500"), (D(9000), "10000")], ids=["withdrawal", "deposit"])
def test_a_transfer_that_the_log_has_not_told_yet_never_halts_and_never_raises_the_peak(amount, equity):
    guardian = core()
    guardian.on_look(look(T0, equity="1000"), T0)
    assert not guardian.asks_ledger
    for _ in range(5):
        guardian.on_look(look(T0, equity=equity, transfers=None), T0)
        assert guardian.asks_ledger
    for _ in range(3):
        guardian.on_look(look(T0, equity=equity, transfers=(Transfer("1", amount),)), T0)
    assert guardian.phase is Phase.ACTIVE
    assert guardian.memory.peak == 1000
    assert not guardian.asks_ledger


def test_the_log_is_asked_for_minutes_and_not_for_a_life():
    guardian = core()
    guardian.on_look(look(T0, equity="1000"), T0)
    assert guardian.ledger_since_ns == T0
    day = T0 + 86_400 * S
    guardian.on_look(look(day, equity="1000"), day)
    assert day - 600 * S < guardian.ledger_since_ns < day
    later = day + S
    assert guardian.on_look(look(later, equity="1000"), later) == []
    assert core(guardian.memory).ledger_since_ns == guardian.ledger_since_ns


def test_a_drawdown_that_lasts_does_not_disturb_a_halt_in_progress():
    guardian = core()
    guardian.on_look(look(T0, equity="1000"), T0)
    guardian.on_kill("anna", "news", T0)
    for _ in range(3):
        guardian.on_look(look(T0 + 1, LONG, equity="100"), T0 + 1)
    assert guardian.memory.reason == "anna: news"


def test_an_account_that_has_lost_everything_has_no_ratio():
    guardian = core(Memory(born_ns=T0, peak=D(0)))
    guardian.on_look(look(T0, equity="-1"), T0)
    guardian.on_look(look(T0, equity="-1"), T0)
    assert guardian.phase is Phase.ACTIVE


# silence


def test_a_silent_router_with_a_position_halts_after_three_seconds():
    guardian = core()
    for second in range(21):
        guardian.on_tick(T0 + second * S)
    guardian.on_heartbeat(beat(positions=LONG), T0 + 20 * S)
    guardian.on_look(look(T0 + 22 * S, LONG), T0 + 22 * S)
    for tenth in range(201, 231):
        guardian.on_tick(T0 + tenth * S // 10)
    assert guardian.phase is Phase.ACTIVE
    effects = guardian.on_tick(T0 + 23 * S + 1)
    assert "no heartbeat" in of(Announce, effects)[0].reason
    assert of(Flatten, effects)


@pytest.mark.parametrize(
    ("orders", "trips"),
    [((), False), ((OpenOrder("BTCUSDT", "", is_conditional=True),), False), ((ENTRY,), True)],
)
def test_a_silent_router_with_nothing_open_is_no_danger_but_a_resting_order_is(orders, trips):
    guardian = core(stall_ns=100 * S)
    guardian.on_heartbeat(beat(), T0 + 20 * S)
    guardian.on_look(look(T0 + 24 * S, orders=orders), T0 + 24 * S)
    guardian.on_tick(T0 + 24 * S)
    assert (guardian.phase is Phase.HALTING) is trips


def test_silence_without_a_fresh_look_never_trips():
    guardian = core(stall_ns=1000 * S)
    guardian.on_heartbeat(beat(positions=LONG), T0)
    assert guardian.on_tick(T0 + 50 * S) == []
    guardian.on_look(look(T0 + 60 * S, LONG), T0 + 60 * S)
    assert guardian.on_tick(T0 + 65 * S + 1) == []
    assert guardian.phase is Phase.ACTIVE


def test_after_the_guardian_itself_slept_the_router_has_its_full_time_again():
    guardian = core()
    guardian.on_heartbeat(beat(positions=LONG), T0 + 20 * S)
    guardian.on_tick(T0 + 20 * S)
    woke = T0 + 90 * S
    guardian.on_look(look(woke, LONG), woke)
    assert guardian.on_tick(woke) == []
    for tenth in range(1, 31):
        assert guardian.on_tick(woke + tenth * S // 10) == []
    assert guardian.on_tick(woke + 3 * S + 1) != []


def test_a_router_that_never_spoke_has_the_grace_of_the_start():
    guardian = core(stall_ns=100 * S)
    guardian.on_look(look(T0 + 9 * S, LONG), T0 + 9 * S)
    assert guardian.on_tick(T0 + 10 * S) == []
    assert of(Flatten, guardian.on_tick(T0 + 10 * S + 1))


@pytest.mark.parametrize("silent_s", [1.5, 2.5])
def test_a_router_that_starts_again_with_something_open_is_no_silence_and_gets_its_permit_after_four_seconds(silent_s):
    guardian = core()
    permitted, died = [], T0 + 20 * S
    for tick in range(30 * 20):
        now = T0 + tick * S // 20
        guardian.on_tick(now)
        if tick % 10:
            continue
        guardian.on_look(look(now, LONG), now)
        guardian.on_heartbeat(beat(service="position_manager"), now)
        if now <= died:
            guardian.on_heartbeat(beat("a", tick, LONG, sent_ns=now), now)
        elif (
            now >= died + silent_s * S
            and guardian.on_heartbeat(beat("b", tick, LONG, sent_ns=now), now).entries_permitted
        ):
            permitted.append(now)
    assert guardian.phase is Phase.ACTIVE
    assert permitted[0] == died + 4 * S + S // 2  # the first of its beats after four seconds


def test_two_routers_that_both_fell_silent_are_silent():
    guardian = core(stall_ns=100 * S)
    guardian.on_heartbeat(beat("a", positions=LONG), T0 + 20 * S)
    guardian.on_heartbeat(beat("b", positions=LONG), T0 + 21 * S)
    guardian.on_look(look(T0 + 24 * S, LONG), T0 + 24 * S)
    assert guardian.on_tick(T0 + 24 * S) == []
    assert of(Flatten, guardian.on_tick(T0 + 24 * S + 1))


def test_without_the_position_manager_nobody_enters_and_nothing_is_closed():
    guardian = core(startup_grace_ns=10 * S, books_timeout_ns=5 * S)
    for second in range(13):
        guardian.on_tick(T0 + second * S)
    now = T0 + 12 * S  # the grace of the start is 10 s, less the router's 3, and 5 more
    guardian.on_look(look(now, LONG), now)
    assert guardian.on_heartbeat(beat(positions=LONG), now).entries_permitted
    permit = guardian.on_heartbeat(beat(positions=LONG), now + 1)
    assert not permit.entries_permitted
    assert "position manager" in permit.reason
    assert (permit.state, guardian.phase) == (TradingState.ACTIVE, Phase.ACTIVE)
    guardian.on_heartbeat(beat(service="position_manager"), now + 2)
    assert guardian.on_heartbeat(beat(positions=LONG), now + 3).entries_permitted


# disagreement


def disagree(guardian, seconds, venue=None, fleet=None, orders=(), start=T0):
    for half in range(int(seconds * 2) + 1):
        now = start + half * S // 2
        guardian.on_heartbeat(beat(sequence=now, positions=fleet, orders=("entry-9",)), now)
        guardian.on_look(look(now, venue, orders), now)
    return now


def test_lasting_disagreement_reduces_first_then_halts():
    guardian = core()
    now = disagree(guardian, 4.5, venue=LONG)
    assert guardian.phase is Phase.ACTIVE
    disagree(guardian, 0.5, venue=LONG, start=now)
    assert guardian.phase is Phase.REDUCING
    assert not guardian.on_heartbeat(beat(sequence=now), now).entries_permitted
    assert guardian.report(now)["disagreement_ns"] == now - T0
    disagree(guardian, 10, venue=LONG, start=now + S // 2)
    assert guardian.phase is Phase.HALTING
    assert "0.5 at the venue" in guardian.report(now)["reason"]


def test_an_agreeing_look_ends_the_count_and_lasting_agreement_ends_reducing():
    guardian = core()
    now = disagree(guardian, 4.5, fleet=LONG)
    now = disagree(guardian, 0, fleet=LONG, venue=LONG, start=now + S // 2)
    now = disagree(guardian, 4.5, fleet=LONG, start=now + S // 2)
    assert guardian.phase is Phase.ACTIVE
    now = disagree(guardian, 1, fleet=LONG, start=now + S // 2)
    assert guardian.phase is Phase.REDUCING
    now = disagree(guardian, 4.5, start=now + S // 2)
    assert guardian.phase is Phase.REDUCING
    disagree(guardian, 1, start=now + S // 2)
    assert guardian.phase is Phase.ACTIVE
    assert guardian.report(now)["reason"] == ""


@pytest.mark.parametrize(
    ("order", "differs"),
    [
        (OpenOrder("BTCUSDT", "entry-9"), False),
        (OpenOrder("BTCUSDT", "g-1-1"), False),
        (OpenOrder("BTCUSDT", "", is_conditional=True), False),
        (OpenOrder("BTCUSDT", "foreign"), True),
        (OpenOrder("BTCUSDT", ""), True),
    ],
)
def test_an_order_that_nobody_names_is_a_disagreement(order, differs):
    guardian = core()
    disagree(guardian, 5, orders=[order])
    assert (guardian.phase is Phase.REDUCING) is differs


def test_an_order_is_not_held_against_a_heartbeat_that_is_older_than_it():
    guardian = core()
    for half in range(80):
        now = T0 + half * S // 2
        young = OpenOrder("BTCUSDT", f"entry-{half}", created_ns=now + S // 5)
        guardian.on_heartbeat(beat(sequence=half, sent_ns=now), now)
        guardian.on_look(look(now + S // 4, orders=[young]), now + S // 4)
        assert guardian.report(now + S // 4)["disagreement_ns"] == 0


def test_ever_new_differences_that_each_end_are_lag_and_no_disagreement():
    guardian = core()
    for half in range(80):
        now = T0 + half * S // 2
        guardian.on_heartbeat(beat(sequence=half, orders=(), sent_ns=now), now)
        guardian.on_look(look(now, orders=[OpenOrder("BTCUSDT", f"entry-{half}")]), now)
    assert guardian.phase is Phase.ACTIVE


def test_a_fleet_that_follows_a_growing_position_is_late_and_not_wrong():
    guardian = core()
    for half in range(80):
        now = T0 + half * S // 2
        guardian.on_heartbeat(beat(sequence=half, positions={"BTCUSDT": D(half)}, sent_ns=now), now)
        guardian.on_look(look(now, {"BTCUSDT": D(half + 1)}), now)
    assert guardian.phase is Phase.ACTIVE


def test_a_fleet_that_is_wrong_by_as_much_all_the_time_is_found_while_it_trades():
    guardian = core()
    for half in range(40):
        now = T0 + half * S // 2
        guardian.on_heartbeat(beat(sequence=half, positions={"BTCUSDT": D(half)}, sent_ns=now), now)
        guardian.on_look(look(now, {"BTCUSDT": D(half) - D("0.5")}), now)
    assert guardian.phase is Phase.HALTING


def test_a_silent_router_cannot_disagree():
    guardian = core()
    guardian.on_heartbeat(beat(), T0)
    for second in range(30):
        guardian.on_look(look(T0 + 4 * S + second * S, LONG), T0 + 4 * S + second * S)
    assert guardian.phase is Phase.ACTIVE


def test_no_false_trip_over_a_day_of_ordinary_trading():
    guardian = core()
    held = {}
    for second in range(86_400):
        now = T0 + second * S
        if second % 7 == 0:  # a trade opens or closes: the heartbeat lags behind by one look
            stale, held = held, {} if held else LONG
        else:
            stale = held
        guardian.on_tick(now)
        guardian.on_heartbeat(beat(sequence=second, positions=stale), now)
        guardian.on_look(look(now, held, equity="1000"), now)
    assert guardian.phase is Phase.ACTIVE


def test_the_report_is_whole_before_and_after_the_first_look():
    guardian = core()
    assert guardian.report(T0)["look_age_ns"] == -1
    guardian.on_heartbeat(beat(positions=LONG), T0)
    guardian.on_look(look(T0, LONG, [ENTRY], equity="12.5"), T0)
    report = guardian.report(T0 + 5)
    assert report["positions"] == {"BTCUSDT": "0.5"}
    assert report["open_orders"] == ["entry-1"]
    assert (report["equity"], report["peak"], report["heartbeat_age_ns"]) == ("12.5", "12.5", 5)
    assert (report["permit_holder"], report["orders_sent"]) == ("a", 0)
