"""Public market pages: parameters in, `result` out. Pure. Every page shows what this market has shown so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from services.venue.answers import NO_ROUTE, Refusal
from services.venue.board import Board
from services.venue.category_pages import LINEAR, SPOT, CategoryPages
from services.venue.contract_pages import ContractPages
from services.venue.orders import plain
from services.venue.paging import Params
from services.venue.price_limits import PublishedLimits
from services.venue.refusals import bad_parameter
from services.venue.spot_floor import SpotFloor
from undertow.domain.time import NS_PER_MS

Page = Callable[[Params, int], dict[str, Any]]
_MARKET: Final = "/v5/market/"
_FUND_COIN: Final = "USDT"
_ASSUMES_LINEAR: Final = frozenset(
    f"{_MARKET}{name}"
    for name in ("kline", "mark-price-kline", "index-price-kline", "premium-index-price-kline", "price-limit")
)
"""Where the category may be left out."""
_EMPTY: Final = ("inverse", "option")
"""Categories that this venue has no contract of, and says so to a client that loads them all."""
_WITHHELD: Final = {
    "adlAlert": "there are no thresholds to alert of: deleveraging begins when the insurance fund is empty",
    "fee-group-info": "this venue has no fee groups",
    "full_orderbook": "the venue has no full book for this category",
}


class MarketPages:
    """The pages of one market.

    Args:
        board: what it has shown.
        instruments: items of instruments-info.
        risk_tiers: items of risk-limit, by symbol, lowest first.
        limits: gives the price limits of a moment.
        spot: the spot side; None where there is none.
        notices: gives the maintenance that is planned, goes on or is over by a market time.
        fund: gives the USDT in the insurance fund.
    """

    def __init__(
        self,
        board: Board,
        instruments: Sequence[Mapping[str, Any]],
        risk_tiers: Sequence[Mapping[str, Any]],
        limits: PublishedLimits,
        spot: SpotFloor | None = None,
        notices: Callable[[int], list[dict[str, Any]]] = lambda _now_ns: [],
        fund: Callable[[], Decimal] = lambda: Decimal(0),
    ) -> None:
        self._symbols = board.symbols
        self._fund = fund
        linear = CategoryPages(LINEAR, board, instruments)
        contracts = ContractPages(linear, risk_tiers, limits)
        self._pages: dict[str, dict[str, Page]] = {
            "linear": {
                **_shared(linear),
                f"{_MARKET}mark-price-kline": contracts.mark_kline,
                f"{_MARKET}index-price-kline": contracts.index_kline,
                f"{_MARKET}premium-index-price-kline": contracts.premium_kline,
                f"{_MARKET}open-interest": contracts.open_interest,
                f"{_MARKET}funding/history": contracts.funding_history,
                f"{_MARKET}account-ratio": contracts.account_ratio,
                f"{_MARKET}risk-limit": contracts.risk_limit,
                f"{_MARKET}price-limit": contracts.price_limit,
            }
        }
        if spot is not None:
            self._pages["spot"] = _shared(CategoryPages(SPOT, spot.board, spot.instruments))
        for category in _EMPTY:
            self._pages[category] = {f"{_MARKET}instruments-info": _nothing_of(category)}
        self._without_category: dict[str, Page] = {
            f"{_MARKET}time": _time,
            f"{_MARKET}insurance": self._insurance,
            "/v5/system/status": lambda _, now_ns: {"list": notices(now_ns)},
        }

    @property
    def paths(self) -> frozenset[str]:
        """Of all pages."""
        return frozenset(self._without_category).union(*self._pages.values())

    def answer(self, path: str, params: Params, now_ns: int) -> dict[str, Any] | None:
        """Give the `result` of a page, or None for a path that is none.

        Raises:
            Refusal: 10001 for a bad parameter, 10017 with the reason for a page of the real venue that this one has not.
        """
        if path in self._without_category:
            return self._without_category[path](params, now_ns)
        withheld = _WITHHELD.get(path.removeprefix(_MARKET))
        if withheld is not None:
            raise Refusal(NO_ROUTE, f"Route not found: {path} is not offered, {withheld}.")
        offering = [category for category, pages in self._pages.items() if path in pages]
        if not offering:
            return None
        category = params.get("category") or ("linear" if path in _ASSUMES_LINEAR else "")
        if category not in offering:
            raise bad_parameter(
                f"params error: category {category!r} is not offered here, only {' and '.join(offering)}"
            )
        return self._pages[category][path](params, now_ns)

    def _insurance(self, params: Params, now_ns: int) -> dict[str, Any]:
        """`/v5/market/insurance`: one fund for all contracts; the items are our inference."""
        if params.get("coin", _FUND_COIN) != _FUND_COIN:
            raise bad_parameter(f"params error: coin {params['coin']!r} has no fund, only {_FUND_COIN}")
        balance = plain(self._fund())
        row = {"coin": _FUND_COIN, "symbols": ",".join(self._symbols), "balance": balance, "value": balance}
        return {"updatedTime": str(now_ns // NS_PER_MS), "list": [row]}


def _shared(pages: CategoryPages) -> dict[str, Page]:
    return {
        f"{_MARKET}instruments-info": pages.instruments_info,
        f"{_MARKET}orderbook": pages.orderbook,
        f"{_MARKET}tickers": pages.tickers,
        f"{_MARKET}kline": pages.kline,
        f"{_MARKET}recent-trade": pages.recent_trade,
    }


def _nothing_of(category: str) -> Page:
    return lambda _params, _now_ns: {"category": category, "list": [], "nextPageCursor": ""}


def _time(_params: Params, now_ns: int) -> dict[str, Any]:
    """`/v5/market/time`."""
    return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}
