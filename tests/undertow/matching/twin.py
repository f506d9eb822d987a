"""A slow twin of the kernel: lists, dictionaries and Decimals, prices and quantities as the venue writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from undertow.matching.fills import GRAINS, PRINTED, PROBABILISTIC, WHOLE
from undertow.matching.ladder import BUY

Fill = tuple[int, Decimal, Decimal]
ZERO = Decimal(0)


@dataclass
class Resting:
    number: int
    side: int
    price: Decimal
    leaves: Decimal
    ahead: Decimal | None
    seen: Decimal
    traded: Decimal = ZERO
    took: bool = False


@dataclass
class Twin:
    model: int
    through: int = PRINTED
    depth: int = 3
    step: Decimal = Decimal("0.001")
    books: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = field(default_factory=lambda: ({}, {}))
    orders: list[Resting] = field(default_factory=list)
    """In order of arrival."""

    def levels(self, side: int) -> list[tuple[Decimal, Decimal]]:
        return sorted(self.books[side].items(), reverse=side == BUY)

    def sees(self, side: int, price: Decimal) -> bool:
        levels = self.levels(side)
        return len(levels) < self.depth or not better(side, levels[-1][0], price)

    def crossed(self, side: int, price: Decimal) -> bool:
        other = self.levels(1 - side)
        return bool(other) and not better(1 - side, price, other[0][0])

    def find(self, number: int) -> Resting | None:
        return next((order for order in self.orders if order.number == number), None)

    def rest(self, number: int, side: int, price: Decimal, qty: Decimal) -> None:
        shown = self.books[side].get(price, ZERO)
        ahead = shown if self.sees(side, price) else None
        self.orders.append(Resting(number, side, price, qty, ahead, shown, took=self.crossed(side, price)))

    def set_leaves(self, number: int, qty: Decimal) -> bool:
        order = self.find(number)
        if order is not None:
            order.leaves = qty
            self.forget_done()
        return order is not None

    def take(self, number: int, side: int, price: Decimal, qty: Decimal, *, whole: bool) -> list[Fill]:
        out: list[Fill] = []
        for at, shown in self.levels(1 - side):
            part = min(shown, qty - sum((done for _, _, done in out), ZERO))
            if part > 0 and not better(1 - side, price, at):
                out.append((number, at, part))
        return [] if whole and sum((done for _, _, done in out), ZERO) < qty else out

    def in_order(self) -> list[Resting]:
        return sorted(self.orders, key=lambda o: (o.side, -o.price if o.side == BUY else o.price))

    def nearest(self, qty: Decimal, rounding: str) -> Decimal:
        return (qty / self.step).to_integral_value(rounding) * self.step

    def forget_done(self) -> None:
        self.orders = [order for order in self.orders if order.leaves]

    def trade(self, taker: int, price: Decimal, qty: Decimal) -> list[Fill]:
        out: list[Fill] = []
        left = qty
        for order in self.in_order():
            if order.side == taker or better(order.side, price, order.price):
                continue
            if better(order.side, order.price, price):
                order.ahead = ZERO
                part = order.leaves if self.through == WHOLE else min(order.leaves, left)
            else:
                order.traded += qty
                if order.ahead is None:
                    continue
                part = min(order.leaves, max(ZERO, self.nearest(left - order.ahead, ROUND_HALF_UP)))
                order.ahead = max(ZERO, order.ahead - left)
            if part > 0:
                order.leaves -= part
                left = max(ZERO, left - part)
                out.append((order.number, order.price, part))
        self.forget_done()
        return out

    def book(self, levels: list[tuple[int, Decimal, Decimal]], *, snapshot: bool = False) -> list[Fill]:
        if snapshot:
            self.books = ({}, {})
        for side, price, qty in levels:
            self.books[side].pop(price, None)
            if qty:
                self.books[side][price] = qty
        self.books = (dict(self.levels(0)[: self.depth]), dict(self.levels(1)[: self.depth]))
        out: list[Fill] = []
        for order in self.in_order():
            is_crossed = self.crossed(order.side, order.price)
            if is_crossed and not order.took:
                out.append((order.number, order.price, order.leaves))
                order.leaves = ZERO
                continue
            order.took = is_crossed
            if self.sees(order.side, order.price):
                self.move_up(order, self.books[order.side].get(order.price, ZERO))
        self.forget_done()
        return out

    def move_up(self, order: Resting, shown: Decimal) -> None:
        if order.ahead is None:
            order.ahead = shown
        elif shown == order.seen:
            return
        else:
            waiting = max(ZERO, order.seen - order.traded)
            if self.model == PROBABILISTIC and waiting > shown:
                order.ahead = min(order.ahead, waiting)
                share = (waiting - shown) * order.ahead / waiting
                order.ahead -= self.nearest(share * GRAINS, ROUND_FLOOR) / GRAINS
            order.ahead = min(order.ahead, shown)
        order.seen, order.traded = shown, ZERO


def better(side: int, one: Decimal, other: Decimal) -> bool:
    return one > other if side == BUY else one < other
