"""How a position is left: one table of legs, each harder than the one before, each for a bounded time. Pure.

A passive leg rests at our side's touch and is moved only towards the market, because any other amendment costs the place in the queue for
nothing. An aggressive one takes through the far touch, by a bounded number of basis points. The last one is the market, until the venue
says flat. A leg whose time is 0 is left out: by default only the market is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderType, Side, TimeInForce
from undertow.exchange.models import OrderRequest, Touch

_BPS: Final = Decimal(10_000)
_ZERO: Final = Decimal(0)


class Leg(StrEnum):
    """How hard a position is left."""

    PASSIVE = "passive"
    AGGRESSIVE = "aggressive"
    MARKET = "market"


KINDS: Final = {
    Leg.PASSIVE: (OrderType.LIMIT, TimeInForce.POST_ONLY),
    Leg.AGGRESSIVE: (OrderType.LIMIT, TimeInForce.IOC),
    Leg.MARKET: (OrderType.MARKET, TimeInForce.IOC),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRules:
    """For how long each leg is tried, market ns.

    Attributes:
        through_bps: how far through the touch an aggressive exit may go.
    """

    passive_ns: int = 0
    aggressive_ns: int = 0
    through_bps: Decimal = Decimal(10)

    def leg(self, since_ns: int, now_ns: int) -> Leg:
        """Give the leg of an exit that is asked for since `since_ns`."""
        return next((leg for leg, ends_ns in self._ends(since_ns) if now_ns < ends_ns), Leg.MARKET)

    def turns_ns(self, since_ns: int, now_ns: int) -> list[int]:
        """Give the times to come at which the leg changes."""
        return [ends_ns for _, ends_ns in self._ends(since_ns) if now_ns < ends_ns]

    def _ends(self, since_ns: int) -> tuple[tuple[Leg, int], ...]:
        passive_ns = since_ns + self.passive_ns
        return (Leg.PASSIVE, passive_ns), (Leg.AGGRESSIVE, passive_ns + self.aggressive_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an exit is decided on.

    Attributes:
        side: of the exit.
        qty: held, positive.
        working: the exit that may still fill, or None.
        touch: best prices, where they are fresh.
    """

    leg: Leg
    side: Side
    qty: Decimal
    working: OrderRequest | None
    touch: Touch | None
    instrument: Instrument | None


@dataclass(frozen=True, slots=True)
class Place:
    """Send an exit; `closes_all`: of the whole position, whatever its size."""

    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    price: Decimal = _ZERO
    closes_all: bool = False


@dataclass(frozen=True, slots=True)
class Improve:
    """Move the resting exit towards the market."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel the resting exit."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask for the touch."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do yet."""


Step = Place | Improve | Withdraw | Look | Wait


def next_step(rules: ExitRules, now: Situation) -> Step:
    """Say what to do next about a position that is to be left."""
    if now.working is not None:
        return _tend(rules, now, now.working)
    instrument = now.instrument
    if now.leg is Leg.MARKET or instrument is None:
        return _market(now)
    qty = instrument.round_qty(min(now.qty, instrument.max_limit_qty))
    if qty < instrument.min_qty:
        return _market(now)
    if now.touch is None:
        return Look()
    return Place(*KINDS[now.leg], qty, _price(rules, now.leg, now.side, now.touch, instrument))


def _tend(rules: ExitRules, now: Situation, working: OrderRequest) -> Step:
    if working.time_in_force is not TimeInForce.POST_ONLY:
        return Wait()  # it ends by itself
    if now.leg is not Leg.PASSIVE or now.instrument is None:
        return Withdraw()
    if now.touch is None:
        return Look()
    price = _price(rules, now.leg, now.side, now.touch, now.instrument)
    return Improve(price) if (price - working.price) * now.side.sign > 0 else Wait()


def _market(now: Situation) -> Place:
    kind, instrument = KINDS[Leg.MARKET], now.instrument
    if instrument is None:
        return Place(*kind, now.qty)
    if now.qty > instrument.max_market_qty:
        return Place(*kind, instrument.round_qty(instrument.max_market_qty))
    # filters that changed while it was held: only "all of it" still fits
    closes_all = now.qty < instrument.min_qty or bool(now.qty % instrument.qty_step)
    return Place(*kind, now.qty, closes_all=closes_all)


def _price(rules: ExitRules, leg: Leg, side: Side, touch: Touch, instrument: Instrument) -> Decimal:
    near, far = (touch.ask, touch.bid) if side is Side.SELL else (touch.bid, touch.ask)
    if leg is Leg.PASSIVE:
        return instrument.round_price(near, side)
    return instrument.round_price(far * (1 + side.sign * rules.through_bps / _BPS), side)
