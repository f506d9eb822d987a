"""Ties, sums and the estimated fee of closing: what random amounts meet too seldom."""

from __future__ import annotations

import numpy as np
import pytest

from undertow.matching import money

HALF = 50_000_000


@pytest.mark.parametrize(("value", "rounded"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2), (7, 4)])
def test_half_a_unit_goes_to_the_even_neighbour(value: int, rounded: int) -> None:
    assert money.share_even(value, HALF) == rounded


@pytest.mark.parametrize(("cost", "taken"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2), (7, 4)])
def test_half_a_unit_of_cost_goes_to_the_even_neighbour(cost: int, taken: int) -> None:
    assert money.portion_even(cost, 1, 2) == taken


def test_funding_adds_up_over_stamps() -> None:
    holding = np.array([-10, 0, 0, 0, 0], np.int64)
    received = [int(money.book_funding(holding, 100_000_000, rate)) for rate in (10_000, 20_000, -5_000)]
    assert received == [100_000, 200_000, -50_000]
    assert holding[money.FUNDING] == 250_000


def test_margins_include_the_estimated_fee_of_closing() -> None:
    tiers = np.array([[10**12, 2_000_000, 1_000_000, 0]], np.int64)
    assert money.maintenance(10**8, tiers, 55_000) == 1_000_000 + 55_000
    assert money.initial(10**8, 1_000, 55_000) == 10**7 + 55_000
