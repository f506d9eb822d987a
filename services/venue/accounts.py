"""An account: wallet, holdings, orders, executions and the transaction log, with cross margin over all its positions.

Where the protocol page does not say (our inference): open orders hold value / leverage plus the taker fee of opening and closing, only for
the part that would increase the position, reduce-only and untriggered orders hold nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from services.venue.answers import AccountSpec, Item
from services.venue.holdings import HEDGE_INDEXES, ONE_WAY, Holding
from services.venue.market import Market
from services.venue.orders import UNTRIGGERED, Order
from undertow.matching import money as kernel
from undertow.matching.scale import to_units

HISTORY: Final = 20_000
"""Closed orders, executions and log rows an account remembers of each."""


class Account:
    """One uid's money, positions, orders and memory; money in units of 1e-8."""

    def __init__(self, spec: AccountSpec, now_ms: int) -> None:
        self.uid = spec.uid
        self.coin = "USDT"
        self.maker_rate, self.taker_rate = to_units(spec.maker_rate), to_units(spec.taker_rate)
        self.wallet = 0
        self.holdings: dict[tuple[str, int], Holding] = {}
        self.hedged: set[str] = set()
        self.orders: dict[str, Order] = {}
        self.links: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.executions: deque[Item] = deque(maxlen=HISTORY)
        self.log: deque[Item] = deque(maxlen=HISTORY)
        self.sequence = 0
        self.reprices_limits = True
        self.opened_ms = now_ms

    def holding(self, market: Market, index: int) -> Holding:
        """Give a position in a market, flat at first."""
        key = (market.symbol, index)
        if key not in self.holdings:
            self.holdings[key] = Holding(market, index)
        return self.holdings[key]

    def holdings_in(self, market: Market) -> list[Holding]:
        """Give the positions that the account's mode has in a market: one, or long and short."""
        indexes = HEDGE_INDEXES if market.symbol in self.hedged else (ONE_WAY,)
        return [self.holding(market, index) for index in indexes]

    def orders_in(self, market: Market) -> list[Order]:
        """Give the orders of a market that are not yet closed."""
        return [order for order in self.open.values() if order.symbol == market.symbol]

    def switch_mode(self, market: Market, *, hedged: bool) -> None:
        """Go to the other position mode, leverage as it was; nothing may be held or ordered."""
        leverage = self.holdings_in(market)[0].leverage
        (self.hedged.add if hedged else self.hedged.discard)(market.symbol)
        for holding in self.holdings_in(market):
            holding.leverage = leverage

    def next_number(self) -> int:
        """Count this account's orders and executions."""
        self.sequence += 1
        return self.sequence

    def remember(self, order: Order) -> None:
        """Take an order in; forget the oldest closed one beyond `HISTORY`."""
        self.orders[order.order_id] = order
        if order.link_id:
            self.links[order.link_id] = order
        if len(self.orders) > HISTORY:
            oldest = next((o for o in self.orders.values() if o.order_id not in self.open), None)
            if oldest is not None:
                del self.orders[oldest.order_id]
                self.links.pop(oldest.link_id, None)

    def forget(self, order: Order) -> None:
        """Undo `remember` for an order that was refused after all."""
        self.open.pop(order.order_id, None)
        self.orders.pop(order.order_id, None)
        self.links.pop(order.link_id, None)

    def find(self, order_id: str, link_id: str) -> Order | None:
        """Find an order; the venue's id wins."""
        return self.orders.get(order_id) if order_id else self.links.get(link_id)

    @property
    def unrealised(self) -> int:
        """Over all positions."""
        return sum(h.unrealised for h in self.holdings.values() if h.lots)

    @property
    def balance(self) -> int:
        """Margin balance: wallet and unrealised."""
        return self.wallet + self.unrealised

    @property
    def maintenance(self) -> int:
        """Over all positions."""
        return sum(h.maintenance(self.taker_rate) for h in self.holdings.values())

    @property
    def position_margin(self) -> int:
        """Initial margin of the positions."""
        return sum(h.initial(self.taker_rate) for h in self.holdings.values())

    def order_margin(self, extra: Order | None = None, price_tick: int = 0) -> int:
        """Initial margin of the open orders, and of one more at a price."""
        buckets: dict[tuple[str, int, int], list[int]] = {}
        for order in self.open.values():
            if not order.reduce_only and order.status != UNTRIGGERED:
                bucket = buckets.setdefault((order.symbol, order.index, order.side), [0, 0])
                bucket[0] += order.leaves
                bucket[1] += order.scale.value(order.tick, order.leaves)
        if extra is not None:
            bucket = buckets.setdefault((extra.symbol, extra.index, extra.side), [0, 0])
            bucket[0] += extra.lots
            bucket[1] += extra.scale.value(price_tick, extra.lots)
        total = 0
        for (symbol, index, side), (lots, value) in buckets.items():
            holding = self.holdings[symbol, index]
            held = holding.lots if side else -holding.lots  # what this side would close
            grows = max(0, lots - max(0, held))
            exposed = value * grows // lots if lots else 0
            if exposed:
                total += int(kernel.initial(exposed, holding.leverage, 2 * self.taker_rate))
        return total

    @property
    def available(self) -> int:
        """What new risk may use."""
        return self.balance - self.position_margin - self.order_margin()
