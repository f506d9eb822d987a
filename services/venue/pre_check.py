"""`order/pre-check`: what an order would do to the account's margin rates; it is never in effect.

What the protocol page does not say (our inference, after the exchange's own page): rates are in 1/10,000 of the margin balance, rounded
down. The maintenance after an order is the most that the position may need once the orders open on its side, and then this one, have
filled, less what it may need by those alone: an order that closes changes nothing, one that turns the position counts what stands after
it. A refusal names the order in `retExtInfo`, for want of money with the rates after it.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid5

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import NAMESPACE
from services.venue.market import Market
from services.venue.order_checks import grown_value, reckoned_tick
from services.venue.order_intake import Intake
from services.venue.orders import Order
from undertow.matching import money as kernel

_E4: Final = 10_000


class PreCheck:
    """Serves the endpoint."""

    def __init__(self, markets: dict[str, Market], intake: Intake) -> None:
        self._markets = markets
        self._intake = intake

    def serve(self, account: Account, body: Item, now_ns: int) -> Answer:
        """Give the rates before and after an order."""
        order_id = str(uuid5(NAMESPACE, f"{account.uid}/pre-check/{account.next_number()}"))
        named = {"future_order_id": order_id, "future_order_link_id": str(body.get("orderLinkId", ""))}
        before = _rates(account, 0)
        try:
            drafted = self._draft(account, body, now_ns)
        except Refusal as refusal:
            return Answer(refusal.code, refusal.message, {}, named)
        try:
            self._intake.check_entry(account, drafted[0], now_ns)
            after = self._after(account, drafted[0], now_ns)
        except Refusal as refusal:
            rates = {}
            if refusal.code == code.BALANCE_SHORT:
                rates = dict(zip(("post_imr_e4", "post_mmr_e4"), self._after(account, drafted[0], now_ns), strict=True))
            return Answer(refusal.code, refusal.message, {}, named | rates)
        finally:
            for order in drafted:
                account.forget(order)
        return Answer(
            result={
                "orderId": order_id,
                "orderLinkId": drafted[0].link_id,
                "preImrE4": before[0],
                "preMmrE4": before[1],
                "postImrE4": after[0],
                "postMmrE4": after[1],
            }
        )

    def _draft(self, account: Account, body: Item, now_ns: int) -> list[Order]:
        if account.isolated:
            raise Refusal(code.PARAMETER, "params error: an order cannot be checked before in isolated margin mode")
        if requests.number(body, "triggerPrice"):
            raise Refusal(code.PARAMETER, "params error: a conditional order cannot be checked before")
        return self._intake.draft(account, body, now_ns)

    def _after(self, account: Account, order: Order, now_ns: int) -> tuple[int, int]:
        market = self._markets[order.symbol]
        order.reckoned_tick = reckoned_tick(market, order, order.tick, order.leaves, now_ns)
        holding = account.holding(market, order.index)
        alone, behind = (
            max(holding.value, grown_value(holding, growth, order.side))
            for growth in (account.growth(order), account.growth())
        )
        needed = [int(kernel.maintenance(value, market.tiers, account.taker_rate)) for value in (alone, behind)]
        return _rates(account, needed[1] - needed[0])


def _rates(account: Account, more_maintenance: int) -> tuple[int, int]:
    initial, maintenance = account.position_margin + account.order_margin(), account.maintenance + more_maintenance
    return _rate(initial, account.balance), _rate(maintenance, account.balance)


def _rate(part: int, whole: int) -> int:
    return part * _E4 // whole if whole > 0 else _E4 * bool(part)
