"""What an account may read about its orders and executions, open and past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from services.venue import answers as code
from services.venue import requests
from services.venue.accounts import Account
from services.venue.answers import Item, Refusal
from services.venue.market import Market
from services.venue.order_states import CLOSED, Status
from services.venue.orders import Order
from services.venue.paging import DAY_MS, TWO_YEARS_MS, WEEK_MS, page, span

_EXEC_TYPES: Final = frozenset(
    (
        "Trade",
        "AdlTrade",
        "Funding",
        "BustTrade",
        "Delivery",
        "Settle",
        "BlockTrade",
        "MovePosition",
        "FutureSpread",
        "CorporateAction",
    )
)
_EXECUTION_KEYS: Final = (
    "symbol",
    "orderId",
    "orderLinkId",
    "side",
    "orderPrice",
    "orderQty",
    "leavesQty",
    "createType",
    "orderType",
    "stopOrderType",
    "execFee",
    "execFeeV2",
    "execId",
    "execPrice",
    "execQty",
    "execType",
    "execValue",
    "execTime",
    "feeCurrency",
    "isMaker",
    "feeRate",
    "tradeIv",
    "markIv",
    "markPrice",
    "indexPrice",
    "underlyingPrice",
    "blockTradeId",
    "closedSize",
    "seq",
    "extraFees",
)


def realtime(account: Account, markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give open orders, or (openOnly 1) the last 500 closed ones; by id an order in either.

    Raises:
        Refusal: 10001.
    """
    if not any(params.get(key) for key in ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")):
        raise Refusal(code.PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
    selects = filters_of(params.get("orderFilter", ""))
    orders = _by_id(account, params)
    if orders is not None:
        orders = [order for order in orders if order.is_open or order.order_id in account.recent]
    elif requests.one_of(params, "openOnly", frozenset("01"), "0") == "1":
        orders = _newest_first(account.recent)
    else:
        orders = [order for order in _newest_first(account.open) if order.is_open]
    rows = (
        (order.number, order.rest_item())
        for order in orders
        if selects(order) and _is_of(markets[order.symbol], params)
    )
    return {"category": "linear", **page(rows, params, most=50, default=20)}


def history(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give closed orders by creation time, newest first: those without fills for a day, those with fills for two years.

    Raises:
        Refusal: 10001.
    """
    selects = filters_of(params.get("orderFilter", ""))
    wanted = requests.one_of(params, "orderStatus", frozenset(Status), "")
    orders = _by_id(account, params)
    if orders is not None and not params.get("startTime") and not params.get("endTime"):
        start, end = 0, now_ms
    else:
        start, end = span(params, now_ms, WEEK_MS)
    rows = (
        (order.number, order.rest_item())
        for order in (reversed(account.orders.values()) if orders is None else orders)
        if order.status in CLOSED
        and start <= order.created_ms <= end
        and now_ms - order.updated_ms <= (TWO_YEARS_MS if order.filled else DAY_MS)
        and wanted in {"", order.status}
        and selects(order)
        and _is_of(markets[order.symbol], params)
    )
    return {"category": "linear", **page(rows, params, most=50, default=20)}


def executions(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give fills and funding, newest first; an order's id makes every other filter void.

    Raises:
        Refusal: 10001.
    """
    start, end = span(params, now_ms, WEEK_MS)
    kind = requests.one_of(params, "execType", _EXEC_TYPES, "")
    order_id, link_id = params.get("orderId", ""), params.get("orderLinkId", "")

    def is_meant(item: Item) -> bool:
        if order_id or link_id:
            return bool(item["orderId"] == order_id if order_id else item["orderLinkId"] == link_id)
        if not start <= int(item["execTime"]) <= end or kind not in {"", item["execType"]}:
            return False
        return _is_of(markets[item["symbol"]], params)

    rows = (
        (item["seq"], {key: item.get(key, "") for key in _EXECUTION_KEYS})
        for item in reversed(account.executions)
        if now_ms - int(item["execTime"]) <= TWO_YEARS_MS and is_meant(item)
    )
    return {"category": "linear", **page(rows, params, most=100, default=50)}


def filters_of(filter_name: str) -> Callable[[Order], bool]:
    """Give what an orderFilter selects: of open orders those that wait for a trigger are conditional, of closed ones those that had one.

    Raises:
        Refusal: 10001.
    """
    selections: dict[str, Callable[[Order], bool]] = {
        "": lambda _: True,
        "OpenOrder": lambda _: True,
        "Order": lambda order: not _is_conditional(order),
        "StopOrder": _is_conditional,
    }
    if filter_name not in selections:
        raise Refusal(code.PARAMETER, "params error: orderFilter invalid")
    return selections[filter_name]


def _newest_first(orders: Mapping[str, Order]) -> list[Order]:
    """Sort by number, which pages count by; where an order stands in the account's memory changes when it triggers or closes."""
    return sorted(orders.values(), key=lambda order: -order.number)


def _is_conditional(order: Order) -> bool:
    if order.status in {Status.CREATED, Status.UNTRIGGERED}:
        return bool(order.trigger)
    return order.status in CLOSED and bool(order.stop_order_type)


def _by_id(account: Account, params: Mapping[str, str]) -> list[Order] | None:
    order_id, link_id = params.get("orderId", ""), params.get("orderLinkId", "")
    if not order_id and not link_id:
        return None
    found = account.find(order_id, link_id)
    return [] if found is None or found.status is Status.CREATED else [found]


def _is_of(market: Market, params: Mapping[str, str]) -> bool:
    if params.get("symbol"):
        return params["symbol"] == market.symbol
    if params.get("baseCoin"):
        return params["baseCoin"] == market.base_coin
    return not params.get("settleCoin") or params["settleCoin"] == market.settle_coin
