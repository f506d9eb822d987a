from __future__ import annotations

import gzip
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.order_router.rig import INSTRUMENT, SIZING
from tests.support import recorded
from undertow.domain.order import OrderType, Side
from undertow.exchange.bybit.parse import instrument as parsed
from undertow.trading.sizing import Funds, entry_price, size_entry, stop_price

RICH = Funds(
    equity=Decimal(100_000),
    available=Decimal(100_000),
    symbol_exposure=Decimal(0),
    gross_exposure=Decimal(0),
    correlated_exposure=Decimal(0),
    unsettled_exposure=Decimal(0),
)


def sized(funds: Funds = RICH, rules=SIZING, instrument=INSTRUMENT, **changes):
    wish = {"side": Side.BUY, "mid": Decimal(50_000), "delta_bps": 4.0, "size_hint": 1.0, **changes}
    wish.setdefault("mark", wish["mid"] * (1 - wish["side"].sign * Decimal("0.001")))
    return size_entry(rules, instrument, funds, **wish)


@pytest.mark.parametrize(
    ("funds", "rules", "bound", "notional"),
    [
        (RICH, SIZING, "risk", Decimal("6666.66")),
        (RICH, replace(SIZING, risk_per_trade=Decimal("0.01")), "symbol", Decimal(10_000)),
        (replace(RICH, symbol_exposure=Decimal(9_000)), SIZING, "symbol", Decimal(1_000)),
        (replace(RICH, gross_exposure=Decimal(39_000)), SIZING, "gross", Decimal(1_000)),
        (replace(RICH, available=Decimal(125)), SIZING, "margin", Decimal(1_000)),
        (replace(RICH, available=Decimal(750), unsettled_exposure=Decimal(5_000)), SIZING, "margin", Decimal(1_000)),
        (replace(RICH, correlated_exposure=Decimal(29_000)), SIZING, "correlation", Decimal(1_000)),
        (RICH, replace(SIZING, hard_notional=Decimal(250)), "hard cap", Decimal(250)),
        (
            replace(RICH, gross_exposure=Decimal(200)),
            replace(SIZING, hard_notional=Decimal(250)),
            "hard cap",
            Decimal(50),
        ),
        (
            replace(RICH, gross_exposure=Decimal(79_000)),
            replace(SIZING, leverage=Decimal(1), gross_fraction=Decimal(5)),
            "equity",
            Decimal(1_000),
        ),
    ],
)
def test_the_least_of_risk_symbol_gross_and_margin_bounds_the_size(funds, rules, bound, notional):
    size = sized(funds, rules)
    assert size.bound == bound
    assert size.reason == ""
    assert 0 <= notional - size.qty * size.price < INSTRUMENT.qty_step * size.price


def test_a_size_is_reckoned_at_the_mark_where_that_is_more_than_the_limit_price():
    rules = replace(SIZING, risk_per_trade=Decimal("0.01"))
    assert sized(rules=rules, mark=Decimal(100_000)).qty == Decimal("0.1")
    assert sized(rules=rules, mark=Decimal(1)).qty == Decimal("0.2")


def test_no_position_is_larger_than_one_market_order_can_close():
    assert sized(instrument=replace(INSTRUMENT, max_market_qty=Decimal("0.05"))).qty == Decimal("0.05")


def test_what_is_lost_at_the_stop_is_the_risk_per_trade():
    size = sized()
    loss = size.qty * (size.price - size.stop_loss)
    assert loss <= RICH.equity * SIZING.risk_per_trade
    assert loss > RICH.equity * SIZING.risk_per_trade * Decimal("0.98")


def test_a_volatile_market_makes_the_size_smaller_and_a_calm_one_does_not_make_it_larger():
    assert sized(volatility_bps=Decimal(100)).qty == sized().qty / 2 - sized().qty / 2 % INSTRUMENT.qty_step
    assert sized(volatility_bps=Decimal(1)).qty == sized().qty


@pytest.mark.parametrize(("hint", "share"), [(0.5, Decimal("0.5")), (3.0, Decimal(1)), (-1.0, Decimal(0))])
def test_the_hint_is_a_share_of_what_is_allowed(hint, share):
    size = sized(size_hint=hint)
    assert size.qty <= sized().qty * share
    assert (size.qty > 0) == (share > 0)


@pytest.mark.parametrize(
    ("funds", "instrument", "changes", "reason"),
    [
        (
            replace(RICH, equity=Decimal(100)),
            INSTRUMENT,
            {},
            "qty 0.000 is below the minimum 0.001 (risk allows 6.6667)",
        ),
        (replace(RICH, symbol_exposure=Decimal(10_000)), INSTRUMENT, {}, "symbol allows 0.0"),
        (replace(RICH, gross_exposure=Decimal(50_000)), INSTRUMENT, {}, "gross allows -10000.0"),
        (RICH, replace(INSTRUMENT, status="Closed"), {}, "BTCUSDT is Closed, not Trading"),
        (RICH, INSTRUMENT, {"mid": Decimal(0)}, "price 0.0 is not positive"),
        (RICH, replace(INSTRUMENT, min_notional=Decimal(10_000)), {}, "is below the minimum 10000"),
    ],
)
def test_what_is_too_small_or_impossible_is_nothing_with_a_reason(funds, instrument, changes, reason):
    size = sized(funds, instrument=instrument, **changes)
    assert size.qty == 0
    assert reason in size.reason


def test_the_largest_order_bounds_the_quantity():
    assert sized(instrument=replace(INSTRUMENT, max_limit_qty=Decimal("0.01"))).qty == Decimal("0.01")


@given(
    st.sampled_from(Side),
    st.decimals(min_value="1", max_value="200000", places=3),
    st.sampled_from([1.0, 2.0, 4.0, 7.0, 12.0, 20.0]),
)
def test_a_price_is_at_least_delta_away_and_the_stop_on_the_losing_side(side, mid, delta):
    price = entry_price(INSTRUMENT, side, mid, delta)
    stop = stop_price(INSTRUMENT, side, price, Decimal(150))
    assert (mid - price) * side.sign >= mid * Decimal(str(delta)) / 10_000
    assert (price - stop) * side.sign >= 0
    assert abs(price - stop) <= price * Decimal("0.015")


@given(
    st.decimals(min_value=0, max_value=10**7, places=2),
    st.decimals(min_value=0, max_value=10**7, places=2),
    st.decimals(min_value=0, max_value=10**6, places=2),
    st.decimals(min_value="0.5", max_value=10**6, places=1),
    st.floats(min_value=0.0001, max_value=1),
)
def test_no_size_ever_exceeds_a_limit_or_breaks_a_filter(equity, available, exposure, mid, hint):
    funds = replace(RICH, equity=equity, available=available, symbol_exposure=exposure, gross_exposure=exposure)
    size = sized(funds, mid=mid, size_hint=hint)
    if size.reason:
        assert size.qty == 0
        return
    notional = size.qty * size.price
    assert exposure + notional <= equity * SIZING.symbol_fraction
    assert notional <= available * SIZING.margin_fraction * SIZING.leverage
    assert INSTRUMENT.why_not_orderable(OrderType.LIMIT, size.price, size.qty) is None


def test_every_order_sized_for_a_recorded_instrument_passes_its_filters():
    rows = json.loads(gzip.decompress(recorded("bybit/instruments-info-linear-20260809.json.gz").read_bytes()))[
        "result"
    ]["list"]
    instruments = [parsed(row) for row in rows]
    assert len(instruments) >= 500
    ordered = 0
    for instrument in instruments:
        for side in Side:
            mid = instrument.round_price(instrument.min_price * 12_345, side)
            size = sized(instrument=instrument, side=side, mid=mid)
            assert bool(size.qty) != bool(size.reason)
            if size.qty:
                ordered += 1
                assert instrument.why_not_orderable(OrderType.LIMIT, size.price, size.qty) is None
    assert ordered > len(instruments)
