"""Requests about positions: leverage and mode."""

from __future__ import annotations

from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler
from services.venue.market import Market
from services.venue.protection import Protection
from services.venue.trading_stop import TradingStop
from undertow.matching import money as kernel

_MODES: Final = {0: "one-way", 3: "hedge"}


class PositionHandlers:
    """What an account may change about its positions without an order."""

    def __init__(self, markets: dict[str, Market], books: Books, protection: Protection) -> None:
        self._markets = markets
        self._books = books
        self._protection = protection

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/position/set-leverage": self._set_leverage,
            "/v5/position/switch-mode": self._switch_mode,
            "/v5/position/trading-stop": TradingStop(self._markets, self._books, self._protection).serve,
        }

    def _set_leverage(self, account: Account, body: Item, _now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        buy, sell = requests.number(body, "buyLeverage"), requests.number(body, "sellLeverage")
        if buy is None or sell is None or buy != sell:
            raise Refusal(code.PARAMETER, "params error: buy leverage must equal sell leverage")
        if not market.min_leverage <= buy or buy % market.leverage_step:
            raise Refusal(code.PARAMETER, "params error: leverage invalid")
        holding = account.holding(market)
        if buy > market.tier_leverages[int(kernel.tier_of(holding.value, market.tiers))]:
            raise Refusal(code.LEVERAGE_ABOVE_TIER, "cannot set leverage gt maxLeverage by risk limit")
        leverage = int(buy * 100)
        if leverage == holding.leverage:
            raise Refusal(code.LEVERAGE_UNCHANGED, "leverage not modified")
        before, margin = holding.leverage, account.position_margin + account.order_margin()
        holding.leverage = leverage
        needed = account.position_margin + account.order_margin()
        if needed > max(margin, account.balance):
            holding.leverage = before
            raise Refusal(code.BALANCE_SHORT, "ab not enough for new leverage")
        self._books.publish(account, market, [], [], wallet=False)
        return Answer()

    def _switch_mode(self, _account: Account, body: Item, _now_ns: int) -> Answer:
        requests.check_category(body)
        if body.get("symbol"):
            queries.market_of(self._markets, body)
        elif not body.get("coin"):
            raise Refusal(code.PARAMETER, "params error: symbol or coin is required")
        mode = body.get("mode")
        if mode not in _MODES:
            raise Refusal(code.PARAMETER, "params error: mode invalid")
        if mode:
            raise Refusal(code.HEDGE_UNSUPPORTED, "hedge mode is not supported for this symbol")
        raise Refusal(code.MODE_UNCHANGED, "Position mode is not modified")
