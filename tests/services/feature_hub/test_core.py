from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feature_hub.core import HubCore, snapshot_before
from tests.undertow.features.facts import (
    EXAMPLES,
    SECOND,
    SYMBOL,
    RandomMarket,
    at,
    book,
    candle,
    flat_book,
    liquidations,
    open_interest,
    settled,
    trades,
)
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.reference import Funding, LongShortRatio, OpenInterest
from undertow.contracts.streams import FEATURES, MARKET, REFERENCE
from undertow.domain.order import Side
from undertow.features.catalogue import INDEX_OF
from undertow.features.events import events_of
from undertow.features.kernel import FeatureState, TriggerRule, sweep

SLOW = (OpenInterest, Funding, LongShortRatio)
RULE = TriggerRule(threshold_usdt=20_000, warm_ns=2 * SECOND)


def delivered(messages, symbol=SYMBOL, producer="ingestor/1"):
    """Number the messages as one stream of each kind would."""
    counts = {MARKET: 0, REFERENCE: 0}
    found = []
    for number, message in enumerate(messages, 1):
        stream = REFERENCE if isinstance(message, SLOW) else MARKET
        counts[stream] += 1
        found.append(
            Delivery(Topic(stream, symbol=symbol), f"{number}-0", producer, counts[stream], (number,), message)
        )
    return found


def values(publications):
    return [message.values for _, message, _ in publications]


def burst(seconds, side=Side.BUY):
    return liquidations(seconds, (side, "100", "600"))


def as_published(publications):
    return [Delivery(t, f"{n}-0", "feature_hub/1", n, (), m) for n, (t, m, _) in enumerate(publications, 1)]


@pytest.fixture(scope="module")
def market():
    return RandomMarket(21, step_ms=50, checkpoint_every=40).messages(4000)  # 200 s


@pytest.fixture(scope="module")
def uninterrupted(market):
    return HubCore({SYMBOL: RULE}).on_batch(delivered(market))


def test_a_burst_becomes_a_message_that_names_its_causes():
    facts = [open_interest(-5, "7"), flat_book(0), settled(1, "0.0001"), trades(19, (Side.BUY, "100", "1")), burst(20)]
    ((topic, message, hops),) = HubCore({SYMBOL: TriggerRule()}).on_batch(delivered(facts))
    assert topic == Topic(FEATURES, symbol=SYMBOL)
    assert message.cause == ("market:{BTCUSDT}/5-0", "reference:{BTCUSDT}/3-0")
    assert hops == (5,)
    assert message.ts_event == message.ts_recv == at(20)
    assert np.frombuffer(message.values)[INDEX_OF["funding_settled_bps"]] == 1.0


def test_without_reference_facts_the_market_fact_is_the_only_cause():
    ((_, message, _),) = HubCore({SYMBOL: TriggerRule()}).on_batch(delivered([flat_book(0), burst(20)]))
    assert message.cause == ("market:{BTCUSDT}/2-0",)


def test_a_fact_without_rows_does_not_take_the_place_of_the_cause():
    ((_, message, _),) = HubCore({SYMBOL: TriggerRule()}).on_batch(delivered([flat_book(0), burst(20), candle(20)]))
    assert message.cause == ("market:{BTCUSDT}/2-0",)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_batches_of_any_size_give_the_vectors_of_the_offline_sweep(market, uninterrupted, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(market)), max_size=40)))
    core, found = HubCore({SYMBOL: RULE}), []
    deliveries = delivered(market)
    for begin, end in zip([0, *cuts], [*cuts, len(market)], strict=True):
        found += core.on_batch(deliveries[begin:end])
    offline = sweep(FeatureState.empty(), RULE, events_of(market)).values
    assert len(offline) > 20
    assert b"".join(values(found)) == offline.tobytes()
    assert found == uninterrupted


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_redelivered_batches_count_once(market, uninterrupted, data):
    deliveries = delivered(market)
    core, found, position = HubCore({SYMBOL: RULE}), [], 0
    for cut in sorted(data.draw(st.lists(st.integers(0, len(market)), max_size=20))):
        back = data.draw(st.integers(0, position))
        found += core.on_batch(deliveries[back:cut])
        position = max(position, cut)
    found += core.on_batch(deliveries[position:])
    assert found == uninterrupted


def test_what_a_producer_sent_twice_counts_once():
    facts = delivered([flat_book(0), burst(20, Side.BUY)])
    again = replace(facts[1], entry_id="9-0")
    core = HubCore({SYMBOL: TriggerRule(refractory_ns=0)})
    assert len(core.on_batch([*facts, again])) == 1
    assert core.feeds[SYMBOL].holes == 0


def test_symbols_do_not_meet():
    both = HubCore({SYMBOL: TriggerRule(), "ETHUSDT": TriggerRule(threshold_usdt=70_000)})
    facts = [flat_book(0), burst(20)]
    mixed = [d for pair in zip(delivered(facts), delivered(facts, "ETHUSDT"), strict=True) for d in pair]
    (publication,) = both.on_batch(mixed)
    assert publication[0].symbol == SYMBOL


@pytest.mark.parametrize("change", [{"sequence": 5}, {"producer": "ingestor/2", "sequence": 1}])
def test_a_missing_number_or_another_producer_blinds_until_a_snapshot_and_its_warm_history(change):
    facts = delivered([flat_book(0), trades(5, (Side.BUY, "100", "9")), burst(20), flat_book(21), burst(30), burst(31)])
    producer = change.get("producer", "ingestor/1")
    behind = [replace(d, producer=producer, sequence=change["sequence"] + n) for n, d in enumerate(facts[2:])]
    core = HubCore({SYMBOL: TriggerRule()})
    found = core.on_batch([*facts[:2], *behind])
    assert core.feeds[SYMBOL].holes == 1
    assert [message.ts_event for _, message, _ in found] == [at(31)]


def test_after_a_warm_up_the_vectors_are_those_of_a_hub_that_never_stopped(market, uninterrupted):
    deliveries = delivered(market)
    for cut in (2500, 3000, 3500):
        core = HubCore({SYMBOL: RULE})
        known = deliveries[:cut]
        slow = [d for d in known if d.topic.stream is REFERENCE]
        history = [d for d in known if d.topic.stream is MARKET]
        fed = core.warm_up(SYMBOL, slow, history, 62 * SECOND, as_published(uninterrupted))
        assert 0 < fed < cut
        now = max(d.message.ts_event for d in known)
        expected = [p for p in uninterrupted if p[1].ts_event > now]
        assert len(expected) > 3
        core.feeds[SYMBOL].published = (0, 0)
        assert core.on_batch(deliveries[cut - 100 :]) == expected


def test_a_vector_that_was_published_before_the_crash_is_not_published_again(market, uninterrupted):
    deliveries = delivered(market)
    core = HubCore({SYMBOL: RULE})
    assert core.warm_up(SYMBOL, [], [], 62 * SECOND, as_published(uninterrupted[:10])) == 0
    assert core.on_batch(deliveries) == uninterrupted[10:]


def test_the_warm_up_begins_at_the_last_snapshot_that_is_old_enough():
    change = book(1, [("100", "1")], [])
    history = delivered([change, flat_book(2), change, flat_book(50), flat_book(90), burst(100)])
    assert snapshot_before(history, 60 * SECOND) == 1
    assert snapshot_before(history, 40 * SECOND) == 3
    assert snapshot_before(history, 200 * SECOND) == 1
    assert snapshot_before(history[:1], 0) == 1
    assert snapshot_before([], 0) == 0


def test_a_history_without_a_snapshot_warms_nothing():
    core = HubCore({SYMBOL: RULE})
    assert core.warm_up(SYMBOL, [], delivered([book(1, [("100", "1")], [])]), SECOND) == 0
