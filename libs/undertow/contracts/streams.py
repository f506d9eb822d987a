"""Every stream there is: key, payloads, writer, readers, length. What is not here does not exist.

`{…}` in a key is the shard's hash tag. Each key has exactly one writer: where several services write the same stream, the service's
name is part of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.control import Command, GuardianState
from undertow.contracts.messages.decision import Decision, Features, Signal
from undertow.contracts.messages.macro import MacroValue, NeighbourLiquidation
from undertow.contracts.messages.market import (
    Book,
    FeedSuspect,
    Gap,
    Kline,
    Liquidations,
    RejectedFrame,
    Resync,
    Ticker,
    Trades,
)
from undertow.contracts.messages.reference import (
    ClockOffset,
    DayTicker,
    Funding,
    InstrumentChanged,
    LongShortRatio,
    NextFunding,
    OpenInterest,
    RiskTier,
    VenueStatus,
)
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, TradeClosed


@dataclass(frozen=True)
class Stream:
    """One declared stream.

    Attributes:
        pattern: key pattern with the fields `symbol` and `source`.
        writers: services that write it; more than one only where `source` is part of the key.
        maxlen: entries kept once every reader has them; while one is away more, within the publishers' outage budget.
    """

    name: str
    pattern: str
    payloads: tuple[type[Message], ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    maxlen: int
    about: str

    def key(self, *, symbol: str = "", source: str = "") -> str:
        """Give the Redis key.

        Raises:
            ValueError: the pattern needs a symbol or a source that was not given.
        """
        if ("{symbol}" in self.pattern and not symbol) or ("{source}" in self.pattern and not source):
            raise ValueError(f"stream {self.name!r} has the key pattern {self.pattern!r}: name symbol and source")
        return self.pattern.format(symbol=symbol, source=source)

    @cached_property
    def decoder(self) -> msgspec.msgpack.Decoder[Any]:
        """Decoder of this stream's envelopes."""
        union: Any = self.payloads[0]
        for payload in self.payloads[1:]:
            union = union | payload
        return msgspec.msgpack.Decoder(Envelope[union])


MARKET: Final = Stream(
    "market",
    "market:{{{symbol}}}",
    (Book, Trades, Liquidations, Ticker, Kline, Gap, Resync, FeedSuspect),
    writers=("ingestor",),
    readers=("feature_hub", "snapshotter", "position_manager", "admin"),
    maxlen=200_000,
    about="every venue fact of the symbol in one total order",
)
REJECTS: Final = Stream(
    "rejects",
    "rejects:{{{symbol}}}",
    (RejectedFrame,),
    writers=("ingestor",),
    readers=("snapshotter",),
    maxlen=1_000,
    about="frames that could not be read",
)
REFERENCE: Final = Stream(
    "reference",
    "reference:{{{symbol}}}",
    (InstrumentChanged, OpenInterest, Funding, NextFunding, LongShortRatio, RiskTier, DayTicker),
    writers=("rest_collector",),
    readers=("feature_hub", "order_router", "snapshotter"),
    maxlen=10_000,
    about="instruments, open interest, funding, ratio, risk tiers, the day's ticker",
)
VENUE: Final = Stream(
    "venue",
    "venue",
    (VenueStatus, ClockOffset),
    writers=("rest_collector",),
    readers=("ingestor", "order_router", "snapshotter"),
    maxlen=1_000,
    about="maintenance and clock offset",
)
MACRO: Final = Stream(
    "macro",
    "macro",
    (MacroValue, NeighbourLiquidation),
    writers=("macro_collector",),
    readers=("feature_hub", "snapshotter"),
    maxlen=50_000,
    about="facts from outside the venue",
)
FEATURES: Final = Stream(
    "features",
    "features:{{{symbol}}}",
    (Features,),
    writers=("feature_hub",),
    readers=("model_server", "snapshotter"),
    maxlen=100_000,
    about="feature vectors at triggers",
)
SIGNALS: Final = Stream(
    "signals",
    "signals:{{{symbol}}}:{source}",
    (Signal,),
    writers=("model_server",),
    readers=("order_router", "snapshotter", "admin"),
    maxlen=100_000,
    about="wishes to trade, with a deadline",
)
ORDERS: Final = Stream(
    "orders",
    "orders",
    (OrderChanged, TradeClosed),
    writers=("order_router",),
    readers=("position_manager", "model_server", "snapshotter", "admin"),
    maxlen=100_000,
    about="every transition of every order",
)
EXECUTIONS: Final = Stream(
    "executions",
    "executions",
    (Execution,),
    writers=("order_router",),
    readers=("position_manager", "snapshotter", "admin"),
    maxlen=100_000,
    about="every fill",
)
ACCOUNT: Final = Stream(
    "account",
    "account",
    (Account,),
    writers=("position_manager",),
    readers=("order_router", "snapshotter", "admin"),
    maxlen=50_000,
    about="positions, equity, PnL, headroom, residuals",
)
CONTROL: Final = Stream(
    "control",
    "control:{source}",
    (Command, GuardianState),
    writers=("admin", "position_manager"),
    readers=("model_server", "order_router", "position_manager", "snapshotter", "admin"),
    maxlen=10_000,
    about="commands: who and why",
)
AUDIT: Final = Stream(
    "audit",
    "audit:{source}",
    (Decision,),
    writers=("model_server", "order_router", "admin"),
    readers=("snapshotter", "admin"),
    maxlen=100_000,
    about="hash-chained decisions",
)

STREAMS: Final = (
    MARKET,
    REJECTS,
    REFERENCE,
    VENUE,
    MACRO,
    FEATURES,
    SIGNALS,
    ORDERS,
    EXECUTIONS,
    ACCOUNT,
    CONTROL,
    AUDIT,
)
