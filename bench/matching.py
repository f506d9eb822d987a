"""How fast the matching kernel is: `python -m bench.matching`; one JSON line per figure.

The same events (single level changes of a book 200 deep, one in four a public trade) go through it in two ways: in one compiled sweep over
all of them, as a backtest drives it, and call by call from Python, as the paper venue does. Eight orders of ours rest and come back when
they are filled. The ratio is to the slow Decimal twin that the tests hold the kernel to, on the first events of the same market; hot loops.
"""

from __future__ import annotations

import json
import time
from decimal import Decimal

import numpy as np
from numba import njit

from tests.undertow.matching.twin import Twin
from undertow.matching import fills, ladder
from undertow.matching.fills import PESSIMISTIC, PRINTED
from undertow.matching.ladder import BUY, SELL, Ints, Ladder
from undertow.matching.matcher import Matcher

COMMAND = "python -m bench.matching"
EVENTS = 2_000_000
CALLS = 100_000
TWIN_EVENTS = 500
ROUNDS = 3
DEPTH = 200
MIDDLE = 100_000
OURS = 8
SNAPSHOT, DELTA = True, False
LEVEL, TRADE = 1, 2
TRADES, DELETIONS, NEAR = 0.25, 0.3, 0.08


def market(count: int) -> Ints:
    """Give rows of (kind, side, tick, lots) around a middle that stands still; never crossed."""
    rng = np.random.default_rng(7)
    side = rng.integers(0, 2, count)
    away = np.minimum(rng.geometric(NEAR, count), DEPTH)
    kind = np.where(rng.random(count) < TRADES, TRADE, LEVEL)
    lots = np.where((kind == LEVEL) & (rng.random(count) < DELETIONS), 0, rng.integers(1, 50, count))
    tick = np.where((side == BUY) ^ (kind == TRADE), MIDDLE - away, MIDDLE + away)
    return np.column_stack((kind, side, tick, lots)).astype(np.int64)


@njit
def sweep(events: Ints, book: Ladder, orders: Ints, held: Ints, written: Ints) -> int:
    total = 0
    number = OURS
    for row in range(events.shape[0]):
        if events[row, 0] == TRADE:
            total += fills.on_trade(orders, held, events[row, 1], events[row, 2], events[row, 3], PRINTED, written)
        else:
            ladder.apply_changes(book, DEPTH, DELTA, events[row : row + 1, 1:])
            total += fills.on_book(orders, held, book, DEPTH, PESSIMISTIC, written)
        while held[0] < OURS:
            number += 1
            side = number & 1
            tick = abs(ladder.best(book, side)) + (-3 if side == BUY else 3)
            fills.rest(orders, held, book, DEPTH, number, side, tick, 5)
    return total


def opening() -> list[int]:
    levels: list[int] = []
    for away in range(1, DEPTH + 1):
        levels += [BUY, MIDDLE - away, 20, SELL, MIDDLE + away, 20]
    return levels


def swept(events: Ints) -> tuple[float, int]:
    book = ladder.new_ladder(DEPTH)
    orders, held = fills.new_orders(64)
    ladder.apply_changes(book, DEPTH, SNAPSHOT, np.array(opening(), np.int64).reshape(-1, 3))
    began = time.thread_time()
    total = sweep(events, book, orders, held, np.zeros((4 * DEPTH, 3), np.int64))
    return time.thread_time() - began, total


def called(events: list[tuple[int, int, int, int]]) -> float:
    matcher = Matcher(depth=DEPTH)
    matcher.on_book(opening(), snapshot=True)
    number = OURS
    began = time.thread_time()
    for kind, side, tick, size in events:
        if kind == TRADE:
            matcher.on_trade(side, tick, size)
        else:
            matcher.on_book([side, tick, size], snapshot=False)
        while matcher.resting < OURS:
            number += 1
            ours = number & 1
            best = matcher.best(ours) or MIDDLE
            matcher.rest(number, ours, best + (-3 if ours == BUY else 3), 5)
    return time.thread_time() - began


def twinned(events: list[tuple[int, int, int, int]]) -> float:
    twin = Twin(PESSIMISTIC, depth=DEPTH)
    flat = opening()
    for side, tick, size in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        twin.books[side][Decimal(tick)] = Decimal(size)
    for number in range(OURS):
        side = number & 1
        twin.rest(number, side, Decimal(MIDDLE + (-3 if side == BUY else 3)), Decimal(5))
    began = time.thread_time()
    for kind, side, tick, size in events:
        if kind == TRADE:
            twin.trade(side, Decimal(tick), Decimal(size))
        else:
            twin.book([(side, Decimal(tick), Decimal(size))])
    return time.thread_time() - began


def main() -> None:
    events = market(EVENTS)
    few = [tuple(row) for row in events[:CALLS].tolist()]
    swept(events[:1_000])
    called(few[:1_000])
    sweeps = [swept(events) for _ in range(ROUNDS)]
    rates = {
        "one compiled sweep": EVENTS / min(seconds for seconds, _ in sweeps),
        "call by call": CALLS / min(called(few) for _ in range(ROUNDS)),
    }
    slow = TWIN_EVENTS / twinned(few[:TWIN_EVENTS])
    notes = {"depth": DEPTH, "orders": OURS, "fills": sweeps[0][1], "rate": "hot loop", "command": COMMAND}
    for name, rate in rates.items():
        figure = {"name": f"matching: {name}", "value": round(rate), "unit": "events/s"}
        print(json.dumps(figure | {"ratio_to": "Decimal twin", "ratio": round(rate / slow, 1)} | notes))


if __name__ == "__main__":
    main()
