from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertow.domain.money import MONEY_STEP
from undertow.domain.order import Side
from undertow.domain.position import Position

FLAT = Position(symbol="BTCUSDT")
fills = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.decimals(min_value="0.001", max_value="100", places=3),
        st.decimals(min_value="0.01", max_value="99999", places=2),
        st.decimals(min_value="-1", max_value="5", places=8),
    ),
    max_size=40,
)


def folded(rows) -> Position:
    position = FLAT
    for side, qty, price, fee in rows:
        position = position.after_fill(side, qty, price, fee)
    return position


@given(fills)
def test_the_sum_of_fills_is_the_position_through_flips(rows):
    assert folded(rows).qty == sum((side.sign * qty for side, qty, _, _ in rows), Decimal(0))


@given(fills)
def test_realised_less_cost_is_exactly_the_cash_that_moved(rows):
    position = folded(rows)
    cash = sum((-side.sign * qty * price for side, qty, price, _ in rows), Decimal(0))
    assert position.realised - position.cost == cash
    assert position.fees == sum((fee for *_, fee in rows), Decimal(0))


@given(fills, st.decimals(min_value="0.01", max_value="99999", places=2))
def test_realised_and_unrealised_together_are_the_value_at_any_mark(rows, mark):
    position = folded(rows)
    cash = sum((-side.sign * qty * price for side, qty, price, _ in rows), Decimal(0))
    assert position.realised + position.unrealised(mark) == cash + position.qty * mark


@given(fills)
def test_a_flat_position_costs_nothing_and_its_result_is_the_cash(rows):
    position = folded(rows)
    if position.qty:
        position = position.after_fill(
            Side.SELL if position.qty > 0 else Side.BUY, abs(position.qty), Decimal(100), Decimal(0)
        )
    assert position.is_flat
    assert position.side is None
    assert position.cost == 0
    assert position.entry_price == 0


@given(fills)
def test_the_cost_has_the_sign_of_the_position_and_the_realised_result_is_money(rows):
    position = folded(rows)
    assert position.qty * position.cost >= 0
    assert position.realised % MONEY_STEP == 0


def test_the_entry_price_is_the_average_of_increases_and_survives_a_reduction():
    position = FLAT.after_fill(Side.BUY, Decimal(1), Decimal(100), Decimal(0))
    position = position.after_fill(Side.BUY, Decimal(3), Decimal(120), Decimal(0))
    assert position.entry_price == 115
    position = position.after_fill(Side.SELL, Decimal(2), Decimal(130), Decimal("0.1"))
    assert position.entry_price == 115
    assert position.realised == 30
    assert position.side is Side.BUY
    assert position.fees == Decimal("0.1")


def test_a_flip_starts_anew_at_its_own_price():
    position = FLAT.after_fill(Side.SELL, Decimal(2), Decimal(100), Decimal(0))
    position = position.after_fill(Side.BUY, Decimal(5), Decimal(90), Decimal(0))
    assert position.qty == 3
    assert position.entry_price == 90
    assert position.realised == 20
    assert position.unrealised(Decimal(91)) == 3


def test_a_partial_close_rounds_half_even_and_loses_nothing():
    position = FLAT.after_fill(Side.BUY, Decimal(3), Decimal("0.00000001"), Decimal(0))
    position = position.after_fill(Side.SELL, Decimal("0.5"), Decimal(1), Decimal(0))
    assert position.realised == Decimal("0.5")  # half a step of cost is rounded to the even neighbour, zero
    position = position.after_fill(Side.SELL, Decimal("2.5"), Decimal(1), Decimal(0))
    assert position.realised == Decimal(3) - Decimal("0.00000003")


@pytest.mark.parametrize("qty", [Decimal(0), Decimal(-1)])
def test_a_fill_without_a_quantity_is_our_mistake(qty: Decimal):
    with pytest.raises(ValueError, match="is positive"):
        FLAT.after_fill(Side.BUY, qty, Decimal(1), Decimal(0))


def test_funding_is_kept_apart():
    position = FLAT.after_fill(Side.BUY, Decimal(1), Decimal(100), Decimal(0)).after_funding(Decimal("-0.01"))
    assert position.funding == Decimal("-0.01")
    assert position.realised == 0
