"""At which mark price a position is liquidated."""

from __future__ import annotations

from decimal import Decimal

from services.venue.accounts import Account
from services.venue.holdings import Holding
from undertow.matching import money as kernel
from undertow.matching.scale import UNITS, from_units


def liquidation_price(account: Account, holding: Holding) -> Decimal | None:
    """Give the mark at which a position is liquidated, in cross mode with the whole account; None at or beyond the price bounds.

    Isolated: long (E·(1 − 1/L) − (X + D)/Q) / (1 − r), short (E·(1 + 1/L) + (X + D)/Q) / (1 + r).
    Cross, other marks unchanged: (ΣQ·E − W − ΣD + O) / (ΣQ − Σ|Q|·(r + t)), with Q signed, sums over the positions of the market (long and
    short in a hedged one), W wallet and the other markets' unrealised, O their maintenance; with one position it is the protocol page's
    formula. It stands at the long when the positions together lose by a fall, else at the short.
    """
    if not holding.lots:
        return None
    if account.isolated:
        return _isolated(account, holding)
    market, lot = holding.market, holding.market.scale.qty(1)
    held = [each for each in account.holdings_in(market) if each.lots]
    spare = account.balance - account.maintenance
    slope = Decimal(0)  # of margin balance less maintenance, per unit of price
    for each in held:
        tier = market.tiers[kernel.tier_of(each.value, market.tiers)]
        spare += int(tier[3]) - each.unrealised + account.maintenance_of(each)
        slope += lot * each.lots - lot * abs(each.lots) * Decimal(int(tier[2]) + account.taker_rate) / UNITS
    if not slope or (slope > 0) != (holding.lots > 0):
        return None
    price = from_units(sum(each.cost for each in held) - spare) / slope
    return price if 0 < price < market.max_price else None


def _isolated(account: Account, holding: Holding) -> Decimal | None:
    market, quantity = holding.market, holding.market.scale.qty(holding.lots)
    tier = market.tiers[kernel.tier_of(holding.value, market.tiers)]
    lost = account.margin_of(holding) - account.maintenance_of(holding)
    lost += int(kernel.maintenance_before_fee(holding.value, market.tiers)) + int(
        tier[3]
    )  # E/L, X and D; the fees cancel
    price = from_units(holding.cost - lost) / (quantity - abs(quantity) * Decimal(int(tier[2])) / UNITS)
    return price if 0 < price < market.max_price else None
