from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.undertow.features.facts import at, flat_book, liquidations
from undertow.domain.order import Side
from undertow.features.catalogue import SCHEMA_HASH
from undertow.features.events import events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.message import exact_decimal, features_message


@given(st.integers(1, 10**15 - 1), st.integers(0, 12))
def test_a_price_comes_back_from_its_float_exactly(digits, places):
    price = Decimal(digits).scaleb(-places)
    assert exact_decimal(float(str(price))) == price


def vectors(rule, side=Side.SELL):
    return sweep(FeatureState.empty(), rule, events_of([flat_book(0), liquidations(20, (side, "100", "600"))]))


def test_a_vector_becomes_a_message_with_exact_prices():
    found = vectors(TriggerRule())
    message = features_message("BTCUSDT", found, 0, 42, ("market:{BTCUSDT}/7-0",))
    assert message.ts_event == at(20)
    assert message.ts_recv == 42
    assert message.trigger == "liquidation"
    assert message.trigger_side is Side.SELL
    assert (message.best_bid, message.best_ask, message.mid) == (Decimal("100.0"), Decimal("100.2"), Decimal("100.1"))
    assert message.schema_hash == SCHEMA_HASH
    assert np.frombuffer(message.values, "<f8").tolist() == found.values[0].tolist()
    assert features_message("BTCUSDT", vectors(TriggerRule(), Side.BUY), 0, 0, ()).trigger_side is Side.BUY


def test_a_sample_is_no_message():
    with pytest.raises(ValueError, match="not for a liquidation"):
        features_message("BTCUSDT", vectors(TriggerRule(threshold_usdt=1e9, sample_ns=1)), 0, 0, ())
