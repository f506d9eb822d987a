"""Slow facts (mark, index, open interest, funding, ratio): the last value of each with its event time.

They arrive from two streams with different delays, so the one with the latest event time wins, whatever the order of
arrival. They never move the kernels' clock and survive a gap of the market feed; how old they are is itself a
feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from undertow.features.events import MARK, NS_PER_SECOND, RATIO
from undertow.features.layout import F_SLOW, I_SLOW
from undertow.runtime.jit import kernel

if TYPE_CHECKING:  # the kernel imports this module
    from undertow.features.kernel import FeatureState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlowValue:
    """One slow fact.

    Attributes:
        value: in the unit of its kind.
        ts_event: when it held, UTC ns.
    """

    value: float
    ts_event: int

    def age_ns(self, now_ns: int) -> int:
        """Give its age; a fact of the future is 0 old."""
        return max(0, now_ns - self.ts_event)


def last(state: FeatureState, kind: int) -> SlowValue | None:
    """Give the last value of a slow kind, or None before the first.

    Raises:
        ValueError: `kind` is not a slow kind.
    """
    if not MARK <= kind <= RATIO:
        raise ValueError(f"kind {kind} is not slow: use one of {MARK}..{RATIO} of undertow.features.events")
    ts_event = int(state.ints[I_SLOW + kind - MARK])
    return None if ts_event < 0 else SlowValue(float(state.floats[F_SLOW + kind - MARK]), ts_event)


@kernel
def put(ints: Ints, floats: Floats, slot: int, ts: int, value: float) -> bool:
    """Keep `value` unless a later one is known; say whether it was kept."""
    if ts < ints[I_SLOW + slot]:
        return False
    ints[I_SLOW + slot] = ts
    floats[F_SLOW + slot] = value
    return True


@kernel
def age_seconds(ints: Ints, slot: int, clock: int, limit: float) -> float:
    """Age of a slow value at `clock`, seconds, within [0, limit]; `limit` before the first."""
    if ints[I_SLOW + slot] < 0:
        return limit
    age: float = max(0, clock - ints[I_SLOW + slot]) / NS_PER_SECOND
    return min(limit, age)
