"""Take a create request in: checked against filters, counts, position and money, acknowledged, not yet in effect."""

from __future__ import annotations

from services.venue import answers as code
from services.venue import queries
from services.venue.accounts import Account
from services.venue.answers import Item, Refusal
from services.venue.create_request import Wanted, read_create
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.order_checks import check_count, check_entry, check_reduces, check_trigger_side, split
from services.venue.order_life import OrderLife
from services.venue.orders import Order


class Intake:
    """The way of every new order into its account."""

    def __init__(self, markets: dict[str, Market], life: OrderLife) -> None:
        self._markets = markets
        self._life = life

    def take(self, account: Account, body: Item, now_ns: int) -> list[Order]:
        """Give the orders that a request makes: one, or the pieces of one beyond the largest order, the first with the link id.

        Raises:
            Refusal: with the code of the first breach; nothing is left behind.
        """
        orders = self.draft(account, body, now_ns)
        try:
            for order in orders:
                self.check_entry(account, order, now_ns)
        except Refusal:
            for order in orders:
                account.forget(order)
            raise
        return orders

    def draft(self, account: Account, body: Item, now_ns: int) -> list[Order]:
        """Give them before the money is checked, already among the account's orders.

        Raises:
            Refusal: with the code of the first breach.
        """
        market = queries.market_of(self._markets, body)
        wanted = read_create(body, market, hedged=market.symbol in account.hedged)
        holding = account.holding(market, wanted.index)
        pieces = self._check(account, holding, wanted)
        links = [wanted.link_id, *[""] * (len(pieces) - 1)]
        return [
            self._life.make(account, holding, wanted, lots, link, now_ns)
            for lots, link in zip(pieces, links, strict=True)
        ]

    def check_entry(self, account: Account, order: Order, now_ns: int) -> None:
        """Check that an order may reach the book; a conditional one is checked when it triggers.

        Raises:
            Refusal: 110007, 110086, 110090, 110120, 110121.
        """
        if not order.trigger:
            check_entry(account, self._markets[order.symbol], order, now_ns)

    def _check(self, account: Account, holding: Holding, wanted: Wanted) -> list[int]:
        market = holding.market
        if wanted.link_id in account.used_link_ids or wanted.link_id in account.links:
            raise Refusal(code.LINK_ID_DUPLICATE, "OrderLinkedID is duplicate")
        if wanted.trigger:
            check_trigger_side(market, wanted.trigger, wanted.trigger_by, wanted.trigger_direction)
        elif wanted.reduce_only:
            check_reduces(holding, wanted.side)
        if wanted.is_market and not wanted.trigger and market.best(1 - wanted.side) is None:
            raise Refusal(code.NO_MARKET_PRICE, "No price for the market order: the book is empty")
        pieces = split(holding, wanted)
        check_count(account, market, len(pieces), conditional=bool(wanted.trigger))
        return pieces
