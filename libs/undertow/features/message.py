"""From a vector to the `Features` message, the same in the hub and in a backtest."""

from __future__ import annotations

from decimal import Decimal

from undertow.contracts.messages.decision import Features
from undertow.domain.order import Side
from undertow.features.catalogue import SCHEMA_HASH
from undertow.features.kernel import Vectors
from undertow.features.layout import REASON_LONG, REASON_SHORT

TRIGGER = "liquidation"


def exact_decimal(price: float) -> Decimal:
    """Give back the decimal that a float was parsed from.

    A decimal of up to 15 significant digits is the shortest text of its nearest float64 (IEEE 754), so nothing is lost
    for any price of any venue, and no arithmetic has touched the float before it comes here.
    """
    return Decimal(repr(float(price)))


def features_message(symbol: str, vectors: Vectors, index: int, ts_recv: int, cause: tuple[str, ...]) -> Features:
    """Make the message of one liquidation vector.

    Args:
        symbol: of the vectors.
        vectors: what a sweep wrote.
        index: which of them.
        ts_recv: when the fleet saw the triggering fact, market ns.
        cause: see `Message`.

    Raises:
        ValueError: the vector was not triggered by a liquidation.
    """
    reason = int(vectors.reasons[index])
    if reason not in (REASON_LONG, REASON_SHORT):
        raise ValueError(f"vector {index} of {symbol} was written for reason {reason}, not for a liquidation")
    bid, ask = exact_decimal(vectors.quotes[index, 0]), exact_decimal(vectors.quotes[index, 1])
    return Features(
        ts_event=int(vectors.clock_ns[index]),
        ts_recv=ts_recv,
        cause=cause,
        symbol=symbol,
        schema_hash=SCHEMA_HASH,
        trigger=TRIGGER,
        trigger_side=Side.BUY if reason == REASON_LONG else Side.SELL,
        values=vectors.values[index].astype("<f8").tobytes(),
        mid=(bid + ask) / 2,
        best_bid=bid,
        best_ask=ask,
    )
