from __future__ import annotations

import numpy as np
import pytest

from tests.support import recorded
from undertow.markets.generated import GeneratedMarket
from undertow.markets.observation import DEPTHS_BPS, observe, pooled
from undertow.markets.recordings import open_recording


@pytest.fixture(scope="module")
def seen():
    return observe(open_recording(recorded("bybit/linear-20260809.rawlines.gz")))


def test_a_recording_is_described_by_what_its_frames_say(seen):
    """Figures counted by other means: 414 book frames and no move in BTCUSDT, 57 trade frames in SOLUSDT."""
    bitcoin, solana = seen["BTCUSDT"], seen["SOLUSDT"]
    assert len(bitcoin.spreads) == 414
    assert set(np.round(bitcoin.spreads, 6)) == {0.1}
    assert not bitcoin.returns_bps.any()
    assert len(solana.trade_s) == 57
    assert solana.prints.sum() == len(solana.sizes) == 165


def test_depth_grows_with_the_distance_and_levels_are_those_behind_the_best(seen):
    for market in seen.values():
        assert len(market.profile) == len(DEPTHS_BPS)
        assert (np.diff(market.profile) >= 0).all()
        assert market.ranks.min() == 1
        assert market.ranks.max() == 199
        assert len(market.levels) == len(market.touches) * 199


def test_watching_ends_when_it_is_told_to():
    (market,) = observe(GeneratedMarket(("BTCUSDT",)), 30.0).values()
    assert market.span_s == pytest.approx(30.0, abs=0.2)
    assert len(market.mids) == pytest.approx(300, abs=2)
    assert len(market.second_returns_bps) == pytest.approx(29, abs=1)
    assert market.trades_per_second.sum() == len(market.trade_s)


def test_several_recordings_are_pooled_column_by_column(seen):
    parts = [seen["BTCUSDT"], seen["ETHUSDT"]]
    assert len(pooled(parts, "spreads")) == sum(len(part.spreads) for part in parts)
