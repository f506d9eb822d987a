from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.services.order_router.rig import INSTRUMENT, LIMITS, MS, SECOND, START
from undertow.contracts.messages.decision import Verdict
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.trading.risk import AFTER_SIZING, BEFORE_SIZING, CHECKS, EntryWish, first_refusal
from undertow.trading.sessions import Session

WISH = EntryWish(
    now_ns=START,
    symbol="BTCUSDT",
    side=Side.BUY,
    price=Decimal(50_000),
    qty=Decimal("0.1"),
    mid=Decimal(50_000),
    leverage=Decimal(10),
    mark=Decimal(50_000),
    mark_ns=START,
    signal_ns=START,
    event_ns=START,
    valid_until_ns=START + 250 * MS,
    instrument=INSTRUMENT,
    equity=Decimal(100_000),
    available=Decimal(100_000),
    account_ns=START,
    drawdown=Decimal(0),
    symbol_exposure=Decimal(0),
    gross_exposure=Decimal(0),
    correlated_exposure=Decimal(0),
    unsettled_exposure=Decimal(0),
    liquidation_distance=None,
    entries_in_cascade=0,
    entries_of_symbol=0,
    cooling_until_ns=0,
    open_orders=0,
    orders_last_second=0,
    live_trade="",
    state=TradingState.ACTIVE,
)

# check, at its border (passes), beyond (refused), what the reason says, verdict
CASES = [
    (
        "signal_is_fresh",
        {"now_ns": START + 250 * MS},
        {"now_ns": START + 250 * MS + 1},
        "past its deadline",
        Verdict.EXPIRED,
    ),
    ("signal_is_fresh", {"valid_until_ns": START}, {"valid_until_ns": START - MS}, "1.000 ms past", Verdict.EXPIRED),
    ("router_is_able", {"blocked": ""}, {"blocked": "the bus is away"}, "the bus is away", Verdict.DENIED),
    ("entries_are_not_paused", {"paused": ""}, {"paused": "pause by me"}, "pause by me", Verdict.PAUSED),
    ("state_is_active", {}, {"state": TradingState.REDUCING}, "the state is REDUCING", Verdict.PAUSED),
    (
        "state_is_active",
        {},
        {"state": TradingState.REDUCING, "reducing": "order x is not ours"},
        "the state is REDUCING: order x is not ours",
        Verdict.PAUSED,
    ),
    ("state_is_active", {}, {"state": TradingState.HALTED}, "the state is HALTED", Verdict.PAUSED),
    ("guardian_permits", {"permit": ""}, {"permit": "none"}, "none", Verdict.NO_PERMIT),
    ("symbol_has_no_trade", {}, {"live_trade": "t-1"}, "BTCUSDT has a live trade", Verdict.DENIED),
    (
        "account_is_known",
        {"account_ns": START - 30 * SECOND},
        {"account_ns": START - 31 * SECOND},
        "31 s since",
        Verdict.DENIED,
    ),
    ("account_is_known", {}, {"equity": Decimal(0)}, "equity is 0", Verdict.DENIED),
    (
        "drawdown_is_bearable",
        {"drawdown": Decimal("0.1")},
        {"drawdown": Decimal("0.11")},
        "0.11 drawdown, at most 0.1",
        Verdict.DENIED,
    ),
    ("instrument_is_orderable", {}, {"qty": Decimal("0.0001")}, "below the minimum", Verdict.DENIED),
    (
        "instrument_is_orderable",
        {},
        {"instrument": replace(INSTRUMENT, status="PreLaunch")},
        "PreLaunch",
        Verdict.DENIED,
    ),
    (
        "features_are_fresh",
        {"event_ns": START - 2 * SECOND},
        {"event_ns": START - 3 * SECOND},
        "3 s since",
        Verdict.EXPIRED,
    ),
    (
        "session_is_open",
        {"sessions": (Session.parse("tue 22:13-22:14"),)},
        {"sessions": (Session.parse("tue 22:14-22:13"),)},
        "Tue 22:13 UTC is in no session",
        Verdict.DENIED,
    ),
    (
        "losses_have_cooled",
        {"cooling_until_ns": START},
        {"cooling_until_ns": START + SECOND},
        "1.0 s left of the pause",
        Verdict.DENIED,
    ),
    ("cascade_has_room", {"entries_in_cascade": 59}, {"entries_in_cascade": 60}, "61 entries in one", Verdict.DENIED),
    ("symbol_has_room", {"entries_of_symbol": 19}, {"entries_of_symbol": 20}, "21 entries in BTCUSDT", Verdict.DENIED),
    ("mark_is_known", {"mark_ns": START - 10 * SECOND}, {"mark_ns": START - 11 * SECOND}, "11 s since", Verdict.DENIED),
    ("mark_is_known", {}, {"mark": Decimal(0)}, "no mark of BTCUSDT yet", Verdict.DENIED),
    (
        "book_agrees_with_mark",
        {"mid": Decimal(50_500)},
        {"mid": Decimal("50500.1")},
        "100.02 bps from mark to mid, at most 100",
        Verdict.DENIED,
    ),
    (
        "price_is_near_mark",
        {"price": Decimal(49_750)},
        {"price": Decimal("49749.9")},
        "50.02 bps from mark, at most 50",
        Verdict.DENIED,
    ),
    (
        "price_is_near_mark",
        {},
        {"price": Decimal(50_400), "mid": Decimal(50_400)},
        "80 bps from mark",  # the signal's own mid says that all is well
        Verdict.DENIED,
    ),
    (
        "price_is_inside_band",
        {"price": Decimal(50_200), "instrument": replace(INSTRUMENT, price_limit_ratio_x=Decimal("0.004"))},
        {"price": Decimal("50200.1"), "instrument": replace(INSTRUMENT, price_limit_ratio_x=Decimal("0.004"))},
        "at most 0.004",
        Verdict.DENIED,
    ),
    (
        "price_is_inside_band",
        {"price": Decimal(50_200), "instrument": replace(INSTRUMENT, price_limit_ratio_x=Decimal(0))},
        {
            "side": Side.SELL,
            "price": Decimal(49_799),
            "instrument": replace(INSTRUMENT, price_limit_ratio_x=Decimal("0.004")),
        },
        "at most 0.004",
        Verdict.DENIED,
    ),
    (
        "symbol_exposure_fits",
        {"mark": Decimal(50_200), "symbol_exposure": Decimal(4_980)},
        {"mark": Decimal(50_200), "symbol_exposure": Decimal(4_981)},
        "10001.0 of BTCUSDT notional, at most 10000.0",  # at the mark, which is above the limit price
        Verdict.DENIED,
    ),
    (
        "correlated_exposure_fits",
        {"correlated_exposure": Decimal(25_000)},
        {"correlated_exposure": Decimal(25_001)},
        "30001.0 of notional that moves together, at most 30000.0",
        Verdict.DENIED,
    ),
    (
        "hard_cap_holds",
        {"hard_notional": Decimal(5_000)},
        {"hard_notional": Decimal(4_999)},
        "5000.0 of notional under the cap, at most 4999",
        Verdict.DENIED,
    ),
    (
        "equity_carries_margin",
        {"leverage": Decimal(1), "gross_exposure": Decimal(75_000), "max_gross_fraction": Decimal(1)},
        {"leverage": Decimal(1), "gross_exposure": Decimal(75_001), "max_gross_fraction": Decimal(1)},
        "80001.0 of margin of equity, at most 80000.0",
        Verdict.DENIED,
    ),
    (
        "liquidation_is_far",
        {
            "gross_exposure": Decimal(328_000),
            "max_gross_fraction": Decimal(4),
            "min_liquidation_buffer": Decimal("0.2"),
        },
        {
            "gross_exposure": Decimal(329_000),
            "max_gross_fraction": Decimal(4),
            "min_liquidation_buffer": Decimal("0.2"),
        },
        "of the price to liquidation, at least 0.2",
        Verdict.DENIED,
    ),
    (
        "liquidation_is_far",
        {"liquidation_distance": Decimal("0.2")},
        {"liquidation_distance": Decimal("0.19")},
        "0.19 of the price to liquidation, at least 0.2",
        Verdict.DENIED,
    ),
    (
        "symbol_exposure_fits",
        {"symbol_exposure": Decimal(5_000)},
        {"symbol_exposure": Decimal(5_001)},
        "10001.0 of BTCUSDT notional, at most 10000.0",
        Verdict.DENIED,
    ),
    (
        "gross_exposure_fits",
        {"gross_exposure": Decimal(35_000)},
        {"gross_exposure": Decimal(35_001)},
        "40001.0 of gross notional, at most 40000.0",
        Verdict.DENIED,
    ),
    (
        "margin_suffices",
        {"available": Decimal(625)},
        {"available": Decimal(624)},
        "500.0 of margin, at most 499.2",
        Verdict.DENIED,
    ),
    (
        "margin_suffices",
        {"available": Decimal(625), "unsettled_exposure": Decimal(0)},
        {"available": Decimal(625), "unsettled_exposure": Decimal(1)},
        "of margin",
        Verdict.DENIED,
    ),
    ("open_orders_fit", {"open_orders": 9}, {"open_orders": 10}, "11 orders, at most 10", Verdict.DENIED),
    (
        "order_rate_fits",
        {"orders_last_second": 6},
        {"orders_last_second": 7},
        "8 orders in one second, at most 7",
        Verdict.DENIED,
    ),
]


@pytest.mark.parametrize(("check", "at_border", "beyond", "reason", "verdict"), CASES)
def test_a_check_passes_at_its_border_and_refuses_beyond_with_its_numbers(check, at_border, beyond, reason, verdict):
    assert asked(at_border) is None
    refusal = asked(beyond)
    assert refusal is not None
    assert refusal.check == check
    assert reason in refusal.reason
    assert refusal.verdict is verdict


def asked(changes):
    """Ask all checks, with changes to the wish and to the limits."""
    wished = {name: value for name, value in changes.items() if name in EntryWish.__dataclass_fields__}
    limited = {name: value for name, value in changes.items() if name not in wished}
    return first_refusal(replace(WISH, **wished), replace(LIMITS, **limited))


def test_every_check_has_a_case():
    assert {check.__name__ for check in CHECKS} == {case[0] for case in CASES}


def test_the_first_refusal_wins():
    refusal = first_refusal(replace(WISH, permit="none", open_orders=99, live_trade="t"), LIMITS)
    assert refusal is not None
    assert refusal.check == "guardian_permits"


def test_the_checks_are_asked_once_each_before_or_after_sizing():
    assert BEFORE_SIZING + AFTER_SIZING == CHECKS
    assert len(set(CHECKS)) == len(CHECKS)


def test_numbers_of_a_refusal_say_value_and_limit():
    refusal = first_refusal(replace(WISH, gross_exposure=Decimal(40_000)), LIMITS)
    assert refusal is not None
    assert refusal.numbers == {"value": "45000.0", "limit": "40000.0"}
