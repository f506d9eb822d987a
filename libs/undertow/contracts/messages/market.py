"""Facts of one symbol's market, in the one total order in which the ingestor saw them.

Prices and sizes are the venue's own decimal strings: nothing is lost, and whoever needs numbers parses what it needs.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from undertow.contracts.messages.base import Message
from undertow.domain.order import Side

Level = tuple[str, str]
"""Price in quote coin, size in base coin; size "0" deletes the level."""


class Book(Message, frozen=True, kw_only=True, tag="book"):
    """A snapshot or a change of the order book.

    Attributes:
        snapshot: True when the levels are the whole book: at the start, after a gap, and every few seconds as a checkpoint for readers
            that start in the middle.
        bids: descending in a snapshot.
        asks: ascending in a snapshot.
        update_id: the venue's `u`; a checkpoint repeats the last one.
        sequence: the venue's cross-depth `seq`.
    """

    symbol: str
    snapshot: bool
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    update_id: int
    sequence: int


class PackedBook(Message, frozen=True, kw_only=True, tag="book"):
    """A `Book` to be published, whose levels are the MessagePack of their tuples already: the same bytes on the wire, read as a `Book`."""

    symbol: str
    snapshot: bool
    bids: msgspec.Raw
    asks: msgspec.Raw
    update_id: int
    sequence: int


class Trade(msgspec.Struct, frozen=True, array_like=True):
    """One public trade; `side` is the taker's."""

    ts_event: int
    side: Side
    price: str
    size: str
    trade_id: str


class Trades(Message, frozen=True, kw_only=True, tag="trades"):
    """Public trades of one frame, ascending by time."""

    symbol: str
    trades: tuple[Trade, ...]


class Liquidation(msgspec.Struct, frozen=True, array_like=True):
    """One forced liquidation.

    Attributes:
        position_side: the side of the position that was liquidated: BUY means a long, so the market saw a forced sell.
        price: bankruptcy price, not a trade's.
    """

    ts_event: int
    position_side: Side
    price: str
    size: str


class Liquidations(Message, frozen=True, kw_only=True, tag="liquidations"):
    """Liquidations of one frame (the venue batches 500 ms).

    Attributes:
        feed: which feed and version of it told them; empty in rows from before it was noted.
    """

    symbol: str
    liquidations: tuple[Liquidation, ...]
    feed: str = ""


class Ticker(Message, frozen=True, kw_only=True, tag="ticker"):
    """The merged ticker; empty string where the venue has not said."""

    symbol: str
    last_price: str
    mark_price: str
    index_price: str
    open_interest: str
    funding_rate: str
    next_funding_ns: int


class Kline(Message, frozen=True, kw_only=True, tag="kline"):
    """A candle; final only when `confirmed`."""

    symbol: str
    interval: str
    start_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    confirmed: bool


class GapReason(StrEnum):
    """Why a book can no longer be trusted."""

    UPDATE_ID = "update_id"  # an id is missing or repeated
    CROSSED = "crossed"
    DISCONNECTED = "disconnected"
    UNPUBLISHED = "unpublished"  # the bus was away for longer than the publisher can remember
    MAINTENANCE = "maintenance"  # the venue said so, and nobody listens until it is over
    SILENT = "silent"  # its topic tells nothing while the symbol's others go on


class Gap(Message, frozen=True, kw_only=True, tag="gap"):
    """From here on readers are blind, until the next `Resync`.

    Attributes:
        lost_facts: how many facts of any kind nobody will ever read; 0 but for `unpublished`.
        lost_from_ns: the earliest `ts_event` of them.
        lost_until_ns: the latest.
    """

    symbol: str
    reason: GapReason
    detail: str
    lost_facts: int = 0
    lost_from_ns: int = 0
    lost_until_ns: int = 0


class Resync(Message, frozen=True, kw_only=True, tag="resync"):
    """A fresh snapshot follows; readers see again."""

    symbol: str


class FeedFault(StrEnum):
    """What may be wrong with the liquidation feed."""

    SILENT = "silent"
    INVERTED = "inverted"
    ZERO_SIZE = "zero_size"
    IMPLAUSIBLE_PRICE = "implausible_price"
    LATE = "late"
    THINNED = "thinned"


class FeedSuspect(Message, frozen=True, kw_only=True, tag="feed_suspect"):
    """The liquidation feed of a symbol is suspected of a fault from here on, or no longer.

    Attributes:
        evidence: in words; empty when it is suspected no longer.
    """

    symbol: str
    fault: FeedFault
    suspected: bool
    evidence: str


class RejectedFrame(Message, frozen=True, kw_only=True, tag="rejected_frame"):
    """A frame that could not be read, as far as it is kept.

    Attributes:
        symbol: whose connection it came on.
        reason: what is wrong with it.
        size: bytes of the frame; `raw` holds no more than the first few thousand.
    """

    symbol: str
    reason: str
    size: int
    raw: bytes


MarketFact = Book | PackedBook | Trades | Liquidations | Ticker | Kline | Gap | Resync | FeedSuspect
