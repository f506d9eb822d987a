"""The stops and targets of positions: set, moved, following their size, gone with them.

What the protocol page does not say (our inference):
- A full bracket of an entry becomes the position's on its first fill, in place of what the position had; a partial one adds a pair of the
  size that each fill opened, beyond the twenty that a request may add.
- A target and a stop set together are bound: cancelling one cancels the other, moving one alone unbinds them; when a partial one triggers,
  its partner goes.
- When a position shrinks below what its partial stops (or targets) close, the newest of them shrink first.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue.accounts import Account
from services.venue.bracket import PARTIAL, Bracket, Leg
from services.venue.create_request import FALLS, RISES
from services.venue.guards import bind, unbind
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.orders import PARTIAL_STOPS, Order
from services.venue.trailing import Trail
from undertow.domain.time import NS_PER_MS
from undertow.matching.ladder import BUY, SELL

CLEARED: Final = "CancelByTpSlTsClear"


class Protection:
    """Keeps the guards of all positions."""

    def __init__(self, live: LiveOrders) -> None:
        self._live = live

    def set_full(self, account: Account, holding: Holding, bracket: Bracket, parent: str, now_ns: int) -> list[Order]:
        """Set or move the position's full stop and target; give the orders that show them."""
        made = []
        for kind, leg in bracket.legs():
            order = holding.guards.full.get(kind)
            if order is None:
                order = self._make(account, holding, kind, leg, abs(holding.lots), now_ns)
                order.parent_link_id = parent
                holding.guards.full[kind] = order
            unbind(order)
            order.trigger, order.trigger_by, order.updated_ms = leg.trigger, leg.by, now_ns // NS_PER_MS
            made.append(order)
        return _bound(made)

    def add_partial(
        self, account: Account, holding: Holding, bracket: Bracket, lots: int, parent: str, now_ns: int
    ) -> list[Order]:
        """Add a stop and a target for a part of the position; give the orders that show them."""
        made = [self._make(account, holding, kind, leg, lots, now_ns) for kind, leg in bracket.legs()]
        for order in made:
            order.parent_link_id = parent
        holding.guards.partial += made
        return _bound(made)

    def set_trail(
        self, account: Account, holding: Holding, distance: Decimal, activation: Decimal, now_ns: int
    ) -> Order:
        """Set the position's trailing stop anew; `activation` 0 starts it at once."""
        order = holding.guards.full.get("TrailingStop")
        last = holding.market.last
        leg = Leg(activation or last, "LastPrice")
        if order is None:
            order = self._make(account, holding, "TrailingStop", leg, abs(holding.lots), now_ns)
            holding.guards.full["TrailingStop"] = order
        order.trigger, order.updated_ms = leg.trigger, now_ns // NS_PER_MS
        best = Decimal(0) if activation else last
        order.trail = Trail(side=order.side, distance=distance, activation=leg.trigger, best=best)
        return order

    def clear(self, order: Order, now_ns: int) -> Order:
        """End one guard."""
        self._live.close(order, CLEARED, now_ns)
        return order

    def follow(self, account: Account, holding: Holding, filled: Order, now_ns: int) -> list[Order]:
        """After a fill: drop what protects nothing any more, attach what the order brought, fit the sizes; give what changed."""
        held = 0 if not holding.lots else BUY if holding.lots > 0 else SELL
        changed = [
            self.clear(guard, now_ns) for guard in holding.guards.all() if not holding.lots or guard.side == held
        ]
        opened, filled.unprotected = filled.unprotected, 0
        if opened and holding.lots and held == filled.side and not filled.is_bracket_set:
            if filled.bracket.mode == PARTIAL:
                changed += self.add_partial(account, holding, filled.bracket, opened, filled.link_id, now_ns)
            else:
                filled.is_bracket_set = True
                changed += self.set_full(account, holding, filled.bracket, filled.link_id, now_ns)
        return changed + [order for order in self.fit(holding, now_ns) if order not in changed]

    def release(self, holding: Holding, order: Order, now_ns: int) -> list[Order]:
        """Take a guard that triggers from its position: it is an order like any other now; give the partner that goes with it."""
        partner = order.partner if order.stop_order_type in PARTIAL_STOPS else None
        holding.guards.drop(order)
        return [] if partner is None else [self.clear(partner, now_ns)]

    def fit(self, holding: Holding, now_ns: int) -> list[Order]:
        """Give the guards the position's size, or together no more than it; give those that changed."""
        held, changed = abs(holding.lots), []
        for order in holding.guards.full.values():
            if order.lots != held:
                order.lots, order.updated_ms = held, now_ns // NS_PER_MS
                changed.append(order)
        for kind in sorted(PARTIAL_STOPS):
            surplus = holding.guards.covered(kind) - held
            for order in reversed(list(holding.guards.partial)):
                if surplus <= 0 or order.stop_order_type != kind:
                    continue
                part = min(surplus, order.lots)
                surplus -= part
                if part == order.lots:
                    self.clear(order, now_ns)
                else:
                    order.lots, order.updated_ms = order.lots - part, now_ns // NS_PER_MS
                changed.append(order)
        return changed

    def _make(self, account: Account, holding: Holding, kind: str, leg: Leg, lots: int, now_ns: int) -> Order:
        side = SELL if holding.lots > 0 else BUY
        order = self._live.make(account, holding, side, "Limit" if leg.tick else "Market", lots, now_ns)
        order.time_in_force, order.tick = "GTC" if leg.tick else "IOC", leg.tick
        order.reduce_only = order.close_on_trigger = True
        order.stop_order_type, order.create_type = kind, f"CreateBy{kind}"
        order.trigger, order.trigger_by = leg.trigger, leg.by
        order.trigger_direction = FALLS if (side == SELL) != kind.endswith("TakeProfit") else RISES
        self._live.keep(account, order)
        self._live.wait(order)
        return order


def _bound(made: list[Order]) -> list[Order]:
    if len(made) == 2:  # noqa: PLR2004 - a stop and a target
        bind(*made)
    return made
