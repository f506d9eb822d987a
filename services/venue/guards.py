"""The system orders that protect one position: at most one full stop, target and trailing stop, and any number of partial ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from services.venue.orders import Order


def bind(one: Order, other: Order) -> None:
    """Let two orders go together when one of them is cancelled."""
    one.partner, other.partner = other, one


def unbind(order: Order) -> None:
    """Let an order go alone."""
    if order.partner is not None:
        order.partner.partner = None
        order.partner = None


@dataclass(slots=True)
class Guards:
    """Untriggered system orders of one position.

    Attributes:
        full: by stop order type, each as large as the position.
        partial: oldest first, those of a type together never larger than the position.
    """

    full: dict[str, Order] = field(default_factory=dict)
    partial: list[Order] = field(default_factory=list)

    def all(self) -> list[Order]:
        """Give them."""
        return [*self.full.values(), *self.partial]

    def trigger(self, kind: str) -> Decimal:
        """Give where the full one of a kind triggers; 0 when there is none."""
        return self.full[kind].trigger if kind in self.full else Decimal(0)

    @property
    def distance(self) -> Decimal:
        """Distance of the trailing stop; 0 when there is none."""
        trail = self.full["TrailingStop"].trail if "TrailingStop" in self.full else None
        return trail.distance if trail else Decimal(0)

    def covered(self, kind: str) -> int:
        """Give the lots that the partial ones of a kind close."""
        return sum(order.lots for order in self.partial if order.stop_order_type == kind)

    def drop(self, order: Order) -> None:
        """Take one out: it triggered or ended."""
        unbind(order)
        if self.full.get(order.stop_order_type) is order:
            del self.full[order.stop_order_type]
        elif order in self.partial:
            self.partial.remove(order)
