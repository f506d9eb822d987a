"""`position/trading-stop`: set, move and remove what protects a position.

What the protocol page does not say (our inference): without tpslMode it is Full, because a common client leaves it out; partial stops and
targets are removed by cancelling their orders, not with "0"; their sizes must be given; a trailing stop covers the whole position in either
mode, and a new distance or activation price starts it anew. With an order latency it takes effect that much later, like an order: where the
position has gone or turned by then nothing changes, and a part closes no more than the position and its other parts have left.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.bookkeeping import Books
from services.venue.bracket import FULL, NO_LEG, PARTIAL, Bracket, Leg
from services.venue.bracket_request import STOP, TARGET, check_limits_are_partial, check_side, read_leg, read_mode
from services.venue.handlers import Schedule
from services.venue.holdings import Holding
from services.venue.market import SIDE_NAMES, Market
from services.venue.orders import Order
from services.venue.protection import Protection
from undertow.matching.ladder import BUY

_KINDS: Final = {STOP: "StopLoss", TARGET: "TakeProfit"}
_SIZES: Final = {STOP: "slSize", TARGET: "tpSize"}
_TRAIL: Final = "TrailingStop"
_MOST_PARTIAL: Final = 20


@dataclass(frozen=True, slots=True)
class _Change:
    """What a checked request makes of the guards of one position.

    Attributes:
        side: of the position that it was asked for.
        bracket: the legs that are set, or added for a part.
        cleared: kinds of full guards that end.
        lots: of the part.
        trail: distance (0 ends it) and activation price; None leaves it alone.
    """

    side: int
    bracket: Bracket
    cleared: tuple[str, ...]
    lots: int
    trail: tuple[Decimal, Decimal] | None

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.bracket or self.cleared or self.trail)


class TradingStop:
    """Serves the endpoint."""

    def __init__(self, markets: dict[str, Market], books: Books, protection: Protection, schedule: Schedule) -> None:
        self._markets = markets
        self._books = books
        self._protection = protection
        self._schedule = schedule

    def serve(self, account: Account, body: Item, now_ns: int) -> Answer:
        """Change the guards of one position, as soon as the request takes effect.

        Raises:
            Refusal: 10001, 110003, 110058, 110061, and 34040 when nothing changes.
        """
        market = queries.market_of(self._markets, body)
        index = requests.position_index(body, hedged=market.symbol in account.hedged)
        holding = account.holding(market, index)
        if not holding.lots:
            raise Refusal(code.PARAMETER, "can not set tp/sl/ts for zero position")
        change = _read(body, holding)
        if not change:
            raise Refusal(code.PROTECTION_UNCHANGED, "not modified")
        self._schedule(now_ns, lambda at_ns: self._apply(account, holding, change, at_ns))
        return Answer()

    def _apply(self, account: Account, holding: Holding, change: _Change, now_ns: int) -> None:
        if not holding.lots or holding.side != change.side:
            return
        cleared = (holding.guards.full.get(kind) for kind in change.cleared)
        changed = [self._protection.clear(guard, now_ns) for guard in cleared if guard is not None]
        if change.bracket.mode == PARTIAL:
            lots = min(change.lots, _room(holding, change.bracket))
            if lots > 0:
                changed += self._protection.add_partial(account, holding, change.bracket, lots, "", now_ns)
        else:
            changed += self._protection.set_full(account, holding, change.bracket, "", now_ns)
        changed += self._trail(account, holding, change.trail, now_ns)
        self._books.publish(account, holding, [], changed, wallet=False)

    def _trail(
        self, account: Account, holding: Holding, wanted: tuple[Decimal, Decimal] | None, now_ns: int
    ) -> list[Order]:
        if wanted is None:
            return []
        distance, activation = wanted
        if distance:
            return [self._protection.set_trail(account, holding, distance, activation, now_ns)]
        existing = holding.guards.full.get(_TRAIL)
        return [] if existing is None else [self._protection.clear(existing, now_ns)]


def _room(holding: Holding, bracket: Bracket) -> int:
    """Give the lots of a position that one more part can close; 0 where there are parts enough."""
    kinds = [kind for kind, _ in bracket.legs()]
    if len(holding.guards.partial) + len(kinds) > _MOST_PARTIAL:
        return 0
    return min((abs(holding.lots) - holding.guards.covered(kind) for kind in kinds), default=0)


def _read(body: Item, holding: Holding) -> _Change:
    mode = read_mode(body) or FULL
    market, guards = holding.market, holding.guards.full
    legs = {
        name: read_leg(body, market, name, NO_LEG if mode == PARTIAL else _leg_of(guards.get(kind)))
        for name, kind in _KINDS.items()
    }
    check_limits_are_partial(mode, *legs.values())
    for name, leg in legs.items():
        if leg:
            check_side(name, leg, holding.side, market.price_of(leg.by))
    trail = _read_trail(body, holding)
    lots = _read_partial(body, holding, legs) if mode == PARTIAL else 0
    are_set = {
        name: leg for name, leg in legs.items() if leg and (mode == PARTIAL or leg != _leg_of(guards.get(_KINDS[name])))
    }
    cleared = tuple(_KINDS[name] for name, leg in legs.items() if leg == NO_LEG and _KINDS[name] in guards)
    bracket = Bracket(are_set.get(TARGET, NO_LEG), are_set.get(STOP, NO_LEG), mode)
    return _Change(holding.side, bracket, cleared, lots, trail)


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
    """Read distance and activation price; None where they say nothing new."""
    distance, activation = requests.number(body, "trailingStop"), requests.number(body, "activePrice") or Decimal(0)
    existing = holding.guards.full.get(_TRAIL)
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
        side = holding.side
        if activation <= last if side == BUY else activation >= last:
            where = "higher" if side == BUY else "lower"
            raise Refusal(
                code.PARAMETER,
                f"activePrice:{activation} of a {SIDE_NAMES[side]} position should be {where} than {last}",
            )
    was = existing.trail if existing else None
    is_same = was is not None and was.distance == distance and activation in {Decimal(0), was.activation}
    return None if is_same or (not distance and existing is None) else (distance, activation)
