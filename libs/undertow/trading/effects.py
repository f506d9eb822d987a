"""What the trading core asks of its shell. The shell performs effects in the order given and counts them.

`Journal` comes before the `Send` that it covers: the fact first, then the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from undertow.contracts.messages.decision import Verdict
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.exchange.models import OrderRequest
from undertow.trading.records import AnyRecord


@dataclass(frozen=True, slots=True)
class Journal:
    """Append a record; it must be on disk before the next `Send`."""

    record: AnyRecord


@dataclass(frozen=True, slots=True)
class Send:
    """Send an order once.

    Attributes:
        not_after_ns: market time past which it must not be written any more: an entry's permit or signal has ended. None for exits.
    """

    request: OrderRequest
    not_after_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to cancel; may be repeated."""

    symbol: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Amend:
    """Move a resting exit to a price nearer to the market; may be repeated."""

    symbol: str
    order_id: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class LookAtTouch:
    """Ask once for a symbol's best prices."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """Ask the venue for one order by our id, and for its executions since a time."""

    symbol: str
    order_id: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the venue for a symbol's position and all executions since a time."""

    symbol: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Ask the venue for the account's executions since a time."""

    since_ns: int


@dataclass(frozen=True, slots=True)
class Recover:
    """Fetch open orders, executions, positions and wallet until two passes agree."""

    since_ns: int


@dataclass(frozen=True, slots=True)
class SetStop:
    """Set the venue-side stop of a position that has none."""

    symbol: str
    stop_loss: Decimal


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the fleet."""

    message: OrderChanged | Execution | TradeClosed


@dataclass(frozen=True, slots=True)
class Decide:
    """Write a decision to the audit chain, with its numbers."""

    verdict: Verdict
    symbol: str
    subject: str
    numbers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The venue surprised us: a metric, a log line and a reconciliation."""

    kind: str
    symbol: str
    detail: str


AtVenue = Send | Cancel | Amend | Lookup | Refresh | Sweep | Recover | SetStop | LookAtTouch
Effect = Journal | AtVenue | Publish | Decide | Anomaly
