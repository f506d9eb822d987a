from __future__ import annotations

import gzip
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import recorded
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderType, Side
from undertow.exchange.bybit.parse import instrument as parsed

BASE = Instrument(
    symbol="BTCUSDT",
    base_coin="BTC",
    quote_coin="USDT",
    status="Trading",
    tick_size=Decimal("0.1"),
    min_price=Decimal("0.1"),
    max_price=Decimal(1_000_000),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_limit_qty=Decimal(100),
    max_market_qty=Decimal(10),
    min_notional=Decimal(5),
    max_leverage=Decimal(100),
    funding_interval_minutes=480,
    price_limit_ratio_x=Decimal("0.01"),
    price_limit_ratio_y=Decimal("0.02"),
)

steps = st.sampled_from(
    [Decimal(s) for s in ("0.0000001", "0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "1000")]
)


@st.composite
def instruments(draw) -> Instrument:
    tick, step = draw(steps), draw(steps)
    return replace(
        BASE,
        tick_size=tick,
        qty_step=step,
        min_price=tick,
        max_price=tick * 10**9,
        min_qty=step * draw(st.integers(1, 100)),
        max_limit_qty=step * 10**9,
        max_market_qty=step * 10**8,
        min_notional=Decimal(draw(st.integers(0, 100))),
    )


@given(instruments(), st.sampled_from(Side), st.decimals(min_value="0.00000001", max_value="1000000", places=8))
def test_a_price_is_rounded_to_the_tick_and_never_towards_the_market(instrument, side, price):
    rounded = instrument.round_price(price, side)
    assert rounded % instrument.tick_size == 0
    assert abs(rounded - price) < instrument.tick_size
    assert (price - rounded) * side.sign >= 0


@given(instruments(), st.decimals(min_value=0, max_value="1000000", places=8))
def test_a_quantity_is_rounded_down_to_the_step(instrument, qty):
    rounded = instrument.round_qty(qty)
    assert rounded % instrument.qty_step == 0
    assert 0 <= qty - rounded < instrument.qty_step


@given(
    instruments(),
    st.decimals(min_value="0.001", max_value="100000", places=8),
    st.decimals(min_value=0, max_value="100000", places=8),
)
def test_what_is_rounded_breaks_no_filter_but_size(instrument, price, qty):
    price, qty = instrument.round_price(price, Side.BUY), instrument.round_qty(qty)
    reason = instrument.why_not_orderable(OrderType.LIMIT, price, qty)
    assert reason is None or "multiple" not in reason


@pytest.mark.parametrize(
    ("changes", "order_type", "price", "qty", "reason"),
    [
        ({}, OrderType.LIMIT, "100", "1", None),
        ({}, OrderType.LIMIT, "100", "100", None),
        ({}, OrderType.LIMIT, "100", "100.001", "above the maximum 100"),
        ({}, OrderType.MARKET, "100", "10", None),
        ({}, OrderType.MARKET, "100", "10.001", "above the maximum 10"),
        ({}, OrderType.LIMIT, "100", "0", "below the minimum 0.001"),
        ({}, OrderType.LIMIT, "100", "1.0005", "not a multiple of 0.001"),
        ({}, OrderType.LIMIT, "100.05", "1", "not a multiple of 0.1"),
        ({}, OrderType.MARKET, "100.05", "1", None),
        ({}, OrderType.LIMIT, "1000000.1", "1", "is outside"),
        ({}, OrderType.LIMIT, "0", "1", "is outside"),
        ({}, OrderType.LIMIT, "5", "1", None),
        ({}, OrderType.LIMIT, "4.9", "1", "below the minimum 5"),
        ({"status": "Delivering"}, OrderType.LIMIT, "100", "1", "is Delivering, not Trading"),
    ],
)
def test_the_first_broken_filter_is_named(changes, order_type, price, qty, reason):
    said = replace(BASE, **changes).why_not_orderable(order_type, Decimal(price), Decimal(qty))
    assert said is None if reason is None else reason in said


def test_all_recorded_instruments_round_to_orders_that_pass_their_own_filters():
    rows = json.loads(gzip.decompress(recorded("bybit/instruments-info-linear-20260809.json.gz").read_bytes()))[
        "result"
    ]["list"]
    trading = [parsed(row) for row in rows if row["status"] == "Trading"]
    assert len(trading) > 500
    for instrument in trading:
        for factor in (Decimal("1.0000001"), Decimal("1.37"), Decimal("7.77")):
            price = instrument.round_price(instrument.min_price * 1000 * factor, Side.BUY)
            least = max(instrument.min_qty, instrument.min_notional / price)
            qty = instrument.round_qty(least * factor + instrument.qty_step)
            if qty <= instrument.max_limit_qty:
                assert instrument.why_not_orderable(OrderType.LIMIT, price, qty) is None, instrument.symbol
