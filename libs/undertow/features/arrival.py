"""Where the facts of other streams stand among those of the market: one order for live, training and backtest.

Two streams have no order between them, and whoever reads both sees one that depends on delays. So there is a rule:
**a fact of `reference` or `macro` stands directly before the first message with rows of the market whose event time is
not before the time at which we learned the fact** (`ts_recv`). Nothing is used before it was known, nothing waits for
anything, and the order is a function of the messages alone.

Live it holds as long as the fact reaches the feature hub before that market message does. The message has its way from
the venue and the same hops before it, so this is the rule; an exception is used at once and counted
(`undertow_feature_facts_late`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Book, Gap, Liquidations, Resync, Ticker, Trades

T = TypeVar("T")

_WITH_ROWS: Final = (Book, Trades, Liquidations, Ticker, Gap, Resync)


class Waiting(Generic[T]):
    """Facts that the market has not come up to, by the time at which they became known."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, known_ns: int, fact: T) -> None:
        """Keep a fact."""
        heapq.heappush(self._heap, (known_ns, self._added, fact))
        self._added += 1

    def pop(self) -> T:
        """Give and forget the oldest."""
        return heapq.heappop(self._heap)[2]

    def due(self, message: Message) -> Iterator[T]:
        """Give and forget the facts that stand before a message of the market, oldest first."""
        while self._heap and self._heap[0][0] <= message.ts_event and isinstance(message, _WITH_ROWS):
            yield self.pop()


def in_known_order(market: Iterable[Message], others: Iterable[Message]) -> Iterator[Message]:
    """Put the facts of other streams at their places among the messages of a symbol's market.

    Those that the market does not come up to are left out.

    Args:
        market: in the order of the stream.
        others: each stream's in its order; held in memory.
    """
    waiting: Waiting[Message] = Waiting()
    for fact in others:
        waiting.add(fact.ts_recv, fact)
    for message in market:
        yield from waiting.due(message)
        yield message
