"""The recordings of the calibration, read in place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from undertow.markets.estimates import Floats
from undertow.markets.observation import Observation, observe
from undertow.markets.recordings import open_recording

COINS = {"BTCUSDT": ("BTC", 0.01), "ETHUSDT": ("ETH", 0.1), "SOLUSDT": ("SOL", 1.0), "DOGEUSDT": ("DOGE", 1000.0)}
"""Coin and base coin per contract (OKX's contract value)."""
BINANCE = ("usdm_*_202407*.gz", "usdm_*_20240808.gz")


@dataclass(frozen=True)
class Liquidated:
    """Single liquidations of one coin: seconds, USD, +1 where shorts were bought back, bankruptcy price."""

    times: Floats
    usd: Floats
    signs: Floats
    prices: Floats

    @property
    def span_s(self) -> float:
        return float(self.times[-1] - self.times[0])

    def cut(self, span_s: float) -> list[Liquidated]:
        """Give whole stretches of this length; all of it where it is shorter."""
        numbers = np.minimum(((self.times - self.times[0]) // span_s), max(0, self.span_s // span_s - 1))
        parts = (numbers == number for number in np.unique(numbers))
        return [Liquidated(self.times[part], self.usd[part], self.signs[part], self.prices[part]) for part in parts]


def root() -> Path:
    """Give the folder of the recordings."""
    return Path(os.environ.get("UNDERTOW_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def okx() -> dict[str, Liquidated]:
    """Read single liquidations; the file's `size_usd` leaves out the contract value, so it is put in."""
    out = {}
    for symbol, (coin, contract_value) in COINS.items():
        rows = duckdb.execute(
            "select epoch_ms(timestamp) / 1000.0 as t, side, size_usd / price as contracts, price from read_parquet(?) "
            "where venue = 'okx' and coin = ? order by timestamp",
            [str(root() / "okx" / "liquidations.parquet"), coin],
        ).fetchnumpy()
        price = np.asarray(rows["price"], np.float64)
        usd = np.asarray(rows["contracts"], np.float64) * contract_value * price
        signs = np.where(rows["side"] == "sell", -1.0, 1.0)
        out[symbol] = Liquidated(np.asarray(rows["t"], np.float64), usd, signs, price)
    return out


def bybit() -> dict[str, Observation]:
    """Watch the Bybit recording."""
    return observe(open_recording(root() / "bybit" / "linear-20260809.rawlines.gz"))


def binance() -> list[dict[str, Observation]]:
    """Watch the Binance recordings, one window after the other."""
    return [observe(open_recording(root() / "binance" / name)) for name in BINANCE]
