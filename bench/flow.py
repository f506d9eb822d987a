"""A seeded flow of orders on a window, and the kernel driven through both in one compiled sweep.

`actions` int64[n, 7], sorted by time: (time ns, what, order, side, tick, lots, lane). An action stands half a step behind the event after
which it was made, so that nothing happens at the same time as anything else. Orders of different lanes do not know of each other.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from numba import njit

from bench.binance import MS_NS, SNAPSHOT, STEP_NS, TRADE, Window
from undertow.matching import fills, ladder
from undertow.matching.fills import COLUMNS, LEAVES
from undertow.matching.ladder import BUY, SELL, Ints, Ladder

POST_ONLY: Final = 0
IOC: Final = 1
FOK: Final = 2
CANCEL: Final = 3
SHRINK: Final = 4
REPRICE: Final = 5
LOTS_MOST: Final = 2_000
LIFE_S: Final = (0.05, 60.0)
KINDS: Final = {POST_ONLY: 0.85, IOC: 0.08, FOK: 0.07}
SHRUNK: Final = 0.1
REPRICED: Final = 0.1
APART_NS: Final = 2
AWAY_TICKS: Final = 0.06


def make_orders(window: Window, *, depth: int, count: int, seed: int) -> Ints:
    """Give the actions of `count` orders: joined, improved and distant prices; takers that reach some ticks in; amends and cancels."""
    rng = np.random.default_rng(seed)
    heads = window.heads
    chosen = np.sort(rng.integers(1, len(heads) - 1, count))
    bests = best_ticks(heads, window.changes, ladder.new_ladder(depth), depth, chosen)
    rows: list[tuple[int, int, int, int, int, int, int]] = []
    for number, index in enumerate(chosen.tolist()):
        at_ns = int(heads[index, 0]) + STEP_NS // 2
        side = int(rng.integers(2))
        bid, ask = bests[number].tolist()
        lots = round(LOTS_MOST ** rng.random())
        kind = int(rng.choice(list(KINDS), p=list(KINDS.values())))
        inward = 1 if side == BUY else -1
        near, far = (bid, ask) if side == BUY else (ask, bid)
        if kind != POST_ONLY:
            rows.append((at_ns, kind, number, side, far + inward * int(rng.integers(-1, 30)), lots, 0))
            continue
        tick = near - inward * (int(rng.geometric(AWAY_TICKS)) - 2)
        rows.append((at_ns, kind, number, side, tick, lots, 0))
        life_ns = round(LIFE_S[0] * (LIFE_S[1] / LIFE_S[0]) ** rng.random() * 1e9) // MS_NS * MS_NS
        rows.append((at_ns + life_ns, CANCEL, number, side, tick, lots, 0))
        amend = rng.random()
        middle_ns = life_ns // 2 // MS_NS * MS_NS
        if amend < SHRUNK:
            rows.append((at_ns + middle_ns, SHRINK, number, side, tick, max(1, lots // 2), 0))
        elif amend < SHRUNK + REPRICED:
            rows.append((at_ns + middle_ns, REPRICE, number, side, tick + int(rng.choice([-3, -1, 1, 3])), lots, 0))
    actions = np.array(sorted(rows, key=lambda row: (row[0], row[2])), np.int64)
    for row in range(1, len(actions)):
        actions[row, 0] = max(actions[row, 0], actions[row - 1, 0] + APART_NS)
    last_ns = int(heads[-1, 0])
    return actions[actions[:, 0] < last_ns]


def with_lanes(actions: Ints) -> tuple[Ints, int]:
    """Give the actions with each order in a lane that is its own while it lives, and the number of lanes."""
    lived = actions.copy()
    ends: dict[int, int] = {row[2]: row[0] for row in lived.tolist() if row[1] == CANCEL}
    free_at: list[int] = []
    lane_of: dict[int, int] = {}
    for row in lived.tolist():
        at_ns, what, number = row[0], row[1], row[2]
        if what <= FOK:
            lane = next((lane for lane, end_ns in enumerate(free_at) if end_ns < at_ns), len(free_at))
            if lane == len(free_at):
                free_at.append(0)
            free_at[lane] = ends.get(number, 1 << 62) if what == POST_ONLY else at_ns
            lane_of[number] = lane
    lived[:, 6] = [lane_of[number] for number in lived[:, 2].tolist()]
    return lived, len(free_at)


@njit
def best_ticks(heads: Ints, changes: Ints, book: Ladder, depth: int, chosen: Ints) -> Ints:
    """Give (bid, ask) after each chosen event; `chosen` ascends."""
    bests = np.zeros((chosen.shape[0], 2), np.int64)
    done = 0
    for index in range(heads.shape[0]):
        if heads[index, 1] != TRADE:
            snapshot = heads[index, 1] == SNAPSHOT
            ladder.apply_changes(book, depth, snapshot, changes[heads[index, 2] : heads[index, 3]])
        while done < chosen.shape[0] and chosen[done] == index:
            bests[done, 0] = ladder.best(book, BUY)
            bests[done, 1] = -ladder.best(book, SELL)
            done += 1
    return bests


@njit
def act(action: Ints, orders: Ints, held: Ints, book: Ladder, depth: int, written: Ints) -> int:
    """Let one action take effect; give the number of fills written."""
    what, order, side, tick, quantity = action[1], action[2], action[3], action[4], action[5]
    if what in (IOC, FOK):
        return fills.take(book, side, tick, quantity, what == FOK, order, written)
    if what == POST_ONLY:
        if not fills.crosses(book, side, fills.key_of(side, tick)):
            fills.rest(orders, held, book, depth, order, side, tick, quantity)
        return 0
    row = fills.row_of(orders, held, order)
    if row < 0:
        return 0
    leaves = orders[row, LEAVES]
    if what == SHRINK:
        fills.set_leaves(orders, held, order, min(leaves, quantity))
        return 0
    fills.set_leaves(orders, held, order, 0)
    if what == REPRICE and not fills.crosses(book, side, fills.key_of(side, tick)):
        fills.rest(orders, held, book, depth, order, side, tick, leaves)
    return 0


@njit
def sweep(
    heads: Ints,
    changes: Ints,
    actions: Ints,
    depth: int,
    model: int,
    through: int,
    book: Ladder,
    orders: Ints,
    held: Ints,
    written: Ints,
    out: Ints,
) -> int:
    """Drive the kernel through a window; give the number of fills put into `out`, rows of (order, time ns, tick, lots)."""
    lanes = orders.shape[0]
    total = 0
    waiting = 0
    for index in range(heads.shape[0]):
        at_ns = heads[index, 0]
        while waiting < actions.shape[0] and actions[waiting, 0] < at_ns:
            action = actions[waiting]
            lane = action[6]
            done = act(action, orders[lane], held[lane], book, depth, written)
            if done > 0:  # a take is told as its whole and its last price
                out[total, 0], out[total, 1], out[total, 2] = action[2], action[0], written[done - 1, 1]
                out[total, 3] = written[:done, 2].sum()
                total += 1
            waiting += 1
        kind = heads[index, 1]
        if kind != TRADE:
            rows = changes[heads[index, 2] : heads[index, 3]]
            ladder.apply_changes(book, depth, kind == SNAPSHOT, rows)
        for lane in range(lanes):
            if held[lane, 0] == 0:
                continue
            if kind == TRADE:
                done = fills.on_trade(
                    orders[lane], held[lane], heads[index, 2], heads[index, 3], heads[index, 4], through, written
                )
            else:
                done = fills.on_book(orders[lane], held[lane], book, depth, model, written)
            for row in range(done):
                out[total, 0], out[total, 1] = written[row, 0], at_ns
                out[total, 2], out[total, 3] = written[row, 1], written[row, 2]
                total += 1
    return total


def run(
    window: Window, actions: Ints, *, depth: int, model: int, through: int, lanes: int, capacity: int
) -> tuple[Ints, float]:
    """Give the fills and the CPU seconds that the sweep took."""
    book = ladder.new_ladder(depth)
    orders, held = np.zeros((lanes, capacity, COLUMNS), np.int64), np.zeros((lanes, 1), np.int64)
    written, out = np.zeros((4 * depth, 3), np.int64), np.zeros((4 * len(actions) + 100_000, 4), np.int64)
    began = time.thread_time()
    total = sweep(window.heads, window.changes, actions, depth, model, through, book, orders, held, written, out)
    return out[:total], time.thread_time() - began
