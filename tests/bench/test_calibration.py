from __future__ import annotations

import pytest

from bench.calibration import parameters, recordings
from tests.support import recorded
from undertow.markets.generated_parameters import shipped


def test_the_shipped_trades_and_sizes_are_what_the_recordings_give():
    """The quick part of `make calibrate CHECK=1`."""
    recorded("bybit/linear-20260809.rawlines.gz")
    recorded("okx/liquidations.parquet")
    seen, liquidated = recordings.bybit(), recordings.okx()
    for symbol, law in shipped().symbols.items():
        assert parameters.sizes(liquidated[symbol].usd) == law.liquidations.sizes
        assert parameters._trades(seen[symbol]) == law.trades


def test_liquidations_are_counted_in_true_dollars():
    """The largest of the file, by hand: `size_usd / price` contracts of the contract value."""
    recorded("okx/liquidations.parquet")
    liquidated = recordings.okx()
    assert {symbol: len(seen.times) for symbol, seen in liquidated.items()} == {
        "BTCUSDT": 1611, "ETHUSDT": 1632, "SOLUSDT": 1052, "DOGEUSDT": 1422,
    }  # fmt: skip
    assert liquidated["BTCUSDT"].usd.max() == pytest.approx(539_479, rel=1e-5)
