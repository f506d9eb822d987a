"""Compile every kernel once: `python -m undertow.features.warm`.

The launcher and the image build run this before any service starts, so that several processes never compile the same
thing.
"""

from __future__ import annotations

import numpy as np

from undertow.features.events import END, KINDS, Events
from undertow.features.kernel import FeatureState, TriggerRule, sweep


def warm() -> None:
    """Compile all kernels, or load them from the cache; some seconds at the first time, then well under one."""
    kinds = np.array([*range(KINDS), END], dtype=np.uint8)
    events = Events(np.full(len(kinds), 1, dtype=np.int64), kinds, np.full(len(kinds), 1.0), np.full(len(kinds), 1.0))
    sweep(FeatureState.empty(), TriggerRule(), events)


if __name__ == "__main__":
    warm()
