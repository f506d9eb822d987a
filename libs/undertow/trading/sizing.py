"""How large an entry is: the least of what risk per trade, the symbol's limit, the gross limit and the margin allow.

    stop distance  = max(stop_bps, volatility_bps · volatility_multiple)
    by risk        = equity · risk_per_trade / stop distance
    by symbol      = equity · symbol_fraction − exposure of the symbol
    by gross       = equity · gross_fraction − exposure of all
    by margin      = (available · margin_fraction − reserved margin) · leverage
    by equity      = equity · margin_fraction · leverage − exposure of all
    by hard cap    = hard_notional − exposure of all, where there is a hard cap
    by correlation = equity · correlated_fraction − exposure of what moves with it
    notional       = min(of these) · size_hint, at the limit price or the mark, whichever is more, then rounded down to the filters

All in quote coin. Nothing is ever rounded up to a minimum: what is too small is not traded. And nothing is larger than
one market order may be: whoever has to close it, the guardian too, can do so at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderType, Side

_BPS: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRules:
    """Fractions of equity and the stop's distance.

    Attributes:
        risk_per_trade: fraction of equity lost when the stop is hit.
        stop_bps: distance of the venue-side stop from the entry price.
        symbol_fraction: most notional per symbol, as a fraction of equity.
        gross_fraction: most notional over all symbols, as a fraction of equity.
        margin_fraction: share of the free margin that may be used.
        correlated_fraction: most notional of what moves together, as a fraction of equity.
        hard_notional: most notional over all symbols, quote coin, whatever the equity; None: no such cap.
        volatility_multiple: the stop distance assumed is at least this many volatilities.
    """

    risk_per_trade: Decimal
    stop_bps: Decimal
    symbol_fraction: Decimal
    gross_fraction: Decimal
    margin_fraction: Decimal
    leverage: Decimal
    correlated_fraction: Decimal
    hard_notional: Decimal | None = None
    volatility_multiple: Decimal = Decimal(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """What there is, and what our own books have reserved of it; quote coin.

    Attributes:
        available: what the venue lets new orders use.
        symbol_exposure: notional of the symbol: unknown, resting and filled.
        gross_exposure: the same over all symbols.
        correlated_exposure: the same of what moves together with the entry.
        unsettled_exposure: notional of what may fill or has filled since `available` was known: its margin may not be in there yet.
    """

    equity: Decimal
    available: Decimal
    symbol_exposure: Decimal
    gross_exposure: Decimal
    correlated_exposure: Decimal
    unsettled_exposure: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What may be ordered: `qty` 0 with a reason when nothing; `price` and `stop_loss` are on the tick."""

    qty: Decimal
    price: Decimal
    stop_loss: Decimal
    bound: str
    reason: str = ""


def entry_price(instrument: Instrument, side: Side, mid: Decimal, delta_bps: float) -> Decimal:
    """Give the limit price `delta_bps` away from `mid`, on the tick, rounded away from the market."""
    offset = side.sign * Decimal(str(delta_bps)) / _BPS
    return instrument.round_price(mid * (1 - offset), side)


def stop_price(instrument: Instrument, side: Side, price: Decimal, stop_bps: Decimal) -> Decimal:
    """Give the stop's trigger for a position of `side`: on the losing side, on the tick, rounded towards the entry."""
    return instrument.round_price(price * (1 - side.sign * stop_bps / _BPS), side.opposite)


def size_entry(
    rules: SizingRules,
    instrument: Instrument,
    funds: Funds,
    *,
    side: Side,
    mid: Decimal,
    delta_bps: float,
    size_hint: float,
    mark: Decimal,
    volatility_bps: Decimal | None = None,
) -> Size:
    """Size an entry.

    Args:
        rules: limits.
        instrument: filters.
        funds: money and reservations.
        side: of the entry.
        mid: price that `delta_bps` counts from.
        delta_bps: distance of the limit price.
        size_hint: fraction of what is allowed that is wanted, in (0, 1].
        mark: price at which the venue values a position.
        volatility_bps: of the price over the holding time, where known.
    """
    price = entry_price(instrument, side, mid, delta_bps)
    stop_loss = stop_price(instrument, side, price, rules.stop_bps)
    distance = rules.stop_bps
    if volatility_bps is not None:
        distance = max(distance, volatility_bps * rules.volatility_multiple)
    reserved_margin = funds.unsettled_exposure / rules.leverage
    allowed = {
        "risk": funds.equity * rules.risk_per_trade * _BPS / distance,
        "symbol": funds.equity * rules.symbol_fraction - funds.symbol_exposure,
        "gross": funds.equity * rules.gross_fraction - funds.gross_exposure,
        "margin": (funds.available * rules.margin_fraction - reserved_margin) * rules.leverage,
        "equity": funds.equity * rules.margin_fraction * rules.leverage - funds.gross_exposure,
        "correlation": funds.equity * rules.correlated_fraction - funds.correlated_exposure,
    }
    if rules.hard_notional is not None:
        allowed["hard cap"] = rules.hard_notional - funds.gross_exposure
    bound = min(allowed, key=lambda name: allowed[name])
    none = Size(qty=Decimal(0), price=price, stop_loss=stop_loss, bound=bound)
    if price <= 0:
        return _refused(none, f"price {price} is not positive")
    notional = allowed[bound] * min(Decimal(1), max(Decimal(0), Decimal(str(size_hint))))
    if notional <= 0:
        return _refused(none, f"{bound} allows {allowed[bound]:f}")
    qty = instrument.round_qty(min(notional / max(price, mark), instrument.max_limit_qty, instrument.max_market_qty))
    reason = instrument.why_not_orderable(OrderType.LIMIT, price, qty)
    if reason is not None:
        return _refused(none, f"{reason} ({bound} allows {notional:.4f})")
    return Size(qty=qty, price=price, stop_loss=stop_loss, bound=bound)


def _refused(size: Size, reason: str) -> Size:
    return Size(qty=size.qty, price=size.price, stop_loss=size.stop_loss, bound=size.bound, reason=reason)
