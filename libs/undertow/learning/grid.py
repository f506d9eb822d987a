"""The arms: what one entry may look like. A side, a distance from the mid, and how long to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from undertow.domain.order import Side

REST_NS: Final = 3_000_000_000
"""How long an entry rests before it is cancelled."""

DELTAS_BPS: Final = (1.0, 2.0, 4.0, 7.0, 12.0, 20.0)
HOLDS_S: Final = (2, 5, 15)


@dataclass(frozen=True, slots=True)
class Arm:
    """One kind of entry.

    Attributes:
        delta_bps: distance of the limit from the mid, away from the market.
        hold_ns: T, from the first fill.
    """

    side: Side
    delta_bps: float
    hold_ns: int


ARMS: Final = tuple(
    Arm(side, delta, hold * 1_000_000_000) for side in (Side.BUY, Side.SELL) for delta in DELTAS_BPS for hold in HOLDS_S
)
"""All 36, in the order in which models score them."""

ARM_INDEX: Final = {arm: index for index, arm in enumerate(ARMS)}

ARM_COLUMNS: Final = ("arm_side", "arm_catches", "arm_delta_bps", "arm_hold_s")
"""Columns that follow the features in a model's input: the side's sign; +1 when the entry takes the side of the liquidated
positions (it buys what longs are forced to sell), -1 when not; delta; T in seconds."""

_SIGNS: Final = np.array([arm.side.sign for arm in ARMS], dtype=np.float32)
_DELTAS: Final = np.array([arm.delta_bps for arm in ARMS], dtype=np.float32)
_HOLDS: Final = np.array([arm.hold_ns / 1e9 for arm in ARMS], dtype=np.float32)


_COLUMNS: Final = {side: np.stack([_SIGNS, _SIGNS * np.float32(side.sign), _DELTAS, _HOLDS], axis=1) for side in Side}


def arm_columns(trigger_side: Side) -> npt.NDArray[np.float32]:
    """Give the arms as model input, shape (36, 4), for a trigger that liquidated positions of this side; not to be changed."""
    return _COLUMNS[trigger_side]


def model_input(vector: npt.NDArray[np.float64], trigger_side: Side) -> npt.NDArray[np.float32]:
    """Repeat a feature vector for each arm: shape (36, n_features + 4), float32, C order."""
    n = vector.shape[0]
    matrix = np.empty((len(ARMS), n + len(ARM_COLUMNS)), dtype=np.float32)
    matrix[:, :n] = vector
    matrix[:, n:] = arm_columns(trigger_side)
    return matrix
