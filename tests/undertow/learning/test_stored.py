"""A run of the hub, stored and read back, gives its vectors again: online is offline through Parquet too."""

from __future__ import annotations

import numpy as np
import pytest

from services.feature_hub.core import HubCore
from services.snapshotter.core import StoredRow
from tests.services.feature_hub.test_core import RULE, delivered, values
from tests.services.feature_hub.test_outside import from_outside
from tests.undertow.features.facts import SYMBOL, RandomMarket, outside_world
from tests.undertow.storage.rows import store_at
from undertow.bus.ports import Topic
from undertow.contracts.streams import MACRO, MARKET
from undertow.features.catalogue import FEATURES, Group
from undertow.features.kernel import FeatureState, sweep
from undertow.learning.stored import stored_events
from undertow.storage.layout import place_of
from undertow.storage.messages import stored_deliveries
from undertow.storage.schema import table_of
from undertow.storage.store import Part


def keep(store, deliveries):
    """Store as the snapshotter does: a part for each place, the newest row first to prove that the order is made again."""
    places = {}
    for delivery in reversed(deliveries):
        places.setdefault(place_of(delivery.message), []).append(StoredRow(delivery))
    parts = [Part(place, table_of(type(rows[0].message), rows)) for place, rows in places.items()]
    store.writer("snapshotter").commit(parts, b"null")


@pytest.fixture(scope="module")
def market():
    """With a gap of the venue, a number that is missing and another producer."""
    deliveries = delivered(RandomMarket(51, step_ms=50, checkpoint_every=40, gaps=True).messages(2500))
    return [d for n, d in enumerate(deliveries) if n != 900]


@pytest.fixture(scope="module")
def world():
    return from_outside(outside_world(51, 125, 300))


def test_the_stored_facts_give_the_vectors_that_the_hub_published(tmp_path, market, world):
    core = HubCore({SYMBOL: RULE})
    core.on_outside(world)
    found = core.on_batch(market)
    assert len(found) > 20
    assert core.feeds[SYMBOL].holes == 1
    store = store_at(tmp_path)
    keep(store, [*market, *world])
    offline = sweep(FeatureState.empty(), RULE, stored_events(store, SYMBOL)).values
    assert offline.tobytes() == b"".join(values(found))
    outside = [n for n, each in enumerate(FEATURES) if each.group is Group.OUTSIDE]
    assert (np.ptp(offline[:, outside], axis=0) > 0).sum() > 10


def test_what_is_read_back_is_what_was_stored(tmp_path, market, world):
    store = store_at(tmp_path)
    keep(store, [*market, *world])
    of_market = [d for d in market if d.topic.stream is MARKET]
    assert stored_deliveries(store, Topic(MARKET, symbol=SYMBOL)) == of_market
    assert stored_deliveries(store, Topic(MACRO)) == world
    assert stored_deliveries(store, Topic(MARKET, symbol="ETHUSDT")) == []
