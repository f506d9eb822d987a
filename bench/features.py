"""What features cost: `python bench/features.py [TAPE]`; one JSON line per figure.

Sweep: a day of rows in one call, one vector per 10,000 rows, 1,000 and 100. Hub: batches of the hub's own size through its core. Vector:
one END row with a vector less one without. Cold compile: a fresh cache in a fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from services.feature_hub.core import HubCore
from tests.undertow.features.facts import SYMBOL, RandomMarket, liquidations
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.streams import MARKET
from undertow.domain.order import Side
from undertow.features.catalogue import N_FEATURES
from undertow.features.events import END, Events, events_of
from undertow.features.kernel import FeatureState, TriggerRule, advance, sweep
from undertow.features.warm import warm

COMMAND = "python -m bench.features"
_told: dict[str, float] = {}


def tell(name: str, value: float, unit: str, ratio_to: str | None = None, **more: object) -> None:
    """Print a row; `ratio_to` names one of the rows before it."""
    _told[name] = value
    ratio = {"ratio_to": ratio_to, "ratio": round(value / _told[ratio_to], 3)} if ratio_to else {}
    print(
        json.dumps({"name": name, "value": round(value, 3), "unit": unit, **ratio, **more, "command": COMMAND}),
        flush=True,
    )


def compile_cold() -> None:
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        program = "import time\nfrom undertow.features.warm import warm\nt=time.perf_counter()\nwarm()\nprint(time.perf_counter()-t)"
        for name in ("features_compile_cold", "features_compile_cached"):
            done = subprocess.run(
                [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
            )
            tell(name, float(done.stdout), "s", "features_compile_cold")


def repeated(events: Events, times: int) -> Events:
    span = int(events.ts_ns.max() - events.ts_ns.min()) + 1_000_000
    return Events(
        np.concatenate([events.ts_ns + n * span for n in range(times)]),
        np.tile(events.kind, times),
        np.tile(events.price, times),
        np.tile(events.size, times),
    )


def sweeps() -> None:
    market = RandomMarket(1, step_ms=5, checkpoint_every=1000)
    events = repeated(events_of(market.messages(20_000)), 40)
    rows = len(events.kind)
    seconds = (int(events.ts_ns[-1]) - int(events.ts_ns[0])) / 1e9
    for per_vector in (10_000, 1_000, 100):
        rule = TriggerRule(threshold_usdt=1e18, sample_ns=round(seconds / rows * per_vector * 1e9))
        took = []
        for _ in range(3):
            state = FeatureState.empty()
            begin = time.perf_counter()
            vectors = sweep(state, rule, events)
            took.append(time.perf_counter() - begin)
        tell(
            f"features_sweep_1_per_{per_vector}",
            rows / min(took),
            "events/s",
            "features_sweep_1_per_10000",
            events=rows,
            vectors=len(vectors.rows),
        )


def hub() -> None:
    messages = RandomMarket(2, step_ms=5, checkpoint_every=1000).messages(20_000)
    topic = Topic(MARKET, symbol=SYMBOL)
    deliveries = [Delivery(topic, f"{n + 1}-0", "ingestor/1", n + 1, (1,), m) for n, m in enumerate(messages)]
    for size in (1, 4, 32, 256):
        core = HubCore({SYMBOL: TriggerRule()})
        took = []
        for begin in range(0, len(deliveries), size):
            batch = deliveries[begin : begin + size]
            start = time.perf_counter_ns()
            core.on_batch(batch)
            took.append((time.perf_counter_ns() - start) / 1e3)
        p50, p99 = np.percentile(took, (50, 99))
        tell(
            f"feature_hub_batch_of_{size}",
            p50,
            "us",
            "feature_hub_batch_of_1",
            p99=round(float(p99), 1),
            messages_per_s=round(20_000 / sum(took) * 1e6),
        )


def trigger() -> None:
    messages = RandomMarket(3, step_ms=5, checkpoint_every=1000).messages(15_000)
    core = HubCore({SYMBOL: TriggerRule(threshold_usdt=1.0, refractory_ns=0)})
    topic = Topic(MARKET, symbol=SYMBOL)

    def delivery(number: int, message: object) -> Delivery:
        return Delivery(topic, f"{number}-0", "ingestor/1", number, (1,), message)

    core.on_batch([delivery(n + 1, m) for n, m in enumerate(messages)])
    number, last, took = len(messages), 75.0, []
    for step in range(2_000):
        number += 1
        message = liquidations(last + step / 100, (Side.BUY, "1000.0", 1))
        start = time.perf_counter_ns()
        found = core.on_batch([delivery(number, message)])
        took.append((time.perf_counter_ns() - start) / 1e3)
        assert len(found) == 1
    whole = np.percentile(took[200:], (50, 99))

    state = core.feeds[SYMBOL].state
    end = Events(np.array([state.clock_ns]), np.array([END], dtype=np.uint8), np.zeros(1), np.zeros(1))
    out = (np.empty((2, N_FEATURES)), np.empty((2, 3), dtype=np.int64), np.empty((2, 2)))
    costs = {}
    for name, sample in (("without", 0), ("with", 1)):
        parameters = TriggerRule(threshold_usdt=1e18, sample_ns=sample).parameters()
        took = []
        for _ in range(5_000):
            end.ts_ns[0] = state.clock_ns + 1
            start = time.perf_counter_ns()
            advance(*state, parameters, *end, 0, 1, *out)
            took.append((time.perf_counter_ns() - start) / 1e3)
        costs[name] = np.percentile(took, (50, 99))
    call = "feature_kernel_call"
    tell(call, costs["without"][0], "us", p99=round(float(costs["without"][1]), 1))
    tell("feature_vector", costs["with"][0] - costs["without"][0], "us", call, p99=round(float(costs["with"][1]), 1))
    for share, value in zip(("p50", "p99"), whole, strict=True):
        tell(f"feature_update_and_vector_message_{share}", float(value), "us", call, rate="hot loop")


if __name__ == "__main__":
    compile_cold()
    warm()
    sweeps()
    hub()
    trigger()
