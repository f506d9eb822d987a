"""What a recording's frames must say, beyond their shape, so that the venue can play it: looked at once, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.frames import BookFrame, LiquidationFrame, TickerFrame, TradeFrame
from undertow.markets.instruments import instruments_for, known_symbols
from undertow.matching.scale import OffGridError, Scale

_NUMBER: Final = re.compile(r"\d{1,18}(\.\d{1,18})?")
_SIGNED: Final = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_DEEPEST: Final = 1_000
_REMEMBERED: Final = 65_536


class TapeCheck:
    """Looks at frames in their order: prices and sizes on the contract's grid, books that open with a snapshot and never cross."""

    def __init__(self) -> None:
        self._grids: dict[str, _Grid] = {}
        self._books: dict[str, OrderBook] = {}

    def fault(self, frame: Any) -> str:
        """Say which rule a decoded frame breaks, or ""."""
        match frame:
            case BookFrame():
                return self._book(frame)
            case TradeFrame() | LiquidationFrame():
                levels = [(each.price, each.size) for each in frame.data]
                return self._grid(frame.symbol).fault(levels, least=1)
            case TickerFrame():
                return _ticker(frame)
            case _:
                return ""

    def _book(self, frame: BookFrame) -> str:
        symbol, data = frame.symbol, frame.data
        fault = self._grid(symbol).fault((*data.bids, *data.asks), least=0)
        if fault:
            return fault
        book = self._books.get(symbol)
        if frame.snapshot:
            book = self._books[symbol] = OrderBook(_DEEPEST)
        elif book is None:
            return f"the book of {symbol} opens without a snapshot"
        book.apply(data.bids, data.asks)
        if book.is_crossed:
            assert book.best_bid is not None  # noqa: S101 - a crossed book has both
            assert book.best_ask is not None  # noqa: S101
            return f"it crosses the book of {symbol}: bid {book.best_bid[0]}, ask {book.best_ask[0]}"
        return ""

    def _grid(self, symbol: str) -> _Grid:
        if symbol not in self._grids:
            self._grids[symbol] = _Grid(symbol)
        return self._grids[symbol]


class _Grid:
    """One contract's filters; of a contract that is not shipped the numbers alone are looked at."""

    def __init__(self, symbol: str) -> None:
        self._scale: Scale | None = None
        self._max_price = Decimal("Infinity")
        self._known: dict[tuple[str, bool, int], str] = {}
        if symbol in known_symbols():
            (item,) = instruments_for((symbol,))
            price, lot = item["priceFilter"], item["lotSizeFilter"]
            self._max_price = Decimal(price["maxPrice"])
            self._scale = Scale.load(
                symbol=symbol,
                tick_size=Decimal(price["tickSize"]),
                qty_step=Decimal(lot["qtyStep"]),
                max_price=self._max_price,
                max_qty=Decimal(lot["maxOrderQty"]),
            )

    def fault(self, levels: Iterable[tuple[str, str]], *, least: int) -> str:
        """Say what is wrong with prices (above 0) and sizes (of at least so many lots), or ""."""
        for price, size in levels:
            wrong = self._look(price, is_price=True, least=1) or self._look(size, is_price=False, least=least)
            if wrong:
                return wrong
        return ""

    def _look(self, text: str, *, is_price: bool, least: int) -> str:
        key = (text, is_price, least)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._judge(text, is_price=is_price, least=least)
        return self._known[key]

    def _judge(self, text: str, *, is_price: bool, least: int) -> str:
        what = "price" if is_price else "size"
        if not _NUMBER.fullmatch(text):
            return f"{what} {text[:40]!r} is not a number"
        number = Decimal(text)
        if is_price and number > self._max_price:
            return f"price {text} is above the contract's {self._max_price}"
        if number <= 0 and least:
            return f"{what} {text} is not above 0"
        if self._scale is None:
            return ""
        convert: Callable[[Decimal], int] = self._scale.ticks if is_price else self._scale.lots
        try:
            convert(number)
        except OffGridError as error:
            return str(error)
        return ""


def _ticker(frame: TickerFrame) -> str:
    data = frame.data
    named = {
        "lastPrice": data.last_price,
        "markPrice": data.mark_price,
        "indexPrice": data.index_price,
        "openInterest": data.open_interest,
        "nextFundingTime": data.next_funding_ms,
    }
    for name, text in named.items():
        if text and not _NUMBER.fullmatch(text):
            return f"{name} {text[:40]!r} is not a number"
    if data.funding_rate and not _SIGNED.fullmatch(data.funding_rate):
        return f"fundingRate {data.funding_rate[:40]!r} is not a number"
    return ""
