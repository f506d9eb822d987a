"""What the router's journal holds: intentions and facts. The state of the desk is the fold over them.

A record grows by new fields at the end with defaults; a tag is never reused.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from undertow.contracts.messages.control import Verb
from undertow.domain.order import OrderRole
from undertow.exchange.models import OrderRequest, VenueExecution, VenueOrder


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a trade set out to do; never changes.

    Attributes:
        cause: references of the messages that led to it.
        quote_coin: in which its result is counted.
    """

    trade_id: str
    signal_id: str
    symbol: str
    source: str
    side: str
    delta_bps: float
    hold_ns: int
    rest_ns: int
    model_hash: str
    expected_bps: float
    cause: tuple[str, ...] = ()
    quote_coin: str = "USDT"


class Outcome(StrEnum):
    """What became of a request to place an order."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NEVER_ARRIVED = "never_arrived"  # looked up after its signature had expired
    GONE = "gone"  # the venue had it and no longer knows it
    NEVER_SENT = "never_sent"  # its deadline passed before it was written
    UNLISTED = "unlisted"  # it is over, and no list has the executions that the venue says it had


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all records; `at_ns` is market time."""

    at_ns: int


class EntrySubmitted(Record, frozen=True, kw_only=True, tag="entry_submitted"):
    """An entry will be sent now: the write-ahead."""

    plan: Plan
    request: OrderRequest


class ExitSubmitted(Record, frozen=True, kw_only=True, tag="exit_submitted"):
    """A reduce-only exit will be sent now: the write-ahead."""

    trade_id: str
    request: OrderRequest


class OrderSettled(Record, frozen=True, kw_only=True, tag="order_settled"):
    """The answer to a request, or what a lookup made of a missing one."""

    order_id: str
    outcome: Outcome
    reason: str = ""
    venue_order_id: str = ""


class OrderSeen(Record, frozen=True, kw_only=True, tag="order_seen"):
    """The venue's word about an order.

    Attributes:
        order_id: our key of the order: our id, or the venue's for orders that are not ours.
    """

    order_id: str
    trade_id: str
    role: OrderRole
    fact: VenueOrder


class ExecutionSeen(Record, frozen=True, kw_only=True, tag="execution_seen"):
    """A fill or a cash event, once per `exec_id`."""

    order_id: str
    trade_id: str
    role: OrderRole
    fact: VenueExecution


class ExitAsked(Record, frozen=True, kw_only=True, tag="exit_asked"):
    """From now on the trade wants to be flat.

    Attributes:
        is_patient: it may begin with the softer legs of the exit plan.
    """

    trade_id: str
    why: str
    is_patient: bool = False


class TradeEnded(Record, frozen=True, kw_only=True, tag="trade_ended"):
    """Flat, with every order settled; `why` says more where it did not end by its own orders."""

    trade_id: str
    why: str = ""


class CommandTaken(Record, frozen=True, kw_only=True, tag="command_taken"):
    """A command that changes what may be done; survives a restart.

    Attributes:
        limit: that it changes.
        value: what it is to be.
        base: what the settings said of it then.
    """

    command_id: str
    verb: Verb
    symbol: str
    who: str
    why: str
    limit: str = ""
    value: str = ""
    base: str = ""


class Carried(Record, frozen=True, kw_only=True, tag="carried"):
    """What a compaction keeps of the records that it drops.

    Attributes:
        exec_ids: executions already booked.
        order_ids: our orders already done.
        last_execution_ns: time of the latest execution booked.
    """

    exec_ids: tuple[str, ...]
    order_ids: tuple[str, ...]
    last_execution_ns: int


class Published(Record, frozen=True, kw_only=True, tag="published"):
    """Everything before this record has reached the bus."""


class Tripped(Record, frozen=True, kw_only=True, tag="tripped"):
    """The circuit breaker stopped the entries; `until_ns` 0: until a person rearms."""

    kind: str
    why: str
    until_ns: int


class CapsCarried(Record, frozen=True, kw_only=True, tag="caps_carried"):
    """What a compaction keeps of the trades that it drops, for what holds entries back: it replaces what the records before it say.

    Attributes:
        entries: symbol and time of the late entries, oldest first.
    """

    losses_in_row: int
    cooling_until_ns: int
    entries: tuple[tuple[str, int], ...]


AnyRecord = (
    EntrySubmitted
    | ExitSubmitted
    | OrderSettled
    | OrderSeen
    | ExecutionSeen
    | ExitAsked
    | TradeEnded
    | CommandTaken
    | Carried
    | Published
    | Tripped
    | CapsCarried
)
