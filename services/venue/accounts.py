"""An account: wallet, holdings, orders, executions and the transaction log; one margin over all positions (cross), or one each (isolated).

Where the protocol page does not say (our inference): open orders hold value / leverage plus the taker fee of opening and closing, only for
the part that would increase the position, reduce-only and untriggered orders hold nothing. In cross mode a new order also needs what it and
the open ones would lose at once against the mark, because they buy above it or sell below. In isolated mode losses, fees and funding are
paid from the wallet; what the wallet then lacks of the positions' margins is drawn from the margin of the position that paid, and from
the others, the largest margin first, when that is not enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.venue.answers import AccountSpec, Item
from services.venue.holdings import HEDGE_INDEXES, ONE_WAY, Holding
from services.venue.link_ids import RecentLinkIds
from services.venue.market import Market
from services.venue.orders import Order
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY
from undertow.matching.scale import to_units

HISTORY: Final = 20_000
"""Closed orders, executions and log rows an account remembers of each."""
UNFILLED: Final = 2_000
"""Of the closed orders those without a fill: they come and go by the thousand."""
RECENT: Final = 500
"""Closed orders that order/realtime still knows."""

Growth = dict[tuple[str, int, int], int]
"""Symbol, position index and side (0 buy, 1 sell) → money units."""


class Claim(NamedTuple):
    """What open orders lay claim to: the growth of positions, and the funds that it takes."""

    growth: Growth
    needed: int


@dataclass(slots=True)
class Purse:
    """The fee coin's wallet; money and price in units of 1e-8.

    Attributes:
        fees: paid out of it so far.
    """

    coin: str
    price: int
    units: int = 0
    fees: int = 0

    @property
    def worth(self) -> int:
        """In quote coin."""
        return int(kernel.share_even(self.units, self.price))


class Account:
    """One uid's money, positions, orders and memory; money in units of 1e-8.

    Attributes:
        weakened: positions whose margin has paid what another's lacked, and that nobody has looked at since.
    """

    def __init__(self, spec: AccountSpec, now_ms: int) -> None:
        self.uid = spec.uid
        self.coin = "USDT"
        self.maker_rate, self.taker_rate = to_units(spec.maker_rate), to_units(spec.taker_rate)
        self.wallet = 0
        self.moved: set[str] = set()  # coins, since the last wallet message
        self.purse = Purse(spec.fee_coin.coin, to_units(spec.fee_coin.price)) if spec.fee_coin else None
        self.holdings: dict[tuple[str, int], Holding] = {}
        self.hedged: set[str] = set()
        self.isolated = False
        self.weakened: list[Holding] = []
        self.orders: dict[str, Order] = {}
        self.links: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.executions: deque[Item] = deque(maxlen=HISTORY)
        self.log: deque[Item] = deque(maxlen=HISTORY)
        self.recent: dict[str, Order] = {}
        self._unfilled: deque[Order] = deque()
        self.used_link_ids = RecentLinkIds(HISTORY)
        self.closers: dict[str, Order] = {}
        self.sequence = 0
        self.reprices_limits = True
        self.configured_ms = now_ms  # opened, or margin or position mode changed

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

    def switch_mode(self, market: Market, now_ms: int, *, hedged: bool) -> None:
        """Go to the other position mode, leverage as it was; nothing may be held or ordered."""
        self.configured_ms = now_ms
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

    def close(self, order: Order) -> None:
        """Take an order from the open ones to the recently closed ones, of which the last 500 are kept.

        Beyond `UNFILLED` the oldest that nothing of was filled is forgotten.
        """
        self.open.pop(order.order_id, None)
        if order.link_id:
            self.used_link_ids.add(order.link_id)
        self.recent[order.order_id] = order
        if len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
        if not order.filled:
            self._unfilled.append(order)
            if len(self._unfilled) > UNFILLED:
                oldest = self._unfilled.popleft()
                self.orders.pop(oldest.order_id, None)
                if self.links.get(oldest.link_id) is oldest:
                    del self.links[oldest.link_id]

    def closes(self, order: Order) -> None:
        """Note that an order has closed something: the latest stands last, the oldest beyond `HISTORY` is forgotten."""
        self.closers.pop(order.order_id, None)
        self.closers[order.order_id] = order
        if len(self.closers) > HISTORY:
            del self.closers[next(iter(self.closers))]

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
        return sum(self.maintenance_of(h) for h in self.holdings.values())

    @property
    def position_margin(self) -> int:
        """Margin of the positions."""
        return sum(self.margin_of(h) for h in self.holdings.values())

    def growth(self, order: Order | None = None, tick: int = 0, lots: int = 0) -> Growth:
        """Give the value by which the open orders would grow each position on each side.

        Args:
            order: one that is reckoned at another price and quantity, or (0 lots) left out.
            tick: that price.
            lots: that quantity.
        """
        buckets: dict[tuple[str, int, int], list[int]] = {}
        for each, at_tick, left in self._entries(order, tick, lots):
            bucket = buckets.setdefault((each.symbol, each.index, each.side), [0, 0])
            bucket[0] += left
            bucket[1] += each.scale.value(at_tick, left)
        growth = {}
        for (symbol, index, side), (wanted, value) in buckets.items():
            held = self.holdings[symbol, index].lots
            closes = max(0, held if side else -held)
            growth[symbol, index, side] = value * max(0, wanted - closes) // wanted if wanted else 0
        return growth

    def claim(self, order: Order | None = None, tick: int = 0, lots: int = 0) -> Claim:
        """Give what the open orders lay claim to; the arguments are those of `growth`."""
        growth = self.growth(order, tick, lots)
        needed = self.margin_of_growth(growth)
        if not self.isolated:
            for each, at_tick, left in self._entries(order, tick, lots):
                if at_tick and growth[each.symbol, each.index, each.side]:
                    needed += self._lost_at_once(each, at_tick, left)
        return Claim(growth, needed)

    def margin_of_growth(self, growth: Growth) -> int:
        """Initial margin that such growth needs."""
        return sum(
            self._order_margin(value if side == BUY else -value, self.holdings[symbol, index].leverage)
            for (symbol, index, side), value in growth.items()
            if value
        )

    def order_margin(self) -> int:
        """Initial margin of the open orders."""
        return self.margin_of_growth(self.growth())

    def _entries(self, order: Order | None, tick: int, lots: int) -> Iterator[tuple[Order, int, int]]:
        for each in self.open.values():
            if not each.reduce_only and not each.waits and each is not order:
                yield each, each.tick or each.reckoned_tick, each.leaves
        if order is not None and lots:
            yield order, tick, lots

    def _lost_at_once(self, order: Order, tick: int, lots: int) -> int:
        holding = self.holdings[order.symbol, order.index]
        value, at_mark = order.scale.value(tick, lots), lots * holding.market.lot_value
        if not at_mark:
            return 0
        if order.side == BUY:
            return max(0, value - at_mark)
        if value >= at_mark:
            return 0
        margins = [int(kernel.initial(each, holding.leverage, self.taker_rate)) for each in (at_mark, value)]
        return at_mark - value + margins[0] - margins[1]  # the position's margin is that of its value at the mark

    def _order_margin(self, value: int, leverage: int) -> int:
        if not self.isolated:
            return int(kernel.initial(abs(value), leverage, 2 * self.taker_rate))
        opening_fee = int(kernel.share_up(abs(value), self.taker_rate))
        return int(kernel.isolated_initial(value, leverage, self.taker_rate)) + opening_fee

    @property
    def funds(self) -> int:
        """What margins are taken from: profit that is not realised counts in cross mode only."""
        return self.wallet if self.isolated else self.balance

    @property
    def available(self) -> int:
        """What new risk may use."""
        return self.funds - self.position_margin - self.order_margin()

    def removable_of(self, coin: str) -> int | None:
        """Give what may leave of a coin: no profit that is not realised, no margin, nothing that keeps a position from liquidation.

        None for a coin that the account does not have.
        """
        if self.purse is not None and coin == self.purse.coin:
            return self.purse.units
        if coin != self.coin:
            return None
        free = min(self.wallet, self.available)
        needed = 0 if self.isolated else self.maintenance
        return min(free, self.balance - needed - 1) if needed else free

    def charge(self, fee: int) -> tuple[str, int]:
        """Choose the coin of a fee and take it if it is the purse's; give coin and amount."""
        if self.purse is not None:
            amount = int(kernel.in_coin(fee, self.purse.price))
            if amount <= self.purse.units:
                self.purse.units -= amount
                self.purse.fees += amount
                self.moved.add(self.purse.coin)
                return self.purse.coin, amount
        return self.coin, fee

    def margin_of(self, holding: Holding) -> int:
        """Give the margin that a position holds."""
        if not holding.lots:
            return 0
        if self.isolated:
            return int(kernel.isolated_initial(holding.cost, holding.leverage, self.taker_rate)) + holding.extra
        return int(kernel.initial(holding.value, holding.leverage, self.taker_rate))

    def maintenance_of(self, holding: Holding) -> int:
        """Give the maintenance margin of a position."""
        if not holding.lots:
            return 0
        value, tiers, rate = holding.value, holding.market.tiers, self.taker_rate
        if self.isolated:
            return int(kernel.isolated_maintenance(value, tiers, holding.cost, holding.leverage, rate))
        return int(kernel.maintenance(value, tiers, rate))

    def stake_of(self, holding: Holding) -> int:
        """Give what can be lost with a position: the margin balance, or its own margin and unrealised result."""
        return self.margin_of(holding) + holding.unrealised if self.isolated else self.balance

    def is_marked(self, holding: Holding) -> bool:
        """Tell whether what a position's end depends on has a mark price: itself alone, in cross mode every position."""
        relevant = (holding,) if self.isolated else self.holdings.values()
        return all(each.market.mark for each in relevant if each.lots)

    def is_doomed(self, holding: Holding) -> bool:
        """Tell whether a position must be liquidated: maintenance has eaten what can be lost."""
        if not holding.lots:
            return False
        return self.stake_of(holding) <= (self.maintenance_of(holding) if self.isolated else self.maintenance)

    def settle_margins(self, payer: Holding) -> None:
        """After money was taken: draw what the wallet lacks of the isolated margins from those margins, the payer's first."""
        if not self.isolated:
            return
        others = sorted((h for h in self.holdings.values() if h is not payer), key=lambda h: -self.margin_of(h))
        for holding in (payer, *others):
            lacking = self.position_margin - self.wallet
            if lacking <= 0:
                return
            holding.extra -= min(lacking, self.margin_of(holding))
            if holding is not payer and holding.lots:
                self.weakened.append(holding)
