from __future__ import annotations

from decimal import Decimal

import pytest

from undertow.domain.order import Side
from undertow.trading.correlation import DECAY, ENOUGH, MINUTE_NS, Returns

START = 28_333_333 * MINUTE_NS


def fed(moves, minutes: int = ENOUGH + 2, gap_at: int = -1) -> Returns:
    """Feed prices minute by minute; `moves` gives each symbol's return of a minute."""
    returns, prices = Returns(), {symbol: Decimal(100) for symbol in moves(0)}
    minute = START // MINUTE_NS
    for index in range(minutes):
        minute += 2 if index == gap_at else 1
        for symbol, move in moves(index).items():
            prices[symbol] *= 1 + Decimal(str(move))
            returns.put(symbol, prices[symbol], minute * MINUTE_NS)
            returns.put(symbol, prices[symbol], minute * MINUTE_NS + 1)
    return returns


def alternating(factor: float):
    return lambda index: {"A": 0.001 * (-1) ** index, "B": factor * 0.001 * (-1) ** index}


@pytest.mark.parametrize(("factor", "rho"), [(2.0, 1.0), (-1.0, -1.0)])
def test_what_moves_together_has_a_correlation_of_one_and_what_moves_apart_of_minus_one(factor, rho):
    returns = fed(alternating(factor))
    assert returns.correlation("A", "B") == pytest.approx(rho)
    assert returns.correlation("B", "A") == returns.correlation("A", "B")


def test_a_correlation_is_the_weighted_one_of_the_formula():
    def moves(index):
        return {"A": 0.001 * (1 if index % 2 else -1), "B": 0.001 * (1 if index % 3 else -1)}

    returns, count = fed(moves), ENOUGH
    both = first = 0.0
    for index in range(1, count + 1):
        a, b = moves(index).values()
        both, first = DECAY * both + (1 - DECAY) * a * b, DECAY * first + (1 - DECAY) * a * a
    assert returns.correlation("A", "B") == pytest.approx(both / first, rel=1e-6)


def test_volatility_is_that_of_a_minute_times_the_root_of_the_time():
    returns = fed(alternating(1.0))
    assert returns.volatility_bps("A", MINUTE_NS) == Decimal("10.000")
    assert returns.volatility_bps("A", 4 * MINUTE_NS) == Decimal("20.000")


def test_with_too_few_minutes_or_a_price_that_stands_nothing_is_known():
    few = fed(alternating(1.0), ENOUGH + 1)
    assert few.correlation("A", "B") is None
    assert few.volatility_bps("A", MINUTE_NS) is None
    assert few.volatility_bps("C", MINUTE_NS) is None
    assert fed(lambda _: {"A": 0.0, "B": 0.001}).correlation("A", "B") is None
    assert few.correlation("A", "A") == 1.0


def test_a_return_over_a_silence_is_not_taken_for_that_of_a_minute():
    def moves(index):
        return {"A": 0.5 if index == 10 else 0.001}

    assert fed(moves, ENOUGH + 4, gap_at=10).volatility_bps("A", MINUTE_NS) == Decimal("10.000")
    assert fed(moves, ENOUGH + 4).volatility_bps("A", MINUTE_NS) > 100


def test_exposure_that_would_lose_together_counts_by_its_correlation_and_what_is_not_known_whole():
    returns = fed(alternating(1.0))
    held = {("B", Side.BUY): Decimal(100), ("B", Side.SELL): Decimal(30), ("C", Side.SELL): Decimal(7)}
    assert returns.together("A", Side.BUY, held) == Decimal(107)
    assert returns.together("A", Side.SELL, held) == Decimal(37)
    assert returns.together("B", Side.BUY, {("B", Side.SELL): Decimal(5)}) == Decimal(
        5
    )  # a symbol with itself, either way
    assert fed(alternating(-1.0)).together("A", Side.BUY, held) == Decimal(37)
