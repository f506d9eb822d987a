"""Requests about orders: checked, acknowledged, and handed on to take effect."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.amendment import read_amendment
from services.venue.answers import Answer, Item, Refusal
from services.venue.create_request import Wanted, read_create
from services.venue.handlers import Handler, Schedule
from services.venue.holdings import Holding
from services.venue.market import Market
from services.venue.order_checks import (
    MOST_OPEN,
    check_count,
    check_funds,
    check_reduces,
    check_trigger_side,
    reprice,
    split,
)
from services.venue.order_life import BY_USER, OrderLife
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
        wanted = read_create(body, market, hedged=market.symbol in account.hedged)
        holding = account.holding(market, wanted.index)
        pieces = self._check(account, holding, wanted)
        links = [wanted.link_id, *[""] * (len(pieces) - 1)]
        orders = [
            self._life.make(account, holding, wanted, lots, link, now_ns)
            for lots, link in zip(pieces, links, strict=True)
        ]
        try:
            if not wanted.reduce_only and not wanted.trigger:
                reprice(account, market, orders[0])
                check_funds(account, market, orders[0])
        except Refusal:
            account.forget(orders[0])
            raise
        self.accepted += 1
        for order in orders:
            self._schedule(now_ns, partial(self._arrive, order, now_ns))
        return _order_answer(orders[0])

    def _arrive(self, order: Order, sent_ns: int, at_ns: int) -> None:
        self._life.arrive(order, at_ns, is_late=at_ns > sent_ns)

    def _check(self, account: Account, holding: Holding, wanted: Wanted) -> list[int]:
        market = holding.market
        if wanted.link_id and wanted.link_id in account.links:
            self.duplicates_refused += 1
            raise Refusal(code.LINK_ID_DUPLICATE, "OrderLinkedID is duplicate")
        if wanted.trigger:
            check_trigger_side(market, wanted.trigger, wanted.trigger_by, wanted.trigger_direction)
        elif wanted.reduce_only:
            check_reduces(holding, wanted.side)
        if wanted.is_market and not wanted.trigger and market.best(1 - wanted.side) is None:
            raise Refusal(code.NO_MARKET_PRICE, "No price for the market order: the book is empty")
        pieces = split(holding, wanted)
        check_count(account, market, len(pieces), conditional=bool(wanted.trigger))
        return pieces

    def _amend(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        order = _open_order(account, body, "order not exists or too late to replace")
        change = read_amendment(account, market, order, body)
        self._schedule(now_ns, lambda at_ns: self._life.amend(order, change, at_ns))
        return _order_answer(order)

    def _cancel(self, account: Account, body: Item, now_ns: int) -> Answer:
        queries.market_of(self._markets, body)
        order = _open_order(account, body, "order not exists or too late to cancel")
        self._schedule(now_ns, lambda at_ns: self._life.cancel([order], BY_USER, at_ns))
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
        self._schedule(now_ns, lambda at_ns: self._life.cancel(chosen, BY_USER, at_ns))
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
