"""What an account may read, in the venue's pages: newest first, cursors that survive new rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from services.venue import answers as code
from services.venue import requests
from services.venue.account_items import rest_position, wallet_item
from services.venue.accounts import Account
from services.venue.answers import Item, Refusal
from services.venue.market import Market
from services.venue.order_states import CLOSED, Status
from services.venue.orders import Order, plain
from undertow.matching.scale import from_units

_DAY_MS: Final = 24 * 3_600 * 1_000
WEEK_MS: Final = 7 * _DAY_MS
_TWO_YEARS_MS: Final = 730 * _DAY_MS
_CURSOR: Final = re.compile(r"page_args%3D(-?\d+)%26")
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


def page(rows: Iterable[tuple[int, Item]], params: Mapping[str, str], *, most: int, default: int) -> Item:
    """Cut one page out of rows with falling keys; a cursor names the last key that was shown, so rows that come or go shift nothing.

    Raises:
        Refusal: 10001, limit or cursor are wrong.
    """
    limit = _integer(params, "limit", default)
    if not 1 <= limit <= most:
        raise Refusal(code.PARAMETER, f"params error: limit must be within [1, {most}]")
    cursor = params.get("cursor", "")
    match = _CURSOR.fullmatch(cursor)
    if cursor and match is None:
        raise Refusal(code.PARAMETER, "params error: cursor invalid")
    shown: list[tuple[int, Item]] = []
    for key, row in rows:
        if match and key >= int(match[1]):
            continue
        if len(shown) == limit:
            return {"nextPageCursor": f"page_args%3D{shown[-1][0]}%26", "list": [item for _, item in shown]}
        shown.append((key, row))
    return {"nextPageCursor": "", "list": [item for _, item in shown]}


def realtime(account: Account, markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give open orders, or (openOnly 1) the last 500 closed ones; by id an order in either.

    Raises:
        Refusal: 10001.
    """
    if not any(params.get(key) for key in ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")):
        raise Refusal(code.PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
    wants_closed = requests.one_of(params, "openOnly", frozenset("01"), "0") == "1"
    selects = filters_of(params.get("orderFilter", ""))
    orders = _by_id(account, params)
    if orders is not None:
        orders = [order for order in orders if order.is_open or order.order_id in account.recent]
    elif wants_closed:
        orders = sorted(account.recent.values(), key=lambda order: -order.number)
    else:
        orders = [order for order in reversed(account.open.values()) if order.is_open]
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
        and now_ms - order.updated_ms <= (_TWO_YEARS_MS if order.filled else _DAY_MS)
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
        if now_ms - int(item["execTime"]) <= _TWO_YEARS_MS and is_meant(item)
    )
    return {"category": "linear", **page(rows, params, most=100, default=50)}


def transactions(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give the transaction log, newest first, of one day unless a span is asked for.

    Raises:
        Refusal: 10001.
    """
    start, end = span(params, now_ms, _DAY_MS)
    requests.one_of(params, "accountType", frozenset({"UNIFIED"}), "UNIFIED")
    keys = ("category", "currency", "type", "transSubType")
    base = params.get("baseCoin", "")
    rows = (
        (int(row["id"].rpartition("_")[2]), row)
        for row in reversed(account.log)
        if start <= int(row["transactionTime"]) <= end
        and all(not params.get(key) or row[key] == params[key] for key in keys)
        and (not base or (row["symbol"] in markets and markets[row["symbol"]].base_coin == base))
    )
    return page(rows, params, most=50, default=20)


def positions(account: Account, markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give one symbol's position (a hedged one's two), flat or not, or all that are held in a settle coin.

    Raises:
        Refusal: 10001.
    """
    symbol = params.get("symbol", "")
    if symbol:
        chosen = account.holdings_in(find_market(markets, symbol))
    elif params.get("settleCoin"):
        chosen = [h for h in account.holdings.values() if h.lots and h.market.settle_coin == params["settleCoin"]]
    else:
        raise Refusal(code.PARAMETER, "params error: symbol or settleCoin is required")
    rows = ((-place, rest_position(account, holding)) for place, holding in enumerate(chosen))
    return {"category": "linear", **page(rows, params, most=200, default=20)}


def wallet(account: Account, params: Mapping[str, str]) -> Item:
    """Give the unified account's balance.

    Raises:
        Refusal: 10001.
    """
    if params.get("accountType") != "UNIFIED":
        raise Refusal(code.PARAMETER, "params error: accountType only support UNIFIED.")
    item = wallet_item(account)
    coins = {coin for coin in params.get("coin", "").split(",") if coin}
    if coins:
        item["coin"] = [coin for coin in item["coin"] if coin["coin"] in coins]
    return {"list": [item]}


def info(account: Account) -> Item:
    """Give margin mode and kind of account."""
    return {
        "marginMode": "ISOLATED_MARGIN" if account.isolated else "REGULAR_MARGIN",
        "unifiedMarginStatus": 5,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(account.opened_ms),
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
    }


def fee_rates(account: Account, markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give the account's rates, of one symbol or of all.

    Raises:
        Refusal: 10001.
    """
    symbol = params.get("symbol", "")
    chosen = [find_market(markets, symbol)] if symbol else list(markets.values())
    maker, taker = plain(from_units(account.maker_rate)), plain(from_units(account.taker_rate))
    return {"list": [{"symbol": m.symbol, "takerFeeRate": taker, "makerFeeRate": maker} for m in chosen]}


def find_market(markets: Mapping[str, Market], symbol: str) -> Market:
    """Find a symbol.

    Raises:
        Refusal: 10001.
    """
    if symbol not in markets:
        raise Refusal(code.PARAMETER, "params error: symbol invalid")
    return markets[symbol]


def market_of(markets: Mapping[str, Market], body: Item) -> Market:
    """Find the symbol that a body names.

    Raises:
        Refusal: 10001.
    """
    requests.check_category(body)
    return find_market(markets, requests.text(body, "symbol"))


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


def span(params: Mapping[str, str], now_ms: int, default_ms: int) -> tuple[int, int]:
    """Read startTime and endTime: at most a week apart, `default_ms` when one is missing, until now when both are.

    Raises:
        Refusal: 10001.
    """
    start, end = _integer(params, "startTime", -1), _integer(params, "endTime", -1)
    if end < 0:
        end = now_ms if start < 0 else start + default_ms
    if start < 0:
        start = end - default_ms
    if not 0 <= end - start <= WEEK_MS:
        raise Refusal(code.PARAMETER, "params error: endTime - startTime must be within 7 days")
    return start, end


def _integer(params: Mapping[str, Any], key: str, default: int) -> int:
    text = params.get(key, "")
    if not text:
        return default
    if not str(text).isdecimal():
        raise Refusal(code.PARAMETER, f"params error: {key} invalid")
    return int(text)
