"""Public market pages: parameters in, `result` out. Pure.

Every page shows what this market has shown so far. What a market cannot know (the accounts of other people) is an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from services.venue.board import INTEREST_INTERVALS_MS, Board, SymbolBoard, trade_item
from services.venue.candles import CALENDAR, INTERVALS_MIN
from services.venue.refusals import bad_parameter

Params = Mapping[str, str]
_FOREVER_MS: Final = 2**62
_RISK_SYMBOLS_A_PAGE: Final = 15
_CURSOR: Final = "first%3A"  # a cursor holds a percent sign, so that clients must encode it again

TICKER_FIELDS: Final = (
    "symbol",
    "lastPrice",
    "indexPrice",
    "markPrice",
    "prevPrice24h",
    "price24hPcnt",
    "highPrice24h",
    "lowPrice24h",
    "prevPrice1h",
    "openInterest",
    "openInterestValue",
    "singleOpenInterest",
    "singleOpenInterestValue",
    "turnover24h",
    "volume24h",
    "fundingRate",
    "nextFundingTime",
    "predictedDeliveryPrice",
    "basisRate",
    "basis",
    "deliveryFeeRate",
    "deliveryTime",
    "ask1Size",
    "bid1Price",
    "ask1Price",
    "bid1Size",
    "preOpenPrice",
    "preQty",
    "curPreListingPhase",
    "fundingIntervalHour",
    "fundingCap",
    "basisRateYear",
)
_WHEN_ABSENT: Final = {"deliveryTime": "0"}


@dataclass(frozen=True, slots=True)
class MarketPages:
    """The pages of one market.

    Attributes:
        board: what it has shown.
        instruments: items of instruments-info.
        risk_tiers: items of risk-limit, by symbol, lowest first.
        notices: gives the maintenance that is planned, goes on or is over by a market time.
    """

    board: Board
    instruments: Sequence[Mapping[str, Any]]
    risk_tiers: Sequence[Mapping[str, Any]]
    notices: Callable[[int], list[dict[str, Any]]] = lambda _now_ns: []

    def answer(self, path: str, params: Params, now_ns: int) -> dict[str, Any] | None:
        """Give the `result` of a page, or None for a path that is none.

        Raises:
            Refusal: 10001 for a bad parameter.
        """
        page = _PAGES.get(path)
        return page(self, params, now_ns) if page else None

    def time(self, _params: Params, now_ns: int) -> dict[str, Any]:
        """`/v5/market/time`."""
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments_info(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/instruments-info`."""
        _category(params)
        limit = _limit(params, 500, 1000)
        wanted = {
            "symbol": params.get("symbol", ""),
            "baseCoin": params.get("baseCoin", ""),
            "status": params.get("status") or "Trading",
            "symbolType": params.get("symbolType", ""),
        }
        if wanted["symbol"]:
            self._of(params)
        items = [item for item in self.instruments if all(not v or item.get(k) == v for k, v in wanted.items())]
        chosen, cursor = _page(items, params, limit)
        return {"category": "linear", "list": chosen, "nextPageCursor": cursor}

    def orderbook(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/orderbook`."""
        board = self._of(params)
        bids, asks = board.levels(_limit(params, 25, 1000))
        return {
            "s": board.symbol,
            "a": asks,
            "b": bids,
            "ts": board.book_ts,
            "u": board.update_id,
            "seq": board.sequence,
            "cts": board.book_cts,
        }

    def tickers(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/tickers`."""
        _category(params)
        boards = [self._of(params)] if params.get("symbol") else [self.board.of(s) for s in self.board.symbols]
        items = [
            {field: board.ticker.get(field, _WHEN_ABSENT.get(field, "")) for field in TICKER_FIELDS}
            for board in boards
            if board.ticker
        ]
        return {"category": "linear", "list": items}

    def kline(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/kline`."""
        board = self._of(params)
        interval = params.get("interval", "")
        if interval not in INTERVALS_MIN and interval not in CALENDAR:
            raise bad_parameter(f"interval {interval!r} is none of {' '.join((*INTERVALS_MIN, *CALENDAR))}")
        start, end = _time(params, "start", 0), _time(params, "end", _FOREVER_MS)
        rows = board.candles.page(interval, start, end, _limit(params, 200, 1000))
        return {"symbol": board.symbol, "category": "linear", "list": rows}

    def recent_trade(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/recent-trade`."""
        board = self._of(params)
        trades = list(board.trades)[::-1][: _limit(params, 500, 1000)]
        return {"category": "linear", "list": [trade_item(board.symbol, trade) for trade in trades]}

    def open_interest(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/open-interest`."""
        board = self._of(params)
        seen = board.interest[_interval(params, "intervalTime")]
        start, end = _time(params, "startTime", 0), _time(params, "endTime", _FOREVER_MS)
        items = [
            {"openInterest": both, "singleOpenInterest": single, "timestamp": str(at)}
            for at, (both, single) in sorted(seen.items(), reverse=True)
            if start <= at <= end
        ]
        chosen, cursor = _page(items, params, _limit(params, 50, 200))
        return {"symbol": board.symbol, "category": "linear", "list": chosen, "nextPageCursor": cursor}

    def funding_history(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/funding/history`."""
        board = self._of(params)
        if params.get("startTime") and not params.get("endTime"):
            raise bad_parameter("startTime needs endTime")
        start, end = _time(params, "startTime", 0), _time(params, "endTime", _FOREVER_MS)
        items = [
            {"symbol": board.symbol, "fundingRate": rate, "fundingRateTimestamp": str(at)}
            for at, rate in reversed(board.funding)
            if start <= at <= end
        ]
        return {"category": "linear", "list": items[: _limit(params, 200, 200)]}

    def account_ratio(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/account-ratio`: neither a recording nor a generated market knows other people's accounts."""
        self._of(params)
        _interval(params, "period")
        _limit(params, 50, 500)
        return {"list": [], "nextPageCursor": ""}

    def risk_limit(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/risk-limit`."""
        _category(params)
        if params.get("symbol"):
            symbols, cursor = [self._of(params).symbol], ""
        else:
            symbols, cursor = _page(list(self.board.symbols), params, _RISK_SYMBOLS_A_PAGE)
        tiers = [tier for symbol in symbols for tier in self.risk_tiers if tier["symbol"] == symbol]
        return {"category": "linear", "list": tiers, "nextPageCursor": cursor}

    def price_limit(self, params: Params, now_ns: int) -> dict[str, Any]:
        """`/v5/market/price-limit`: the venue's formula of May 2026 with a = 1.

        Raises:
            Refusal: 10001 while there is no mark price yet.
        """
        board = self._of({"category": "linear", **params})
        item = next(item for item in self.instruments if item["symbol"] == board.symbol)
        if "markPrice" not in board.ticker:
            raise bad_parameter(f"{board.symbol} has no mark price yet")
        mark, index = (
            Decimal(board.ticker["markPrice"]),
            Decimal(board.ticker.get("indexPrice", board.ticker["markPrice"])),
        )
        x, y = (Decimal(item["riskParameters"][f"priceLimitRatio{name}"]) for name in "XY")
        premium = board.average_premium(now_ns // 1_000_000)
        highest = min(mark * (1 + y), max(index, mark * (1 + x) + max(Decimal(0), premium)))
        lowest = max(mark * (1 - y), min(index, mark * (1 - x) + min(Decimal(0), premium)))
        tick = Decimal(item["priceFilter"]["tickSize"])
        return {
            "symbol": board.symbol,
            "buyLmt": str((highest / tick).to_integral_value(ROUND_FLOOR) * tick),
            "sellLmt": str((lowest / tick).to_integral_value(ROUND_CEILING) * tick),
            "ts": str(now_ns // 1_000_000),
        }

    def system_status(self, _params: Params, now_ns: int) -> dict[str, Any]:
        """`/v5/system/status`."""
        return {"list": self.notices(now_ns)}

    def _of(self, params: Params) -> SymbolBoard:
        _category(params)
        symbol = params.get("symbol", "")
        if symbol not in self.board:
            raise bad_parameter(f"params error: symbol invalid {symbol}")
        return self.board.of(symbol)


_PAGES: Final[Mapping[str, Callable[[MarketPages, Params, int], dict[str, Any]]]] = {
    "/v5/market/time": MarketPages.time,
    "/v5/market/instruments-info": MarketPages.instruments_info,
    "/v5/market/orderbook": MarketPages.orderbook,
    "/v5/market/tickers": MarketPages.tickers,
    "/v5/market/kline": MarketPages.kline,
    "/v5/market/recent-trade": MarketPages.recent_trade,
    "/v5/market/open-interest": MarketPages.open_interest,
    "/v5/market/funding/history": MarketPages.funding_history,
    "/v5/market/account-ratio": MarketPages.account_ratio,
    "/v5/market/risk-limit": MarketPages.risk_limit,
    "/v5/market/price-limit": MarketPages.price_limit,
    "/v5/system/status": MarketPages.system_status,
}

PATHS: Final = tuple(_PAGES)
"""Of all pages."""


def _category(params: Params) -> None:
    category = params.get("category", "")
    if category != "linear":
        raise bad_parameter(f"params error: category {category!r} is not offered here, only linear")


def _limit(params: Params, default: int, most: int) -> int:
    text = params.get("limit", "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise bad_parameter(f"params error: limit {text!r} is not in 1..{most}")
    return int(text)


def _time(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise bad_parameter(f"params error: {name} {text!r} is not a number of milliseconds")
    return int(text)


def _interval(params: Params, name: str) -> str:
    interval = params.get(name, "")
    if interval not in INTEREST_INTERVALS_MS:
        raise bad_parameter(f"params error: {name} {interval!r} is none of {' '.join(INTEREST_INTERVALS_MS)}")
    return interval


def _page(items: list[Any], params: Params, limit: int) -> tuple[list[Any], str]:
    cursor = params.get("cursor", "")
    begin = cursor.removeprefix(_CURSOR)
    if cursor and (begin == cursor or not begin.isdigit()):
        raise bad_parameter(f"params error: cursor {cursor!r} was not given by this page")
    first = int(begin or 0)
    rest = first + limit
    return items[first:rest], f"{_CURSOR}{rest}" if rest < len(items) else ""
