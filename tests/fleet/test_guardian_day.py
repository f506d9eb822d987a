"""The guardian over a day of generated market in virtual time, at one book frame a second: nothing trips it, though there is trade."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fleet.in_process import InProcessFleet
from tests.fleet.virtual import SECOND, Streams
from undertow.contracts.messages.trading import TradeClosed
from undertow.domain.state import TradingState
from undertow.markets.generated import GeneratedMarket

HOUR_S = 3_600


class CountingStreams(Streams):
    """Streams that keep no entry, only how many there were: a day of them would fill the memory."""

    def __init__(self, timeline, hop_ns):
        super().__init__(timeline, hop_ns)
        self.counts = Counter()

    def publish(self, producer, topic, message, hops=()):
        super().publish(producer, topic, message, hops)
        self.counts[type(message)] += 1
        self.published.clear()
        self.deliveries.clear()


def fleet_of(seed):
    market = GeneratedMarket(symbols=("BTCUSDT",), seed=seed, frame_rate=1.0, cascade_interval_s=20.0)
    return InProcessFleet(market, seed, streams=CountingStreams)


@pytest.mark.parametrize(
    ("seconds", "trades"),
    [(HOUR_S // 12, 1), pytest.param(24 * HOUR_S, 300, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])],
    ids=["five minutes", "a day"],
)
def test_it_trips_on_nothing(seconds, trades):
    fleet = fleet_of(7)
    for minute in range(seconds // 60):
        fleet.run(60)
        assert fleet.guardian.phases == [], f"minute {minute}: {fleet.guardian.phases}"
        assert fleet.position_manager.core.state is TradingState.ACTIVE, f"minute {minute}"
    assert fleet.streams.counts[TradeClosed] >= trades
    assert fleet.timeline.now_ns() >= fleet.source.origin_ns + (seconds - 60) * SECOND
