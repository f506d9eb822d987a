"""What happens to an account whose maintenance margin has eaten its margin balance.

What the protocol page does not say (our inference): it loses its orders, then its positions one after the other, the largest maintenance
margin first, each taken over at the price that leaves nothing of the margin balance.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from services.venue import orders as status
from services.venue.accounts import Account
from services.venue.bookkeeping import Books
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.market import Market
from services.venue.order_life import OrderLife
from undertow.matching.ladder import BUY, SELL
from undertow.matching.scale import UNITS


class Liquidation:
    """Watches the margin of all accounts."""

    def __init__(self, accounts: dict[str, Account], books: Books, live: LiveOrders, life: OrderLife) -> None:
        self._accounts = accounts
        self._books = books
        self._live = live
        self._life = life

    def check(self, market: Market, now_ns: int) -> None:
        """Liquidate the accounts in this market whose maintenance margin has eaten the margin balance."""
        for account in self._accounts.values():
            if any(holding.lots for holding in account.holdings_in(market)) and account.balance <= account.maintenance:
                self._liquidate(account, now_ns)

    def _liquidate(self, account: Account, now_ns: int) -> None:
        self._life.cancel(list(account.open.values()), "CancelByPrepareLiq", now_ns)
        for holding in sorted(account.holdings.values(), key=lambda h: -h.maintenance(account.taker_rate)):
            if not holding.lots or account.balance > account.maintenance:
                continue
            lots = abs(holding.lots)
            side = SELL if holding.lots > 0 else BUY
            order = self._live.make(account, holding, side, "Market", lots, now_ns)
            order.create_type, order.reduce_only = "CreateByTakeOver_PassThrough", True
            order.tick = _bankruptcy_tick(holding, account.balance, account.taker_rate)
            self._live.keep(account, order)
            item = self._books.fill(account, holding, order, order.tick, lots, now_ns, is_maker=False, kind="BustTrade")
            self._live.finish(order, status.FILLED)
            self._life.after_fill(account, holding, order, [item], now_ns)


def _bankruptcy_tick(holding: Holding, balance: int, taker_rate: int) -> int:
    # the price at which closing, its fee included, leaves nothing of the balance; rounded in the account's favour
    per_tick = Decimal(abs(holding.lots) * holding.market.scale.unit)
    rate = Decimal(taker_rate) / UNITS
    if holding.lots > 0:
        ticks = ((holding.value - balance) / (per_tick * (1 - rate))).to_integral_value(ROUND_CEILING)
    else:
        ticks = ((holding.value + balance) / (per_tick * (1 + rate))).to_integral_value(ROUND_FLOOR)
    return max(1, int(ticks))
