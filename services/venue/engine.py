"""The life of orders and positions: arrival, fills, stops, funding, liquidation. Effects are private events, in order.

For one fill: execution, then order (with the stops it changed), position, wallet. What the protocol page does not say (our inference): an
attached stop becomes the position's on the order's first fill; a liquidated account loses its orders, then its positions one after the
other, the largest maintenance margin first, each taken over at the price that leaves nothing of the margin balance.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final
from uuid import UUID, uuid5

from services.venue import orders as status
from services.venue.accounts import Account, Holding
from services.venue.answers import Item, PrivateEvent, PrivateTopic
from services.venue.market import SIDE_NAMES, Market
from services.venue.orders import Order, money, plain
from services.venue.requests import FALLS, RISES, Wanted
from undertow.matching import money as kernel
from undertow.matching.ladder import BUY, SELL
from undertow.matching.matcher import Fill
from undertow.matching.scale import UNITS, from_units

_NAMESPACE: Final = UUID("6f1d1a52-5a3b-5c0e-9f0e-6d0f6c1b7a11")
_MS: Final = 1_000_000
_STOP_KINDS: Final = frozenset({"StopLoss", "TakeProfit"})


class Engine:
    """Markets, accounts and what happens between them."""

    def __init__(self, markets: dict[str, Market], accounts: dict[str, Account]) -> None:
        self.markets = markets
        self.accounts = accounts
        self._working: dict[int, Order] = {}
        self._conditional: dict[str, dict[int, Order]] = {symbol: {} for symbol in markets}
        self._events: list[PrivateEvent] = []
        self._orders_made = 0
        self._sequence = 0

    def drain(self) -> list[PrivateEvent]:
        """Give what happened since the last call."""
        events, self._events = self._events, []
        return events

    def make_order(self, account: Account, market: Market, wanted: Wanted, now_ns: int) -> Order:
        """Take a checked request in: acknowledged, not yet in effect."""
        order = self._order(account, market, wanted.side, wanted.order_type, wanted.lots, now_ns)
        order.link_id, order.time_in_force, order.tick = wanted.link_id, wanted.time_in_force, wanted.tick
        order.reduce_only, order.close_on_trigger = wanted.reduce_only, wanted.close_on_trigger
        order.trigger, order.trigger_by = wanted.trigger, wanted.trigger_by
        order.trigger_direction = wanted.trigger_direction
        order.stop_order_type = "Stop" if wanted.trigger else ""
        order.take_profit, order.tp_trigger_by = wanted.take_profit, wanted.tp_trigger_by
        order.stop_loss, order.sl_trigger_by = wanted.stop_loss, wanted.sl_trigger_by
        order.smp_type = wanted.smp_type
        self._keep(account, order)
        return order

    def arrive(self, order: Order, now_ns: int) -> None:
        """Let an acknowledged order take effect: wait for its trigger, take, rest or end."""
        if order.status != status.CREATED:
            return  # ended on its way, by a liquidation
        order.updated_ms = now_ns // _MS
        account, market = self.accounts[order.uid], self.markets[order.symbol]
        if order.trigger:
            order.status = status.UNTRIGGERED
            self._conditional[order.symbol][order.number] = order
            self._publish(account, market, [], [order], wallet=False)
            return
        self._match(account, market, order, now_ns)

    def amend(self, order: Order, *, tick: int, lots: int, trigger: Decimal, now_ns: int) -> None:
        """Change an open order; only a smaller quantity at the same price keeps its place in the queue."""
        if not order.is_open:
            return
        account, market = self.accounts[order.uid], self.markets[order.symbol]
        order.updated_ms = now_ns // _MS
        keeps_place = tick == order.tick and lots <= order.lots
        order.tick, order.lots, order.trigger = tick, lots, trigger
        if order.status == status.UNTRIGGERED:
            self._publish(account, market, [], [order], wallet=False)
        elif keeps_place:
            market.matcher.set_leaves(order.number, order.leaves)
            self._publish(account, market, [], [order], wallet=False)
        else:
            market.matcher.set_leaves(order.number, 0)
            self._match(account, market, order, now_ns)

    def cancel(self, orders: Iterable[Order], cancel_type: str, now_ns: int) -> None:
        """End open orders; those already closed stay as they are."""
        for order in orders:
            if order.is_open or order.status == status.CREATED:
                self._close(order, cancel_type, now_ns)
                self._publish(self.accounts[order.uid], self.markets[order.symbol], [], [order], wallet=False)

    def on_fills(self, market: Market, fills: list[Fill], now_ns: int) -> None:
        """Book what the kernel filled of our resting orders."""
        for number, tick, lots in fills:
            order = self._working.get(number)
            if order is None:
                continue  # ended by an earlier fill of the same frame
            account = self.accounts[order.uid]
            executions = self._execute(account, market, order, tick, min(lots, order.leaves), now_ns, is_maker=True)
            if not order.leaves:
                self._finish(order, status.FILLED)
            else:
                order.status = status.PARTIALLY_FILLED
                market.matcher.set_leaves(order.number, order.leaves)
            self._after_fill(account, market, order, executions, now_ns)

    def check_triggers(self, market: Market, now_ns: int) -> None:
        """Release the conditional orders whose price has come."""
        waiting = self._conditional[market.symbol]
        if not waiting:
            return
        prices = {"MarkPrice": market.mark, "LastPrice": market.last, "IndexPrice": market.index}
        for order in list(waiting.values()):
            price = prices[order.trigger_by]
            reached = price >= order.trigger if order.trigger_direction == RISES else price <= order.trigger
            if not price or not reached or order.status != status.UNTRIGGERED:
                continue
            account = self.accounts[order.uid]
            holding = account.holding(market)
            del waiting[order.number]
            if order in (holding.stop, holding.target):
                holding.stop = None if order is holding.stop else holding.stop
                holding.target = None if order is holding.target else holding.target
            order.status = status.TRIGGERED
            order.updated_ms = now_ns // _MS
            self._publish(account, market, [], [order], wallet=False)
            self._match(account, market, order, now_ns)

    def protect(
        self, holding: Holding, account: Account, kind: str, price: Decimal, by: str, now_ns: int
    ) -> Order | None:
        """Set, move or (0) remove a position's stop or target; give the order that shows it."""
        existing = holding.stop if kind == "StopLoss" else holding.target
        market = holding.market
        if existing is not None and not price:
            self._close(existing, "CancelByTpSlTsClear", now_ns)
            return existing
        if not price:
            return None
        side = SELL if holding.lots > 0 else BUY
        if existing is None:
            existing = self._order(account, market, side, "Market", abs(holding.lots), now_ns)
            existing.reduce_only = existing.close_on_trigger = True
            existing.stop_order_type, existing.create_type = kind, f"CreateBy{kind}"
            existing.trigger_direction = FALLS if (side == SELL) == (kind == "StopLoss") else RISES
            existing.status = status.UNTRIGGERED
            self._keep(account, existing)
            self._conditional[market.symbol][existing.number] = existing
        existing.trigger, existing.trigger_by = price, by
        existing.lots, existing.updated_ms = abs(holding.lots), now_ns // _MS
        if kind == "StopLoss":
            holding.stop = existing
        else:
            holding.target = existing
        return existing

    def publish_position(self, account: Account, market: Market, orders: list[Order]) -> None:
        """Say that a position's terms changed."""
        self._publish(account, market, [], orders, wallet=False)

    def publish_wallet(self, account: Account) -> None:
        """Say that the wallet changed without a fill."""
        self._emit(account, "wallet", [account.wallet_item()])

    def settle_funding(self, market: Market, now_ns: int) -> None:
        """Pay funding on the positions held at the stamp."""
        rate = market.funding_rate
        stamp_ms = market.funding_due_ns // _MS
        market.funding_settled()
        mark = from_units(market.lot_value) / market.scale.qty(1)
        for account in self.accounts.values():
            holding = account.holding(market)
            if not holding.lots:
                continue
            received = int(kernel.book_funding(holding.numbers, market.lot_value, rate))
            account.wallet += received
            self._sequence += 1
            holding.sequence, holding.updated_ms = self._sequence, now_ns // _MS
            paper = self._order(
                account, market, BUY if holding.lots > 0 else SELL, "UNKNOWN", abs(holding.lots), now_ns
            )
            paper.created_ms = stamp_ms
            item = self._execution(
                paper, price=mark, lots=paper.lots, value=holding.value, fee=-received, rate=rate, kind="Funding"
            )
            self._log(account, holding, item, "SETTLEMENT", cash_flow=0, funding=received, fee=0)
            self._publish(account, market, [item], [], wallet=True)

    def check_margin(self, market: Market, now_ns: int) -> None:
        """Liquidate the accounts in this market whose maintenance margin has eaten the margin balance."""
        for account in self.accounts.values():
            if account.holding(market).lots and account.balance <= account.maintenance:
                self._liquidate(account, now_ns)

    def log_transfer(self, account: Account, units: int, now_ms: int) -> None:
        """Book money that came in (or, negative, went out)."""
        account.wallet += units
        row = self._log_row(account, "", now_ms, "TRANSFER_IN" if units >= 0 else "TRANSFER_OUT")
        row |= {"cashFlow": money(units), "change": money(units)}
        account.log.append(row)

    def _match(self, account: Account, market: Market, order: Order, now_ns: int) -> None:
        matcher = market.matcher
        self._working.pop(order.number, None)
        if order.reduce_only:
            closable = self._closable(account, market, order)
            if not closable:
                self._close(order, "CancelByReduceOnly", now_ns)
                self._publish(account, market, [], [order], wallet=False)
                return
            order.lots = order.filled + min(closable, order.leaves or closable)
        if order.order_type == "Market":
            order.tick = self.protective_tick(market, order.side) or 0
        crosses = bool(order.tick) and matcher.would_take(order.side, order.tick)
        if crosses and order.time_in_force == "PostOnly":
            order.reject_reason = "EC_PostOnlyWillTakeLiquidity"
            self._close(order, status.NO_CANCEL, now_ns)
            self._publish(account, market, [], [order], wallet=False)
            return
        whole = order.time_in_force == "FOK"
        fills = matcher.take(order.number, order.side, order.tick, order.leaves, whole=whole) if crosses else []
        executions: list[Item] = []
        for _, tick, lots in fills:
            executions += self._execute(account, market, order, tick, lots, now_ns, is_maker=False)
        if not order.leaves:
            self._finish(order, status.FILLED)
        elif order.time_in_force in {"IOC", "FOK"}:
            if not order.filled:
                order.reject_reason = "EC_NoEnoughQtyToFill" if whole else "EC_NoImmediateQtyToFill"
            self._close(order, status.NO_CANCEL, now_ns)
        else:
            order.status = status.PARTIALLY_FILLED if order.filled else status.NEW
            matcher.rest(order.number, order.side, order.tick, order.leaves)
            self._working[order.number] = order
        if executions:
            self._after_fill(account, market, order, executions, now_ns)
        else:
            self._publish(account, market, [], [order], wallet=False)

    def protective_tick(self, market: Market, side: int) -> int | None:
        """Give the price behind which a market order does not fill; None when there is nothing to take."""
        best = market.best(1 - side)
        if best is None:
            return None
        limit = market.limit_price(side)
        if limit is None:
            limit = best * (1 + market.ratio_x if side == BUY else 1 - market.ratio_x)
        ticks = limit / market.scale.tick_size
        return int(ticks.to_integral_value(ROUND_FLOOR if side == BUY else ROUND_CEILING))

    def _execute(
        self,
        account: Account,
        market: Market,
        order: Order,
        tick: int,
        lots: int,
        now_ns: int,
        *,
        is_maker: bool,
        kind: str = "Trade",
    ) -> list[Item]:
        holding, scale = account.holding(market), market.scale
        rate = account.maker_rate if is_maker else account.taker_rate
        value = scale.value(tick, lots)
        fee = int(kernel.share_up(value, rate))
        before, result_before = holding.lots, holding.result
        closed = min(lots, abs(before)) if before and (before > 0) == (order.side == SELL) else 0
        realised = int(kernel.book_fill(holding.numbers, order.side, lots, value, fee))
        account.wallet += realised - fee
        order.filled += lots
        order.filled_value += value
        order.fee += fee
        order.updated_ms = now_ns // _MS
        closing_fee = fee * closed // lots
        if closed:
            opening_fee = holding.open_fees * closed // abs(before)
            holding.open_fees -= opening_fee
            order.closed_pnl += realised - opening_fee - closing_fee
        holding.open_fees += fee - closing_fee
        if holding.lots and lots > closed and closed == abs(before):
            holding.opened_ms = now_ns // _MS
            holding.created_ms = holding.created_ms or now_ns // _MS
            holding.session_base = result_before + realised - closing_fee
        self._sequence += 1
        holding.sequence, holding.updated_ms = self._sequence, now_ns // _MS
        item = self._execution(
            order, price=scale.price(tick), lots=lots, value=value, fee=fee, rate=rate, kind=kind, closed=closed
        )
        item["isMaker"], item["execPnl"] = is_maker, money(realised)
        self._log(account, holding, item, "TRADE", cash_flow=realised, funding=0, fee=fee)
        return [item]

    def _after_fill(self, account: Account, market: Market, order: Order, executions: list[Item], now_ns: int) -> None:
        holding = account.holding(market)
        changed = [order]
        held = 0 if not holding.lots else BUY if holding.lots > 0 else SELL
        for existing in (holding.stop, holding.target):
            if existing is not None and (not holding.lots or existing.side == held):
                self._close(existing, "CancelByTpSlTsClear", now_ns)
                changed.append(existing)
        if holding.lots and held == order.side and not order.is_protection_set:
            order.is_protection_set = True
            for kind, price, by in (
                ("StopLoss", order.stop_loss, order.sl_trigger_by),
                ("TakeProfit", order.take_profit, order.tp_trigger_by),
            ):
                made = self.protect(holding, account, kind, price, by, now_ns) if price else None
                changed += [made] if made else []
        for existing in (holding.stop, holding.target):
            if existing is not None and existing.lots != abs(holding.lots):
                existing.lots, existing.updated_ms = abs(holding.lots), now_ns // _MS
                changed.append(existing)
        changed += self._fit_reduce_only(account, market, order, now_ns)
        self._publish(account, market, executions, changed, wallet=True)

    def _fit_reduce_only(self, account: Account, market: Market, filled: Order, now_ns: int) -> list[Order]:
        changed = []
        for order in list(account.open.values()):
            if order is filled or not order.reduce_only or order.symbol != market.symbol:
                continue
            if order.number not in self._working:
                continue
            closable = self._closable(account, market, order)
            if not closable:
                self._close(order, "CancelByReduceOnly", now_ns)
                changed.append(order)
            elif order.leaves > closable:
                order.lots, order.updated_ms = order.filled + closable, now_ns // _MS
                market.matcher.set_leaves(order.number, closable)
                changed.append(order)
        return changed

    def _closable(self, account: Account, market: Market, order: Order) -> int:
        lots = account.holding(market).lots
        return abs(lots) if lots and (lots > 0) == (order.side == SELL) else 0

    def _liquidate(self, account: Account, now_ns: int) -> None:
        self.cancel(list(account.open.values()), "CancelByPrepareLiq", now_ns)
        for holding in sorted(account.holdings.values(), key=lambda h: -h.maintenance(account.taker_rate)):
            if not holding.lots or account.balance > account.maintenance:
                continue
            market, lots = holding.market, abs(holding.lots)
            side = SELL if holding.lots > 0 else BUY
            order = self._order(account, market, side, "Market", lots, now_ns)
            order.create_type, order.reduce_only = "CreateByTakeOver_PassThrough", True
            order.tick = _bankruptcy_tick(holding, account.balance, account.taker_rate)
            self._keep(account, order)
            executions = self._execute(
                account, market, order, order.tick, lots, now_ns, is_maker=False, kind="BustTrade"
            )
            self._finish(order, status.FILLED)
            self._after_fill(account, market, order, executions, now_ns)

    def _order(self, account: Account, market: Market, side: int, order_type: str, lots: int, now_ns: int) -> Order:
        self._orders_made += 1
        return Order(
            number=self._orders_made,
            order_id=str(uuid5(_NAMESPACE, f"{account.uid}/order/{account.next_number()}")),
            link_id="",
            uid=account.uid,
            symbol=market.symbol,
            scale=market.scale,
            side=side,
            order_type=order_type,
            time_in_force="IOC",
            tick=0,
            lots=lots,
            created_ms=now_ns // _MS,
            updated_ms=now_ns // _MS,
            last_price=market.last,
            fee_coin=market.settle_coin,
        )

    def _keep(self, account: Account, order: Order) -> None:
        account.open[order.order_id] = order
        account.remember(order)

    def _close(self, order: Order, cancel_type: str, now_ns: int) -> None:
        waited = order.status == status.UNTRIGGERED
        order.cancel_type, order.updated_ms = cancel_type, now_ns // _MS
        self._finish(order, status.DEACTIVATED if waited else status.CANCELLED)
        if order.stop_order_type in _STOP_KINDS:
            holding = self.accounts[order.uid].holding(self.markets[order.symbol])
            holding.stop = None if holding.stop is order else holding.stop
            holding.target = None if holding.target is order else holding.target

    def _finish(self, order: Order, final: str) -> None:
        order.status = final
        account = self.accounts[order.uid]
        account.open.pop(order.order_id, None)
        self._conditional[order.symbol].pop(order.number, None)
        if self._working.pop(order.number, None) is not None:
            self.markets[order.symbol].matcher.set_leaves(order.number, 0)

    def _execution(
        self, order: Order, *, price: Decimal, lots: int, value: int, fee: int, rate: int, kind: str, closed: int = 0
    ) -> Item:
        account, market, scale = self.accounts[order.uid], self.markets[order.symbol], order.scale
        is_cash = kind == "Funding"
        return {
            "category": "linear",
            "symbol": order.symbol,
            "closedSize": plain(scale.qty(closed)),
            "execFee": money(fee),
            "execId": str(uuid5(_NAMESPACE, f"{account.uid}/execution/{account.next_number()}")),
            "execPrice": plain(price) if is_cash else str(price),
            "execQty": plain(scale.qty(lots)),
            "execType": kind,
            "execValue": money(value),
            "feeRate": money(rate),
            "feeCurrency": market.settle_coin,
            "tradeIv": "",
            "markIv": "",
            "blockTradeId": "",
            "markPrice": str(market.mark),
            "indexPrice": "",
            "underlyingPrice": "",
            "leavesQty": "0" if is_cash else plain(scale.qty(order.leaves)),
            "orderId": order.order_id,
            "orderLinkId": order.link_id,
            "orderPrice": "0" if is_cash else str(scale.price(order.tick)),
            "orderQty": "0" if is_cash else plain(scale.qty(order.lots)),
            "orderType": order.order_type,
            "stopOrderType": order.stop_order_type or "UNKNOWN",
            "side": SIDE_NAMES[order.side],
            "execTime": str(order.created_ms if is_cash else order.updated_ms),
            "isLeverage": "0",
            "isMaker": False,
            "seq": self._sequence,
            "marketUnit": "",
            "execPnl": "0",
            "createType": "" if is_cash else order.create_type,
            "extraFees": "",
        }

    def _log(
        self, account: Account, holding: Holding, item: Item, kind: str, *, cash_flow: int, funding: int, fee: int
    ) -> None:
        row = self._log_row(account, item["execId"], int(item["execTime"]), kind)
        row |= {
            "symbol": item["symbol"],
            "category": "linear",
            "side": item["side"],
            "orderId": item["orderId"],
            "orderLinkId": item["orderLinkId"],
            "tradeId": item["execId"],
            "tradePrice": item["execPrice"],
            "qty": item["execQty"],
            "size": plain(holding.market.scale.qty(holding.lots)),
            "feeRate": item["feeRate"],
            "cashFlow": money(cash_flow),
            "funding": money(funding),
            "fee": money(fee),
            "change": money(cash_flow + funding - fee),
        }
        account.log.append(row)
        account.executions.append(item)

    def _log_row(self, account: Account, exec_id: str, now_ms: int, kind: str) -> Item:
        number = account.next_number()
        return {
            "id": f"{account.uid}_{account.coin}_{number}",
            "symbol": "",
            "category": "",
            "side": "None",
            "transactionTime": str(now_ms),
            "type": kind,
            "transSubType": "",
            "qty": "0",
            "size": "0",
            "currency": account.coin,
            "tradePrice": "0",
            "funding": "0",
            "fee": "0",
            "cashFlow": "0",
            "change": "0",
            "cashBalance": money(account.wallet),
            "feeRate": "0",
            "bonusChange": "0",
            "tradeId": exec_id,
            "orderId": "",
            "orderLinkId": "",
            "extraFees": "",
        }

    def _publish(
        self, account: Account, market: Market, executions: list[Item], orders: list[Order], *, wallet: bool
    ) -> None:
        if executions:
            self._emit(account, "execution", executions)
        if orders:
            self._emit(account, "order", [order.stream_item() for order in orders])
        self._emit(account, "position", [account.stream_position(account.holding(market))])
        if wallet:
            self._emit(account, "wallet", [account.wallet_item()])

    def _emit(self, account: Account, topic: PrivateTopic, data: list[Item]) -> None:
        self._events.append(PrivateEvent(account.uid, topic, data))


def _bankruptcy_tick(holding: Holding, balance: int, taker_rate: int) -> int:
    # the price at which closing, its fee included, leaves nothing of the balance; rounded in the account's favour
    per_tick = Decimal(abs(holding.lots) * holding.market.scale.unit)
    rate = Decimal(taker_rate) / UNITS
    if holding.lots > 0:
        ticks = ((holding.value - balance) / (per_tick * (1 - rate))).to_integral_value(ROUND_CEILING)
    else:
        ticks = ((holding.value + balance) / (per_tick * (1 + rate))).to_integral_value(ROUND_FLOOR)
    return max(1, int(ticks))
