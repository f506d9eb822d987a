"""An order: its vocabulary and the one table of its life.

`Denied` is our own refusal, before anything left the process. Everything after `Submitted` is the venue's word.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """The side of an order, a fill or a position; the venue's own spelling."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order is priced."""

    LIMIT = "Limit"
    MARKET = "Market"


class TimeInForce(StrEnum):
    """How long an order may rest; the venue's own spelling."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


GUARDIAN_PREFIX: Final = "g-"
"""How the `orderLinkId` of the guardian's closing orders begins: ours, though no trade's."""


class OrderRole(StrEnum):
    """What an order is for within a trade."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"  # made by the venue from the stop that every entry carries
    FOREIGN = "foreign"  # not ours: reported, never touched silently


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    DENIED = "Denied"
    SUBMITTED = "Submitted"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"

    @property
    def is_terminal(self) -> bool:
        """True when no fill can be expected any more."""
        return self in _TERMINAL


class OrderSignal(StrEnum):
    """What happens to an order."""

    ACCEPTED = "accepted"  # the venue says it rests
    PART_FILLED = "part_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    NEVER_ARRIVED = "never_arrived"  # looked up after its signature expired: the venue does not know it


_TERMINAL: Final = frozenset(
    {OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED},
)

_S, _E = OrderStatus, OrderSignal
TRANSITIONS: Final[dict[tuple[OrderStatus, OrderSignal], OrderStatus]] = {
    (_S.SUBMITTED, _E.ACCEPTED): _S.NEW,
    (_S.SUBMITTED, _E.PART_FILLED): _S.PARTIALLY_FILLED,  # a taking order may never show New
    (_S.SUBMITTED, _E.FILLED): _S.FILLED,
    (_S.SUBMITTED, _E.CANCELLED): _S.CANCELLED,  # post-only that would take
    (_S.SUBMITTED, _E.REJECTED): _S.REJECTED,
    (_S.SUBMITTED, _E.NEVER_ARRIVED): _S.REJECTED,
    (_S.NEW, _E.ACCEPTED): _S.NEW,  # acknowledgement and stream both say so
    (_S.NEW, _E.PART_FILLED): _S.PARTIALLY_FILLED,
    (_S.NEW, _E.FILLED): _S.FILLED,
    (_S.NEW, _E.CANCELLED): _S.CANCELLED,
    (_S.NEW, _E.REJECTED): _S.REJECTED,  # rejected after the acknowledgement
    (_S.PARTIALLY_FILLED, _E.ACCEPTED): _S.PARTIALLY_FILLED,  # late acknowledgement
    (_S.PARTIALLY_FILLED, _E.PART_FILLED): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.FILLED): _S.FILLED,
    (_S.PARTIALLY_FILLED, _E.CANCELLED): _S.CANCELLED,  # the rest; what filled stays filled
    (_S.FILLED, _E.ACCEPTED): _S.FILLED,  # late acknowledgement
    (_S.FILLED, _E.PART_FILLED): _S.FILLED,  # older message, newer state
    (_S.FILLED, _E.FILLED): _S.FILLED,  # the venue may say it twice
    (_S.FILLED, _E.CANCELLED): _S.FILLED,  # our cancel came too late
    (_S.CANCELLED, _E.ACCEPTED): _S.CANCELLED,  # late acknowledgement
    (_S.CANCELLED, _E.CANCELLED): _S.CANCELLED,  # the venue may say it twice
    (_S.CANCELLED, _E.PART_FILLED): _S.CANCELLED,  # the fill that crossed our cancel
    (_S.CANCELLED, _E.FILLED): _S.FILLED,  # the fill that crossed our cancel
    (_S.REJECTED, _E.REJECTED): _S.REJECTED,  # answer and stream both say so
    (_S.REJECTED, _E.CANCELLED): _S.REJECTED,
}


class ImpossibleTransition(Exception):  # noqa: N818 - the domain's word
    """An event that the order's status does not allow; an anomaly to reconcile, never to ignore."""

    def __init__(self, status: OrderStatus, signal: OrderSignal) -> None:
        super().__init__(f"an order that is {status} cannot be {signal}; reconcile it with the venue")
        self.status = status
        self.signal = signal


def next_status(status: OrderStatus, signal: OrderSignal) -> OrderStatus:
    """Give the status that follows.

    Raises:
        ImpossibleTransition: the table has no such edge.
    """
    try:
        return TRANSITIONS[status, signal]
    except KeyError:
        raise ImpossibleTransition(status, signal) from None
