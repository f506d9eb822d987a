"""The life of an order: arrival, trigger, match, amendment, fill, end.

What the protocol page does not say (our inference): margin is held from the acknowledgement on, and an order that can no longer be afforded
when it takes effect is Rejected; a conditional order that cannot be afforded when it triggers is Cancelled (this is documented), both with
EC_Others; closeOnTrigger frees no margin of other orders, because orders that only reduce need none here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from services.venue import requests
from services.venue.accounts import Account
from services.venue.amendment import Amendment
from services.venue.answers import Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.create_request import Wanted
from services.venue.guards import unbind
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.market import Market
from services.venue.order_checks import check_amended_funds, check_entry, market_tick
from services.venue.order_states import Event, Status
from services.venue.orders import CONDITIONAL, NO_CANCEL, Order
from services.venue.protection import Protection
from services.venue.triggers import is_reached
from undertow.domain.time import NS_PER_MS
from undertow.matching.matcher import Fill

BY_USER: Final = "CancelByUser"
BY_REDUCE_ONLY: Final = "CancelByReduceOnly"
_CROSSED: Final = "EC_OrigClOrdIDDoesNotExist"


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
        self._filled: list[tuple[Account, Holding]] = []

    def make(self, account: Account, holding: Holding, wanted: Wanted, lots: int, link_id: str, now_ns: int) -> Order:
        """Take a checked request, or one piece of it, in: acknowledged, not yet in effect."""
        order = self._live.make(account, holding, wanted.side, wanted.order_type, lots, now_ns)
        order.link_id, order.time_in_force, order.tick = link_id, wanted.time_in_force, wanted.tick
        order.reduce_only, order.close_on_trigger = wanted.reduce_only, wanted.close_on_trigger
        order.trigger, order.trigger_by = wanted.trigger, wanted.trigger_by
        order.trigger_direction = wanted.trigger_direction
        if wanted.trigger:
            order.stop_order_type, order.create_type = CONDITIONAL, "CreateByStopOrder"
        elif wanted.is_bbo:
            order.create_type = "CreateByBboOrder"
        order.bracket, order.smp_type, order.tolerance = wanted.bracket, wanted.smp_type, wanted.tolerance
        self._live.keep(account, order)
        return order

    def arrive(self, order: Order, now_ns: int, *, is_late: bool = False) -> None:
        """Let an acknowledged order take effect: wait for its trigger, take, rest or end; a late one must still be affordable."""
        if order.status is not Status.CREATED:
            return  # ended on its way, by a liquidation
        order.updated_ms = now_ns // NS_PER_MS
        account, holding = self._of(order)
        if order.trigger:
            self._live.wait(order)
            self._show(account, holding, [order])
        elif is_late and not self._may_enter(account, holding.market, order, now_ns):
            self._live.finish(order, Event.REFUSED)
            self._show(account, holding, [order])
        else:
            self._match(account, holding, order, now_ns)

    def amend(self, order: Order, change: Amendment, now_ns: int) -> None:
        """Change an open order, unless it has filled past its new quantity meanwhile, or at all when the bracket changes."""
        if not order.is_open:
            return
        account, holding = self._of(order)
        if change.is_overtaken(order) or not self._affords(account, holding, order, change, now_ns):
            self._show(account, holding, [order])
            return
        order.updated_ms = now_ns // NS_PER_MS
        keeps_place = change.apply(order)
        unbind(order)
        if order.status is Status.UNTRIGGERED:
            fitted = [guard for guard in self._protection.fit(holding, now_ns) if guard is not order]
            self._show(account, holding, [order, *fitted])
        elif keeps_place:
            holding.market.matcher.set_leaves(order.number, order.leaves)
            self._show(account, holding, [order])
        else:
            holding.market.matcher.set_leaves(order.number, 0)
            self._match(account, holding, order, now_ns)

    @staticmethod
    def _affords(account: Account, holding: Holding, order: Order, change: Amendment, now_ns: int) -> bool:
        try:
            check_amended_funds(account, holding.market, order, change.tick_of(order), change.lots_of(order), now_ns)
        except Refusal:
            return False  # another request has taken the margin while this one was on its way
        return True

    def cancel(self, orders: Iterable[Order], cancel_type: str, now_ns: int) -> None:
        """End open orders; of one that was filled on the way to its owner's cancel the stream says so once more."""
        for order in orders:
            account, holding = self._of(order)
            if order.is_open or order.status is Status.CREATED:
                ended = [order] if order.partner is None else [order, order.partner]
                for one in ended:
                    self._live.close(one, cancel_type, now_ns)
                self._show(account, holding, ended)
            elif order.status is Status.FILLED and cancel_type == BY_USER:
                late = replace(order, cancel_type=cancel_type, reject_reason=_CROSSED, updated_ms=now_ns // NS_PER_MS)
                self._show(account, holding, [late])

    def on_fills(self, market: Market, fills: list[Fill], now_ns: int) -> None:
        """Book what the kernel filled of our resting orders."""
        for number, tick, lots in fills:
            order = self._live.working.get(number)
            if order is None:
                continue  # ended by an earlier fill of the same frame
            account, holding = self._of(order)
            item = self._books.fill(account, holding, order, tick, min(lots, order.leaves), now_ns, is_maker=True)
            if not order.leaves:
                self._live.finish(order, Event.FILLED)
            else:
                order.move(Event.PART_FILLED)
                market.matcher.set_leaves(order.number, order.leaves)
            self.after_fill(account, holding, order, [item], now_ns)

    def check_triggers(self, market: Market, now_ns: int) -> None:
        """Release the conditional orders whose price has come."""
        waiting = self._live.conditional[market.symbol]
        if not waiting:
            return
        for order in list(waiting.values()):
            if order.status is not Status.UNTRIGGERED or not is_reached(order, market):
                continue
            account, holding = self._of(order)
            del waiting[order.number]
            partners = self._protection.release(holding, order, now_ns)
            order.move(Event.TRIGGERED)
            order.updated_ms = now_ns // NS_PER_MS
            self._show(account, holding, [order, *partners])
            if self._may_enter(account, holding.market, order, now_ns):
                self._match(account, holding, order, now_ns)
            else:
                self._end(account, holding, order, NO_CANCEL, now_ns)

    def drain_filled(self) -> list[tuple[Account, Holding]]:
        """Give the positions that changed since the last call."""
        filled, self._filled = self._filled, []
        return filled

    def after_fill(self, account: Account, holding: Holding, order: Order, executions: list[Item], now_ns: int) -> None:
        """Let stops and reduce-only orders follow the position, and publish all that changed."""
        self._filled.append((account, holding))
        changed = [order, *self._protection.follow(account, holding, order, now_ns)]
        changed += self._fit_reduce_only(account, holding, order, now_ns)
        self._books.publish(account, holding, executions, changed, wallet=True)

    def _match(self, account: Account, holding: Holding, order: Order, now_ns: int) -> None:
        market, matcher = holding.market, holding.market.matcher
        self._live.working.pop(order.number, None)
        if order.reduce_only and not _fit_to_position(holding, order):
            self._end(account, holding, order, BY_REDUCE_ONLY, now_ns)
            return
        if order.order_type == "Market":
            order.tick = market_tick(market, order, now_ns)
        crosses = bool(order.tick) and matcher.would_take(order.side, order.tick)
        if crosses and order.time_in_force == "PostOnly":
            order.reject_reason = "EC_PostOnlyWillTakeLiquidity"
            self._end(account, holding, order, NO_CANCEL, now_ns)
            return
        whole = order.time_in_force == "FOK"
        fills = matcher.take(order.number, order.side, order.tick, order.leaves, whole=whole) if crosses else []
        executions = [
            self._books.fill(account, holding, order, tick, lots, now_ns, is_maker=False) for _, tick, lots in fills
        ]
        self._settle_down(order, now_ns, has_taken=bool(fills))
        if executions:
            self.after_fill(account, holding, order, executions, now_ns)
        else:
            self._show(account, holding, [order])

    def _settle_down(self, order: Order, now_ns: int, *, has_taken: bool) -> None:
        if not order.leaves:
            self._live.finish(order, Event.FILLED)
            return
        if has_taken:
            order.move(Event.PART_FILLED)
        if order.time_in_force not in {"IOC", "FOK"}:
            self._live.rest(order)
            return
        if not order.filled:
            is_whole = order.time_in_force == "FOK"
            order.reject_reason = "EC_NoEnoughQtyToFill" if is_whole else "EC_NoImmediateQtyToFill"
        self._live.close(order, NO_CANCEL, now_ns)

    @staticmethod
    def _may_enter(account: Account, market: Market, order: Order, now_ns: int) -> bool:
        try:
            check_entry(account, market, order, now_ns)
        except Refusal:
            order.reject_reason = "EC_Others"
            return False
        return True

    def _fit_reduce_only(self, account: Account, holding: Holding, filled: Order, now_ns: int) -> list[Order]:
        changed = []
        for order in list(account.open.values()):
            if order is filled or not order.reduce_only or order.number not in self._live.working:
                continue
            if (order.symbol, order.index) != (holding.market.symbol, holding.index):
                continue
            closable = holding.closable(order.side)
            if not closable:
                self._live.close(order, BY_REDUCE_ONLY, now_ns)
                changed.append(order)
            elif order.leaves > closable:
                order.lots, order.updated_ms = order.filled + closable, now_ns // NS_PER_MS
                holding.market.matcher.set_leaves(order.number, closable)
                changed.append(order)
        return changed

    def _of(self, order: Order) -> tuple[Account, Holding]:
        account = self._accounts[order.uid]
        return account, account.holding(self._markets[order.symbol], order.index)

    def _end(self, account: Account, holding: Holding, order: Order, cancel_type: str, now_ns: int) -> None:
        self._live.close(order, cancel_type, now_ns)
        self._show(account, holding, [order])

    def _show(self, account: Account, holding: Holding, orders: list[Order]) -> None:
        self._books.publish(account, holding, [], orders, wallet=False)


def _fit_to_position(holding: Holding, order: Order) -> bool:
    # 0 lots close all there is, up to the largest order; what the venue makes itself has no such bound
    market, closable = holding.market, holding.closable(order.side)
    largest = requests.largest_qty(market, is_market=order.order_type == "Market")
    order.lots = order.filled + min(closable, order.leaves or int(largest / market.scale.qty_step))
    return bool(closable)
