"""Public pages that both categories have: instruments, book, tickers, candles, trades. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.venue.board import Board, SymbolBoard
from services.venue.board_frames import PublicTrade
from services.venue.candles import INTERVALS, Candles
from services.venue.paging import Params, by_place, choice_of, cut, limit_of, span_of
from services.venue.refusals import bad_parameter
from services.venue.ticker_fields import LINEAR_TICKER, SPOT_TICKER

_STATUSES: Final = ("Trading", "PreLaunch", "Delivering", "Closed")
_SYMBOL_TYPES: Final = ("", "innovation", "commodity", "stock", "forex")


@dataclass(frozen=True, slots=True)
class Terms:
    """In what the pages of one category differ.

    Attributes:
        category: its name.
        ticker_fields: of a ticker, in order.
        book_limit: levels a side by default.
        most_trades: that recent-trade gives, and how many by default.
    """

    category: str
    ticker_fields: tuple[str, ...]
    book_limit: int
    most_trades: int
    default_trades: int


LINEAR: Final = Terms("linear", LINEAR_TICKER, book_limit=25, most_trades=1000, default_trades=500)
SPOT: Final = Terms("spot", SPOT_TICKER, book_limit=1, most_trades=60, default_trades=60)


@dataclass(frozen=True, slots=True)
class CategoryPages:
    """The pages of one category.

    Attributes:
        terms: in what it differs from the other.
        board: what its market has shown.
        instruments: its items of instruments-info.
    """

    terms: Terms
    board: Board
    instruments: Sequence[Mapping[str, Any]]

    def of(self, params: Params) -> SymbolBoard:
        """Give the board of the symbol that is asked for.

        Raises:
            Refusal: 10001, there is no such symbol.
        """
        symbol = params.get("symbol", "")
        if symbol not in self.board:
            raise bad_parameter(f"params error: symbol invalid {symbol}")
        return self.board.of(symbol)

    def instruments_info(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/instruments-info`."""
        limit = limit_of(params, 500, 1000)
        wanted = {
            "symbol": params.get("symbol", ""),
            "baseCoin": params.get("baseCoin", ""),
            "status": choice_of(params, "status", _STATUSES, "Trading"),
            "symbolType": choice_of(params, "symbolType", _SYMBOL_TYPES),
        }
        if wanted["symbol"]:
            self.of(params)
        items = [item for item in self.instruments if all(not v or item.get(k) == v for k, v in wanted.items())]
        chosen, cursor = cut(by_place(items), params, limit)
        return {"category": self.terms.category, "list": chosen, "nextPageCursor": cursor}

    def orderbook(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/orderbook`: as the 1000-level topic has it, its update id included."""
        board = self.of(params)
        limit = limit_of(params, self.terms.book_limit, 1000)
        if board.depth == board.deepest().depth:
            (bids, asks), ids = board.levels(limit), (board.book_ts, board.update_id, board.sequence, board.book_cts)
        else:
            view = board.deepest()
            bids, asks, ids = view.bids[:limit], view.asks[:limit], (view.ts, view.update_id, view.sequence, view.cts)
        ts, update_id, sequence, cts = ids
        return {"s": board.symbol, "a": asks, "b": bids, "ts": ts, "u": update_id, "seq": sequence, "cts": cts}

    def tickers(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/tickers`."""
        boards = [self.of(params)] if params.get("symbol") else [self.board.of(s) for s in self.board.symbols]
        items = [self._ticker(board) for board in boards if board.ticker]
        return {"category": self.terms.category, "list": items}

    def kline(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/kline`."""
        board = self.of(params)
        rows = candle_rows(board.candles, params, self.board.now_ms)
        return {"symbol": board.symbol, "category": self.terms.category, "list": rows}

    def recent_trade(self, params: Params, _now_ns: int) -> dict[str, Any]:
        """`/v5/market/recent-trade`."""
        board = self.of(params)
        trades = list(board.trades)[::-1][: limit_of(params, self.terms.default_trades, self.terms.most_trades)]
        return {"category": self.terms.category, "list": [_trade_item(board.symbol, trade) for trade in trades]}

    def _ticker(self, board: SymbolBoard) -> dict[str, str]:
        known = {"deliveryTime": "0", **board.ticker}
        if "bid1Price" not in known:
            bids, asks = board.levels(1)
            for side, name in ((bids, "bid"), (asks, "ask")):
                known |= {f"{name}1Price": side[0][0], f"{name}1Size": side[0][1]} if side else {}
        return {field: known.get(field, "") for field in self.terms.ticker_fields}


def candle_rows(candles: Candles, params: Params, now_ms: int) -> list[list[str]]:
    """Give the rows that a kline page asks for, newest first.

    Raises:
        Refusal: 10001.
    """
    interval = choice_of(params, "interval", INTERVALS)
    start, end = span_of(params, "start", "end")
    candles.pass_time(now_ms)
    return candles.page(interval, start, end, limit_of(params, 200, 1000))


def _trade_item(symbol: str, trade: PublicTrade) -> dict[str, Any]:
    return {
        "execId": trade.i,
        "symbol": symbol,
        "price": trade.p,
        "size": trade.v,
        "side": trade.S,
        "time": str(trade.T),
        "isBlockTrade": trade.BT,
        "isRPITrade": trade.RPI,
        "seq": str(trade.seq),
    }
