"""Orders and positions that are not ours: at start they are listed, later they stop all entries until they are gone.

A foreign order is one at once. A position counts when the venue has said so for `PATIENCE_NS` and has been asked again: the fact of a
position overtakes that of its fill. While a trade of ours lives in the symbol the keeper asks, and a fill that is not ours trips the
breaker. The guardian's orders are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from undertow.domain.order import GUARDIAN_PREFIX, OrderRole
from undertow.exchange.models import VenueExecution, VenueOrder, VenuePosition
from undertow.trading.desk import Desk
from undertow.trading.effects import Anomaly, Effect, Refresh

_SECOND: Final = 1_000_000_000
_ZERO: Final = Decimal(0)
PATIENCE_NS: Final = 2 * _SECOND
ASK_EVERY_NS: Final = 5 * _SECOND
LOOKBACK_NS: Final = 60 * _SECOND


@dataclass(slots=True)
class _Doubt:
    since_ns: int
    ask_at_ns: int
    is_certain: bool = False
    words: str = ""


class Strangers:
    """Watches what the venue has and the desk does not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._orders: dict[str, str] = {}
        self._venue: dict[str, Decimal] = {}
        self._doubts: dict[str, _Doubt] = {}

    def found(
        self, orders: Sequence[VenueOrder], positions: Sequence[VenuePosition], executions: Sequence[VenueExecution]
    ) -> list[str]:
        """Name what is foreign at start, when the journal has been folded and nothing else is known.

        A position is explained by a live trade, or by fills of ours that are not booked yet.
        """
        named = [_order_words(order) for order in orders if self._is_foreign(order)]
        return named + [
            f"position {position.symbol} {position.qty:+f} at {position.entry_price:f}"
            for position in positions
            if self._desk.live_trade(position.symbol) is None and position.qty != self._unbooked(position, executions)
        ]

    def on_order(self, fact: VenueOrder) -> None:
        """The venue's word about any order."""
        if fact.status.is_terminal or not self._is_foreign(fact):
            self._orders.pop(fact.venue_order_id, None)
        else:
            self._orders[fact.venue_order_id] = _order_words(fact)

    def on_position(self, symbol: str, qty: Decimal) -> None:
        """The venue's word about a position."""
        self._venue[symbol] = qty

    def on_refreshed(self, symbol: str, qty: Decimal, now_ns: int) -> list[Effect]:
        """The venue was asked for a position, and for the executions that might explain it."""
        self._venue[symbol] = qty
        effects = self.look(now_ns)
        doubt = self._doubts.get(symbol)
        if doubt is None or doubt.is_certain or now_ns < doubt.since_ns + PATIENCE_NS:
            return effects
        doubt.is_certain = True
        doubt.words = f"position {symbol} {qty:+f}"
        return [*effects, Anomaly("foreign_position", symbol, doubt.words)]

    def on_recovered(self, orders: Sequence[VenueOrder], positions: Sequence[VenuePosition]) -> None:
        """All that the venue has: what is not in it is gone."""
        self._orders = {order.venue_order_id: _order_words(order) for order in orders if self._is_foreign(order)}
        self._venue = {position.symbol: position.qty for position in positions}

    def look(self, now_ns: int) -> list[Effect]:
        """Compare; ask again where the venue holds for long what no trade does."""
        effects: list[Effect] = []
        for symbol, qty in self._venue.items():
            if not qty or self._desk.live_trade(symbol) is not None:
                self._doubts.pop(symbol, None)
                continue
            doubt = self._doubts.setdefault(symbol, _Doubt(now_ns, now_ns + PATIENCE_NS))
            if now_ns >= doubt.ask_at_ns:
                doubt.ask_at_ns = now_ns + ASK_EVERY_NS
                effects.append(Refresh(symbol, doubt.since_ns - LOOKBACK_NS))
        return effects

    def next_due_ns(self) -> int | None:
        """Give when `look` may have something to ask, or None."""
        return min((doubt.ask_at_ns for doubt in self._doubts.values()), default=None)

    def why(self) -> str:
        """Name what is foreign, or give ""."""
        return "; ".join([*self._orders.values(), *(d.words for d in self._doubts.values() if d.is_certain)])

    def _is_foreign(self, fact: VenueOrder) -> bool:
        if fact.order_id.startswith(GUARDIAN_PREFIX):
            return False
        owner = self._desk.owner_of_order(fact)
        return owner.role is OrderRole.FOREIGN and not self._desk.was_ours(owner.order_id)

    def _unbooked(self, position: VenuePosition, executions: Sequence[VenueExecution]) -> Decimal:
        return sum(
            (
                fact.qty * fact.side.sign
                for fact in executions
                if fact.symbol == position.symbol
                and fact.moves_position
                and not self._desk.knows_execution(fact.exec_id)
                and (self._desk.knows_order(fact.order_id) or fact.order_id.startswith(GUARDIAN_PREFIX))
            ),
            _ZERO,
        )


def _order_words(fact: VenueOrder) -> str:
    name = fact.order_id or fact.venue_order_id
    return f"order {name}: {fact.side} {fact.qty:f} {fact.symbol} at {fact.price or fact.trigger_price:f}"
