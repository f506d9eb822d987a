"""Binance's USD-M liquidation stream (§6 of the protocol).

The feed is a floor: of each symbol only the latest liquidation order within a second is told. `S` is the side of the *order*, so `SELL`
means that a long was liquidated, the opposite letter of Bybit's for the same event.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import Annotated, Final

import msgspec

from undertow.contracts.messages.macro import NeighbourLiquidation
from undertow.domain.order import Side

URL: Final = "wss://fstream.binance.com/market/ws/!forceOrder@arr"
FEED: Final = "binance.forceOrder.1s"
_MS_NS: Final = 1_000_000


class _Order(msgspec.Struct):
    s: str
    S: str
    q: Decimal
    p: Decimal
    ap: Decimal
    z: Decimal
    T: Annotated[int, msgspec.Meta(gt=0, le=9_000_000_000_000)]  # as nanoseconds it still fits in 64 bits


class _Event(msgspec.Struct):
    e: str
    o: _Order


class _Wrapped(msgspec.Struct):
    data: _Event


_EVENT: Final = msgspec.json.Decoder(_Event)
_WRAPPED: Final = msgspec.json.Decoder(_Wrapped)
_POSITIONS: Final = {"SELL": Side.BUY, "BUY": Side.SELL}


def liquidation(raw: bytes, recv_ns: int) -> NeighbourLiquidation:
    """Read one frame of `@forceOrder` or `!forceOrder@arr`, plain or of a combined stream.

    Raises:
        ValueError: it is not such a frame, or its numbers make no sense.
    """
    try:
        event = _WRAPPED.decode(raw).data if b'"stream"' in raw[:20] else _EVENT.decode(raw)
    except RecursionError as error:
        raise ValueError(f"{error}: {raw[:200]!r}") from None
    order = event.o
    price, size = order.ap or order.p, order.z or order.q
    are_positive = all(0.0 < float(number) < inf for number in (price, size))
    if event.e != "forceOrder" or order.S not in _POSITIONS or not are_positive:
        raise ValueError(f"not a liquidation: {raw[:200]!r}")
    return NeighbourLiquidation(
        ts_event=order.T * _MS_NS,
        ts_recv=recv_ns,
        venue="binance",
        symbol=order.s,
        position_side=_POSITIONS[order.S],
        price=price,
        size=size,
        feed=FEED,
    )
