"""The generated market, watched as the recordings are."""

from __future__ import annotations

import random
from typing import get_args

import numpy as np

from bench.calibration.recordings import Liquidated
from undertow.markets.generated import GeneratedMarket, MannerName
from undertow.markets.generated_calibrated import Calibrated
from undertow.markets.generated_cascades import TICK_S
from undertow.markets.generated_parameters import Parameters
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.observation import Observation, observe

SEED = 1
STEP_S = TICK_S
WATCHED_S = 900.0
ALONE_S = 6 * 86_400.0
BANKRUPTCY = {"Buy": 0.995, "Sell": 1.005}


def markets() -> dict[str, dict[str, Observation]]:
    """Watch both manners for 15 minutes, by manner and symbol."""
    return {
        manner: observe(GeneratedMarket(tuple(CONTRACTS), seed=SEED, manner=manner), WATCHED_S)
        for manner in get_args(MannerName)
    }


def liquidations(symbol: str, parameters: Parameters) -> Liquidated:
    """Run the calibrated price alone, book and tape left out."""
    rng = random.Random(f"{SEED}/{symbol}")  # noqa: S311 - a simulation, no secret
    manner = Calibrated(CONTRACTS[symbol], parameters.symbols[symbol], rng, edge_bps=0.0)
    rows = []
    for step in range(1, round(ALONE_S / STEP_S) + 1):
        forced = manner.walk.step(step * STEP_S)
        for side, lots in manner.liquidations(forced):
            usd = lots * CONTRACTS[symbol].lot * manner.walk.price * CONTRACTS[symbol].tick
            at = step * STEP_S - rng.random() * STEP_S
            rows.append((at, usd, -1.0 if side == "Buy" else 1.0, manner.walk.price * BANKRUPTCY[side]))
    rows.sort()
    return Liquidated(*np.array(rows).T)
