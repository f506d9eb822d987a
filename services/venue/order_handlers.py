"""Requests about orders: checked, acknowledged, and handed on to take effect."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.answers import Answer, Item, Refusal
from services.venue.handlers import Handler, Schedule
from services.venue.market import Market
from services.venue.order_checks import (
    MOST_OPEN,
    check_amended_funds,
    check_count,
    check_funds,
    check_reduces,
    check_trigger_side,
    reprice,
)
from services.venue.order_life import OrderLife
from services.venue.orders import Order

_MS: Final = 1_000_000
_LARGEST_BATCH: Final = 20


class OrderHandlers:
    """Create, amend, cancel: one, many or all.

    Attributes:
        accepted: create requests acknowledged with 0.
        duplicates_refused: create requests refused with 110072.
    """

    def __init__(self, markets: dict[str, Market], life: OrderLife, schedule: Schedule) -> None:
        self._markets = markets
        self._life = life
        self._schedule = schedule
        self.accepted = 0
        self.duplicates_refused = 0

    def routes(self) -> dict[str, Handler]:
        """Give what answers which path."""
        return {
            "/v5/order/create": self._create,
            "/v5/order/amend": self._amend,
            "/v5/order/cancel": self._cancel,
            "/v5/order/cancel-all": self._cancel_all,
            "/v5/order/create-batch": self._batch(self._create, is_create=True),
            "/v5/order/amend-batch": self._batch(self._amend),
            "/v5/order/cancel-batch": self._batch(self._cancel),
        }

    def _create(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        wanted = requests.read_create(body, market, hedged=market.symbol in account.hedged)
        if wanted.link_id and wanted.link_id in account.links:
            self.duplicates_refused += 1
            raise Refusal(code.LINK_ID_DUPLICATE, "OrderLinkedID is duplicate")
        check_count(account, market, conditional=bool(wanted.trigger))
        check_trigger_side(market, wanted)
        if wanted.reduce_only and not wanted.trigger:
            check_reduces(account.holding(market, wanted.index), wanted.side)
        if wanted.order_type == "Market" and not wanted.trigger and market.best(1 - wanted.side) is None:
            raise Refusal(code.NO_MARKET_PRICE, "No price for the market order: the book is empty")
        order = self._life.make(account, market, wanted, now_ns)
        try:
            if not order.reduce_only and not order.trigger:
                reprice(account, market, order)
                check_funds(account, market, order)
        except Refusal:
            account.forget(order)
            raise
        self.accepted += 1
        self._schedule(now_ns, lambda at_ns: self._life.arrive(order, at_ns))
        return _order_answer(order)

    def _amend(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
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
        check_amended_funds(account, order, tick, lots)
        if stop is not None:
            order.stop_loss, order.sl_trigger_by = stop, order.sl_trigger_by or "LastPrice"
        if target is not None:
            order.take_profit, order.tp_trigger_by = target, order.tp_trigger_by or "LastPrice"
        self._schedule(now_ns, lambda at_ns: self._life.amend(order, tick=tick, lots=lots, trigger=level, now_ns=at_ns))
        return _order_answer(order)

    def _cancel(self, account: Account, body: Item, now_ns: int) -> Answer:
        queries.market_of(self._markets, body)
        order = _open_order(account, body, "order not exists or too late to cancel")
        self._schedule(now_ns, lambda at_ns: self._life.cancel([order], "CancelByUser", at_ns))
        return _order_answer(order)

    def _cancel_all(self, account: Account, body: Item, now_ns: int) -> Answer:
        requests.check_category(body)
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

        chosen = [order for order in account.open.values() if is_meant(order) and selects(order)][:MOST_OPEN]
        self._schedule(now_ns, lambda at_ns: self._life.cancel(chosen, "CancelByUser", at_ns))
        listed = [{"orderId": order.order_id, "orderLinkId": order.link_id} for order in chosen]
        return Answer(result={"list": listed, "success": "1"})

    def _batch(self, single: Handler, *, is_create: bool = False) -> Handler:
        def serve(account: Account, body: Item, now_ns: int) -> Answer:
            requests.check_category(body)
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
