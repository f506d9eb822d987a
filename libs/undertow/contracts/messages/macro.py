"""Facts from outside the venue: numbers of the world, and what the neighbour venue does."""

from __future__ import annotations

from decimal import Decimal

from undertow.contracts.messages.base import Message
from undertow.domain.order import Side


class MacroValue(Message, frozen=True, kw_only=True, tag="macro_value"):
    """One number of an outside source, as it held at `ts_event` by the source's own time, or else at its receipt.

    Attributes:
        source: name of the source.
        symbol: the contract it is about; empty when it is about none.
        unit: in the source's words.
        stale_after_ns: age from which it says nothing any more.
        slot: the place in the feature vector that it feeds (`undertow.features.slots`); empty for none.
    """

    source: str
    symbol: str
    value: Decimal
    unit: str
    stale_after_ns: int
    slot: str = ""

    def age_ns(self, now_ns: int) -> int:
        """Give its age; a value of the future is 0 old."""
        return max(0, now_ns - self.ts_event)

    def is_stale(self, now_ns: int) -> bool:
        """Answer whether it is too old to say anything."""
        return self.age_ns(now_ns) > self.stale_after_ns


class NeighbourLiquidation(Message, frozen=True, kw_only=True, tag="neighbour_liquidation"):
    """A forced liquidation on another venue.

    Attributes:
        position_side: the side of the position that was liquidated: BUY means a long, so the market saw a forced sell.
        price: average fill price, or the order's where nothing is filled yet.
        size: base coin.
        feed: which feed told it; some leave out most liquidations.
    """

    venue: str
    symbol: str
    position_side: Side
    price: Decimal
    size: Decimal
    feed: str
