from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from services.order_router.settings import RiskSettings
from tests.services.order_router.rig import LIMITS, MS, SIZING
from undertow.runtime.errors import ConfigurationError
from undertow.trading.limits import CHANGEABLE, LimitError, read_limit, value_of, with_limit


@pytest.mark.parametrize("name", CHANGEABLE)
def test_each_limit_can_be_set_to_both_ends_of_its_range_and_no_further(name):
    bound = CHANGEABLE[name]
    wide = replace(LIMITS, max_gross_fraction=Decimal(5), max_drawdown=Decimal("0.5"))
    narrow = replace(LIMITS, max_symbol_fraction=Decimal("0.0001"), warn_drawdown=Decimal("0.001"))
    base = narrow if name in ("gross_fraction", "max_drawdown") else wide
    for value in (bound.least, bound.most):
        limits, sizing = with_limit(base, SIZING, name, str(value))
        assert value_of(limits, sizing, name) == value
    for text in (str(bound.least / 2), str(bound.most * 2), f"-{bound.most}", "NaN", "Infinity"):
        with pytest.raises(LimitError, match=f"{name} is a number from {bound.least} to {bound.most}"):
            read_limit(name, text)


@pytest.mark.parametrize("name", sorted(set(CHANGEABLE) & set(RiskSettings.model_fields)))
def test_the_settings_keep_to_the_same_ranges(name):
    most, least = CHANGEABLE[name].most, CHANGEABLE[name].least
    wide = {"gross_fraction": 5, "max_drawdown": "0.5"} if name not in ("gross_fraction", "max_drawdown") else {}
    narrow = {"symbol_fraction": "0.0001", "warn_drawdown": "0.001"}
    assert getattr(RiskSettings(**{**wide, name: most}), name) == most
    assert getattr(RiskSettings(**{**narrow, name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        RiskSettings(**{**wide, name: most + 1})


def test_every_changeable_limit_is_a_setting():
    assert set(CHANGEABLE) <= set(RiskSettings.model_fields)


def test_a_change_reaches_the_check_and_the_sizing_alike_in_their_own_units():
    limits, sizing = with_limit(LIMITS, SIZING, "symbol_fraction", "0.05")
    assert (limits.max_symbol_fraction, sizing.symbol_fraction) == (Decimal("0.05"), Decimal("0.05"))
    limits, sizing = with_limit(LIMITS, SIZING, "max_signal_age_ms", "100")
    assert limits.max_signal_age_ns == 100 * MS
    assert sizing is SIZING
    limits, sizing = with_limit(LIMITS, SIZING, "per_trade", "0.002")
    assert sizing.risk_per_trade == Decimal("0.002")
    assert limits is LIMITS


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hard_notional", "1000", "'hard_notional' is no limit that can be changed"),
        ("live_notional_usdt", "1000", "is no limit that can be changed"),
        ("symbol_fraction", "much", "'much' is no number; symbol_fraction is a number from 0.0001 to 0.10"),
        ("symbol_fraction", "0.11", "0.11 is outside its range"),
        ("max_open_orders", "2.5", "2.5 is no whole number"),
        ("gross_fraction", "0.05", "symbol_fraction 0.1 would be above gross_fraction 0.05"),
        ("warn_drawdown", "0.2", "warn_drawdown 0.2 would be above max_drawdown 0.1"),
    ],
)
def test_what_cannot_be_is_refused_with_its_rule(name, text, words):
    with pytest.raises(LimitError, match=words):
        with_limit(LIMITS, SIZING, name, text)


def test_settings_that_contradict_each_other_or_name_no_window_are_refused():
    with pytest.raises(ConfigurationError, match="RISK__WARN_DRAWDOWN"):
        RiskSettings(warn_drawdown="0.2")
    with pytest.raises(ConfigurationError, match="RISK__SESSIONS: 'noon' is no window"):
        RiskSettings(sessions=("noon",))
