"""From facts to a decision: the feature vector, the signal, and the record of why or why not."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from undertow.contracts.messages.base import Message
from undertow.domain.order import Side


class Features(Message, frozen=True, kw_only=True, tag="features"):
    """A feature vector at a trigger.

    Attributes:
        schema_hash: hash of the ordered names, units and formula versions of the features.
        trigger: what asked for it: `liquidation` or a strategy's own word.
        trigger_side: side of the liquidated positions that set it off.
        values: little-endian float64, shape (n_features,).
        mid: (best bid + best ask) / 2 at the trigger.
        best_bid: at the trigger.
        best_ask: at the trigger.
    """

    symbol: str
    schema_hash: str
    trigger: str
    trigger_side: Side
    values: bytes
    mid: Decimal
    best_bid: Decimal
    best_ask: Decimal


class Signal(Message, frozen=True, kw_only=True, tag="signal"):
    """A wish for one trade: a resting limit order `delta_bps` away from `mid`, held `hold_ns` from its first fill.

    Attributes:
        signal_id: hash of source, model, symbol and vector; the same decision always has the same id.
        side: of the entry.
        delta_bps: distance of the limit price from `mid`, basis points, away from the market.
        hold_ns: T.
        rest_ns: how long the entry may rest.
        valid_until_ns: later than this it is dropped, market ns.
        expected_bps: model's fill-conditional return minus fees.
        drawn_bps: the same under the policy's draw; what was compared with 0.
        fill_probability: in [0, 1].
        size_hint: fraction of the largest size that the risk limits allow, in (0, 1].
        shadow: True when it must not be traded.
    """

    signal_id: str
    symbol: str
    source: str
    side: Side
    mid: Decimal
    delta_bps: float
    hold_ns: int
    rest_ns: int
    valid_until_ns: int
    expected_bps: float
    drawn_bps: float
    fill_probability: float
    size_hint: float
    model_hash: str
    shadow: bool = False


class Verdict(StrEnum):
    """How a look at the market ended; the words of the 'why no trade' panel."""

    SIGNALLED = "signalled"
    NO_EDGE = "no_edge"  # no arm with a drawn expectation above zero
    SCHEMA_MISMATCH = "schema_mismatch"  # vector and model disagree about the features
    STALE = "stale"  # the vector was too old when it was read
    PAUSED = "paused"
    DENIED = "denied"  # a risk check refused
    NO_PERMIT = "no_permit"  # the guardian did not permit an entry
    EXPIRED = "expired"  # the signal was too old when it was read
    SUBMITTED = "submitted"
    LIMIT_CHANGED = "limit_changed"  # a person changed a risk limit
    LIMIT_REFUSED = "limit_refused"  # a person wanted to
    TRIPPED = "tripped"  # the circuit breaker stopped the entries


class Decision(Message, frozen=True, kw_only=True, tag="decision"):
    """One decision with all that it rested on: what `explain` and the 'why no trade' panel read.

    Attributes:
        previous: hash of the record before it in this service's chain, hex.
        hash: of this record, hex: SHA-256 over `previous` and the other fields.
        subject: signal id or order id it is about, or empty.
        detail: the numbers behind the verdict, as JSON text.
    """

    service: str
    symbol: str
    verdict: Verdict
    subject: str
    detail: str
    previous: str
    hash: str
