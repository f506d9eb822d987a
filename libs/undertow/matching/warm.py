"""Compile every kernel once, so that neither the first frame nor several processes at once pay for it."""

from __future__ import annotations

import numpy as np

from undertow.matching import money
from undertow.matching.fills import PROBABILISTIC
from undertow.matching.ladder import BUY, SELL
from undertow.matching.matcher import Matcher


def warm() -> None:
    """Run each kernel on a book of two levels; compiled code lands in numba's cache."""
    matcher = Matcher(depth=2, model=PROBABILISTIC)
    matcher.rest(1, BUY, 10, 5)
    matcher.on_book([BUY, 10, 5, SELL, 12, 5], snapshot=True)
    matcher.on_trade(SELL, 10, 6)
    matcher.take(2, BUY, 12, 1)
    matcher.would_take(BUY, 12)
    matcher.set_leaves(1, 0)
    matcher.ahead(1)
    matcher.levels(BUY, 1)
    holding = np.zeros(5, np.int64)
    tiers = np.array([[10**15, 10**6, 10**6, 0]], np.int64)
    money.book_fill(holding, BUY, 2, 200, 1)
    money.book_fill(holding, SELL, 1, 100, 1)
    money.book_funding(holding, 100, 10_000)
    money.unrealised(holding, 100)
    money.maintenance(100, tiers, 55_000)
    money.initial(100, 1_000, 55_000)
    money.share_up(100, 55_000)
    money.share_even(100, 55_000)
