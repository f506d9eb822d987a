"""A small market: a random walk per contract with a thin book, prints that cross it, a mark, and a jump when it is asked for one.

Cheap to make and to take, and busy enough that orders a basis point away fill whole, in part, or not at all.
"""

from __future__ import annotations

import random
from typing import Final

from undertow.markets.generated_wire import CONTRACTS, book_frame, ticker_frame, trade_json, trades_frame

STEP_S: Final = 0.2
LEVELS: Final = 6
OWN_USDT: Final = 1_000
"""About what one of our orders is worth: prints and levels are of that size."""


class Walk:
    """One contract.

    Attributes:
        mid: ticks.
    """

    def __init__(self, symbol: str, chance: random.Random, funding_ms: int) -> None:
        self.contract = CONTRACTS[symbol]
        self.mid = self.contract.start_ticks
        self._chance = chance
        self._number = 0
        self._jump_bps = 0.0
        self._funding_ms = funding_ms
        price = self.contract.start_ticks * self.contract.tick
        self._own_lots = OWN_USDT / price / self.contract.lot
        self._bp = max(1.0, self.mid / 10_000)  # ticks

    @property
    def price(self) -> str:
        """The mid, on the tick."""
        return self.contract.price(self.mid)

    def jump(self, bps: float) -> None:
        """Move by so much at the next step."""
        self._jump_bps = bps

    def frames(self, now_ms: int) -> list[bytes]:
        """Give the next step: prints on the way, then the book, then the mark."""
        self._number += 1
        before = self.mid
        moved_bps = self._chance.gauss(0.0, 1.0) + self._jump_bps
        self._jump_bps = 0.0
        self.mid = max(1_000, before + round(moved_bps * self._bp))
        frames = [self._prints(before, now_ms)] if self._number > 1 else []
        frames += [self._book(now_ms), self._mark(now_ms)]
        return frames

    def _prints(self, before: int, now_ms: int) -> bytes:
        trades = []
        falls = self.mid < before
        for part in (0.5, 1.0):
            ticks = round(before + (self.mid - before) * part) + (-1 if falls else 1)
            lots = max(1, round(self._own_lots * self._chance.uniform(0.05, 0.6)))
            side, direction = ("Sell", "MinusTick") if falls else ("Buy", "PlusTick")
            name = f"{self._number:08x}-0000-5000-a000-{round(part * 10):012x}"
            trades.append(trade_json(self.contract, now_ms, side, ticks, lots, direction, name, self._number))
        return trades_frame(self.contract, now_ms, trades)

    def _book(self, now_ms: int) -> bytes:
        gap = max(1, round(self._bp * 0.4))
        bids, asks = (
            [(self.mid + sign * (1 + gap * level), self._level_lots()) for level in range(LEVELS)] for sign in (-1, 1)
        )
        return book_frame(self.contract, "snapshot", now_ms, bids, asks, self._number, self._number)

    def _level_lots(self) -> int:
        return max(1, round(self._own_lots * self._chance.uniform(0.15, 2.5)))

    def _mark(self, now_ms: int) -> bytes:
        fields = dict.fromkeys(("lastPrice", "markPrice", "indexPrice"), self.price)
        if self._number == 1:
            fields |= {"fundingRate": "0.0001"}
            fields |= {"nextFundingTime": str(self._funding_ms)} if self._funding_ms else {}
        return ticker_frame(self.contract, "snapshot" if self._number == 1 else "delta", now_ms, fields, self._number)
