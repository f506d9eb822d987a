"""The parts that move orders and positions, put together; frames and time go in, private events come out."""

from __future__ import annotations

from services.venue.accounts import Account
from services.venue.bookkeeping import Books
from services.venue.liquidation import Liquidation
from services.venue.live_orders import LiveOrders
from services.venue.market import Market
from services.venue.order_life import OrderLife
from services.venue.protection import Protection
from undertow.domain.time import NS_PER_MS
from undertow.exchange.bybit.frames import BookFrame, TickerFrame, TradeFrame, decode_frame
from undertow.matching.ladder import BUY, SELL


class Engine:
    """Markets, accounts and what happens between them.

    Attributes:
        books: executions, transaction logs, private events.
        life: of orders.
        protection: stops and targets of positions.
        liquidation: margin, takeover, the insurance fund.
    """

    def __init__(self, markets: dict[str, Market], accounts: dict[str, Account], fund: int) -> None:
        self._markets = markets
        self._accounts = accounts
        self._live = LiveOrders(markets, accounts)
        self.books = Books()
        self.protection = Protection(self._live)
        self.life = OrderLife(markets, accounts, self.books, self._live, self.protection)
        self.liquidation = Liquidation(accounts, self.books, self._live, self.life, fund)

    def on_frame(self, raw: bytes, now_ns: int) -> None:
        """Let one market frame work.

        Raises:
            BadFrameError: it is not what its topic says.
            KeyError: a symbol that the venue does not have.
            OffGridError: a price or size off the instrument's grid.
        """
        frame = decode_frame(raw)
        if isinstance(frame, BookFrame):
            market = self._markets[frame.symbol]
            self.life.on_fills(market, market.on_book(frame), now_ns)
        elif isinstance(frame, TradeFrame):
            market = self._markets[frame.symbol]
            for trade in frame.data:
                self.life.on_fills(market, market.on_trade(trade), now_ns)
                self.life.check_triggers(market, now_ns)  # after each trade: a trailing stop follows every one
        elif isinstance(frame, TickerFrame):
            market = self._markets[frame.symbol]
            marked = market.on_ticker(frame, now_ns)
            self.life.check_triggers(market, now_ns)
            if marked:
                self.liquidation.check(market, now_ns)

    def settle_funding(self, now_ns: int) -> None:
        """Pay funding on the positions held at each stamp that has come."""
        for market in self._markets.values():
            while market.mark and 0 < market.funding_due_ns <= now_ns:
                self._settle(market, now_ns)
                self.liquidation.check(market, now_ns)

    def _settle(self, market: Market, now_ns: int) -> None:
        stamp_ms = market.funding_due_ns // NS_PER_MS
        market.funding_settled()
        for account in self._accounts.values():
            for holding in account.holdings_in(market):
                if holding.lots:
                    side, lots = BUY if holding.lots > 0 else SELL, abs(holding.lots)
                    paper = self._live.make(account, holding, side, "UNKNOWN", lots, now_ns)
                    paper.created_ms = stamp_ms
                    self.books.funding(account, holding, paper, now_ns)
