from __future__ import annotations

import pytest

from services.trainer.core import train_demonstration
from services.trainer.settings import TrainingSettings
from tests.support import unmeasured

SMALL = TrainingSettings(market_seconds=900, trees=5, depth=3, planted_edge_bps=45.0, cascade_interval_s=7.5)
SYMBOLS = ("DOGEUSDT", "SOLUSDT", "ETHUSDT")


@pytest.fixture(scope="session")
def small_job():
    """What the job makes of `SMALL`, and the progress that it reported."""
    steps: list[tuple[str, float]] = []
    with unmeasured():
        return train_demonstration(SYMBOLS, SMALL, lambda step, share: steps.append((step, share))), steps
