"""Steps of a market and of our orders, driven through the kernel and through its twin alike."""

from __future__ import annotations

import hashlib
import random
from decimal import Decimal
from typing import Any

from tests.undertow.matching.twin import Fill, Twin
from undertow.matching import fills as kernel
from undertow.matching.fills import PESSIMISTIC, PRINTED, PROBABILISTIC, WHOLE
from undertow.matching.ladder import BUY, SELL, Ints
from undertow.matching.matcher import Matcher
from undertow.matching.scale import Scale

Step = tuple[Any, ...]
"""(rest, take, fill or kill, trade; side, tick, lots), (shrink; order, lots), (replace; order, tick, lots), (book or snapshot; levels)."""
SCALE = Scale.load(
    symbol="ABCUSDT",
    tick_size=Decimal("0.10"),
    qty_step=Decimal("0.001"),
    max_price=Decimal(10_000),
    max_qty=Decimal(1_000),
)
DEPTH = 3


class Desk:
    """A matcher and what its caller knows: side, limit and arrival of each order, and the lots that each still wants."""

    def __init__(self, model: int, through: int) -> None:
        self.matcher = Matcher(depth=DEPTH, model=model, through=through, capacity=2, window=4)
        self.known: dict[int, tuple[int, int, int]] = {}
        self.leaves: dict[int, int] = {}
        self._arrivals = 0

    def twin(self) -> Twin:
        return Twin(self.matcher.model, self.matcher.through, DEPTH, SCALE.qty_step)

    def arrays(self) -> tuple[Ints, ...]:
        m = self.matcher
        return *m._book, m._orders, m._held

    def ahead(self, number: int) -> Decimal | None:
        """The queue ahead to the last grain, None when unknown or not resting."""
        row = kernel.row_of(self.matcher._orders, self.matcher._held, number)
        grains = int(self.matcher._orders[row, kernel.AHEAD]) if row >= 0 else kernel.UNKNOWN
        return None if grains == kernel.UNKNOWN else grains * SCALE.qty_step / kernel.GRAINS

    def do(self, number: int, step: Step) -> list[tuple[int, int, int]]:
        kind = step[0]
        if kind in {"rest", "take", "fill or kill"}:
            _, side, tick, lots = step
            self._arrive(number, side, tick)
            if kind == "rest":
                self.matcher.rest(number, side, tick, lots)
                self.leaves[number] = lots
                return []
            taken = self.matcher.take(number, side, tick, lots, whole=kind == "fill or kill")
            assert sum(part for _, _, part in taken) <= lots
            return taken
        if kind == "shrink":
            self._shrink(*step[1:])
            return []
        if kind == "replace":
            self._replace(*step[1:])
            return []
        if kind == "trade":
            fills = self.matcher.on_trade(*step[1:])
        else:
            fills = self.matcher.on_book([n for level in step[1] for n in level], snapshot=kind == "snapshot")
        for order, _, lots in fills:
            self.leaves[order] -= lots
        return fills

    def _arrive(self, number: int, side: int, tick: int) -> None:
        self._arrivals += 1
        self.known[number] = (side, tick, self._arrivals)

    def _shrink(self, number: int, lots: int) -> None:
        smaller = min(lots, self.leaves.get(number, 0))
        rests = self.leaves.get(number, 0) > 0
        assert self.matcher.set_leaves(number, smaller) == rests
        if rests:
            self.leaves[number] = smaller

    def _replace(self, number: int, tick: int, lots: int) -> None:
        if self.matcher.set_leaves(number, 0):
            side = self.known[number][0]
            self._arrive(number, side, tick)
            self.matcher.rest(number, side, tick, lots)
            self.leaves[number] = lots


def do_with(twin: Twin, number: int, step: Step) -> list[Fill]:
    """Let the twin do a step."""
    kind = step[0]
    price, qty = SCALE.price, SCALE.qty
    if kind == "shrink":
        order = twin.find(step[1])
        if order is not None:
            twin.set_leaves(step[1], min(qty(step[2]), order.leaves))
        return []
    if kind == "replace":
        order = twin.find(step[1])
        if order is not None:
            twin.set_leaves(step[1], Decimal(0))
            twin.rest(step[1], order.side, price(step[2]), qty(step[3]))
        return []
    if kind in {"book", "snapshot"}:
        levels = [(side, price(tick), qty(lots)) for side, tick, lots in step[1]]
        return twin.book(levels, snapshot=kind == "snapshot")
    side, at, size = step[1], price(step[2]), qty(step[3])
    if kind == "trade":
        return twin.trade(side, at, size)
    if kind == "rest":
        twin.rest(number, side, at, size)
        return []
    return twin.take(number, side, at, size, whole=kind == "fill or kill")


def digest() -> str:
    """Give a hash of every fill and every array of a long seeded flow under each model and rule."""
    told = hashlib.sha256()
    for model in (PESSIMISTIC, PROBABILISTIC):
        for through in (PRINTED, WHOLE):
            rng, desk = random.Random(5), Desk(model, through)
            for number in range(1_500):
                told.update(repr(desk.do(number, random_step(rng, number))).encode())
            for array in desk.arrays():
                told.update(array.tobytes())
    return told.hexdigest()


def random_step(rng: random.Random, number: int) -> Step:
    kind = rng.choice(["rest", "rest", "take", "fill or kill", "trade", "trade", "shrink", "replace", "book", "book"])
    if kind == "book":
        levels = [(BUY, rng.randint(1, 4), rng.randint(0, 20)), (SELL, rng.randint(4, 7), rng.randint(0, 20))]
        return kind, levels
    order, side, tick, lots = rng.randint(0, number), rng.randint(0, 1), rng.randint(1, 7), rng.randint(1, 20)
    if kind == "shrink":
        return kind, order, lots
    return (kind, order, tick, lots) if kind == "replace" else (kind, side, tick, lots)


if __name__ == "__main__":
    print(digest())  # noqa: T201 - what the other process reads
