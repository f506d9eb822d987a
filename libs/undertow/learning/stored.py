"""From a store to columns: what the snapshotter kept becomes the rows that the feature hub fed, in the same order.

The hub's own `Feed` does it, so duplicates, gaps, and the places of reference and outside facts among the market's are
those of the live run, and the kernels give the vectors that the hub published, bit for bit. Two things the store cannot
know: a fact that reached the hub too late for its place, which the hub counts, and a restart of the hub, after which
its windows begin at a snapshot.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from undertow.bus.ports import Topic
from undertow.contracts.streams import MACRO, MARKET, REFERENCE
from undertow.features.events import Events
from undertow.features.feed import Feed
from undertow.storage.messages import stored_deliveries
from undertow.storage.store import Store


def stored_events(store: Store, symbol: str, dates: Collection[date] | None = None) -> Events:
    """Give the rows of a symbol; `undertow.learning.dataset.build_dataset` takes them.

    Args:
        store: the snapshotter's.
        symbol: whose.
        dates: days of the events, None for all. A value of the outside world may have held long before it was told, so macro is read whole.

    Raises:
        StoreDamagedError: a progress file cannot be read.
    """
    feed = Feed(most_waiting=None)
    for delivery in stored_deliveries(store, Topic(REFERENCE, symbol=symbol)):
        feed.take_reference(delivery)
    for delivery in stored_deliveries(store, Topic(MACRO)):
        if delivery.message.symbol in ("", symbol):
            feed.expect(delivery)
    for delivery in stored_deliveries(store, Topic(MARKET, symbol=symbol), dates):
        feed.take_market(delivery)
    return feed.buffer.columns()
