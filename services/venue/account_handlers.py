"""Requests about an account: price limits, money for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler
from undertow.domain.time import NS_PER_MS
from undertow.matching.scale import OffGridError, to_units

_LARGEST_GIFT: Final = Decimal(100_000)


class AccountHandlers:
    """What an account may change about itself."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/account/set-limit-px-action": self._set_limit_price_action,
            "/v5/account/demo-apply-money": self._apply_money,
        }

    def _set_limit_price_action(self, account: Account, body: Item, _now_ns: int) -> Answer:
        requests.check_category(body)
        account.reprices_limits = requests.flag(body, "modifyEnable")
        return Answer()

    def _apply_money(self, account: Account, body: Item, now_ns: int) -> Answer:
        adjust, coins = body.get("adjustType", 0), body.get("utaDemoApplyMoney")
        if type(adjust) is not int or adjust not in {0, 1} or not isinstance(coins, list) or not coins:
            raise Refusal(code.PARAMETER, "params error: adjustType or utaDemoApplyMoney invalid")
        amounts = [_gift(account, item) for item in coins]
        if sum(amounts) > _LARGEST_GIFT:
            raise Refusal(code.PARAMETER, f"params error: only up to {_LARGEST_GIFT} {account.coin} per request")
        try:
            total = sum(map(to_units, amounts))
        except OffGridError:
            raise Refusal(code.PARAMETER, "params error: amountStr has more than 8 decimals") from None
        if adjust and total > (account.removable_of(account.coin) or 0):
            raise Refusal(code.PARAMETER, "params error: more than the available balance")
        self._books.transfer(account, -total if adjust else total, now_ns // NS_PER_MS)
        self._books.publish_wallet(account)
        return Answer()


def _gift(account: Account, item: object) -> Decimal:
    if not isinstance(item, dict) or item.get("coin") != account.coin:
        raise Refusal(code.PARAMETER, f"params error: only {account.coin} is given")
    amount = requests.number(item, "amountStr")
    if not amount:
        raise Refusal(code.PARAMETER, "params error: amountStr must be above 0")
    return amount
