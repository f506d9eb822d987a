"""The guardian over a day of generated market in virtual time, at one book frame a second: nothing trips it, though there is trade."""

from __future__ import annotations

from collections import Counter

import pytest

from services.guardian.rules import Phase
from tests.fleet.in_process import InProcessFleet
from tests.fleet.virtual import SECOND, Streams, finished
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


def test_a_kill_in_the_middle_of_a_trade_leaves_the_venues_stop_until_the_position_is_closed():
    fleet = fleet_of(7)
    while not finished(fleet.router.ground.http.positions()):
        fleet.run(0.5)
    fleet.run(0.2)
    fleet.guardian.perform(fleet.guardian.core.on_kill("anna", "news", fleet.timeline.now_ns()))
    steps_held = 0
    for _ in range(1_000):
        fleet.run(0.0005)
        held = finished(fleet.router.ground.http.positions())
        stops = [each for each in finished(fleet.router.ground.http.open_orders()) if each.is_conditional]
        assert bool(held) == bool(stops)
        steps_held += bool(held)
    assert steps_held
    assert not held
    fleet.run(3)
    assert fleet.guardian.core.phase is Phase.HALTED
