"""The kernel against a slow twin in Decimal that keeps prices and quantities as the venue writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.matching.fills import PESSIMISTIC, PROBABILISTIC
from undertow.matching.ladder import BUY, SELL
from undertow.matching.matcher import Matcher
from undertow.matching.scale import Scale

SCALE = Scale.load(
    symbol="ABCUSDT",
    tick_size=Decimal("0.10"),
    qty_step=Decimal("0.001"),
    max_price=Decimal(10_000),
    max_qty=Decimal(1_000),
)
DEPTH = 3


@dataclass
class Resting:
    number: int
    side: int
    price: Decimal
    leaves: Decimal
    ahead: Decimal | None
    seen: Decimal
    traded: Decimal = Decimal(0)
    took: bool = False


@dataclass
class Twin:
    model: int
    books: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = field(default_factory=lambda: ({}, {}))
    orders: list[Resting] = field(default_factory=list)

    def levels(self, side: int) -> list[tuple[Decimal, Decimal]]:
        return sorted(self.books[side].items(), reverse=side == BUY)

    def sees(self, side: int, price: Decimal) -> bool:
        levels = self.levels(side)
        return len(levels) < DEPTH or not better(side, levels[-1][0], price)

    def crossed(self, side: int, price: Decimal) -> bool:
        other = self.levels(1 - side)
        return bool(other) and not better(1 - side, price, other[0][0])

    def rest(self, number: int, side: int, price: Decimal, qty: Decimal) -> None:
        shown = self.books[side].get(price, Decimal(0))
        ahead = shown if self.sees(side, price) else None
        self.orders.append(Resting(number, side, price, qty, ahead, shown, took=self.crossed(side, price)))

    def in_order(self) -> list[Resting]:
        return sorted(self.orders, key=lambda o: (o.side, -o.price if o.side == BUY else o.price))

    def trade(self, taker: int, price: Decimal, qty: Decimal) -> list[tuple[int, Decimal, Decimal]]:
        out, left = [], qty
        for order in self.in_order():
            if order.side == taker or better(order.side, price, order.price):
                continue
            reach = left
            if order.price == price:
                order.traded += qty
                if order.ahead is None:
                    continue
                reach = left - order.ahead
                order.ahead = max(Decimal(0), order.ahead - left)
            part = min(order.leaves, reach)
            if part > 0:
                order.leaves -= part
                left -= part
                out.append((order.number, order.price, part))
        self.orders = [o for o in self.orders if o.leaves]
        return out

    def book(self, levels: list[tuple[int, Decimal, Decimal]]) -> list[tuple[int, Decimal, Decimal]]:
        for side, price, qty in levels:
            self.books[side].pop(price, None)
            if qty:
                self.books[side][price] = qty
        self.books = (dict(self.levels(BUY)[:DEPTH]), dict(self.levels(SELL)[:DEPTH]))
        out = []
        for order in self.in_order():
            if self.crossed(order.side, order.price):
                if not order.took:
                    out.append((order.number, order.price, order.leaves))
                    order.leaves = Decimal(0)
                    continue
            else:
                order.took = False
            if not self.sees(order.side, order.price):
                continue
            shown = self.books[order.side].get(order.price, Decimal(0))
            if order.ahead is None:
                order.ahead = shown
            else:
                waiting = max(Decimal(0), order.seen - order.traded)
                if self.model == PROBABILISTIC and waiting > shown:
                    share = (waiting - shown) * min(order.ahead, waiting) / waiting
                    order.ahead -= (share / SCALE.qty_step).to_integral_value(ROUND_FLOOR) * SCALE.qty_step
                order.ahead = min(order.ahead, shown)
            order.seen, order.traded = shown, Decimal(0)
        self.orders = [o for o in self.orders if o.leaves]
        return out


def better(side: int, one: Decimal, other: Decimal) -> bool:
    return one > other if side == BUY else one < other


TICKS = st.integers(1, 7)
LOTS = st.integers(1, 20)
SIDES = st.sampled_from([BUY, SELL])
LEVELS = st.one_of(
    st.tuples(st.just(BUY), st.integers(1, 4), st.integers(0, 20)),
    st.tuples(st.just(SELL), st.integers(4, 7), st.integers(0, 20)),
)
STEPS = st.one_of(
    st.tuples(st.just("rest"), SIDES, TICKS, LOTS),
    st.tuples(st.just("trade"), SIDES, TICKS, LOTS),
    st.tuples(st.just("book"), st.lists(LEVELS, min_size=1, max_size=5)),
)


@given(st.sampled_from([PESSIMISTIC, PROBABILISTIC]), st.lists(STEPS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_integers_and_decimals_agree_on_every_fill_and_every_queue(model: int, steps: list[tuple]) -> None:
    matcher, twin = Matcher(depth=DEPTH, model=model, capacity=4), Twin(model)
    for number, step in enumerate(steps):
        got: list[tuple[int, int, int]] = []
        expected: list[tuple[int, Decimal, Decimal]] = []
        if step[0] == "book":
            got = matcher.on_book([n for level in step[1] for n in level], snapshot=False)
            expected = twin.book([(side, SCALE.price(tick), SCALE.qty(lots)) for side, tick, lots in step[1]])
        else:
            kind, side, tick, lots = step
            if kind == "rest":
                matcher.rest(number, side, tick, lots)
                twin.rest(number, side, SCALE.price(tick), SCALE.qty(lots))
            else:
                got = matcher.on_trade(side, tick, lots)
                expected = twin.trade(side, SCALE.price(tick), SCALE.qty(lots))
        assert [(n, SCALE.price(tick), SCALE.qty(lots)) for n, tick, lots in got] == expected
        assert matcher.resting == len(twin.orders)
        for order in twin.orders:
            ahead = matcher.ahead(order.number)
            assert (None if ahead is None else SCALE.qty(ahead)) == order.ahead
