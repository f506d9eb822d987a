"""Public pages that only perpetuals have: candles of mark, index and premium, open interest, funding, risk and price limits. Pure.

What a market cannot know (the accounts of other people) is an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.venue.board import INTEREST_INTERVALS_MS
from services.venue.candles import Candles
from services.venue.category_pages import CategoryPages, candle_rows
from services.venue.paging import Params, by_place, choice_of, cut, limit_of, span_of
from services.venue.price_limits import PublishedLimits
from services.venue.refusals import bad_parameter
from undertow.domain.time import NS_PER_MS

_RISK_SYMBOLS_A_PAGE: Final = 15
_PRICE_COLUMNS: Final = 5
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class ContractPages:
    """The pages of the perpetuals.

    Attributes:
        shared: those that spot has too.
        risk_tiers: items of risk-limit, by symbol, lowest first.
        limits: gives the price limits of a moment.
    """

    shared: CategoryPages
    risk_tiers: Sequence[Mapping[str, Any]]
    limits: PublishedLimits

    def mark_kline(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/mark-price-kline`."""
        return self._price_kline(params, self.shared.of(params).marks)

    def index_kline(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/index-price-kline`."""
        return self._price_kline(params, self.shared.of(params).indices)

    def premium_kline(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/premium-index-price-kline`."""
        return self._price_kline(params, self.shared.of(params).premiums)

    def open_interest(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/open-interest`."""
        board = self.shared.of(params)
        seen = board.interest[choice_of(params, "intervalTime", INTEREST_INTERVALS_MS)]
        start, end = span_of(params, "startTime", "endTime")
        items = [
            (at, {"openInterest": both, "singleOpenInterest": single, "timestamp": str(at)})
            for at, (both, single) in sorted(seen.items(), reverse=True)
            if start <= at <= end
        ]
        chosen, cursor = cut(items, params, limit_of(params, 50, 200))
        return {"symbol": board.symbol, "category": "linear", "list": chosen, "nextPageCursor": cursor}

    def funding_history(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/funding/history`."""
        board = self.shared.of(params)
        if params.get("startTime") and not params.get("endTime"):
            raise bad_parameter("params error: startTime needs endTime")
        start, end = span_of(params, "startTime", "endTime")
        interval_ms = int(self._instrument(board.symbol)["fundingInterval"]) * _MINUTE_MS
        board.settle_funding(self.shared.board.now_ms, interval_ms)
        items = [
            {"symbol": board.symbol, "fundingRate": rate, "fundingRateTimestamp": str(at)}
            for at, rate in reversed(board.funding)
            if start <= at <= end
        ]
        return {"category": "linear", "list": items[: limit_of(params, 200, 200)]}

    def account_ratio(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/account-ratio`: neither a recording nor a generated market knows other people's accounts."""
        self.shared.of(params)
        choice_of(params, "period", INTEREST_INTERVALS_MS)
        span_of(params, "startTime", "endTime")
        limit_of(params, 50, 500)
        return {"list": [], "nextPageCursor": ""}

    def risk_limit(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/risk-limit`: of one symbol, or of 15 symbols a page."""
        symbols, cursor = (
            ([self.shared.of(params).symbol], "")
            if params.get("symbol")
            else cut(by_place(self.shared.board.symbols), params, _RISK_SYMBOLS_A_PAGE)
        )
        tiers = [tier for symbol in symbols for tier in self.risk_tiers if tier["symbol"] == symbol]
        return {"category": "linear", "list": tiers, "nextPageCursor": cursor}

    def price_limit(self, params: Params, now_ns: int) -> dict[str, Any]:
        """`/v5/market/price-limit`.

        Raises:
            Refusal: 10001 while there is no mark price yet.
        """
        symbol = self.shared.of(params).symbol
        limits = self.limits(symbol, now_ns)
        if limits is None:
            raise bad_parameter(f"params error: {symbol} has no mark price yet")
        return {"symbol": symbol, "buyLmt": str(limits[0]), "sellLmt": str(limits[1]), "ts": str(now_ns // NS_PER_MS)}

    def _price_kline(self, params: Params, candles: Candles) -> dict[str, Any]:
        rows = candle_rows(candles, params, self.shared.board.now_ms)
        return {"symbol": params["symbol"], "category": "linear", "list": [row[:_PRICE_COLUMNS] for row in rows]}

    def _instrument(self, symbol: str) -> Mapping[str, Any]:
        return next(item for item in self.shared.instruments if item["symbol"] == symbol)
