"""Integer money against `undertow.domain`, to the last unit."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.domain.money import fee_for, funding_for
from undertow.domain.order import Side
from undertow.domain.position import Position
from undertow.matching import money
from undertow.matching.ladder import BUY, SELL
from undertow.matching.scale import OffGridError, Scale, from_units, to_units
from undertow.matching.warm import warm

SCALE = Scale.load(
    symbol="BTCUSDT",
    tick_size=Decimal("0.10"),
    qty_step=Decimal("0.001"),
    max_price=Decimal("1999999.80"),
    max_qty=Decimal(1_500),
)
TICKS = st.integers(1, 19_999_998)
LOTS = st.integers(1, 1_500_000)
RATES = st.integers(-100_000, 100_000)
FILLS = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 2_000), st.integers(600_000, 700_000)), max_size=30
)


def up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


@given(LOTS, TICKS, RATES)
def test_a_fee_equals_the_domains_fee(lots: int, ticks: int, rate: int) -> None:
    fee = money.share_up(SCALE.value(ticks, lots), rate)
    assert from_units(fee) == fee_for(SCALE.qty(lots), SCALE.price(ticks), from_units(rate))


@given(st.integers(-(10**15), 10**15), st.integers(10**6, 9 * 10**10))
def test_a_fee_in_another_coin_is_fee_by_price_rounded_up_a_rebate_towards_zero(fee: int, price: int) -> None:
    with localcontext(prec=60):
        assert money.in_coin(fee, price) == up(Decimal(fee) / from_units(price))


@given(st.integers(-1_500_000, 1_500_000), st.integers(1, 10**11), RATES)
def test_funding_equals_the_domains_funding(lots: int, hundredths: int, rate: int) -> None:
    mark = Decimal(hundredths) / 100_000
    holding = np.array([lots, 0, 0, 0, 0], np.int64)
    received = money.book_funding(holding, SCALE.lot_value(mark), rate)
    assert from_units(int(received)) == funding_for(SCALE.qty(lots), mark, from_units(rate))
    assert holding[money.FUNDING] == received


@given(FILLS)
@settings(max_examples=300, deadline=None)
def test_a_holding_equals_the_domains_position_through_partial_closes_and_flips(
    fills: list[tuple[int, int, int]],
) -> None:
    holding = np.zeros(5, np.int64)
    position = Position(symbol="BTCUSDT")
    for side, lots, ticks in fills:
        value = SCALE.value(ticks, lots)
        fee = money.share_up(value, 55_000)
        before = position.realised
        realised = money.book_fill(holding, side, lots, value, fee)
        position = position.after_fill(
            (Side.BUY, Side.SELL)[side], SCALE.qty(lots), SCALE.price(ticks), from_units(fee)
        )
        assert from_units(int(realised)) == position.realised - before
    assert SCALE.qty(int(holding[money.LOTS])) == position.qty
    assert from_units(int(holding[money.COST])) == position.cost
    assert from_units(int(holding[money.REALISED])) == position.realised
    assert from_units(int(holding[money.FEES])) == position.fees
    mark = Decimal("65123.47")
    assert from_units(int(money.unrealised(holding, SCALE.lot_value(mark)))) == position.unrealised(mark)


@given(st.integers(0, 2**61), st.integers(100, 12_500))
def test_initial_margin_is_the_value_by_the_leverage_rounded_up(value: int, leverage: int) -> None:
    assert money.initial(value, leverage, 0) == -(-value * 100 // leverage)


@pytest.mark.parametrize(
    ("value", "row", "margin"),
    [(0, 0, 0), (1_000, 0, 10), (100_000, 0, 1_000), (100_001, 1, 1_001), (10**7, 1, 199_000)],
)
def test_maintenance_follows_the_tier_of_the_value(value: int, row: int, margin: int) -> None:
    tiers = np.array([[100_000, 2_000_000, 1_000_000, 0], [200_000, 4_000_000, 2_000_000, 1_000]], np.int64)
    assert money.tier_of(value, tiers) == row
    assert money.maintenance(value, tiers, 0) == margin


COSTS = st.one_of(st.integers(1, 2**61), st.integers(-(2**61), -1), st.integers(-(10**12), 10**12).filter(bool))
LEVERAGES = st.integers(100, 12_500)
TAKER_RATES = st.integers(0, 100_000)


def worth_at_bankruptcy(cost: int, leverage: int) -> int:
    """In Decimal: what is left of a long, what a short has to pay, when entry value / leverage is lost."""
    margin = up(Decimal(abs(cost)) / (Decimal(leverage) / 100))
    return cost - margin if cost > 0 else -cost + margin


@given(COSTS, LEVERAGES)
def test_the_bankruptcy_value_is_the_entry_value_less_or_for_a_short_plus_entry_value_by_leverage_rounded_up(
    cost: int, leverage: int
) -> None:
    with localcontext(prec=60):
        assert money.bankruptcy_value(cost, leverage) == worth_at_bankruptcy(cost, leverage)


@given(COSTS, LEVERAGES, TAKER_RATES)
def test_isolated_margin_is_entry_value_by_leverage_plus_the_fee_of_closing_at_bankruptcy_both_rounded_up(
    cost: int, leverage: int, rate: int
) -> None:
    with localcontext(prec=60):
        worth = worth_at_bankruptcy(cost, leverage)
        fee = up(worth * from_units(rate))
        assert money.isolated_initial(cost, leverage, rate) == abs(abs(cost) - worth) + fee


@given(st.integers(0, 2**61), COSTS, LEVERAGES, TAKER_RATES, st.integers(0, 10**15))
def test_isolated_maintenance_is_that_of_the_value_at_mark_plus_the_fee_of_closing_at_bankruptcy(
    value: int, cost: int, leverage: int, rate: int, deduction: int
) -> None:
    tiers = np.array([[10**10, 2_000_000, 1_000_000, 0], [2**61, 4_000_000, 2_000_000, deduction]], np.int64)
    with localcontext(prec=60):
        tier = (Decimal("0.01"), 0) if value <= 10**10 else (Decimal("0.02"), deduction)
        expected = max(0, up(value * tier[0]) - tier[1]) + up(worth_at_bankruptcy(cost, leverage) * from_units(rate))
        assert money.isolated_maintenance(value, tiers, cost, leverage, rate) == expected


@given(st.integers(-(2**61), 2**61), st.integers(1, 2**31 - 1), st.data())
def test_the_cost_a_partial_close_takes_is_rounded_half_even(cost: int, held: int, data: st.DataObject) -> None:
    closed = data.draw(st.integers(1, held))
    exact = Decimal(cost) * closed / held if held < 1_000 else None
    taken = money.portion_even(cost, closed, held)
    assert abs(2 * (taken * held - cost * closed)) <= held
    if exact is not None and abs(cost) < 10**15:
        assert taken == round(exact)


def test_a_grid_finer_than_money_is_refused() -> None:
    with pytest.raises(OffGridError, match="not a multiple"):
        Scale.load(
            symbol="X",
            tick_size=Decimal("0.00001"),
            qty_step=Decimal("0.0001"),
            max_price=Decimal(1),
            max_qty=Decimal(1),
        )


@pytest.mark.parametrize(("price", "qty"), [(Decimal(10**9), Decimal(2_000_000)), (Decimal(1), Decimal(10**10))])
def test_an_instrument_that_could_overflow_is_refused_when_loaded(price: Decimal, qty: Decimal) -> None:
    with pytest.raises(OverflowError):
        Scale.load(symbol="X", tick_size=Decimal(1), qty_step=Decimal(1), max_price=price, max_qty=qty)


def test_numbers_off_the_grid_are_refused() -> None:
    with pytest.raises(OffGridError):
        SCALE.ticks(Decimal("1.05"))
    with pytest.raises(OffGridError):
        SCALE.lots(Decimal("0.0001"))
    with pytest.raises(OffGridError):
        to_units(Decimal("0.000000001"))


def test_numbers_on_the_grid_come_back_as_they_were() -> None:
    assert str(SCALE.price(SCALE.ticks(Decimal("65114.2")))) == "65114.20"
    assert str(SCALE.qty(SCALE.lots(Decimal("6.054")))) == "6.054"
    assert from_units(to_units(Decimal("1.5"))) == Decimal("1.5")


def test_warming_up_runs_every_kernel_twice_without_complaint() -> None:
    warm()
    warm()
