"""The outside world at the hub: known in time it gives the vectors of the offline sweep, and it holds up nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feature_hub.core import HubCore
from tests.services.feature_hub.test_core import RULE, SLOW, burst, delivered, values
from tests.undertow.features.facts import (
    EXAMPLES,
    SYMBOL,
    RandomMarket,
    flat_book,
    neighbour,
    outside_world,
    ticker,
    value,
)
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.streams import MACRO
from undertow.domain.order import Side
from undertow.features.arrival import in_known_order
from undertow.features.catalogue import FEATURES, INDEX_OF, Group
from undertow.features.events import events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep


def from_outside(facts):
    return [
        Delivery(Topic(MACRO), f"{number}-0", "macro_collector/1", number, (number,), fact)
        for number, fact in enumerate(facts, 1)
    ]


def feature(publication, name):
    return float(np.frombuffer(publication[1].values)[INDEX_OF[name]])


@pytest.fixture(scope="module")
def market():
    return RandomMarket(41, step_ms=50, checkpoint_every=40).messages(2500)  # 125 s


@pytest.fixture(scope="module")
def world():
    return outside_world(41, 125, 300)


@pytest.fixture(scope="module")
def offline(market, world):
    others = [m for m in market if isinstance(m, SLOW)] + world
    facts = in_known_order([m for m in market if not isinstance(m, SLOW)], others)
    found = sweep(FeatureState.empty(), RULE, events_of(facts)).values
    outside = [n for n, each in enumerate(FEATURES) if each.group is Group.OUTSIDE]
    assert len(found) > 20
    assert (np.ptp(found[:, outside], axis=0) > 0).sum() > 10
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_facts_that_come_in_time_give_the_vectors_of_the_offline_sweep(market, world, offline, data):
    core, found, told = HubCore({SYMBOL: RULE}), [], 0
    deliveries, facts = delivered(market), from_outside(world)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(market)), max_size=40)))
    for begin, end in zip([0, *cuts], [*cuts, len(market)], strict=True):
        newest = max((d.message.ts_event for d in deliveries[begin:end]), default=0)
        in_time = sum(fact.ts_recv <= newest for fact in world)
        ahead = data.draw(st.integers(max(in_time, told), len(facts)))
        core.on_outside(facts[told:ahead])
        told = max(told, ahead)
        found += core.on_batch(deliveries[begin:end])
    assert b"".join(values(found)) == offline.tobytes()
    assert core.feeds[SYMBOL].late == 0


def test_a_fact_that_comes_again_counts_once():
    core = HubCore({SYMBOL: TriggerRule()})
    facts = from_outside([neighbour(19, Side.BUY, "100", "3")])
    core.on_outside(facts)
    core.on_outside(facts)
    (found,) = core.on_batch(delivered([flat_book(0), burst(20)]))
    assert feature(found, "neighbour_liquidated_long_5s_usdt") == 300


def test_a_fact_that_comes_late_is_used_from_then_on_and_counted():
    core = HubCore({SYMBOL: TriggerRule()})
    (first,) = core.on_batch(delivered([flat_book(0), burst(20)]))
    core.on_outside(from_outside([value("fear_and_greed", "23", 15), value("dollar_index", "120", 21)]))
    (second,) = core.on_batch(delivered([flat_book(0), burst(20), burst(22)]))
    assert [feature(found, "fear_and_greed") for found in (first, second)] == [50, 23]
    assert feature(second, "fear_and_greed_age_s") == 7
    assert core.feeds[SYMBOL].late == 1


def test_the_cause_names_the_last_outside_fact_that_was_used():
    core = HubCore({SYMBOL: TriggerRule()})
    core.on_outside(
        from_outside(
            [value("fear_and_greed", "23", 5), value("", "7", 6), value("dollar_index", "120", 30)],
        )
    )
    ((_, message, _),) = core.on_batch(delivered([flat_book(0), burst(20)]))
    assert message.cause == ("market:{BTCUSDT}/2-0", "macro/1-0")


def test_a_fact_of_a_symbol_is_for_it_alone_and_one_of_none_for_all():
    core = HubCore({SYMBOL: TriggerRule(), "ETHUSDT": TriggerRule()})
    core.on_outside(
        from_outside(
            [
                value("neighbour_funding", "0.0002", 5, symbol="ETHUSDT"),
                value("fear_and_greed", "23", 5),
                value("neighbour_funding", "0.0007", 5, symbol="XRPUSDT"),
            ]
        )
    )
    bitcoin, ether = core.on_batch(
        [d for symbol in core.feeds for d in delivered([flat_book(0), burst(20)], symbol=symbol)]
    )
    assert [feature(found, "neighbour_funding_bps") for found in (bitcoin, ether)] == [0, 2]
    assert [feature(found, "fear_and_greed") for found in (bitcoin, ether)] == [23, 23]


def test_a_market_that_says_nothing_does_not_gather_facts_without_end():
    core = HubCore({SYMBOL: TriggerRule()})
    core.feeds[SYMBOL].facts.most_waiting = 3
    core.on_batch(delivered([flat_book(0)]))
    core.on_outside(from_outside([value("dollar_index", str(100 + n), 10 + n) for n in range(9)]))
    assert len(core.feeds[SYMBOL].facts.waiting) == 3
    assert len(core.feeds[SYMBOL].facts.buffer) == 0
    (found,) = core.on_batch(delivered([flat_book(0), ticker(15), burst(16)]))
    assert feature(found, "dollar_index") == 106


def test_dead_sources_leave_every_vector_where_it_was(market):
    core = HubCore({SYMBOL: RULE})
    found = core.on_batch(delivered(market))
    assert len(found) > 10
    assert {feature(each, "fear_and_greed") for each in found} == {50}
    assert {feature(each, "fear_and_greed_age_s") for each in found} == {2 * 86_400}
