"""Requests about an account: margin mode, price limits, money for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler
from undertow.matching.scale import to_units

_MS: Final = 1_000_000
_GIFT_LIMITS: Final = {"USDT": Decimal(100_000)}


class AccountHandlers:
    """What an account may change about itself."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/account/set-margin-mode": self._set_margin_mode,
            "/v5/account/set-limit-px-action": self._set_limit_price_action,
            "/v5/account/demo-apply-money": self._apply_money,
        }

    def _set_margin_mode(self, _account: Account, body: Item, _now_ns: int) -> Answer:
        mode = requests.text(body, "setMarginMode")
        if mode == "REGULAR_MARGIN":
            raise Refusal(code.MARGIN_MODE_UNCHANGED, "Cross/isolated margin mode is not modified")
        reason = {"reasonCode": str(code.MARGIN_MODE_REFUSED), "reasonMsg": f"{mode} is not offered here"}
        raise Refusal(code.MARGIN_MODE_REFUSED, "Set margin mode failed", {"reasons": [reason]})

    def _set_limit_price_action(self, account: Account, body: Item, _now_ns: int) -> Answer:
        requests.check_category(body)
        account.reprices_limits = requests.flag(body, "modifyEnable")
        return Answer()

    def _apply_money(self, account: Account, body: Item, now_ns: int) -> Answer:
        adjust, coins = body.get("adjustType", 0), body.get("utaDemoApplyMoney")
        if adjust not in {0, 1} or not isinstance(coins, list) or not coins:
            raise Refusal(code.PARAMETER, "params error: adjustType or utaDemoApplyMoney invalid")
        total = 0
        for item in coins:
            amount = requests.number(item, "amountStr") if isinstance(item, dict) else None
            if amount is None or not 0 < amount <= _GIFT_LIMITS.get(item.get("coin", ""), Decimal(0)):
                raise Refusal(code.PARAMETER, "params error: only USDT, up to 100000 per request")
            total += int(to_units(amount))
        if adjust and total > account.available:
            raise Refusal(code.PARAMETER, "params error: more than the available balance")
        self._books.transfer(account, -total if adjust else total, now_ns // _MS)
        self._books.publish_wallet(account)
        return Answer()
