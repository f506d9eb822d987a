"""Requests about positions: mode and stops."""

from __future__ import annotations

from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler, Schedule
from services.venue.market import Market
from services.venue.protection import Protection
from services.venue.trading_stop import TradingStop
from undertow.domain.time import NS_PER_MS

_MODES: Final = {0: False, 3: True}
"""The wire's position modes, and whether they hedge."""


class PositionHandlers:
    """What an account may change about its positions without an order."""

    def __init__(self, markets: dict[str, Market], books: Books, protection: Protection, schedule: Schedule) -> None:
        self._markets = markets
        self._books = books
        self._trading_stop = TradingStop(markets, books, protection, schedule)

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/position/switch-mode": self._switch_mode,
            "/v5/position/trading-stop": self._trading_stop.serve,
        }

    def _switch_mode(self, account: Account, body: Item, now_ns: int) -> Answer:
        meant = self._markets_meant(body)
        mode = body.get("mode")
        if type(mode) is not int or mode not in _MODES:
            raise Refusal(code.PARAMETER, "params error: mode invalid")
        hedged = _MODES[mode]
        meant = [market for market in meant if (market.symbol in account.hedged) != hedged]
        if not meant:
            raise Refusal(code.MODE_UNCHANGED, "Position mode is not modified")
        # one symbol in use refuses the whole request by coin (our inference)
        if any(holding.lots for market in meant for holding in account.holdings_in(market)):
            raise Refusal(code.MODE_HAS_POSITION, "Current position exists, so position mode cannot be switched")
        if any(account.orders_in(market) for market in meant):
            raise Refusal(code.MODE_HAS_ORDERS, "Open orders exist, so position mode cannot be switched")
        for market in meant:
            account.switch_mode(market, now_ns // NS_PER_MS, hedged=hedged)
            for holding in account.holdings_in(market):
                self._books.publish(account, holding, [], [], wallet=False)
        return Answer()

    def _markets_meant(self, body: Item) -> list[Market]:
        requests.check_category(body)
        symbol, coin = requests.text(body, "symbol", ""), requests.text(body, "coin", "")
        if symbol:
            market = queries.find_market(self._markets, symbol)
            if not market.can_hedge:
                raise Refusal(code.HEDGE_UNSUPPORTED, "hedge mode is not supported for this symbol")
            return [market]
        if not coin:
            raise Refusal(code.PARAMETER, "params error: symbol or coin is required")
        meant = [market for market in self._markets.values() if market.settle_coin == coin and market.can_hedge]
        if not meant:
            raise Refusal(code.PARAMETER, "params error: coin invalid")
        return meant
