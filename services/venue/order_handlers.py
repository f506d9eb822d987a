"""Requests about orders: checked, acknowledged, and handed on to take effect."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.venue import answers as code
from services.venue import queries, requests
from services.venue.accounts import Account
from services.venue.amendment import read_amendment
from services.venue.answers import Answer, Item, Refusal
from services.venue.handlers import Handler, Schedule
from services.venue.market import Market
from services.venue.order_checks import MOST_OPEN
from services.venue.order_intake import Intake
from services.venue.order_life import BY_USER, OrderLife
from services.venue.order_queries import filters_of
from services.venue.orders import CONDITIONAL, Order
from services.venue.pre_check import PreCheck
from services.venue.refusals import PERMISSION
from undertow.domain.time import NS_PER_MS

_LARGEST_BATCH: Final = 20
_DCP_PRODUCTS: Final = frozenset({"OPTIONS", "DERIVATIVES", "SPOT"})
_DCP_SECONDS: Final = range(3, 301)


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
        self._intake = Intake(markets, life)
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
            "/v5/order/pre-check": PreCheck(self._markets, self._intake).serve,
            "/v5/order/disconnected-cancel-all": self._disconnected_cancel_all,
        }

    def _create(self, account: Account, body: Item, now_ns: int) -> Answer:
        try:
            orders = self._intake.take(account, body, now_ns)
        except Refusal as refusal:
            self.duplicates_refused += refusal.code == code.LINK_ID_DUPLICATE
            raise
        self.accepted += 1
        for order in orders:
            self._schedule(now_ns, partial(self._arrive, order, now_ns))
        return _order_answer(orders[0])

    def _arrive(self, order: Order, sent_ns: int, at_ns: int) -> None:
        self._life.arrive(order, at_ns, is_late=at_ns > sent_ns)

    def _amend(self, account: Account, body: Item, now_ns: int) -> Answer:
        market = queries.market_of(self._markets, body)
        order = _open_order(account, body, "order not exists or too late to replace")
        change = read_amendment(account, market, order, body, now_ns)
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
        order_filter = requests.text(body, "orderFilter", "")
        selects = filters_of(order_filter)
        kind = requests.one_of(body, "stopOrderType", frozenset({CONDITIONAL}), "")
        wants_own = bool(kind) and order_filter == "StopOrder"

        def is_meant(order: Order) -> bool:
            if not selects(order) or (wants_own and order.stop_order_type != CONDITIONAL):
                return False
            market = self._markets[order.symbol]
            if symbol:
                return order.symbol == symbol
            return market.base_coin == base if base else market.settle_coin == settle

        # which 500 the venue picks is chance; these are the oldest (our inference)
        chosen = [order for order in account.open.values() if is_meant(order)][:MOST_OPEN]
        self._schedule(now_ns, lambda at_ns: self._life.cancel(chosen, BY_USER, at_ns))
        listed = [{"orderId": order.order_id, "orderLinkId": order.link_id} for order in chosen]
        return Answer(result={"list": listed, "success": "1"})

    def _disconnected_cancel_all(self, _account: Account, body: Item, _now_ns: int) -> Answer:
        requests.one_of(body, "product", _DCP_PRODUCTS, "OPTIONS")
        if requests.integer(body, "timeWindow") not in _DCP_SECONDS:
            raise Refusal(code.PARAMETER, "params error: timeWindow must be within [3, 300]")
        # which code an ordinary account gets is not documented (our inference)
        raise Refusal(PERMISSION, "Permission denied: disconnect cancel all is for institutional clients only")

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
                    row["createAt"] = "" if answer.ret_code else str(now_ns // NS_PER_MS)
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
