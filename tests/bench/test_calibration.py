from __future__ import annotations

import pytest

from bench.calibration import parameters, recordings, report
from bench.calibration.__main__ import PAGE
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


def test_the_page_shows_the_shipped_parameters_and_pictures_that_are_there():
    page = PAGE.read_text()
    assert "\n".join(report._parameters(shipped())) in page
    pictures = [line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert len(pictures) == 3
    assert all((PAGE.parent / picture).stat().st_size for picture in pictures)
