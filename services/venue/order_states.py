"""The states of an order in the venue, and the one table of its life (§8.1 of the protocol)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where an order is in its life; all but the first are the venue's own spelling."""

    CREATED = "Created"  # acknowledged, not yet in effect: nobody sees it
    UNTRIGGERED = "Untriggered"
    TRIGGERED = "Triggered"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    DEACTIVATED = "Deactivated"
    REJECTED = "Rejected"


class Event(StrEnum):
    """What happens to an order."""

    WAITED = "waited"  # it arrived and waits for its trigger
    TRIGGERED = "triggered"
    RESTED = "rested"
    PART_FILLED = "part_filled"
    FILLED = "filled"
    ENDED = "ended"  # by its owner, its time in force or the venue
    REFUSED = "refused"  # after the acknowledgement


OPEN: Final = frozenset({Status.NEW, Status.PARTIALLY_FILLED, Status.UNTRIGGERED})
CLOSED: Final = frozenset({Status.FILLED, Status.CANCELLED, Status.DEACTIVATED, Status.REJECTED})

_S, _E = Status, Event
TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    (_S.CREATED, _E.WAITED): _S.UNTRIGGERED,
    (_S.CREATED, _E.RESTED): _S.NEW,
    (_S.CREATED, _E.PART_FILLED): _S.PARTIALLY_FILLED,  # a taking order never shows New
    (_S.CREATED, _E.FILLED): _S.FILLED,
    (_S.CREATED, _E.ENDED): _S.CANCELLED,  # post-only that would take, IOC, liquidation
    (_S.CREATED, _E.REFUSED): _S.REJECTED,
    (_S.UNTRIGGERED, _E.TRIGGERED): _S.TRIGGERED,
    (_S.UNTRIGGERED, _E.ENDED): _S.DEACTIVATED,
    (_S.TRIGGERED, _E.RESTED): _S.NEW,
    (_S.TRIGGERED, _E.PART_FILLED): _S.PARTIALLY_FILLED,
    (_S.TRIGGERED, _E.FILLED): _S.FILLED,
    (_S.TRIGGERED, _E.ENDED): _S.CANCELLED,  # also for want of margin
    (_S.NEW, _E.RESTED): _S.NEW,  # amended
    (_S.NEW, _E.PART_FILLED): _S.PARTIALLY_FILLED,
    (_S.NEW, _E.FILLED): _S.FILLED,
    (_S.NEW, _E.ENDED): _S.CANCELLED,
    (_S.PARTIALLY_FILLED, _E.RESTED): _S.PARTIALLY_FILLED,  # the rest of it
    (_S.PARTIALLY_FILLED, _E.PART_FILLED): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.FILLED): _S.FILLED,
    (_S.PARTIALLY_FILLED, _E.ENDED): _S.CANCELLED,  # what filled stays filled
}


def next_status(status: Status, event: Event) -> Status:
    """Give the status that follows.

    Raises:
        ValueError: the table has no such edge, a fault of the venue itself.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise ValueError(f"an order that is {status} cannot be {event}") from None
