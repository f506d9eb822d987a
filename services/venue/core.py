"""The paper venue's core: market frames, requests and time in; answers and private events out. Pure and deterministic.

Ids are functions of (uid, sequence); every request and frame carries its time. With an order latency an order, amend, cancel or stop is
acknowledged at once and takes effect that much later, in the order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from services.venue import answers as code
from services.venue import order_queries, queries, requests
from services.venue.account_handlers import AccountHandlers
from services.venue.accounts import Account
from services.venue.answers import AccountSpec, Answer, CommandRefused, Item, PrivateEvent, Refusal
from services.venue.closed_pnl import closed_pnl
from services.venue.coins import coin_info
from services.venue.engine import Engine
from services.venue.handlers import Handler
from services.venue.holdings import Holding
from services.venue.margin_handlers import MarginHandlers
from services.venue.market import Market
from services.venue.order_handlers import OrderHandlers
from services.venue.orders import money, plain
from services.venue.position_handlers import PositionHandlers
from undertow.domain.time import NS_PER_MS
from undertow.matching import money as kernel
from undertow.matching.fills import PESSIMISTIC
from undertow.matching.ladder import BUY, SELL
from undertow.matching.scale import UNITS, OffGridError, from_units, to_units

__all__ = ["AccountSpec", "Answer", "PrivateEvent", "VenueCore"]

_LARGEST_TRANSFER: Final = 1_000_000_000
_INSURANCE_FUND: Final = Decimal(1_000_000)


class VenueCore:
    """All accounts, orders and money of the venue.

    Args:
        instruments: items of `/v5/market/instruments-info`.
        risk_tiers: items of `/v5/market/risk-limit`; a symbol without any gets the default tier that `market.py` declares.
        accounts: who may trade, with what.
        book_depth: levels a side of the market's own orderbook topics.
        order_latency_ns: market time between an order's arrival and its effect.
        queue_model: `undertow.matching.fills.PESSIMISTIC` or `PROBABILISTIC`.
        opened_ns: market time of the opening deposits.
        insurance_fund: USDT with which the fund begins.
    """

    def __init__(
        self,
        instruments: Sequence[Item],
        risk_tiers: Sequence[Item],
        accounts: Sequence[AccountSpec],
        *,
        book_depth: int = 200,
        order_latency_ns: int = 0,
        queue_model: int = PESSIMISTIC,
        opened_ns: int = 0,
        insurance_fund: Decimal = _INSURANCE_FUND,
    ) -> None:
        self._markets = {
            item["symbol"]: Market(
                item, [t for t in risk_tiers if t["symbol"] == item["symbol"]], depth=book_depth, model=queue_model
            )
            for item in instruments
        }
        self._accounts = {spec.uid: Account(spec, opened_ns // NS_PER_MS) for spec in accounts}
        self._engine = Engine(self._markets, self._accounts, to_units(insurance_fund))
        for spec in accounts:
            account = self._accounts[spec.uid]
            for market in self._markets.values():
                account.holdings_in(market)
            self._engine.books.transfer(account, to_units(spec.opening_balance), opened_ns // NS_PER_MS)
            if spec.fee_coin:
                self._engine.books.transfer(
                    account, to_units(spec.fee_coin.balance), opened_ns // NS_PER_MS, spec.fee_coin.coin
                )
        self._latency_ns = order_latency_ns
        self._waiting: deque[tuple[int, Callable[[int], None]]] = deque()
        self._orders = OrderHandlers(self._markets, self._engine.life, self._schedule)
        self._posts: dict[str, Handler] = {
            **self._orders.routes(),
            **PositionHandlers(self._markets, self._engine.books, self._engine.protection, self._schedule).routes(),
            **MarginHandlers(self._markets, self._engine.books).routes(),
            **AccountHandlers(self._engine.books).routes(),
        }
        self._gets: dict[str, Callable[[Account, dict[str, str], int], Item]] = {
            "/v5/order/realtime": lambda a, p, _: order_queries.realtime(a, self._markets, p),
            "/v5/order/history": lambda a, p, now: order_queries.history(a, self._markets, p, now),
            "/v5/execution/list": lambda a, p, now: order_queries.executions(a, self._markets, p, now),
            "/v5/position/list": lambda a, p, _: queries.positions(a, self._markets, p),
            "/v5/account/wallet-balance": lambda a, p, _: queries.wallet(a, p),
            "/v5/account/info": lambda a, _p, _: queries.info(a),
            "/v5/account/fee-rate": lambda a, p, _: queries.fee_rates(a, self._markets, p),
            "/v5/account/transaction-log": lambda a, p, now: queries.transactions(a, self._markets, p, now),
            "/v5/account/query-dcp-info": lambda _a, _p, _: {"dcpInfos": []},
            "/v5/position/closed-pnl": lambda a, p, now: closed_pnl(a, self._markets, p, now),
            "/v5/asset/coin/query-info": lambda _a, p, _: coin_info(self._markets, p),
        }

    @property
    def orders_accepted(self) -> int:
        """Create requests acknowledged with 0."""
        return self._orders.accepted

    @property
    def duplicate_link_ids_refused(self) -> int:
        """Create requests refused with 110072."""
        return self._orders.duplicates_refused

    def on_frame(self, raw: bytes, now_ns: int) -> list[PrivateEvent]:
        """Let one market frame work; give what it did to the accounts.

        Raises:
            BadFrameError: it is not what its topic says.
            KeyError: a symbol that the venue does not have.
            OffGridError: a price or size off the instrument's grid.
        """
        self._advance(now_ns)
        self._engine.on_frame(raw, now_ns)
        return self._drained(now_ns)

    def on_time(self, now_ns: int) -> list[PrivateEvent]:
        """Let waiting orders take effect and funding stamps pass."""
        self._advance(now_ns)
        return self._drained(now_ns)

    def post(self, uid: str, path: str, body: Item, now_ns: int) -> Answer:
        """Answer a signed POST (or trade-socket request) of an account."""
        handler = self._posts.get(path)
        return self._answer(uid, now_ns, handler, lambda account, serve: serve(account, body, now_ns))

    def get(self, uid: str, path: str, params: dict[str, str], now_ns: int) -> Answer:
        """Answer a signed GET of an account."""
        handler = self._gets.get(path)

        def serve(account: Account, read: Callable[[Account, dict[str, str], int], Item]) -> Answer:
            if path.startswith(("/v5/order", "/v5/execution", "/v5/position")):
                requests.check_category(params)
            return Answer(result=read(account, params, now_ns // NS_PER_MS))

        return self._answer(uid, now_ns, handler, serve)

    def ledger(self, uid: str) -> Item:
        """Sum up an account: what a reconciliation compares, money as text; a hedged position is named `symbol/positionIdx`."""
        account = self._accounts[uid]
        held = account.holdings.values()
        sums = [sum(int(h.numbers[column]) for h in held) for column in (kernel.REALISED, kernel.FEES, kernel.FUNDING)]
        return {
            "uid": uid,
            "wallet": money(account.wallet),
            "equity": money(account.balance),
            "realised": money(sums[0]),
            "fees": money(sums[1]),
            "funding": money(sums[2]),
            "transfers": money(account.wallet - sums[0] + sums[1] - sums[2]),
            "positions": {_name(h): plain(h.market.scale.qty(h.lots)) for h in held if h.lots},
            "other_coins": _other_coins(account),
            "open_orders": len(account.open),
            "executions": len(account.executions),
        }

    def price_limits(self, symbol: str, now_ns: int) -> tuple[Decimal, Decimal] | None:
        """Give the highest price of a buy and the lowest of a sell that an order would meet now; None before the first mark.

        Raises:
            KeyError: unknown symbol.
        """
        market = self._markets[symbol]
        limits = market.limit_ticks(now_ns)
        return None if limits is None else (market.scale.price(limits[BUY]), market.scale.price(limits[SELL]))

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that it answers."""
        return (*self._posts, *self._gets)

    def forget_closed(self) -> None:
        """Let order/realtime forget the orders that are closed by now, as a restart of the service does."""
        for account in self._accounts.values():
            account.recent.clear()

    @property
    def insurance_fund(self) -> Decimal:
        """USDT in the insurance fund."""
        return from_units(self._engine.liquidation.fund)

    def deleverage(self, uid: str, symbol: str, index: int, qty: Decimal, now_ns: int) -> list[PrivateEvent]:
        """Close a part of a position by automatic deleveraging, at the mark (our inference: no bankrupt position names a price).

        Raises:
            CommandRefused: a symbol, index or quantity that the account does not have.
        """
        self._advance(now_ns)
        if symbol not in self._markets:
            raise CommandRefused("symbol", f"{symbol!r} is not traded here", f"use one of {', '.join(self._markets)}")
        account, market = self._accounts[uid], self._markets[symbol]
        held = {holding.index: holding for holding in account.holdings_in(market) if holding.lots}
        if index not in held:
            there = ", ".join(map(str, held)) or "none"
            raise CommandRefused("positionIdx", f"{index} holds nothing", f"name a position that is held: {there}")
        try:
            lots = market.scale.lots(qty)
        except OffGridError as error:
            raise CommandRefused("qty", str(error), f"use a multiple of {market.scale.qty_step}") from None
        if not 0 < lots <= abs(held[index].lots):
            largest = plain(market.scale.qty(abs(held[index].lots)))
            raise CommandRefused("qty", f"{qty} is not above 0 and at most the position", f"use at most {largest}")
        if not market.mark:
            raise CommandRefused("symbol", f"{symbol} has no mark price yet", "wait for its first one")
        tick = int((market.mark / market.scale.tick_size).to_integral_value(ROUND_HALF_EVEN))
        self._engine.liquidation.deleverage(account, held[index], lots, tick, now_ns)
        return self._drained(now_ns)

    def transfer(self, uid: str, coin: str, amount: Decimal, now_ns: int) -> list[PrivateEvent]:
        """Bring a coin in or (negative) take it out.

        Raises:
            CommandRefused: a coin that the account does not have; an amount that is 0, finer than 1e-8, too large, or more than may leave.
        """
        self._advance(now_ns)
        account = self._accounts[uid]
        try:
            units = to_units(amount)
        except OffGridError as error:
            raise CommandRefused("amount", str(error), "use at most 8 decimals") from None
        if not units or abs(units) > _LARGEST_TRANSFER * UNITS:
            raise CommandRefused("amount", f"{amount} is 0 or beyond {_LARGEST_TRANSFER}", "use an amount between them")
        removable = account.removable_of(coin)
        if removable is None:
            raise CommandRefused("coin", f"{coin!r} is not in the account", f"use {account.coin}")
        if -units > removable:
            raise CommandRefused(
                "amount", f"{-amount} is more than may leave the account", f"use at most {money(max(0, removable))}"
            )
        self._engine.books.transfer(account, units, now_ns // NS_PER_MS, coin)
        self._engine.books.publish_wallet(account)
        return self._drained(now_ns)

    def _drained(self, now_ns: int) -> list[PrivateEvent]:
        self._engine.liquidation.check_filled(now_ns)
        return self._engine.books.drain()

    def _answer(self, uid: str, now_ns: int, handler: Any, serve: Callable[[Account, Any], Answer]) -> Answer:
        self._advance(now_ns)
        if handler is None:
            return Answer(code.NO_ROUTE, "Route not found", events=self._drained(now_ns))
        try:
            answer = serve(self._accounts[uid], handler)
        except Refusal as refusal:
            answer = refusal.answer()
        return Answer(answer.ret_code, answer.ret_msg, answer.result, answer.ret_ext, self._drained(now_ns))

    def _advance(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns:
            at_ns, effect = self._waiting.popleft()
            self._engine.settle_funding(at_ns - 1)  # who comes after a stamp does not pay it
            effect(at_ns)
            self._engine.liquidation.check_filled(at_ns)
        self._engine.settle_funding(now_ns)

    def _schedule(self, now_ns: int, effect: Callable[[int], None]) -> None:
        if self._latency_ns:
            self._waiting.append((now_ns + self._latency_ns, effect))
        else:
            effect(now_ns)


def _name(holding: Holding) -> str:
    return f"{holding.market.symbol}/{holding.index}" if holding.index else holding.market.symbol


def _other_coins(account: Account) -> Item:
    purse = account.purse
    if purse is None:
        return {}
    sums = {"wallet": purse.units, "fees": purse.fees, "transfers": purse.units + purse.fees}
    return {purse.coin: {name: money(units) for name, units in sums.items()}}
