"""A trailing stop on its own."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.venue.trailing import Trail
from undertow.matching.ladder import BUY, SELL


def trail(side: int = SELL, activation: str = "105", best: str = "0") -> Trail:
    return Trail(side=side, distance=Decimal(3), activation=Decimal(activation), best=Decimal(best))


def prices(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_it_sleeps_until_its_activation_price_comes() -> None:
    stop = trail()
    assert [stop.follow(last) for last in prices("100", "90", "104.9")] == [False, False, False]
    assert stop.level == 0
    assert not stop.follow(Decimal(105))
    assert stop.level == 102


def test_it_triggers_when_the_price_has_come_back_by_the_distance() -> None:
    stop = trail(best="100")
    assert [stop.follow(last) for last in prices("101", "104", "101.1", "101")] == [False, False, False, True]


def test_a_shorts_stop_follows_downwards() -> None:
    stop = trail(BUY, activation="95")
    assert [stop.follow(last) for last in prices("96", "95", "90", "92.9", "93")] == [False, False, False, False, True]


@given(
    st.sampled_from([SELL, BUY]),
    st.booleans(),
    st.lists(st.integers(80, 120).map(Decimal), min_size=1, max_size=40),
)
def test_its_level_never_moves_against_the_position_and_it_triggers_exactly_at_the_level(
    side: int, is_active: bool, lasts: list[Decimal]
) -> None:
    stop = trail(side, activation="104" if side == SELL else "96", best="100" if is_active else "0")
    for last in lasts:
        before = stop.level
        reached = stop.follow(last)
        if before:
            assert stop.level >= before if side == SELL else stop.level <= before
        if stop.level:
            assert reached == (last <= stop.level if side == SELL else last >= stop.level)
            distance = stop.best - stop.level if side == SELL else stop.level - stop.best
            assert distance == 3
        else:
            assert not reached
