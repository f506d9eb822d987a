from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.services.order_router.rig import INSTRUMENT, LIMITS, MS, SECOND, START
from undertow.contracts.messages.decision import Verdict
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.trading.risk import AFTER_SIZING, BEFORE_SIZING, CHECKS, EntryWish, first_refusal

WISH = EntryWish(
    now_ns=START,
    symbol="BTCUSDT",
    side=Side.BUY,
    price=Decimal(50_000),
    qty=Decimal("0.1"),
    mid=Decimal(50_000),
    leverage=Decimal(10),
    signal_ns=START,
    valid_until_ns=START + 250 * MS,
    instrument=INSTRUMENT,
    equity=Decimal(100_000),
    available=Decimal(100_000),
    account_ns=START,
    drawdown=Decimal(0),
    symbol_exposure=Decimal(0),
    gross_exposure=Decimal(0),
    unfilled_exposure=Decimal(0),
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
        "price_is_near_mid",
        {"price": Decimal(49_750)},
        {"price": Decimal("49749.9")},
        "50.02 bps from mid, at most 50",
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
        {"available": Decimal(625), "unfilled_exposure": Decimal(0)},
        {"available": Decimal(625), "unfilled_exposure": Decimal(1)},
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
    assert first_refusal(replace(WISH, **at_border), LIMITS) is None
    refusal = first_refusal(replace(WISH, **beyond), LIMITS)
    assert refusal is not None
    assert refusal.check == check
    assert reason in refusal.reason
    assert refusal.verdict is verdict


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
