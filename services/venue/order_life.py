"""The life of an order: arrival, trigger, match, amendment, fill, end."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from services.venue import orders as status
from services.venue.accounts import Account
from services.venue.answers import Item
from services.venue.bookkeeping import Books
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.market import Market
from services.venue.orders import Order
from services.venue.protection import Protection
from services.venue.requests import RISES, Wanted
from undertow.matching.matcher import Fill

_MS: Final = 1_000_000


class OrderLife:
    """Moves every order from state to state and publishes each step."""

    def __init__(
        self,
        markets: dict[str, Market],
        accounts: dict[str, Account],
        books: Books,
        live: LiveOrders,
        protection: Protection,
    ) -> None:
        self._markets = markets
        self._accounts = accounts
        self._books = books
        self._live = live
        self._protection = protection

    def make(self, account: Account, market: Market, wanted: Wanted, now_ns: int) -> Order:
        """Take a checked request in: acknowledged, not yet in effect."""
        holding = account.holding(market, wanted.index)
        order = self._live.make(account, holding, wanted.side, wanted.order_type, wanted.lots, now_ns)
        order.link_id, order.time_in_force, order.tick = wanted.link_id, wanted.time_in_force, wanted.tick
        order.reduce_only, order.close_on_trigger = wanted.reduce_only, wanted.close_on_trigger
        order.trigger, order.trigger_by = wanted.trigger, wanted.trigger_by
        order.trigger_direction = wanted.trigger_direction
        order.stop_order_type = "Stop" if wanted.trigger else ""
        order.take_profit, order.tp_trigger_by = wanted.take_profit, wanted.tp_trigger_by
        order.stop_loss, order.sl_trigger_by = wanted.stop_loss, wanted.sl_trigger_by
        order.smp_type = wanted.smp_type
        self._live.keep(account, order)
        return order

    def arrive(self, order: Order, now_ns: int) -> None:
        """Let an acknowledged order take effect: wait for its trigger, take, rest or end."""
        if order.status != status.CREATED:
            return  # ended on its way, by a liquidation
        order.updated_ms = now_ns // _MS
        account, holding = self._of(order)
        if order.trigger:
            self._live.wait(order)
            self._show(account, holding, order)
            return
        self._match(account, holding, order, now_ns)

    def amend(self, order: Order, *, tick: int, lots: int, trigger: Decimal, now_ns: int) -> None:
        """Change an open order; only a smaller quantity at the same price keeps its place in the queue."""
        if not order.is_open:
            return
        account, holding = self._of(order)
        if lots <= order.filled:
            self._show(account, holding, order)  # more filled while the amendment was on its way: it changes nothing
            return
        matcher = holding.market.matcher
        order.updated_ms = now_ns // _MS
        keeps_place = tick == order.tick and lots <= order.lots
        order.tick, order.lots, order.trigger = tick, lots, trigger
        if order.status == status.UNTRIGGERED:
            self._show(account, holding, order)
        elif keeps_place:
            matcher.set_leaves(order.number, order.leaves)
            self._show(account, holding, order)
        else:
            matcher.set_leaves(order.number, 0)
            self._match(account, holding, order, now_ns)

    def cancel(self, orders: Iterable[Order], cancel_type: str, now_ns: int) -> None:
        """End open orders; those already closed stay as they are."""
        for order in orders:
            if order.is_open or order.status == status.CREATED:
                self._end(*self._of(order), order, cancel_type, now_ns)

    def on_fills(self, market: Market, fills: list[Fill], now_ns: int) -> None:
        """Book what the kernel filled of our resting orders."""
        for number, tick, lots in fills:
            order = self._live.working.get(number)
            if order is None:
                continue  # ended by an earlier fill of the same frame
            account, holding = self._of(order)
            item = self._books.fill(account, holding, order, tick, min(lots, order.leaves), now_ns, is_maker=True)
            if not order.leaves:
                self._live.finish(order, status.FILLED)
            else:
                order.status = status.PARTIALLY_FILLED
                market.matcher.set_leaves(order.number, order.leaves)
            self.after_fill(account, holding, order, [item], now_ns)

    def check_triggers(self, market: Market, now_ns: int) -> None:
        """Release the conditional orders whose price has come."""
        waiting = self._live.conditional[market.symbol]
        if not waiting:
            return
        prices = {"MarkPrice": market.mark, "LastPrice": market.last, "IndexPrice": market.index}
        for order in list(waiting.values()):
            price = prices[order.trigger_by]
            reached = price >= order.trigger if order.trigger_direction == RISES else price <= order.trigger
            if not price or not reached or order.status != status.UNTRIGGERED:
                continue
            account, holding = self._of(order)
            del waiting[order.number]
            self._protection.release(holding, order)
            order.status = status.TRIGGERED
            order.updated_ms = now_ns // _MS
            self._show(account, holding, order)
            self._match(account, holding, order, now_ns)

    def after_fill(self, account: Account, holding: Holding, order: Order, executions: list[Item], now_ns: int) -> None:
        """Let stops and reduce-only orders follow the position, and publish all that changed."""
        changed = [order, *self._protection.follow(account, holding, order, now_ns)]
        changed += self._fit_reduce_only(account, holding, order, now_ns)
        self._books.publish(account, holding, executions, changed, wallet=True)

    def _match(self, account: Account, holding: Holding, order: Order, now_ns: int) -> None:
        market, matcher = holding.market, holding.market.matcher
        self._live.working.pop(order.number, None)
        if order.reduce_only:
            closable = holding.closable(order.side)
            if not closable:
                self._end(account, holding, order, "CancelByReduceOnly", now_ns)
                return
            order.lots = order.filled + min(closable, order.leaves or closable)
        if order.order_type == "Market":
            order.tick = market.protective_tick(order.side) or 0
        crosses = bool(order.tick) and matcher.would_take(order.side, order.tick)
        if crosses and order.time_in_force == "PostOnly":
            order.reject_reason = "EC_PostOnlyWillTakeLiquidity"
            self._end(account, holding, order, status.NO_CANCEL, now_ns)
            return
        whole = order.time_in_force == "FOK"
        fills = matcher.take(order.number, order.side, order.tick, order.leaves, whole=whole) if crosses else []
        executions = [
            self._books.fill(account, holding, order, tick, lots, now_ns, is_maker=False) for _, tick, lots in fills
        ]
        if not order.leaves:
            self._live.finish(order, status.FILLED)
        elif order.time_in_force in {"IOC", "FOK"}:
            if not order.filled:
                order.reject_reason = "EC_NoEnoughQtyToFill" if whole else "EC_NoImmediateQtyToFill"
            self._live.close(order, status.NO_CANCEL, now_ns)
        else:
            self._live.rest(order)
        if executions:
            self.after_fill(account, holding, order, executions, now_ns)
        else:
            self._show(account, holding, order)

    def _fit_reduce_only(self, account: Account, holding: Holding, filled: Order, now_ns: int) -> list[Order]:
        changed = []
        for order in list(account.open.values()):
            if order is filled or not order.reduce_only or order.number not in self._live.working:
                continue
            if (order.symbol, order.index) != (holding.market.symbol, holding.index):
                continue
            closable = holding.closable(order.side)
            if not closable:
                self._live.close(order, "CancelByReduceOnly", now_ns)
                changed.append(order)
            elif order.leaves > closable:
                order.lots, order.updated_ms = order.filled + closable, now_ns // _MS
                holding.market.matcher.set_leaves(order.number, closable)
                changed.append(order)
        return changed

    def _of(self, order: Order) -> tuple[Account, Holding]:
        account = self._accounts[order.uid]
        return account, account.holding(self._markets[order.symbol], order.index)

    def _end(self, account: Account, holding: Holding, order: Order, cancel_type: str, now_ns: int) -> None:
        self._live.close(order, cancel_type, now_ns)
        self._show(account, holding, order)

    def _show(self, account: Account, holding: Holding, order: Order) -> None:
        self._books.publish(account, holding, [], [order], wallet=False)
