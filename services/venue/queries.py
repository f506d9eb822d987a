"""What an account may read about its money, positions and itself."""

from __future__ import annotations

from collections.abc import Mapping

from services.venue import answers as code
from services.venue import requests
from services.venue.account_items import rest_position, wallet_item
from services.venue.accounts import Account
from services.venue.answers import Item, Refusal
from services.venue.market import Market
from services.venue.orders import plain
from services.venue.paging import DAY_MS, page, span
from undertow.matching.scale import from_units


def transactions(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give the transaction log, newest first, of one day unless a span is asked for.

    Raises:
        Refusal: 10001.
    """
    start, end = span(params, now_ms, DAY_MS)
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
        chosen = list(enumerate(account.holdings_in(find_market(markets, symbol))))
    elif params.get("settleCoin"):
        # a holding keeps its place when another is closed, so the place in all of them is what pages may count by
        numbered = enumerate(account.holdings.values())
        chosen = [(n, h) for n, h in numbered if h.lots and h.market.settle_coin == params["settleCoin"]]
    else:
        raise Refusal(code.PARAMETER, "params error: symbol or settleCoin is required")
    rows = ((-place, rest_position(account, holding)) for place, holding in chosen)
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
    """Give margin mode and kind of account; that a switch of the position mode updates it too is our inference."""
    return {
        "marginMode": "ISOLATED_MARGIN" if account.isolated else "REGULAR_MARGIN",
        "unifiedMarginStatus": 5,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(account.configured_ms),
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
