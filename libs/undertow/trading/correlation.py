"""How much the symbols move, and move together: exponentially weighted moments of one-minute returns.

    r            = close / previous close − 1, of the marks of one minute
    cov(a, b)    ← λ · cov(a, b) + (1 − λ) · r_a · r_b, over the sum of the same weights
    ρ(a, b)      = cov(a, b) / √(var(a) · var(b)), all three over the minutes in which both have a return
    volatility   = √var · √(holding time / 1 min)

With mean zero, after J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th edition (1996), chapter 5; the division by the weights
takes the start out. λ = 0.97 forgets half in 23 minutes. With fewer than `ENOUGH` minutes nothing is known, and who asks must assume the
worst. Statistics, not money: floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Final

from undertow.domain.order import Side

DECAY: Final = 0.97
ENOUGH: Final = 30
MINUTE_NS: Final = 60_000_000_000
_BPS: Final = 10_000


@dataclass(slots=True)
class _Moments:
    first: float = 0.0
    second: float = 0.0
    both: float = 0.0
    minutes: int = 0

    def add(self, first: float, second: float) -> None:
        self.first = DECAY * self.first + (1 - DECAY) * first * first
        self.second = DECAY * self.second + (1 - DECAY) * second * second
        self.both = DECAY * self.both + (1 - DECAY) * first * second
        self.minutes += 1

    @property
    def weight(self) -> float:
        return 1.0 - DECAY**self.minutes


class Returns:
    """One-minute returns of all symbols, minute by minute; prices come in the order of their times."""

    def __init__(self) -> None:
        self._minute = 0
        self._now: dict[str, Decimal] = {}
        self._closes: dict[str, Decimal] = {}
        self._moments: dict[tuple[str, str], _Moments] = {}

    def put(self, symbol: str, price: Decimal, at_ns: int) -> None:
        """Take a price; the first one of a minute closes the minute before."""
        minute = at_ns // MINUTE_NS
        if minute > self._minute:
            self._close(is_next=minute == self._minute + 1)
            self._minute = minute
        self._now[symbol] = price

    def correlation(self, one: str, other: str) -> float | None:
        """Give ρ in [−1, 1], or None while it is not known."""
        if one == other:
            return 1.0
        moments = self._moments.get((min(one, other), max(one, other)))
        if moments is None or moments.minutes < ENOUGH or not moments.first * moments.second:
            return None
        return max(-1.0, min(1.0, moments.both / sqrt(moments.first * moments.second)))

    def volatility_bps(self, symbol: str, over_ns: int) -> Decimal | None:
        """Give one standard deviation of the price over a time, basis points, or None while it is not known."""
        moments = self._moments.get((symbol, symbol))
        if moments is None or moments.minutes < ENOUGH:
            return None
        bps = sqrt(moments.both / moments.weight * over_ns / MINUTE_NS) * _BPS
        return Decimal(f"{bps:.3f}")

    def together(self, symbol: str, side: Side, exposures: Mapping[tuple[str, Side], Decimal]) -> Decimal:
        """Give the notional that would lose together with an entry: Σ |exposure| · max(0, ρ · both directions).

        What moves against the entry is not taken off: a correlation breaks when it is needed. Where ρ is not known it counts whole.

        Args:
            symbol: of the entry.
            side: of the entry.
            exposures: notional by symbol and side.
        """
        total = Decimal(0)
        for (other, direction), exposure in exposures.items():
            rho = self.correlation(symbol, other)
            share = 1.0 if rho is None or other == symbol else max(0.0, rho * side.sign * direction.sign)
            total += exposure * Decimal(f"{share:.6f}")
        return total

    def _close(self, *, is_next: bool) -> None:
        # a silence of a minute or more begins anew: its return is not that of one minute
        returns = {}
        for symbol in sorted(self._now):
            if symbol in self._closes:
                returns[symbol] = float(self._now[symbol] / self._closes[symbol] - 1)
        symbols = list(returns)
        for index, one in enumerate(symbols):
            for other in symbols[index:]:
                self._moments.setdefault((one, other), _Moments()).add(returns[one], returns[other])
        self._closes = self._now if is_next else {}
        self._now = {}
