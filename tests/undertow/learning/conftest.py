from __future__ import annotations

import pytest

from tests.support import unmeasured
from undertow.learning.dataset import build_dataset, events_by_symbol
from undertow.learning.plan import TrainingPlan
from undertow.learning.train import train
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_wire import CONTRACTS

SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT")
SMALL = TrainingPlan(trees=30, depth=4)


def small_dataset(edge_bps: float, seconds: float = 1100.0):
    market = GeneratedMarket(SYMBOLS, seed=5, planted_edge_bps=edge_bps)
    events = events_by_symbol(market, seconds)
    return build_dataset(events, {symbol: CONTRACTS[symbol].tick for symbol in SYMBOLS}, market.label)


@pytest.fixture(scope="session")
def dataset():
    with unmeasured():
        return small_dataset(45.0)


@pytest.fixture(scope="session")
def trained(dataset):
    return train(dataset, SMALL, demonstration=True, data={})
