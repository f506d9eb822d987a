"""The fill assumptions, one test for each sentence at the top of `undertow.matching.fills`."""

from __future__ import annotations

import pytest

from undertow.matching.fills import GRAINS, PESSIMISTIC, PRINTED, PROBABILISTIC, WHOLE, ahead_after
from undertow.matching.ladder import BUY, SELL
from undertow.matching.matcher import Matcher
from undertow.matching.scale import LARGEST_LOTS

BID, ASK = 100, 102


def matcher(*, model: int = PESSIMISTIC, through: int = PRINTED, depth: int = 5) -> Matcher:
    """A book of 10 lots at 100 and 98, and 10 lots at 102 and 104."""
    made = Matcher(depth=depth, model=model, through=through)
    made.on_book([BUY, BID, 10, BUY, 98, 10, SELL, ASK, 10, SELL, 104, 10], snapshot=True)
    return made


def test_our_orders_never_change_the_market() -> None:
    m = matcher()
    before = (m.levels(BUY, 5), m.levels(SELL, 5))
    m.rest(1, BUY, BID, 7)
    m.take(2, BUY, ASK, 4)
    m.on_trade(SELL, BID, 12)
    assert (m.levels(BUY, 5), m.levels(SELL, 5)) == before


def test_a_new_resting_order_queues_behind_all_that_is_displayed_at_its_price() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.rest(2, SELL, 103, 7)
    assert m.ahead(1) == 10
    assert m.ahead(2) == 0


def test_a_trade_at_our_price_first_eats_the_queue_ahead_and_then_fills_us_up_to_its_size() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    assert m.on_trade(SELL, BID, 4) == []
    assert m.ahead(1) == 6
    assert m.on_trade(SELL, BID, 9) == [(1, BID, 3)]
    assert m.on_trade(SELL, BID, 100) == [(1, BID, 4)]
    assert m.resting == 0


def test_a_trade_through_our_price_fills_us_at_our_price_up_to_its_size() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.rest(2, SELL, ASK, 7)
    assert m.on_trade(SELL, 99, 5) == [(1, BID, 5)]
    assert m.on_trade(BUY, 103, 5) == [(2, ASK, 5)]


def test_a_trade_through_our_price_fills_the_whole_rest_where_it_is_set_so() -> None:
    m = matcher(through=WHOLE)
    m.rest(1, BUY, BID, 7)
    m.rest(2, BUY, BID, 7)
    m.rest(3, BUY, 99, 7)
    assert m.on_trade(SELL, 99, 5) == [(1, BID, 7), (2, BID, 7)]
    assert m.on_trade(SELL, 98, 1) == [(3, 99, 7)]


def test_a_trade_through_our_price_leaves_nobody_ahead_of_us() -> None:
    m = matcher(depth=2)
    m.rest(1, BUY, BID, 7)
    m.rest(2, BUY, 90, 7)
    assert m.on_trade(SELL, 99, 5) == [(1, BID, 5)]
    assert m.ahead(1) == 0
    assert m.ahead(2) is None
    assert m.on_trade(SELL, 89, 3) == [(1, BID, 2), (2, 90, 1)]
    assert m.ahead(2) == 0


def test_the_last_lot_of_an_order_stays_when_another_order_is_filled() -> None:
    m = matcher()
    m.rest(1, BUY, 101, 2)
    m.rest(2, BUY, BID, 1)
    assert m.on_trade(SELL, 101, 2) == [(1, 101, 2)]
    assert m.on_trade(SELL, BID, 11) == [(2, BID, 1)]


def test_only_trades_whose_taker_is_on_the_other_side_count() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    assert m.on_trade(BUY, 99, 50) == []
    assert m.ahead(1) == 10


def test_several_of_our_orders_share_one_trade_in_price_time_order() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 5)
    m.rest(2, BUY, BID, 5)
    m.rest(3, BUY, 101, 2)
    # 2 lots for the better price, then 10 ahead, 5 for the first, what is left for the second
    assert m.on_trade(SELL, BID, 20) == [(3, 101, 2), (1, BID, 5), (2, BID, 3)]


def test_the_pessimistic_queue_believes_that_nobody_ahead_of_us_cancelled() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    m.on_book([BUY, BID, 15], snapshot=False)
    assert m.ahead(1) == 10


def test_the_probabilistic_queue_spreads_cancellations_over_all_displayed_lots() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    m.on_book([BUY, BID, 15], snapshot=False)
    assert m.ahead(1) == 8  # 10 - 5 * 10 / 20 = 7.5


def test_the_probabilistic_queue_remembers_parts_of_a_lot() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    for displayed in range(19, 9, -1):
        m.on_book([BUY, BID, displayed], snapshot=False)
    assert m.ahead(1) == 5
    m.on_book([BUY, BID, 9], snapshot=False)  # 4.5 ahead
    assert m.on_trade(SELL, BID, 4) == []
    assert m.on_trade(SELL, BID, 1) == [(1, BID, 1)]


def test_a_decrease_that_trades_explain_is_no_cancellation() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    m.on_trade(SELL, BID, 4)
    m.on_book([BUY, BID, 16], snapshot=False)
    assert m.ahead(1) == 6


def test_a_trade_explains_a_decrease_of_its_size_though_it_met_another_order_of_ours_first() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, 101, 4)
    m.rest(2, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    assert m.on_trade(SELL, BID, 6) == [(1, 101, 4)]
    m.on_book([BUY, BID, 14], snapshot=False)
    assert m.ahead(2) == 8


def test_a_trade_explains_one_decrease_only() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    m.on_trade(SELL, BID, 4)
    m.on_book([BUY, BID, 16], snapshot=False)
    m.on_book([BUY, BID, 8], snapshot=False)
    assert m.ahead(1) == 6 - 8 * 6 // 16


def test_a_trade_explains_the_decrease_that_comes_some_frames_later() -> None:
    m = matcher(model=PROBABILISTIC)
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 20], snapshot=False)
    m.on_trade(SELL, BID, 4)
    m.on_book([BUY, 98, 11], snapshot=False)
    m.on_book([BUY, BID, 16], snapshot=False)
    assert m.ahead(1) == 6


def test_the_queue_ahead_is_never_longer_than_what_is_displayed() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.on_book([BUY, BID, 3], snapshot=False)
    assert m.ahead(1) == 3
    m.on_book([BUY, BID, 30], snapshot=False)
    assert m.ahead(1) == 3


def test_an_order_out_of_sight_takes_its_place_when_its_level_appears() -> None:
    m = matcher(depth=2)
    m.rest(1, BUY, 90, 7)
    assert m.ahead(1) is None
    assert m.on_trade(SELL, 90, 50) == []
    m.on_book([BUY, BID, 0, BUY, 98, 0, BUY, 90, 8, BUY, 89, 1], snapshot=False)
    assert m.ahead(1) == 8


def test_an_order_whose_level_comes_into_sight_with_nothing_displayed_is_first() -> None:
    m = matcher(depth=2)
    m.rest(1, BUY, 90, 7)
    assert m.ahead(1) is None
    m.on_book([BUY, 98, 0], snapshot=False)
    assert m.ahead(1) == 0


def test_a_level_that_leaves_the_range_keeps_its_place() -> None:
    m = matcher(depth=2)
    m.rest(1, BUY, 98, 7)
    m.on_trade(SELL, 98, 4)
    m.on_book([BUY, 101, 5], snapshot=False)
    assert m.levels(BUY, 5) == [(101, 5), (100, 10)]
    assert m.ahead(1) == 6


def test_a_book_that_reaches_or_crosses_our_price_fills_the_whole_rest_at_our_price() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.rest(2, SELL, ASK, 9)
    assert m.on_book([BUY, BID, 0, SELL, BID, 1], snapshot=False) == [(1, BID, 7)]
    assert m.on_book([SELL, BID, 0, SELL, ASK, 0, BUY, 103, 1], snapshot=False) == [(2, ASK, 9)]
    assert m.resting == 0


def test_an_order_that_took_all_it_could_is_not_filled_by_the_same_levels_again() -> None:
    m = matcher()
    assert m.take(1, BUY, ASK, 25) == [(1, ASK, 10)]
    m.rest(1, BUY, ASK, 15)
    assert m.on_book([SELL, 104, 11], snapshot=False) == []
    m.on_book([SELL, ASK, 0], snapshot=False)
    assert m.on_book([SELL, ASK, 1], snapshot=False) == [(1, ASK, 15)]


def test_a_taking_order_walks_the_levels_from_the_best_no_further_than_its_limit() -> None:
    m = matcher()
    assert m.take(1, BUY, 103, 15) == [(1, 102, 10)]
    assert m.take(1, BUY, 104, 15) == [(1, 102, 10), (1, 104, 5)]
    assert m.take(1, SELL, 98, 15) == [(1, 100, 10), (1, 98, 5)]
    assert m.take(1, BUY, 104, 15) == [(1, 102, 10), (1, 104, 5)]


def test_an_order_would_take_from_the_best_opposite_price_on() -> None:
    m = matcher()
    assert m.would_take(BUY, ASK)
    assert not m.would_take(BUY, ASK - 1)
    assert m.would_take(SELL, BID)
    assert not m.would_take(SELL, BID + 1)
    assert not Matcher(depth=5).would_take(BUY, ASK)


def test_fill_or_kill_takes_nothing_unless_it_can_take_all() -> None:
    m = matcher()
    assert m.take(1, BUY, 104, 21, whole=True) == []
    assert m.take(1, BUY, 104, 20, whole=True) == [(1, 102, 10), (1, 104, 10)]


def test_a_smaller_quantity_keeps_the_place_and_a_new_rest_starts_at_the_back() -> None:
    m = matcher()
    m.rest(1, BUY, BID, 7)
    m.on_trade(SELL, BID, 6)
    assert m.set_leaves(1, 2)
    assert m.ahead(1) == 4
    m.set_leaves(1, 0)
    m.rest(1, BUY, BID, 9)
    assert m.ahead(1) == 10


def test_an_order_that_does_not_rest_cannot_shrink() -> None:
    assert not matcher().set_leaves(5, 1)


def test_more_orders_than_the_first_capacity_all_rest_in_price_time_order() -> None:
    m = matcher()
    for number in range(200):
        m.rest(number, BUY, 50 + number % 40, 1)
    assert m.resting == 200
    m.on_book([BUY, BID, 0, BUY, 98, 0], snapshot=False)
    filled = [number for number, _, _ in m.on_trade(SELL, 1, 1_000)]
    assert filled == sorted(range(200), key=lambda n: (-(n % 40), n))


@pytest.mark.parametrize("seen", [3, 7, 1_000_003, LARGEST_LOTS])
@pytest.mark.parametrize("shown", [0, 1, 2])
def test_the_share_of_cancellations_is_exact_to_the_grain_up_to_the_largest_quantity(seen: int, shown: int) -> None:
    ahead = seen * GRAINS // 2
    assert ahead_after(PROBABILISTIC, ahead, seen, 0, shown) == ahead - (seen - shown) * ahead // seen
