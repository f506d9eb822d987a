from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from undertow.domain.money import MONEY_STEP, fee_for, funding_for

amounts = st.decimals(min_value="0.001", max_value="1000", places=3)
prices = st.decimals(min_value="0.0001", max_value="100000", places=4)
rates = st.decimals(min_value="-0.001", max_value="0.001", places=6)


@given(amounts, prices, rates)
def test_a_fee_is_a_multiple_of_the_step_and_never_kind_to_the_payer(qty, price, rate):
    fee = fee_for(qty, price, rate)
    assert fee % MONEY_STEP == 0
    assert 0 <= fee - qty * price * rate < MONEY_STEP


@given(amounts, prices, rates)
def test_what_a_long_pays_in_funding_a_short_receives(qty, price, rate):
    assert funding_for(qty, price, rate) == -funding_for(-qty, price, rate)


def test_a_long_pays_a_positive_rate():
    assert funding_for(Decimal(2), Decimal(100), Decimal("0.0001")) == Decimal("-0.02")


def test_a_fee_is_rounded_up_and_a_rebate_towards_zero():
    assert fee_for(Decimal("0.001"), Decimal("0.01"), Decimal("0.0002")) == MONEY_STEP
    assert fee_for(Decimal("0.001"), Decimal("0.01"), Decimal("-0.0002")) == 0
