"""Money of fills, funding and margin in int64 units of 1e-8 quote coin; the rules are those of `undertow.domain.money` and `Position`.

| event | rule |
|---|---|
| fee | value · rate, rounded up (against the payer; a rebate towards zero) |
| fee in another coin | fee / price of the coin, rounded up (against the payer; a rebate towards zero) |
| funding | −signed value · rate, half-even |
| cost that a partial close takes along | cost · closed / held, half-even; the remainder stays in the position |
| initial and maintenance margin | value · rate, rounded up, less the tier's deduction |
| bankruptcy value of an isolated position | entry value less (a short's: plus) entry value / leverage, that rounded up |
| isolated margin | entry value / leverage, rounded up, plus the fee of closing at the bankruptcy value, rounded up |
| isolated maintenance | that of the value at mark, plus the fee of closing at the bankruptcy value, rounded up |

A product of a value and a rate is formed in two parts, so that it fits 64 bits wherever `Scale.load` accepted the instrument.
`holding` is int64[5], columns below. `tiers` is int64[n, 4] of (largest value, initial rate, maintenance rate, deduction), ascending.
"""

from __future__ import annotations

from typing import Final

from undertow.matching.ladder import BUY, Ints
from undertow.matching.scale import UNITS
from undertow.runtime.jit import kernel

LOTS: Final = 0
"""Signed; long > 0."""
COST: Final = 1
"""Signed sum of lots times price of what is open."""
REALISED: Final = 2
FEES: Final = 3
FUNDING: Final = 4
"""Received."""


@kernel
def share_up(value: int, rate: int) -> int:
    """Give value · rate, rounded up."""
    whole, part = value // UNITS, value % UNITS
    return whole * rate - (-(part * rate) // UNITS)


@kernel
def in_coin(amount: int, price: int) -> int:
    """Give amount / price, rounded up; the price in 1e-8 quote coin, below 9e10, so that its product with 1e8 fits."""
    whole, part = amount // price, amount % price
    return whole * UNITS - (-(part * UNITS) // price)


@kernel
def share_even(value: int, rate: int) -> int:
    """Give value · rate, rounded half-even."""
    whole, part = value // UNITS, value % UNITS
    product = part * rate
    base = whole * rate + product // UNITS
    rest = 2 * (product % UNITS)
    if rest > UNITS or (rest == UNITS and base % 2 != 0):
        base += 1
    return base


@kernel
def portion_even(cost: int, closed: int, held: int) -> int:
    """Give cost · closed / held, rounded half-even; 0 < closed <= held < 2^31."""
    whole, part = cost // held, cost % held
    product = part * closed
    base = whole * closed + product // held
    rest = 2 * (product % held)
    if rest > held or (rest == held and base % 2 != 0):
        base += 1
    return base


@kernel
def book_fill(holding: Ints, side: int, lots: int, value: int, fee: int) -> int:
    """Book a fill of `value` units; give the realised result it brought, before its fee."""
    signed = lots if side == BUY else -lots
    paid = value if side == BUY else -value
    held = holding[LOTS]
    holding[FEES] += fee
    if held == 0 or (held > 0) == (signed > 0):
        holding[LOTS] = held + signed
        holding[COST] += paid
        return 0
    if lots < abs(held):
        closed = portion_even(holding[COST], lots, abs(held))
        realised = -paid - closed
        holding[COST] -= closed
    else:
        opened = (lots - abs(held)) * (value // lots)
        realised = -(paid - (opened if side == BUY else -opened)) - holding[COST]
        holding[COST] = opened if side == BUY else -opened
    holding[LOTS] = held + signed
    holding[REALISED] += realised
    return int(realised)


@kernel
def book_funding(holding: Ints, lot_value: int, rate: int) -> int:
    """Book funding at a mark of `lot_value` units a lot; give what was received."""
    received = -share_even(holding[LOTS] * lot_value, rate)
    holding[FUNDING] += received
    return received


@kernel
def unrealised(holding: Ints, lot_value: int) -> int:
    """Give the result if closed at the mark, before fees."""
    return int(holding[LOTS] * lot_value - holding[COST])


@kernel
def tier_of(value: int, tiers: Ints) -> int:
    """Give the row of the tier that a position of this value falls in; beyond the last it is the last."""
    row = 0
    while row < tiers.shape[0] - 1 and value > tiers[row, 0]:
        row += 1
    return row


@kernel
def maintenance_before_fee(value: int, tiers: Ints) -> int:
    """Give the maintenance margin of a position of `value` at mark without the fee of closing it."""
    row = tier_of(value, tiers)
    return int(max(0, share_up(value, tiers[row, 2]) - tiers[row, 3]))


@kernel
def maintenance(value: int, tiers: Ints, taker_rate: int) -> int:
    """Give the maintenance margin of a position of `value` at mark, the estimated fee of closing it included."""
    return maintenance_before_fee(value, tiers) + share_up(value, taker_rate)


@kernel
def by_leverage(value: int, leverage: int) -> int:
    """Give value / leverage (in 1/100), rounded up."""
    whole, part = value // leverage, value % leverage
    return whole * 100 - (-(part * 100) // leverage)


@kernel
def initial(value: int, leverage: int, taker_rate: int) -> int:
    """Give the initial margin at a leverage (in 1/100), the estimated fee of closing included."""
    return by_leverage(value, leverage) + share_up(value, taker_rate)


@kernel
def bankruptcy_value(cost: int, leverage: int) -> int:
    """Give what a position of a signed entry value is worth when its own margin is lost."""
    margin = by_leverage(abs(cost), leverage)
    return abs(cost) - margin if cost > 0 else abs(cost) + margin


@kernel
def isolated_initial(cost: int, leverage: int, taker_rate: int) -> int:
    """Give the isolated margin of a position of a signed entry value, the fee of closing it at bankruptcy included."""
    return by_leverage(abs(cost), leverage) + share_up(bankruptcy_value(cost, leverage), taker_rate)


@kernel
def isolated_maintenance(value: int, tiers: Ints, cost: int, leverage: int, taker_rate: int) -> int:
    """Give the maintenance margin of an isolated position of `value` at mark and a signed entry value."""
    return maintenance_before_fee(value, tiers) + share_up(bankruptcy_value(cost, leverage), taker_rate)
