"""The stop and the target of a position: set, moved, following its size, gone with it.

What the protocol page does not say (our inference): an attached stop becomes the position's on the order's first fill.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue.accounts import Account
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.orders import Order
from services.venue.requests import FALLS, RISES
from undertow.matching.ladder import BUY, SELL

_MS: Final = 1_000_000


class Protection:
    """Keeps the stops of all positions."""

    def __init__(self, live: LiveOrders) -> None:
        self._live = live

    def protect(
        self, holding: Holding, account: Account, kind: str, price: Decimal, by: str, now_ns: int
    ) -> Order | None:
        """Set, move or (0) remove a position's stop or target; give the order that shows it."""
        existing = holding.stop if kind == "StopLoss" else holding.target
        if existing is not None and not price:
            self._live.close(existing, "CancelByTpSlTsClear", now_ns)
            return existing
        if not price:
            return None
        side = SELL if holding.lots > 0 else BUY
        if existing is None:
            existing = self._live.make(account, holding, side, "Market", abs(holding.lots), now_ns)
            existing.reduce_only = existing.close_on_trigger = True
            existing.stop_order_type, existing.create_type = kind, f"CreateBy{kind}"
            existing.trigger_direction = FALLS if (side == SELL) == (kind == "StopLoss") else RISES
            self._live.keep(account, existing)
            self._live.wait(existing)
        existing.trigger, existing.trigger_by = price, by
        existing.lots, existing.updated_ms = abs(holding.lots), now_ns // _MS
        if kind == "StopLoss":
            holding.stop = existing
        else:
            holding.target = existing
        return existing

    def follow(self, account: Account, holding: Holding, filled: Order, now_ns: int) -> list[Order]:
        """After a fill: drop what protects nothing any more, attach what the order brought, fit the size; give what changed."""
        changed: list[Order] = []
        held = 0 if not holding.lots else BUY if holding.lots > 0 else SELL
        for existing in (holding.stop, holding.target):
            if existing is not None and (not holding.lots or existing.side == held):
                self._live.close(existing, "CancelByTpSlTsClear", now_ns)
                changed.append(existing)
        if holding.lots and held == filled.side and not filled.is_protection_set:
            filled.is_protection_set = True
            for kind, price, by in (
                ("StopLoss", filled.stop_loss, filled.sl_trigger_by),
                ("TakeProfit", filled.take_profit, filled.tp_trigger_by),
            ):
                made = self.protect(holding, account, kind, price, by, now_ns) if price else None
                changed += [made] if made else []
        for existing in (holding.stop, holding.target):
            if existing is not None and existing.lots != abs(holding.lots):
                existing.lots, existing.updated_ms = abs(holding.lots), now_ns // _MS
                changed.append(existing)
        return changed

    @staticmethod
    def release(holding: Holding, order: Order) -> None:
        """Take a stop that triggers from its position: it is an order like any other now."""
        holding.stop = None if order is holding.stop else holding.stop
        holding.target = None if order is holding.target else holding.target
