"""Requests about margin: leverage, margin mode, margin added to an isolated position.

What the protocol page does not say (our inference): the margin mode may change while positions and orders exist, if the balance covers
their margins in the new mode and no position would be liquidated at once; isolated to cross puts both sides of a hedge at the lower of
their leverages. Margin can be taken back down to what the leverage asks for, less an unrealised loss, unless that would liquidate at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.account_items import rest_position
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.handlers import Handler
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.order_checks import grown_value, highest_leverage
from services.venue.orders import money
from undertow.domain.time import NS_PER_MS
from undertow.matching.ladder import BUY, SELL
from undertow.matching.scale import OffGridError, to_units

_CROSS: Final = "REGULAR_MARGIN"
_ISOLATED: Final = "ISOLATED_MARGIN"
_PORTFOLIO: Final = "PORTFOLIO_MARGIN"


@dataclass(frozen=True, slots=True)
class _Terms:
    """Margin mode, and leverage and extra margin of each position, to go back to."""

    isolated: bool
    positions: Sequence[tuple[Holding, int, int]]

    @classmethod
    def of(cls, account: Account) -> _Terms:
        return cls(account.isolated, [(each, each.leverage, each.extra) for each in account.holdings.values()])

    def restore(self, account: Account) -> None:
        account.isolated = self.isolated
        for holding, leverage, extra in self.positions:
            holding.leverage, holding.extra = leverage, extra


class MarginHandlers:
    """What an account may change about its margin."""

    def __init__(self, markets: dict[str, Market], books: Books) -> None:
        self._markets = markets
        self._books = books

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/position/set-leverage": self._set_leverage,
            "/v5/position/add-margin": self._add_margin,
            "/v5/position/set-auto-add-margin": self._set_auto_add_margin,
            "/v5/account/set-margin-mode": self._set_margin_mode,
        }

    def _set_leverage(self, account: Account, body: Item, _now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        buy, sell = requests.number(body, "buyLeverage"), requests.number(body, "sellLeverage")
        may_differ = account.isolated and market.symbol in account.hedged
        if buy is None or sell is None or (buy != sell and not may_differ):
            raise Refusal(code.PARAMETER, "params error: buy leverage must equal sell leverage")
        holdings, growth = account.holdings_in(market), account.growth()
        asked = (buy, sell)[: len(holdings)]
        for holding, leverage in zip(holdings, asked, strict=True):
            if not market.min_leverage <= leverage or leverage % market.leverage_step:
                raise Refusal(code.PARAMETER, "params error: leverage invalid")
            value = max(holding.value, *(grown_value(holding, growth, side) for side in (BUY, SELL)))
            if leverage > highest_leverage(market, value):
                raise Refusal(code.LEVERAGE_ABOVE_TIER, "cannot set leverage gt maxLeverage by risk limit")
        wanted = [int(100 * leverage) for leverage in asked]
        if wanted == [each.leverage for each in holdings]:
            raise Refusal(code.LEVERAGE_UNCHANGED, "leverage not modified")
        terms, margin = _Terms.of(account), account.position_margin + account.order_margin()
        for holding, hundredths in zip(holdings, wanted, strict=True):
            holding.leverage = hundredths
        if account.position_margin + account.order_margin() > max(margin, account.funds):
            terms.restore(account)
            raise Refusal(code.BALANCE_SHORT, "ab not enough for new leverage")
        if account.isolated and any(account.is_doomed(each) for each in holdings):
            terms.restore(account)
            raise Refusal(code.WOULD_LIQUIDATE, "The new leverage would trigger liquidation")
        self._show(account, holdings)
        return Answer()

    def _set_margin_mode(self, account: Account, body: Item, now_ns: int) -> Answer:
        mode = requests.one_of(body, "setMarginMode", frozenset({_CROSS, _ISOLATED, _PORTFOLIO}))
        if mode == _PORTFOLIO:
            raise _mode_refused("Portfolio margin is not offered here")
        if account.isolated == (mode == _ISOLATED):
            raise Refusal(code.MARGIN_MODE_UNCHANGED, "Cross/isolated margin mode is not modified")
        terms = _Terms.of(account)
        account.isolated = mode == _ISOLATED
        for market in self._markets.values():
            holdings = account.holdings_in(market)
            lowest = min(each.leverage for each in holdings)
            for holding in holdings:
                holding.extra = 0
                holding.leverage = holding.leverage if account.isolated else lowest
        if account.position_margin + account.order_margin() > account.funds:
            terms.restore(account)
            raise _mode_refused("The balance does not cover the margins of positions and orders in this mode")
        if any(account.is_doomed(each) for each in account.holdings.values()):
            terms.restore(account)
            raise _mode_refused("A position would be liquidated at once in this mode")
        account.configured_ms = now_ns // NS_PER_MS
        self._show(account, [each for each in account.holdings.values() if each.lots])
        return Answer(result={"reasons": []})

    def _add_margin(self, account: Account, body: Item, _now_ns: int) -> Answer:
        holding = self._isolated_position(account, body)
        if not holding.lots:
            raise Refusal(code.PARAMETER, "position is zero, can not add or reduce margin")
        text = requests.text(body, "margin")
        amount = requests.number({"margin": text.removeprefix("-")}, "margin")
        try:
            units = to_units(amount or Decimal(0))
        except OffGridError:
            raise Refusal(code.PARAMETER, "params error: margin has more than 8 decimals") from None
        if not units:
            raise Refusal(code.MARGIN_UNCHANGED, "Isolated margin has not been modified")
        if text.startswith("-"):
            removable = max(0, holding.extra + min(0, holding.unrealised))
            if units > removable:
                raise Refusal(code.PARAMETER, f"params error: margin can be reduced by at most {money(removable)}")
            units = -units
        elif units > account.available:
            raise Refusal(code.AVAILABLE_SHORT, "Insufficient available balance")
        holding.extra += units
        if units < 0 and account.is_doomed(holding):
            holding.extra -= units
            raise Refusal(code.WOULD_LIQUIDATE, "Margin taken back would trigger liquidation")
        self._show(account, [holding])
        return Answer(result={"category": "linear", **rest_position(account, holding)})

    def _set_auto_add_margin(self, account: Account, body: Item, _now_ns: int) -> Answer:
        holding = self._isolated_position(account, body)
        wanted = body.get("autoAddMargin")
        if type(wanted) is not int or wanted not in {0, 1}:
            raise Refusal(code.PARAMETER, "params error: autoAddMargin invalid")
        if holding.adds_margin == bool(wanted):
            raise Refusal(code.MARGIN_UNCHANGED, "autoAddMargin not modified")
        holding.adds_margin = bool(wanted)
        self._show(account, [holding])
        return Answer()

    def _isolated_position(self, account: Account, body: Item) -> Holding:
        market = queries.market_of(self._markets, body)
        index = requests.position_index(body, hedged=market.symbol in account.hedged)
        if not account.isolated:
            raise Refusal(code.PARAMETER, "params error: the account is not in isolated margin mode")
        return account.holding(market, index)

    def _show(self, account: Account, holdings: Sequence[Holding]) -> None:
        for holding in holdings:
            self._books.publish(account, holding, [], [], wallet=False)


def _mode_refused(why: str) -> Refusal:
    reason = {"reasonCode": str(code.MARGIN_MODE_REFUSED), "reasonMsg": why}
    return Refusal(code.MARGIN_MODE_REFUSED, "Set margin mode failed", {"reasons": [reason]})
