from __future__ import annotations

import gzip

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from tests.support import recorded
from undertow.exchange.bybit.frames import BookFrame, decode_frame
from undertow.matching import fills, ladder
from undertow.matching.ladder import BUY, SELL
from undertow.matching.matcher import Matcher

LEVEL = st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 40), st.integers(0, 9))


@given(
    st.sampled_from([1, 2, 4, 16, ladder.WINDOW]),
    st.lists(st.tuples(st.booleans(), st.lists(LEVEL, max_size=12)), max_size=20),
)
@settings(max_examples=400, deadline=None)
def test_the_ladder_equals_two_dictionaries_cut_to_their_depth(
    window: int, frames: list[tuple[bool, list[tuple[int, int, int]]]]
) -> None:
    depth = 4
    matcher = Matcher(depth=depth, window=window)
    twin: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for snapshot, levels in frames:
        matcher.on_book([n for level in levels for n in level], snapshot=snapshot)
        if snapshot:
            twin = ({}, {})
        for side, tick, lots in levels:
            twin[side].pop(tick, None)
            if lots:
                twin[side][tick] = lots
        twin = (
            dict(sorted(twin[0].items(), reverse=True)[:depth]),
            dict(sorted(twin[1].items())[:depth]),
        )
        for side in (BUY, SELL):
            assert matcher.levels(side, 2 * depth) == list(twin[side].items())
            assert matcher.best(side) == next(iter(twin[side]), None)


def test_full_arrays_of_far_levels_give_up_their_worst() -> None:
    book = ladder.new_ladder(1, window=2)
    for tick in (100, 10, 11, 12, 13, 9, 14):
        ladder.set_level(book, BUY, tick, tick)
    assert ladder.top(book, BUY, 9).tolist() == [[100, 100], [14, 14], [13, 13], [12, 12], [11, 11]]


def test_levels_come_into_the_window_and_leave_it_with_the_best() -> None:
    book = ladder.new_ladder(5, window=4)
    for tick in (10, 3, 2, 9):
        ladder.set_level(book, BUY, tick, tick)
    assert book[3][BUY].tolist() == [4, 2, 10, 9]
    for tick in (10, 9):
        ladder.set_level(book, BUY, tick, 0)
    assert book[3][BUY].tolist() == [2, 0, 3, 2]
    ladder.set_level(book, BUY, 6, 6)
    assert book[3][BUY].tolist() == [3, 1, 6, 3]
    assert ladder.top(book, BUY, 9).tolist() == [[6, 6], [3, 3], [2, 2]]


def test_the_recorded_books_of_200_levels_are_never_crossed_and_follow_a_moving_price() -> None:
    matchers: dict[str, Matcher] = {}
    steps = {"BTCUSDT": (10, 1000), "ETHUSDT": (100, 100), "SOLUSDT": (100, 10), "DOGEUSDT": (100_000, 1)}
    frames = 0
    with gzip.open(recorded("bybit/linear-20260809.rawlines.gz")) as lines:
        for line in lines:
            frame = decode_frame(line.split(b" ", 1)[1])
            if not isinstance(frame, BookFrame):
                continue
            per_quote, per_base = steps[frame.symbol]
            flat: list[int] = []
            for side, levels in ((BUY, frame.data.bids), (SELL, frame.data.asks)):
                for price, size in levels:
                    flat += [side, round(float(price) * per_quote), round(float(size) * per_base)]
            matcher = matchers.setdefault(frame.symbol, Matcher(depth=200))
            matcher.on_book(flat, snapshot=frame.snapshot)
            bid, ask = matcher.best(BUY), matcher.best(SELL)
            assert bid is not None
            assert ask is not None
            assert bid < ask
            frames += 1
    assert frames == 1_598
    assert all(len(m.levels(side, 500)) == 200 for m in matchers.values() for side in (BUY, SELL))


DELTA = False


@njit
def sweep(  # type: ignore[no-untyped-def]
    events, depth, book, orders, held, out, written
) -> int:
    total = 0
    for row in range(events.shape[0]):
        if events[row, 0] == 2:
            total += fills.on_trade(
                orders, held, events[row, 1], events[row, 2], events[row, 3], fills.PRINTED, written
            )
        else:
            ladder.apply_changes(book, depth, DELTA, events[row : row + 1, 1:])
            total += fills.on_book(orders, held, book, depth, 0, written)
        out[row] = held[0]
    return total


@given(st.lists(st.tuples(st.sampled_from([1, 2]), *LEVEL.wrapped_strategy.element_strategies), max_size=30))  # type: ignore[attr-defined]
@settings(max_examples=50, deadline=None)
def test_one_compiled_sweep_over_a_day_equals_frame_by_frame(events: list[tuple[int, int, int, int]]) -> None:
    depth = 6
    book = ladder.new_ladder(depth)
    orders, held = fills.new_orders(8)
    matcher = Matcher(depth=depth)
    for number, (side, tick) in enumerate([(BUY, 10), (BUY, 20), (SELL, 25), (SELL, 30)]):
        fills.rest(orders, held, book, depth, number, side, tick, 5)
        matcher.rest(number, side, tick, 5)
    table = np.array(events, np.int64).reshape(-1, 4)
    out = np.zeros(len(events), np.int64)
    total = sweep(table, depth, book, orders, held, out, np.zeros((64, 3), np.int64))
    counted = 0
    for row, (kind, side, tick, size) in enumerate(events):
        done = matcher.on_trade(side, tick, size) if kind == 2 else matcher.on_book([side, tick, size], snapshot=False)
        counted += len(done)
        assert out[row] == matcher.resting
    assert counted == total
