"""The orders that can still do something: where they wait, how they begin and end."""

from __future__ import annotations

from uuid import uuid5

from services.venue.accounts import Account
from services.venue.bookkeeping import NAMESPACE
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.order_states import Event
from services.venue.orders import SYSTEM_STOPS, Order
from undertow.domain.time import NS_PER_MS


class LiveOrders:
    """All accounts' orders at work.

    Attributes:
        working: resting in a book, by number.
        conditional: waiting for a trigger, by symbol and number.
    """

    def __init__(self, markets: dict[str, Market], accounts: dict[str, Account]) -> None:
        self._markets = markets
        self._accounts = accounts
        self.working: dict[int, Order] = {}
        self.conditional: dict[str, dict[int, Order]] = {symbol: {} for symbol in markets}
        self._made = 0

    def make(self, account: Account, holding: Holding, side: int, order_type: str, lots: int, now_ns: int) -> Order:
        """Give a new order that nobody knows of yet."""
        self._made += 1
        market = holding.market
        return Order(
            number=self._made,
            order_id=str(uuid5(NAMESPACE, f"{account.uid}/order/{account.next_number()}")),
            link_id="",
            uid=account.uid,
            symbol=market.symbol,
            scale=market.scale,
            index=holding.index,
            side=side,
            order_type=order_type,
            time_in_force="IOC",
            tick=0,
            lots=lots,
            created_ms=now_ns // NS_PER_MS,
            updated_ms=now_ns // NS_PER_MS,
            last_price=market.last,
            settle_coin=market.settle_coin,
        )

    @staticmethod
    def keep(account: Account, order: Order) -> None:
        """Take an order into its account."""
        account.open[order.order_id] = order
        account.remember(order)

    def wait(self, order: Order) -> None:
        """Let an order wait for its trigger."""
        order.move(Event.WAITED)
        self.conditional[order.symbol][order.number] = order

    def rest(self, order: Order) -> None:
        """Put what is left of an order into the book."""
        order.move(Event.RESTED)
        self._markets[order.symbol].matcher.rest(order.number, order.side, order.tick, order.leaves)
        self.working[order.number] = order

    def close(self, order: Order, cancel_type: str, now_ns: int) -> None:
        """End an order that was not filled whole; a guard is taken from its position."""
        order.cancel_type, order.updated_ms = cancel_type, now_ns // NS_PER_MS
        self.finish(order, Event.ENDED)
        if order.stop_order_type in SYSTEM_STOPS:
            self._accounts[order.uid].holding(self._markets[order.symbol], order.index).guards.drop(order)

    def finish(self, order: Order, event: Event) -> None:
        """Take an order out of everything that could still move it."""
        order.move(event)
        self._accounts[order.uid].close(order)
        self.conditional[order.symbol].pop(order.number, None)
        if self.working.pop(order.number, None) is not None:
            self._markets[order.symbol].matcher.set_leaves(order.number, 0)
