"""The paper venue's core: market frames, requests and time in; answers and private events out. Pure and deterministic.

Ids are functions of (uid, sequence); every request and frame carries its time. With an order latency an order, amend or cancel is
acknowledged at once and takes effect that much later, in the order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import AccountSpec, Answer, Item, PrivateEvent, Refusal
from services.venue.engine import Engine
from services.venue.market import Market
from services.venue.orders import CLOSED, UNTRIGGERED, Order, money, plain
from undertow.exchange.bybit.frames import BookFrame, TickerFrame, TradeFrame, decode_frame
from undertow.matching import money as kernel
from undertow.matching.fills import PESSIMISTIC
from undertow.matching.ladder import BUY, SELL
from undertow.matching.scale import LARGEST_VALUE, from_units, to_units

__all__ = ["AccountSpec", "Answer", "PrivateEvent", "VenueCore"]

_MS: Final = 1_000_000
_MOST_OPEN: Final = 500
_MOST_CONDITIONAL: Final = 10
_LARGEST_BATCH: Final = 20
_MODES: Final = {0: "one-way", 3: "hedge"}
_GIFT_LIMITS: Final = {"USDT": Decimal(100_000)}


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

    Attributes:
        orders_accepted: create requests acknowledged with 0.
        duplicate_link_ids_refused: create requests refused with 110072.
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
    ) -> None:
        self._markets = {
            item["symbol"]: Market(
                item, [t for t in risk_tiers if t["symbol"] == item["symbol"]], depth=book_depth, model=queue_model
            )
            for item in instruments
        }
        self._accounts = {spec.uid: Account(spec, opened_ns // _MS) for spec in accounts}
        self._engine = Engine(self._markets, self._accounts)
        for spec in accounts:
            account = self._accounts[spec.uid]
            for market in self._markets.values():
                account.holding(market)
            self._engine.log_transfer(account, to_units(spec.opening_balance), opened_ns // _MS)
        self._latency_ns = order_latency_ns
        self._waiting: deque[tuple[int, Callable[[int], None]]] = deque()
        self.orders_accepted = 0
        self.duplicate_link_ids_refused = 0
        self._posts: dict[str, Callable[[Account, Item, int], Answer]] = {
            "/v5/order/create": self._create,
            "/v5/order/amend": self._amend,
            "/v5/order/cancel": self._cancel,
            "/v5/order/cancel-all": self._cancel_all,
            "/v5/order/create-batch": self._batch(self._create, is_create=True),
            "/v5/order/amend-batch": self._batch(self._amend),
            "/v5/order/cancel-batch": self._batch(self._cancel),
            "/v5/position/set-leverage": self._set_leverage,
            "/v5/position/switch-mode": self._switch_mode,
            "/v5/position/trading-stop": self._trading_stop,
            "/v5/account/set-margin-mode": self._set_margin_mode,
            "/v5/account/set-limit-px-action": self._set_limit_price_action,
            "/v5/account/demo-apply-money": self._apply_money,
        }
        self._gets: dict[str, Callable[[Account, dict[str, str], int], Item]] = {
            "/v5/order/realtime": lambda a, p, _: queries.realtime(a, self._markets, p),
            "/v5/order/history": lambda a, p, now: queries.history(a, self._markets, p, now),
            "/v5/execution/list": lambda a, p, now: queries.executions(a, self._markets, p, now),
            "/v5/position/list": lambda a, p, _: queries.positions(a, self._markets, p),
            "/v5/account/wallet-balance": lambda a, p, _: queries.wallet(a, p),
            "/v5/account/info": lambda a, _p, _: queries.info(a),
            "/v5/account/fee-rate": lambda a, p, _: queries.fee_rates(a, self._markets, p),
            "/v5/account/transaction-log": queries.transactions,
        }

    def on_frame(self, raw: bytes, now_ns: int) -> list[PrivateEvent]:
        """Let one market frame work; give what it did to the accounts.

        Raises:
            BadFrameError: it is not what its topic says.
            KeyError: a symbol that the venue does not have.
            OffGridError: a price or size off the instrument's grid.
        """
        self._advance(now_ns)
        frame = decode_frame(raw)
        if isinstance(frame, BookFrame):
            market = self._markets[frame.symbol]
            self._engine.on_fills(market, market.on_book(frame), now_ns)
        elif isinstance(frame, TradeFrame):
            market = self._markets[frame.symbol]
            for trade in frame.data:
                self._engine.on_fills(market, market.on_trade(trade), now_ns)
            self._engine.check_triggers(market, now_ns)
        elif isinstance(frame, TickerFrame):
            market = self._markets[frame.symbol]
            marked = market.on_ticker(frame.data, now_ns)
            self._engine.check_triggers(market, now_ns)
            if marked:
                self._engine.check_margin(market, now_ns)
        return self._engine.drain()

    def on_time(self, now_ns: int) -> list[PrivateEvent]:
        """Let waiting orders take effect and funding stamps pass."""
        self._advance(now_ns)
        return self._engine.drain()

    def post(self, uid: str, path: str, body: Item, now_ns: int) -> Answer:
        """Answer a signed POST (or trade-socket request) of an account."""
        handler = self._posts.get(path)
        return self._answer(uid, now_ns, handler, lambda account, serve: serve(account, body, now_ns))

    def get(self, uid: str, path: str, params: dict[str, str], now_ns: int) -> Answer:
        """Answer a signed GET of an account."""
        handler = self._gets.get(path)

        def serve(account: Account, read: Callable[[Account, dict[str, str], int], Item]) -> Answer:
            if path.startswith(("/v5/order", "/v5/execution", "/v5/position")):
                _check_category(params)
            return Answer(result=read(account, params, now_ns // _MS))

        return self._answer(uid, now_ns, handler, serve)

    def best(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Give the best bid and ask; None where nothing is displayed."""
        market = self._markets[symbol]
        return market.best(BUY), market.best(SELL)

    def mark(self, symbol: str) -> Decimal:
        """Give the mark price; 0 before the first ticker."""
        return self._markets[symbol].mark

    def snapshot(self, symbol: str, depth: int) -> Item:
        """Give the displayed book as `/v5/market/orderbook` shows it."""
        return self._markets[symbol].snapshot(depth)

    def ledger(self, uid: str) -> Item:
        """Sum up an account: what a reconciliation compares, money as text."""
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
            "positions": {h.market.symbol: plain(h.market.scale.qty(h.lots)) for h in held if h.lots},
            "open_orders": len(account.open),
            "executions": len(account.executions),
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that it answers."""
        return (*self._posts, *self._gets)

    def forget_closed(self) -> None:
        """Let order/realtime forget the orders that are closed by now, as a restart of the service does."""
        for account in self._accounts.values():
            account.forgotten = {o.order_id for o in account.orders.values() if o.status in CLOSED}

    def _answer(self, uid: str, now_ns: int, handler: Any, serve: Callable[[Account, Any], Answer]) -> Answer:
        self._advance(now_ns)
        if handler is None:
            return Answer(code.NO_ROUTE, "Route not found", events=self._engine.drain())
        try:
            answer = serve(self._accounts[uid], handler)
        except Refusal as refusal:
            answer = refusal.answer()
        return Answer(answer.ret_code, answer.ret_msg, answer.result, answer.ret_ext, self._engine.drain())

    def _advance(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns:
            at_ns, effect = self._waiting.popleft()
            effect(at_ns)
        for market in self._markets.values():
            while market.lot_value and 0 < market.funding_due_ns <= now_ns:
                self._engine.settle_funding(market, now_ns)
                self._engine.check_margin(market, now_ns)

    def _effect(self, now_ns: int, effect: Callable[[int], None]) -> None:
        if self._latency_ns:
            self._waiting.append((now_ns + self._latency_ns, effect))
        else:
            effect(now_ns)

    def _create(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = self._market(body)
        wanted = requests.read_create(body, market)
        if wanted.link_id and wanted.link_id in account.links:
            self.duplicate_link_ids_refused += 1
            raise Refusal(code.LINK_ID_DUPLICATE, "OrderLinkedID is duplicate")
        self._check_count(account, market, conditional=bool(wanted.trigger))
        _check_trigger_side(market, wanted)
        if wanted.reduce_only and not wanted.trigger:
            _check_reduces(account, market, wanted.side)
        if wanted.order_type == "Market" and not wanted.trigger and market.best(1 - wanted.side) is None:
            raise Refusal(code.NO_MARKET_PRICE, "No price for the market order: the book is empty")
        order = self._engine.make_order(account, market, wanted, now_ns)
        try:
            if not order.reduce_only and not order.trigger:
                self._reprice(account, market, order)
                _check_funds(account, market, order)
        except Refusal:
            account.forget(order)
            raise
        self.orders_accepted += 1
        self._effect(now_ns, lambda at_ns: self._engine.arrive(order, at_ns))
        return _order_answer(order)

    def _amend(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = self._market(body)
        order = _open_order(account, body, "order not exists or too late to replace")
        qty, price = requests.number(body, "qty"), requests.number(body, "price")
        trigger = requests.number(body, "triggerPrice")
        is_market = order.order_type == "Market"
        lots = order.lots if qty is None else requests.check_qty(market, qty, is_market=is_market)
        tick = order.tick if price is None else requests.check_price(market, price)
        if lots <= order.filled:
            raise Refusal(
                code.AMEND_BELOW_FILLED, "The number of contracts after the change is not above the filled one"
            )
        level = order.trigger if trigger is None else market.scale.price(requests.check_price(market, trigger))
        protection = {key: requests.number(body, key) for key in ("takeProfit", "stopLoss")}
        changes_protection = any(value is not None for value in protection.values())
        if changes_protection and order.filled:
            raise Refusal(code.PROTECTION_OF_PART_FILLED, "Cannot modify TP/SL of a partly filled order")
        if (lots, tick, level) == (order.lots, order.tick, order.trigger) and not changes_protection:
            raise Refusal(code.PARAMETER, "order not modified")
        if not is_market:
            requests.check_notional(market, tick, lots, reduce_only=order.reduce_only)
        stop, target = protection["stopLoss"], protection["takeProfit"]
        requests.check_protection(
            order.side,
            market.scale.price(tick) if tick else market.mark,
            take_profit=target or Decimal(0),
            stop_loss=stop or Decimal(0),
        )
        _check_amended_funds(account, order, tick, lots)
        if stop is not None:
            order.stop_loss, order.sl_trigger_by = stop, order.sl_trigger_by or "LastPrice"
        if target is not None:
            order.take_profit, order.tp_trigger_by = target, order.tp_trigger_by or "LastPrice"
        self._effect(now_ns, lambda at_ns: self._engine.amend(order, tick=tick, lots=lots, trigger=level, now_ns=at_ns))
        return _order_answer(order)

    def _cancel(self, account: Account, body: Item, now_ns: int) -> Answer:
        self._market(body)
        order = _open_order(account, body, "order not exists or too late to cancel")
        self._effect(now_ns, lambda at_ns: self._engine.cancel([order], "CancelByUser", at_ns))
        return _order_answer(order)

    def _cancel_all(self, account: Account, body: Item, now_ns: int) -> Answer:
        _check_category(body)
        symbol, base, settle = (requests.text(body, key, "") for key in ("symbol", "baseCoin", "settleCoin"))
        if symbol:
            queries.find_market(self._markets, symbol)
        elif not base and not settle:
            raise Refusal(code.PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
        selects = queries.filters_of(requests.text(body, "orderFilter", ""))

        def is_meant(order: Order) -> bool:
            market = self._markets[order.symbol]
            if symbol:
                return order.symbol == symbol
            return market.base_coin == base if base else market.settle_coin == settle

        chosen = [order for order in account.open.values() if is_meant(order) and selects(order)][:_MOST_OPEN]
        self._effect(now_ns, lambda at_ns: self._engine.cancel(chosen, "CancelByUser", at_ns))
        listed = [{"orderId": order.order_id, "orderLinkId": order.link_id} for order in chosen]
        return Answer(result={"list": listed, "success": "1"})

    def _batch(
        self, single: Callable[[Account, Item, int], Answer], *, is_create: bool = False
    ) -> Callable[[Account, Item, int], Answer]:
        def serve(account: Account, body: Item, now_ns: int) -> Answer:
            _check_category(body)
            wanted = body.get("request")
            if not isinstance(wanted, list) or not 1 <= len(wanted) <= _LARGEST_BATCH:
                raise Refusal(code.PARAMETER, f"params error: request must hold 1 to {_LARGEST_BATCH} orders")
            listed, said = [], []
            for item in wanted:
                source = item if isinstance(item, dict) else {}
                try:
                    answer = single(account, source | {"category": "linear"}, now_ns)
                except Refusal as refusal:
                    answer = refusal.answer()
                row = {
                    "category": "linear",
                    "symbol": source.get("symbol", ""),
                    "orderId": answer.result.get("orderId", ""),
                    "orderLinkId": answer.result.get("orderLinkId", source.get("orderLinkId", "")),
                }
                if is_create:
                    row["createAt"] = "" if answer.ret_code else str(now_ns // _MS)
                listed.append(row)
                said.append({"code": answer.ret_code, "msg": answer.ret_msg})
            return Answer(result={"list": listed}, ret_ext={"list": said})

        return serve

    def _set_leverage(self, account: Account, body: Item, _now_ns: int) -> Answer:
        market = self._market(body)
        buy, sell = requests.number(body, "buyLeverage"), requests.number(body, "sellLeverage")
        if buy is None or sell is None or buy != sell:
            raise Refusal(code.PARAMETER, "params error: buy leverage must equal sell leverage")
        if not market.min_leverage <= buy or buy % market.leverage_step:
            raise Refusal(code.PARAMETER, "params error: leverage invalid")
        holding = account.holding(market)
        if buy > market.tier_leverages[int(kernel.tier_of(holding.value, market.tiers))]:
            raise Refusal(code.LEVERAGE_ABOVE_TIER, "cannot set leverage gt maxLeverage by risk limit")
        leverage = int(buy * 100)
        if leverage == holding.leverage:
            raise Refusal(code.LEVERAGE_UNCHANGED, "leverage not modified")
        before, margin = holding.leverage, account.position_margin + account.order_margin()
        holding.leverage = leverage
        needed = account.position_margin + account.order_margin()
        if needed > max(margin, account.balance):
            holding.leverage = before
            raise Refusal(code.BALANCE_SHORT, "ab not enough for new leverage")
        self._engine.publish_position(account, market, [])
        return Answer()

    def _switch_mode(self, _account: Account, body: Item, _now_ns: int) -> Answer:
        _check_category(body)
        if body.get("symbol"):
            self._market(body)
        elif not body.get("coin"):
            raise Refusal(code.PARAMETER, "params error: symbol or coin is required")
        mode = body.get("mode")
        if mode not in _MODES:
            raise Refusal(code.PARAMETER, "params error: mode invalid")
        if mode:
            raise Refusal(code.HEDGE_UNSUPPORTED, "hedge mode is not supported for this symbol")
        raise Refusal(code.MODE_UNCHANGED, "Position mode is not modified")

    def _trading_stop(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = self._market(body)
        requests.check_position_index(body)
        if requests.text(body, "tpslMode", "Full") != "Full":
            raise Refusal(code.PARAMETER, "params error: tpslMode Partial is not offered here")
        if requests.number(body, "trailingStop"):
            raise Refusal(code.PARAMETER, "params error: trailingStop is not offered here")
        holding = account.holding(market)
        if not holding.lots:
            raise Refusal(code.PARAMETER, "can not set tp/sl/ts for zero position")
        stop, target = requests.number(body, "stopLoss"), requests.number(body, "takeProfit")
        for price in (stop, target):
            if price:
                requests.check_price(market, price)
        side = BUY if holding.lots > 0 else SELL
        requests.check_protection(side, market.mark, take_profit=target or Decimal(0), stop_loss=stop or Decimal(0))
        changed: list[Order] = []
        for kind, price, key, existing in (
            ("StopLoss", stop, "slTriggerBy", holding.stop),
            ("TakeProfit", target, "tpTriggerBy", holding.target),
        ):
            by = requests.trigger_word(body, key)
            was = (existing.trigger, existing.trigger_by) if existing else (Decimal(0), by)
            if price is None or (price, by) == was or (not price and existing is None):
                continue
            made = self._engine.protect(holding, account, kind, price, by, now_ns)
            changed += [made] if made else []
        if not changed:
            raise Refusal(code.PROTECTION_UNCHANGED, "not modified")
        self._engine.publish_position(account, market, changed)
        return Answer()

    def _set_margin_mode(self, _account: Account, body: Item, _now_ns: int) -> Answer:
        mode = requests.text(body, "setMarginMode")
        if mode == "REGULAR_MARGIN":
            raise Refusal(code.MARGIN_MODE_UNCHANGED, "Cross/isolated margin mode is not modified")
        reason = {"reasonCode": str(code.MARGIN_MODE_REFUSED), "reasonMsg": f"{mode} is not offered here"}
        raise Refusal(code.MARGIN_MODE_REFUSED, "Set margin mode failed", {"reasons": [reason]})

    def _set_limit_price_action(self, account: Account, body: Item, _now_ns: int) -> Answer:
        _check_category(body)
        account.reprices_limits = requests.flag(body, "modifyEnable")
        return Answer()

    def _apply_money(self, account: Account, body: Item, now_ns: int) -> Answer:
        adjust, coins = body.get("adjustType", 0), body.get("utaDemoApplyMoney")
        if adjust not in {0, 1} or not isinstance(coins, list) or not coins:
            raise Refusal(code.PARAMETER, "params error: adjustType or utaDemoApplyMoney invalid")
        total = 0
        for item in coins:
            amount = requests.number(item, "amountStr") if isinstance(item, dict) else None
            if amount is None or not 0 < amount <= _GIFT_LIMITS.get(item.get("coin", ""), Decimal(0)):
                raise Refusal(code.PARAMETER, "params error: only USDT, up to 100000 per request")
            total += int(to_units(amount))
        if adjust and total > account.available:
            raise Refusal(code.PARAMETER, "params error: more than the available balance")
        self._engine.log_transfer(account, -total if adjust else total, now_ns // _MS)
        self._engine.publish_wallet(account)
        return Answer()

    def _market(self, body: Item) -> Market:
        _check_category(body)
        return queries.find_market(self._markets, requests.text(body, "symbol"))

    def _check_count(self, account: Account, market: Market, *, conditional: bool) -> None:
        mine = [order for order in account.open.values() if order.symbol == market.symbol]
        waiting = sum(1 for o in mine if o.status == UNTRIGGERED and o.stop_order_type == "Stop")
        if conditional and waiting >= _MOST_CONDITIONAL:
            raise Refusal(code.TOO_MANY_STOPS, "You have too many conditional orders")
        if not conditional and sum(1 for o in mine if o.status != UNTRIGGERED) >= _MOST_OPEN:
            raise Refusal(code.TOO_MANY_ORDERS, "You have more than 500 active orders")

    def _reprice(self, account: Account, market: Market, order: Order) -> None:
        if order.order_type == "Market":
            return
        limit = market.limit_price(order.side)
        price = market.scale.price(order.tick)
        if limit is None or (price <= limit if order.side == BUY else price >= limit):
            return
        if not account.reprices_limits:
            refusal = code.ABOVE_LIMIT_PRICE if order.side == BUY else code.BELOW_LIMIT_PRICE
            raise Refusal(refusal, f"Order price {price} is beyond the price limit {limit}")
        order.tick = self._engine.protective_tick(market, order.side) or order.tick


def _check_category(body: Item | dict[str, str]) -> None:
    if body.get("category") != "linear":
        raise Refusal(code.PARAMETER, "params error: Category is invalid")


def _order_answer(order: Order) -> Answer:
    return Answer(result={"orderId": order.order_id, "orderLinkId": order.link_id})


def _open_order(account: Account, body: Item, message: str) -> Order:
    order_id, link_id = requests.text(body, "orderId", ""), requests.text(body, "orderLinkId", "")
    if not order_id and not link_id:
        raise Refusal(code.PARAMETER, "params error: orderId or orderLinkId is required")
    order = account.find(order_id, link_id)
    if order is None or order.order_id not in account.open or order.symbol != body["symbol"]:
        raise Refusal(code.ORDER_UNKNOWN, message)
    return order


def _check_reduces(account: Account, market: Market, side: int) -> None:
    lots = account.holding(market).lots
    if not lots:
        raise Refusal(code.REDUCE_ONLY_IMPOSSIBLE, "current position is zero, cannot fix reduce-only order qty")
    if (lots > 0) != (side == SELL):
        raise Refusal(code.REDUCE_ONLY_IMPOSSIBLE, "Reduce-only rule not satisfied")


def _check_trigger_side(market: Market, wanted: requests.Wanted) -> None:
    prices = {"MarkPrice": market.mark, "LastPrice": market.last, "IndexPrice": market.index}
    current = prices.get(wanted.trigger_by)
    if not wanted.trigger or not current:
        return
    if wanted.trigger_direction == requests.RISES and wanted.trigger <= current:
        raise Refusal(
            code.TRIGGER_NOT_ABOVE, f"expect Rising, but trigger_price[{wanted.trigger}] <= current[{current}]"
        )
    if wanted.trigger_direction == requests.FALLS and wanted.trigger >= current:
        raise Refusal(
            code.TRIGGER_NOT_BELOW, f"expect Falling, but trigger_price[{wanted.trigger}] >= current[{current}]"
        )


def _check_funds(account: Account, market: Market, order: Order) -> None:
    tick = order.tick or market.matcher.best(1 - order.side) or 0
    holding = account.holding(market)
    del account.open[order.order_id]
    before = account.order_margin()
    after = account.order_margin(order, tick)
    account.open[order.order_id] = order
    if after > before and account.position_margin + after > account.balance:
        raise Refusal(code.BALANCE_SHORT, "ab not enough for new order")
    value = holding.value + order.scale.value(tick, order.lots)
    row = int(kernel.tier_of(value, market.tiers))
    if value > min(int(market.tiers[-1, 0]), LARGEST_VALUE):
        raise Refusal(code.POSITION_LIMIT, "The position would exceed the limit of the last risk tier")
    if after > before and from_units(holding.leverage * 10**6) > market.tier_leverages[row]:
        raise Refusal(code.LEVERAGE_FOR_SIZE, "The leverage is too high for the risk tier of this size")


def _check_amended_funds(account: Account, order: Order, tick: int, lots: int) -> None:
    was = (order.tick, order.lots)
    before = account.order_margin()
    order.tick, order.lots = tick, lots
    after = account.order_margin()
    order.tick, order.lots = was
    if after > before and account.position_margin + after > account.balance:
        raise Refusal(code.BALANCE_SHORT, "ab not enough for new order")
