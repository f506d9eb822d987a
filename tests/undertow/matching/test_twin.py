"""The kernel against its slow twin, and what must hold of every fill whatever the market and we do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.undertow.matching import flow
from tests.undertow.matching.flow import SCALE, Desk, Step
from undertow.matching.fills import PESSIMISTIC, PRINTED, PROBABILISTIC, WHOLE
from undertow.matching.ladder import BUY, SELL

MODELS = st.sampled_from([PESSIMISTIC, PROBABILISTIC])
RULES = st.sampled_from([PRINTED, WHOLE])
SIDES = st.sampled_from([BUY, SELL])
TICKS, LOTS = st.integers(1, 7), st.integers(1, 20)
OURS = st.integers(0, 12)
LEVELS = st.lists(
    st.one_of(
        st.tuples(st.just(BUY), st.integers(1, 4), st.integers(0, 20)),
        st.tuples(st.just(SELL), st.integers(4, 7), st.integers(0, 20)),
    ),
    min_size=1,
    max_size=6,
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["rest", "take", "fill or kill"]), SIDES, TICKS, LOTS),
    st.tuples(st.just("trade"), SIDES, TICKS, LOTS),
    st.tuples(st.just("shrink"), OURS, st.integers(0, 20)),
    st.tuples(st.just("replace"), OURS, TICKS, LOTS),
    st.tuples(st.sampled_from(["book", "book", "snapshot"]), LEVELS),
)
FLOWS = st.lists(STEPS, max_size=40)


@given(MODELS, RULES, FLOWS)
@settings(max_examples=400, deadline=None)
def test_integers_and_decimals_agree_on_every_fill_and_every_queue(model: int, through: int, steps: list[Step]) -> None:
    desk = Desk(model, through)
    twin = desk.twin()
    for number, step in enumerate(steps):
        got = [(n, SCALE.price(tick), SCALE.qty(lots)) for n, tick, lots in desk.do(number, step)]
        assert got == flow.do_with(twin, number, step)
        assert desk.matcher.resting == len(twin.orders)
        for order in twin.orders:
            assert desk.ahead(order.number) == order.ahead


def played(model: int, through: int, steps: list[Step]) -> Iterator[tuple[Step, Desk, list[tuple[int, int, int]]]]:
    desk = Desk(model, through)
    for number, step in enumerate(steps):
        yield step, desk, desk.do(number, step)


@given(MODELS, RULES, FLOWS)
@settings(max_examples=150, deadline=None)
def test_no_fill_is_worse_than_its_limit_or_beyond_its_order(model: int, through: int, steps: list[Step]) -> None:
    for _, desk, fills in played(model, through, steps):
        for number, tick, lots in fills:
            side, limit, _ = desk.known[number]
            assert tick <= limit if side == BUY else tick >= limit
            assert lots > 0
        assert all(left >= 0 for left in desk.leaves.values())


@given(MODELS, FLOWS)
@settings(max_examples=150, deadline=None)
def test_a_trade_fills_no_more_than_its_size(model: int, steps: list[Step]) -> None:
    for step, desk, fills in played(model, PRINTED, steps):
        if step[0] == "trade":
            _, taker, tick, size = step
            assert sum(lots for _, _, lots in fills) <= size
            for number, _, _ in fills:
                side, limit, _ = desk.known[number]
                assert side != taker
                assert limit >= tick if side == BUY else limit <= tick


@given(MODELS, RULES, FLOWS)
@settings(max_examples=150, deadline=None)
def test_our_orders_at_one_price_fill_first_in_first_out(model: int, through: int, steps: list[Step]) -> None:
    for step, desk, fills in played(model, through, steps):
        if step[0] not in {"trade", "book", "snapshot"}:
            continue
        for number, _, _ in fills:
            side, limit, arrived = desk.known[number]
            before = [o for o, known in desk.known.items() if known[:2] == (side, limit) and known[2] < arrived]
            assert all(desk.leaves.get(other, 0) == 0 for other in before)
        arrivals = [(desk.known[n][0], -desk.known[n][1] if desk.known[n][0] == BUY else desk.known[n][1],
                     desk.known[n][2]) for n, _, _ in fills]  # fmt: skip
        assert arrivals == sorted(arrivals)


@given(MODELS, RULES, FLOWS)
@settings(max_examples=150, deadline=None)
def test_the_queue_ahead_never_grows(model: int, through: int, steps: list[Step]) -> None:
    ahead: dict[int, Decimal] = {}
    for step, desk, _ in played(model, through, steps):
        if step[0] == "replace":
            ahead.pop(step[1], None)
        for number in desk.leaves:
            now = desk.ahead(number)
            if now is not None:
                assert now <= ahead.get(number, now)
                ahead[number] = now


@given(SIDES, TICKS, LOTS, LEVELS)
@settings(max_examples=150, deadline=None)
def test_fill_or_kill_is_the_same_take_or_none(
    side: int, tick: int, lots: int, levels: list[tuple[int, int, int]]
) -> None:
    desk = Desk(PESSIMISTIC, PRINTED)
    desk.do(0, ("snapshot", levels))
    taken = desk.matcher.take(1, side, tick, lots)
    total = sum(part for _, _, part in taken)
    assert total <= lots
    assert desk.matcher.take(1, side, tick, lots, whole=True) == (taken if total == lots else [])


@given(MODELS, RULES, FLOWS)
@settings(max_examples=50, deadline=None)
def test_the_same_flow_twice_leaves_identical_arrays(model: int, through: int, steps: list[Step]) -> None:
    one, other = Desk(model, through), Desk(model, through)
    for number, step in enumerate(steps):
        assert one.do(number, step) == other.do(number, step)
    for mine, its in zip(one.arrays(), other.arrays(), strict=True):
        assert np.array_equal(mine, its)


def test_the_jit_changes_nothing() -> None:
    switched = "0" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "1"
    command = [sys.executable, "-m", "tests.undertow.matching.flow"]
    done = subprocess.run(
        command, env={**os.environ, "NUMBA_DISABLE_JIT": switched}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == flow.digest()
