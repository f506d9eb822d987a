"""At which mark price a position is liquidated."""

from __future__ import annotations

from decimal import Decimal

from services.venue.accounts import Account
from services.venue.holdings import Holding
from undertow.matching import money as kernel
from undertow.matching.scale import UNITS, from_units


def liquidation_price(account: Account, holding: Holding) -> Decimal | None:
    """Give the mark at which the whole account is liquidated, other marks unchanged; None at or beyond the price bounds.

    Sums run over the positions of the market, long and short in a hedged one: P = (ΣQ·E − W − ΣD + O) / (ΣQ − Σ|Q|·(r + t)), with Q signed,
    W wallet and the other markets' unrealised, O their maintenance. With one position it is the protocol page's formula. It stands at the
    position whose loss it is: the long when the market's positions together lose by a fall, the short otherwise.
    """
    if not holding.lots:
        return None
    market, lot = holding.market, holding.market.scale.qty(1)
    held = [each for each in account.holdings_in(market) if each.lots]
    spare = account.balance - account.maintenance
    slope = Decimal(0)  # of margin balance less maintenance, per unit of price
    for each in held:
        tier = market.tiers[kernel.tier_of(each.value, market.tiers)]
        spare += int(tier[3]) - each.unrealised + each.maintenance(account.taker_rate)
        slope += lot * each.lots - lot * abs(each.lots) * Decimal(int(tier[2]) + account.taker_rate) / UNITS
    if not slope or (slope > 0) != (holding.lots > 0):
        return None
    price = from_units(sum(each.cost for each in held) - spare) / slope
    return price if 0 < price < market.max_price else None
