"""Requests about positions: leverage, mode, stops."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.orders import Order
from services.venue.protection import Protection
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY, SELL

_MODES: Final = {0: False, 3: True}
"""The wire's position modes, and whether they hedge."""


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
            "/v5/position/trading-stop": self._trading_stop,
        }

    def _set_leverage(self, account: Account, body: Item, _now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        buy, sell = requests.number(body, "buyLeverage"), requests.number(body, "sellLeverage")
        if buy is None or sell is None or buy != sell:
            raise Refusal(code.PARAMETER, "params error: buy leverage must equal sell leverage")
        if not market.min_leverage <= buy or buy % market.leverage_step:
            raise Refusal(code.PARAMETER, "params error: leverage invalid")
        holdings = account.holdings_in(market)
        if buy > market.tier_leverages[int(kernel.tier_of(max(each.value for each in holdings), market.tiers))]:
            raise Refusal(code.LEVERAGE_ABOVE_TIER, "cannot set leverage gt maxLeverage by risk limit")
        before, after = [each.leverage for each in holdings], [int(buy * 100)] * len(holdings)
        if after == before:
            raise Refusal(code.LEVERAGE_UNCHANGED, "leverage not modified")
        margin = account.position_margin + account.order_margin()
        _set_leverages(holdings, after)
        if account.position_margin + account.order_margin() > max(margin, account.balance):
            _set_leverages(holdings, before)
            raise Refusal(code.BALANCE_SHORT, "ab not enough for new leverage")
        for each in holdings:
            self._books.publish(account, each, [], [], wallet=False)
        return Answer()

    def _switch_mode(self, account: Account, body: Item, _now_ns: int) -> Answer:
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
            account.switch_mode(market, hedged=hedged)
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

    def _trading_stop(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        index = requests.position_index(body, hedged=market.symbol in account.hedged)
        if requests.text(body, "tpslMode", "Full") != "Full":
            raise Refusal(code.PARAMETER, "params error: tpslMode Partial is not offered here")
        if requests.number(body, "trailingStop"):
            raise Refusal(code.PARAMETER, "params error: trailingStop is not offered here")
        holding = account.holding(market, index)
        if not holding.lots:
            raise Refusal(code.PARAMETER, "can not set tp/sl/ts for zero position")
        stop, target = requests.number(body, "stopLoss"), requests.number(body, "takeProfit")
        for price in (stop, target):
            if price:
                requests.check_price(market, price)
        side = BUY if holding.lots > 0 else SELL
        requests.check_protection(side, market.mark, take_profit=target or Decimal(0), stop_loss=stop or Decimal(0))
        changed: list[Order] = []
        for kind, price, key, existing in (
            ("StopLoss", stop, "slTriggerBy", holding.stop),
            ("TakeProfit", target, "tpTriggerBy", holding.target),
        ):
            by = requests.trigger_word(body, key)
            was = (existing.trigger, existing.trigger_by) if existing else (Decimal(0), by)
            if price is None or (price, by) == was or (not price and existing is None):
                continue
            made = self._protection.protect(holding, account, kind, price, by, now_ns)
            changed += [made] if made else []
        if not changed:
            raise Refusal(code.PROTECTION_UNCHANGED, "not modified")
        self._books.publish(account, holding, [], changed, wallet=False)
        return Answer()


def _set_leverages(holdings: Sequence[Holding], leverages: Sequence[int]) -> None:
    for holding, leverage in zip(holdings, leverages, strict=True):
        holding.leverage = leverage
