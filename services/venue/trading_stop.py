"""`position/trading-stop`: set, move and remove what protects a position.

What the protocol page does not say (our inference): without tpslMode it is Full, because a common client leaves it out; partial stops and
targets are removed by cancelling their orders, not with "0"; their sizes must be given; a trailing stop covers the whole position in either
mode, and a new distance or activation price starts it anew.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.bracket import FULL, NO_LEG, PARTIAL, Bracket, Leg
from services.venue.bracket_request import STOP, TARGET, check_limits_are_partial, check_side, read_leg, read_mode
from services.venue.holdings import Holding
from services.venue.market import SIDE_NAMES, Market
from services.venue.orders import Order
from services.venue.protection import Protection
from undertow.matching.ladder import BUY, SELL

_KINDS: Final = {STOP: "StopLoss", TARGET: "TakeProfit"}
_SIZES: Final = {STOP: "slSize", TARGET: "tpSize"}
_MOST_PARTIAL: Final = 20


class TradingStop:
    """Serves the endpoint."""

    def __init__(self, markets: dict[str, Market], books: Books, protection: Protection) -> None:
        self._markets = markets
        self._books = books
        self._protection = protection

    def serve(self, account: Account, body: Item, now_ns: int) -> Answer:
        """Change the guards of one position.

        Raises:
            Refusal: 10001, 110003, 110058, 110061, and 34040 when nothing changes.
        """
        market = queries.market_of(self._markets, body)
        index = requests.position_index(body, hedged=market.symbol in account.hedged)
        mode = read_mode(body) or FULL
        holding = account.holding(market, index)
        if not holding.lots:
            raise Refusal(code.PARAMETER, "can not set tp/sl/ts for zero position")
        guards = holding.guards.full
        legs = {
            name: read_leg(body, market, name, NO_LEG if mode == PARTIAL else _leg_of(guards.get(kind)))
            for name, kind in _KINDS.items()
        }
        check_limits_are_partial(mode, *legs.values())
        for name, leg in legs.items():
            if leg:
                check_side(name, leg, BUY if holding.lots > 0 else SELL, market.price_of(leg.by))
        trail = _read_trail(body, holding)
        lots = _read_partial(body, holding, legs) if mode == PARTIAL else 0
        changed = (
            self._partial(account, holding, legs, lots, now_ns)
            if mode == PARTIAL
            else self._full(account, holding, legs, now_ns)
        )
        changed += self._trail(account, holding, trail, now_ns)
        if not changed:
            raise Refusal(code.PROTECTION_UNCHANGED, "not modified")
        self._books.publish(account, holding, [], changed, wallet=False)
        return Answer()

    def _full(self, account: Account, holding: Holding, legs: dict[str, Leg | None], now_ns: int) -> list[Order]:
        guards, changed = holding.guards.full, []
        wanted = dict.fromkeys(legs, NO_LEG)
        for name, leg in legs.items():
            existing = guards.get(_KINDS[name])
            if leg and leg != _leg_of(existing):
                wanted[name] = leg
            elif leg == NO_LEG and existing is not None:
                changed.append(self._protection.clear(existing, now_ns))
        bracket = Bracket(wanted[TARGET], wanted[STOP])
        return changed + self._protection.set_full(account, holding, bracket, "", now_ns)

    def _partial(
        self, account: Account, holding: Holding, legs: dict[str, Leg | None], lots: int, now_ns: int
    ) -> list[Order]:
        bracket = Bracket(legs[TARGET] or NO_LEG, legs[STOP] or NO_LEG, PARTIAL)
        return self._protection.add_partial(account, holding, bracket, lots, "", now_ns)

    def _trail(
        self, account: Account, holding: Holding, wanted: tuple[Decimal, Decimal] | None, now_ns: int
    ) -> list[Order]:
        existing = holding.guards.full.get("TrailingStop")
        if wanted is None:
            return []
        distance, activation = wanted
        if not distance:
            return [] if existing is None else [self._protection.clear(existing, now_ns)]
        trail = existing.trail if existing else None
        if trail and trail.distance == distance and activation in {Decimal(0), trail.activation}:
            return []
        return [self._protection.set_trail(account, holding, distance, activation, now_ns)]


def _leg_of(order: Order | None) -> Leg:
    return NO_LEG if order is None else Leg(order.trigger, order.trigger_by, order.tick)


def _read_partial(body: Item, holding: Holding, legs: dict[str, Leg | None]) -> int:
    market = holding.market
    if NO_LEG in legs.values():
        raise Refusal(
            code.PARAMETER, "params error: cancel a partial take profit or stop loss by its order id, not with 0"
        )
    sizes = {
        requests.check_qty(market, requests.number(body, _SIZES[name]), is_market=not leg.tick, name=_SIZES[name])
        for name, leg in legs.items()
        if leg
    }
    if len(sizes) > 1:
        raise Refusal(code.PARAMETER, "params error: tpSize and slSize must be equal")
    lots = max(sizes, default=0)
    wanted = [f"{PARTIAL}{_KINDS[name]}" for name, leg in legs.items() if leg]
    if any(holding.guards.covered(kind) + lots > abs(holding.lots) for kind in wanted):
        raise Refusal(code.PROTECTION_TOO_LARGE, "The size of the stop is beyond what the position has left")
    if len(holding.guards.partial) + len(wanted) > _MOST_PARTIAL:
        raise Refusal(code.TOO_MANY_PARTIAL_STOPS, f"Not allowed to have more than {_MOST_PARTIAL} partial TP/SLs")
    return lots


def _read_trail(body: Item, holding: Holding) -> tuple[Decimal, Decimal] | None:
    distance, activation = requests.number(body, "trailingStop"), requests.number(body, "activePrice") or Decimal(0)
    existing = holding.guards.full.get("TrailingStop")
    if distance is None:
        if not activation:
            return None
        if existing is None:
            raise Refusal(code.PARAMETER, "params error: activePrice needs a trailingStop")
        distance = holding.guards.distance
    market, last = holding.market, holding.market.last
    if distance and (not last or distance >= last or distance % market.scale.tick_size):
        raise Refusal(
            code.PARAMETER, "params error: trailingStop must be a multiple of the tick size, below the last price"
        )
    if distance and activation:
        requests.check_price(market, activation, "activePrice")
        side = BUY if holding.lots > 0 else SELL
        if activation <= last if side == BUY else activation >= last:
            where = "higher" if side == BUY else "lower"
            raise Refusal(
                code.PARAMETER,
                f"activePrice:{activation} of a {SIDE_NAMES[side]} position should be {where} than {last}",
            )
    return distance, activation
