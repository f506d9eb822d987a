from __future__ import annotations

import asyncio

from undertow.contracts.metrics import CONNECTS_HELD_BACK, CONNECTS_IN_WINDOW, CONNECTS_LIMIT
from undertow.exchange.budget.connects import ConnectBudget
from undertow.runtime.clock import ManualClock
from undertow.runtime.metrics import Metrics


def shown(metrics, spec):
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    return next(sample.value for sample in samples if sample.name == spec.name)


async def test_connections_stay_within_their_budget_in_market_time_and_the_metrics_tell():
    metrics, loop = Metrics("ingestor", "paper"), asyncio.get_running_loop()
    budget = ConnectBudget(3, ManualClock(rate=1_000.0), metrics)  # whose five minutes are 0.3 s
    assert (shown(metrics, CONNECTS_LIMIT), shown(metrics, CONNECTS_IN_WINDOW)) == (3, 0)
    taken_s, seen = [], []

    async def knock():
        await budget.take()
        taken_s.append(loop.time())
        seen.append(shown(metrics, CONNECTS_IN_WINDOW))

    await asyncio.gather(*(knock() for _ in range(9)))
    assert all(later - sooner >= 0.29 for sooner, later in zip(taken_s, taken_s[3:], strict=False))
    assert seen[:3] == [1, 2, 3]
    assert max(seen) == 3
    assert shown(metrics, CONNECTS_HELD_BACK) == 6
