"""Who is deleveraged first when the insurance fund cannot pay: the most profitable at the highest leverage.

The score of a position is its profit ratio times its effective leverage, value over what can be lost with it; of a losing position the loss
ratio over that leverage. A paper venue does not know the queue of other traders, so its lights stand for fixed steps of the score, not for
fifths of the queue (our inference).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue.accounts import Account
from services.venue.holdings import Holding

_STEPS: Final = (Decimal(0), Decimal("0.1"), Decimal("0.3"), Decimal(1))
"""Scores above which one more light is on."""


def score(account: Account, holding: Holding) -> Decimal:
    """Give the score; a position whose stake is lost comes last, it will be liquidated before."""
    stake = account.stake_of(holding)
    ratio = Decimal(holding.unrealised) / abs(holding.cost)
    if stake <= 0:
        return -Decimal(1)
    leverage = Decimal(holding.value) / stake
    return ratio * leverage if ratio > 0 else ratio / leverage


def lights(account: Account, holding: Holding) -> int:
    """Give adlRankIndicator: 0 without a position, then 1 to 5."""
    if not holding.lots:
        return 0
    reached = score(account, holding)
    return 1 + sum(reached > step for step in _STEPS)
