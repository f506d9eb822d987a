"""Time to score the grid of 36 arms, paced at 200 calls a second, on one thread; one JSON line per figure.

`python -m bench.inference [seconds]`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from undertow.domain.order import Side
from undertow.domain.state import Mode
from undertow.learning.grid import model_input
from undertow.learning.policy import ThompsonPolicy
from undertow.learning.registry import load_serving
from undertow.learning.scoring import session

RATE = 200.0
COMMAND = "python -m bench.inference"


def paced(call: Callable[[], object], seconds: float) -> np.ndarray:
    """Call at `RATE`, sleeping between; give the durations in microseconds."""
    for _ in range(50):
        call()
    took = []
    due = time.perf_counter()
    for _ in range(int(seconds * RATE)):
        due += 1.0 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return np.array(took) * 1e6


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    entry = load_serving(Path("var/no-registry"), Mode.PAPER)
    scorer, policy = entry.scorer(), ThompsonPolicy()
    vector = np.random.default_rng(1).normal(size=len(entry.card.features))
    matrix = model_input(vector, Side.BUY)
    one_row = session(entry.return_onnx)
    scores = scorer.score(matrix)
    trees = entry.card.training["trees"]
    size = len(entry.return_onnx) + len(entry.fill_onnx)
    note = f"{trees['return']}+{trees['fill']} trees of depth {entry.card.training['depth']}, {size} bytes"
    measured = {
        "bare onnxruntime, 1 row, return model": paced(lambda: one_row.run(None, {"features": matrix[:1]}), seconds),
        "grid of 36 arms, both models": paced(lambda: scorer.score(matrix), seconds),
        "vector to choice (input, grid, policy)": paced(
            lambda: policy.choose(scorer.score(model_input(vector, Side.BUY)), "reference", 0), seconds
        ),
        "policy alone": paced(lambda: policy.choose(scores, "reference", 0), seconds),
    }
    base = next(iter(measured.values()))
    for name, values in measured.items():
        for quantile in (50, 99):
            value, floor = float(np.percentile(values, quantile)), float(np.percentile(base, quantile))
            line = {
                "name": f"inference: {name}, p{quantile}, paced {RATE:.0f}/s",
                "value": round(value, 1),
                "unit": "us",
                "ratio_to": "bare onnxruntime, 1 row",
                "ratio": round(value / floor, 2),
                "command": COMMAND,
                "note": note,
            }
            print(json.dumps(line))


if __name__ == "__main__":
    main()
