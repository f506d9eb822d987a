"""Since when fleet and venue differ, each difference by itself: many short ones in a row are lag, one that stays is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from services.guardian.rules import ORDER_PREFIX, Look
from undertow.contracts.messages.heartbeat import Heartbeat

_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class _Difference:
    """Of one symbol's position, or one order.

    Attributes:
        said: the position as the venue gave it since then.
    """

    since_ns: int
    words: str
    said: set[Decimal] = field(default_factory=set)


class Differences:
    """What differs between the router's newest heartbeat and the venue.

    A position's clock starts anew when the fleet has come to believe what the venue said since it started: then it was late, not wrong.
    An order's clock belongs to its id, and starts with the first heartbeat that was sent after the order was made.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Difference] = {}

    def __bool__(self) -> bool:
        """Tell whether anything differs now."""
        return bool(self._open)

    def clear(self) -> None:
        """Forget them all."""
        self._open.clear()

    def take(self, heartbeat: Heartbeat, look: Look, now_ns: int) -> None:
        """Hold a look against a heartbeat."""
        found = _positions(heartbeat, look)
        orders = _orders(heartbeat, look)
        self._open = {key: self._open.get(key) or _Difference(now_ns, "") for key in (*found, *orders)}
        for symbol, (fleet, venue) in found.items():
            difference = self._open[symbol]
            if fleet in difference.said:
                difference.since_ns = now_ns
                difference.said.clear()
            difference.said.add(venue)
            difference.words = f"{symbol} {fleet} in the fleet, {venue} at the venue"
        for key, words in orders.items():
            self._open[key].words = words

    def lasted_ns(self, now_ns: int) -> int:
        """Give the age of the oldest; 0 without one."""
        return max((now_ns - each.since_ns for each in self._open.values()), default=0)

    def words(self, now_ns: int, least_ns: int) -> str:
        """Say those that have lasted so long."""
        return "; ".join(each.words for each in self._open.values() if now_ns - each.since_ns >= least_ns)


def _positions(heartbeat: Heartbeat, look: Look) -> dict[str, tuple[Decimal, Decimal]]:
    return {
        symbol: (fleet, venue)
        for symbol in sorted(heartbeat.positions.keys() | look.positions.keys())
        if (fleet := heartbeat.positions.get(symbol, _ZERO)) != (venue := look.positions.get(symbol, _ZERO))
    }


def _orders(heartbeat: Heartbeat, look: Look) -> dict[str, str]:
    return {
        f"order {order.order_id or f'without our id in {order.symbol}'}": (
            f"order {order.order_id or 'without our id'} in {order.symbol} is nobody's"
        )
        for order in look.orders
        if not order.is_conditional
        and order.created_ns < heartbeat.sent_ns
        and order.order_id not in heartbeat.open_order_ids
        and not order.order_id.startswith(ORDER_PREFIX)
    }
