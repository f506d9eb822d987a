"""What happens to positions whose maintenance margin has eaten what can be lost with them, and who pays.

In cross mode that is the margin balance, and all positions of the account are at stake; in isolated mode it is one position's margin and
unrealised result, and the rest of the account is left alone. The steps: the orders are cancelled; while the position stands above its
lowest risk tier it is reduced by one tier with an order that takes from the book; what is left is taken over at the bankruptcy price.

What the protocol page does not say (our inference): an isolated position that adds margin by itself first draws free balance up to its
initial margin. Whatever took money (a fill, its fee, funding) is followed at once by a look at every position that stands on it: in cross
mode all of the account's, in isolated mode its own and those whose margin had to help. In cross mode the position with the largest
maintenance margin goes first. A reducing order does not fill beyond the bankruptcy price, and when it is not filled whole the rest is
taken over. The venue closes what it took over at the mark: the insurance fund takes or pays the difference. What the fund cannot pay is
not closed at the mark but passed on, at the bankruptcy price, to the opposite positions that profit at that price, the highest score
first, and to traders that this venue does not know. An account that is left with a negative wallet and nothing to liquidate is brought to
zero by the fund, as a transfer in.
"""

from __future__ import annotations

from services.venue.accounts import Account
from services.venue.adl import score
from services.venue.bookkeeping import Books
from services.venue.holdings import Holding
from services.venue.live_orders import LiveOrders
from services.venue.market import Market
from services.venue.order_life import OrderLife
from services.venue.order_states import Event
from services.venue.orders import Order
from undertow.domain.time import NS_PER_MS
from undertow.matching.ladder import BUY
from undertow.matching.scale import UNITS


class Liquidation:
    """Watches the margin of all accounts.

    Attributes:
        fund: of the insurance, in units of 1e-8; never negative.
    """

    def __init__(
        self, accounts: dict[str, Account], books: Books, live: LiveOrders, life: OrderLife, fund: int
    ) -> None:
        self._accounts = accounts
        self._books = books
        self._live = live
        self._life = life
        self.fund = fund

    def check(self, market: Market, now_ns: int) -> None:
        """Liquidate what the market's mark dooms."""
        for account in self._accounts.values():
            for holding in account.holdings_in(market):
                self._check(account, holding, now_ns)
            self._settle(account, now_ns)
        self.check_filled(now_ns)

    def check_filled(self, now_ns: int) -> None:
        """Liquidate what fills have doomed, and fill up the wallets that they emptied."""
        while filled := self._life.drain_filled():
            for account, holding in filled:
                # in cross mode what is left of the account stands on what this fill has cost
                for each in (holding,) if account.isolated else list(account.holdings.values()):
                    self._check(account, each, now_ns)
                self._settle(account, now_ns)

    def deleverage(self, account: Account, holding: Holding, lots: int, tick: int, now_ns: int) -> None:
        """Close a part of a position against a bankrupt one, at a price; its orders end before."""
        for order in self._orders_of(account, holding):
            kind = "CancelByPrepareAdl" if order.reduce_only else "CancelAllBeforeAdl"
            self._life.cancel([order], kind, now_ns)
        self._pass_through(account, holding, lots, tick, "CreateByAdl_PassThrough", "AdlTrade", now_ns)

    def _settle(self, account: Account, now_ns: int) -> None:
        while account.weakened:
            self._check(account, account.weakened.pop(0), now_ns)
        if account.wallet < 0 and (account.isolated or not any(h.lots for h in account.holdings.values())):
            self.fund = max(0, self.fund + account.wallet)
            self._books.transfer(account, -account.wallet, now_ns // NS_PER_MS)
            self._books.publish_wallet(account)

    def _check(self, account: Account, holding: Holding, now_ns: int) -> None:
        if not account.is_doomed(holding) or not account.is_marked(holding):
            return
        if account.isolated:
            self._liquidate(account, [holding], self._orders_of(account, holding), now_ns)
        else:
            held = sorted(account.holdings.values(), key=lambda each: -account.maintenance_of(each))
            self._liquidate(account, held, list(account.open.values()), now_ns)

    def _liquidate(self, account: Account, holdings: list[Holding], orders: list[Order], now_ns: int) -> None:
        for holding in holdings:
            self._add_margin(account, holding)
        if not any(account.is_doomed(holding) for holding in holdings):
            return
        self._life.cancel(orders, "CancelByPrepareLiq", now_ns)
        for holding in holdings:
            while account.is_doomed(holding) and self._reduce(account, holding, now_ns):
                pass
            if account.is_doomed(holding):
                self._take_over(account, holding, now_ns)

    def _add_margin(self, account: Account, holding: Holding) -> None:
        if account.isolated and holding.adds_margin:
            holding.extra += max(0, min(account.available, -holding.unrealised - holding.extra))

    def _reduce(self, account: Account, holding: Holding, now_ns: int) -> bool:
        market, stake = holding.market, account.stake_of(holding)
        row = market.tier_row(holding.value)
        if not row or stake <= 0:
            return False
        lots = -(-(holding.value - int(market.tiers[row - 1, 0])) // market.lot_value)
        order = self._live.make(account, holding, 1 - holding.side, "Limit", lots, now_ns)
        order.create_type, order.reduce_only = "CreateByLiq", True
        order.tick = bankruptcy_tick(holding, stake, account.taker_rate)
        self._live.keep(account, order)
        self._life.arrive(order, now_ns)
        return not order.leaves

    def _take_over(self, account: Account, holding: Holding, now_ns: int) -> None:
        side, lots = holding.side, abs(holding.lots)
        tick = bankruptcy_tick(holding, account.stake_of(holding), account.taker_rate)
        self._pass_through(account, holding, lots, tick, "CreateByTakeOver_PassThrough", "BustTrade", now_ns)
        self._close_out(holding.market, side, lots, tick, now_ns)

    def _close_out(self, market: Market, side: int, lots: int, tick: int, now_ns: int) -> None:
        price = market.scale.value(tick, 1)
        gain = (
            market.lot_value - price if side == BUY else price - market.lot_value
        )  # of a lot that is closed at the mark
        if self.fund + gain * lots < 0:
            for account, holding in self._opposite(market, side, price):
                part = min(lots, abs(holding.lots))
                if part:
                    self.deleverage(account, holding, part, tick, now_ns)
                    lots -= part
        self.fund = max(0, self.fund + gain * lots)

    def _opposite(self, market: Market, side: int, price: int) -> list[tuple[Account, Holding]]:
        against = [
            (account, holding)
            for account in self._accounts.values()
            for holding in account.holdings_in(market)
            if holding.lots and holding.side != side and holding.lots * price > holding.cost
        ]
        return sorted(against, key=lambda each: -score(*each))

    def _pass_through(
        self, account: Account, holding: Holding, lots: int, tick: int, create_type: str, kind: str, now_ns: int
    ) -> None:
        order = self._live.make(account, holding, 1 - holding.side, "Market", lots, now_ns)
        order.create_type, order.reduce_only, order.tick = create_type, True, tick
        self._live.keep(account, order)
        item = self._books.fill(account, holding, order, tick, lots, now_ns, is_maker=False, kind=kind)
        self._live.finish(order, Event.FILLED)
        self._life.after_fill(account, holding, order, [item], now_ns)

    @staticmethod
    def _orders_of(account: Account, holding: Holding) -> list[Order]:
        return [order for order in account.orders_in(holding.market) if order.index == holding.index]


def bankruptcy_tick(holding: Holding, stake: int, taker_rate: int) -> int:
    """Give the price at which closing, its fee included, leaves nothing of the stake; rounded in the account's favour."""
    per_tick = abs(holding.lots) * holding.market.scale.unit
    if holding.side == BUY:
        return max(1, -((stake - holding.value) * UNITS // (per_tick * (UNITS - taker_rate))))
    return max(1, (holding.value + stake) * UNITS // (per_tick * (UNITS + taker_rate)))
