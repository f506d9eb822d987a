from __future__ import annotations

import numpy as np

from undertow.domain.order import Side
from undertow.learning.grid import ARM_COLUMNS, ARM_INDEX, ARMS, model_input


def test_there_are_36_distinct_arms():
    assert len(ARMS) == len(set(ARMS)) == len(ARM_INDEX) == 36
    assert all(ARMS[index] == arm for arm, index in ARM_INDEX.items())


def test_model_input_repeats_the_vector_and_adds_the_arm():
    vector = np.array([1.5, -2.0, 3.0])
    matrix = model_input(vector, Side.SELL)
    assert matrix.shape == (36, 3 + len(ARM_COLUMNS))
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    for row, arm in zip(matrix, ARMS, strict=True):
        assert row[:3].tolist() == [1.5, -2.0, 3.0]
        catches = 1.0 if arm.side is Side.SELL else -1.0
        assert row[3:].tolist() == [arm.side.sign, catches, arm.delta_bps, arm.hold_ns / 1e9]
