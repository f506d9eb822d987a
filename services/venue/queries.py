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
from services.venue.orders import CLOSED, CREATED, UNTRIGGERED, Order, plain
from undertow.matching.scale import from_units

_WEEK_MS: Final = 7 * 24 * 3_600 * 1_000
_CURSOR: Final = re.compile(r"page_args%3D(\d+)%26")
_RECENT_CLOSED: Final = 500
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


def page(rows: Iterable[Item], params: Mapping[str, str], *, most: int, default: int) -> Item:
    """Cut one page out of rows that come newest first.

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
    listed = list(rows)
    # counted from the oldest, so that rows arriving meanwhile shift nothing
    end = int(match[1]) if match else len(listed)
    start = max(0, end - limit)
    chosen = listed[len(listed) - end : len(listed) - start]
    return {"nextPageCursor": f"page_args%3D{start}%26" if start else "", "list": chosen}


def realtime(account: Account, markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give open orders, or (openOnly 1) recently closed ones too.

    Raises:
        Refusal: 10001.
    """
    if not any(params.get(key) for key in ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")):
        raise Refusal(code.PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
    by_id = bool(params.get("orderId") or params.get("orderLinkId"))
    if by_id:
        found = account.find(params.get("orderId", ""), params.get("orderLinkId", ""))
        orders = [found] if found is not None and found.status != CREATED else []
    else:
        orders = [order for order in reversed(account.open.values()) if order.is_open]
        if params.get("openOnly") == "1":
            closed = [order for order in reversed(account.orders.values()) if order.status in CLOSED]
            orders += closed[:_RECENT_CLOSED]
    rows = (order.rest_item() for order in orders if _matches(order, markets, params))
    return {"category": "linear", **page(rows, params, most=50, default=20)}


def history(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give orders by creation time, closed or filled in part; newest first.

    Raises:
        Refusal: 10001.
    """
    start, end = _span(params, now_ms)
    wanted = params.get("orderStatus", "")
    if params.get("orderId") or params.get("orderLinkId"):
        found = account.find(params.get("orderId", ""), params.get("orderLinkId", ""))
        orders: Iterable[Order] = [found] if found is not None else []
    else:
        orders = reversed(account.orders.values())
    rows = (
        order.rest_item()
        for order in orders
        if order.status in CLOSED
        and start <= order.created_ms <= end
        and (not wanted or order.status == wanted)
        and _matches(order, markets, params)
    )
    return {"category": "linear", **page(rows, params, most=50, default=20)}


def executions(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give fills and funding, newest first.

    Raises:
        Refusal: 10001.
    """
    start, end = _span(params, now_ms)
    keys = {"orderId": "orderId", "orderLinkId": "orderLinkId", "execType": "execType"}
    if params.get("orderId"):
        keys.pop("orderLinkId")
    rows = (
        {key: item.get(key, "") for key in _EXECUTION_KEYS}
        for item in reversed(account.executions)
        if start <= int(item["execTime"]) <= end
        and all(not params.get(key) or item[field] == params[key] for key, field in keys.items())
        and _is_of(markets[item["symbol"]], params)
    )
    return {"category": "linear", **page(rows, params, most=100, default=50)}


def transactions(account: Account, params: Mapping[str, str], now_ms: int) -> Item:
    """Give the transaction log, newest first.

    Raises:
        Refusal: 10001.
    """
    start, end = _span(params, now_ms)
    keys = ("category", "currency", "type")
    rows = (
        row
        for row in reversed(account.log)
        if start <= int(row["transactionTime"]) <= end
        and all(not params.get(key) or row[key] == params[key] for key in keys)
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
    rows = [rest_position(account, holding) for holding in reversed(chosen)]
    rows.reverse()
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
        "marginMode": "REGULAR_MARGIN",
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
    """Give what an orderFilter selects; conditional orders are those that wait for a trigger.

    Raises:
        Refusal: 10001.
    """
    selections: dict[str, Callable[[Order], bool]] = {
        "": lambda _: True,
        "OpenOrder": lambda _: True,
        "Order": lambda order: order.status != UNTRIGGERED,
        "StopOrder": lambda order: order.status == UNTRIGGERED,
    }
    if filter_name not in selections:
        raise Refusal(code.PARAMETER, "params error: orderFilter invalid")
    return selections[filter_name]


def _matches(order: Order, markets: Mapping[str, Market], params: Mapping[str, str]) -> bool:
    return _is_of(markets[order.symbol], params) and filters_of(params.get("orderFilter", ""))(order)


def _is_of(market: Market, params: Mapping[str, str]) -> bool:
    if params.get("symbol"):
        return params["symbol"] == market.symbol
    if params.get("baseCoin"):
        return params["baseCoin"] == market.base_coin
    return not params.get("settleCoin") or params["settleCoin"] == market.settle_coin


def _span(params: Mapping[str, str], now_ms: int) -> tuple[int, int]:
    start, end = _integer(params, "startTime", -1), _integer(params, "endTime", -1)
    if end < 0:
        end = max(now_ms, start) if start < 0 else start + _WEEK_MS
    if start < 0:
        start = end - _WEEK_MS
    if not 0 <= end - start <= _WEEK_MS:
        raise Refusal(code.PARAMETER, "params error: endTime - startTime must be within 7 days")
    return start, end


def _integer(params: Mapping[str, Any], key: str, default: int) -> int:
    text = params.get(key, "")
    if not text:
        return default
    if not str(text).isdecimal():
        raise Refusal(code.PARAMETER, f"params error: {key} invalid")
    return int(text)
