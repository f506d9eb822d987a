"""What frames must say, beyond their shape, so that the venue plays them: a tape's before anything starts, a live market's one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.frames import BookFrame, KlineFrame, LiquidationFrame, TickerFrame, TradeFrame
from undertow.markets.instruments import instruments_for, known_symbols
from undertow.matching.scale import OffGridError, Scale, to_units

_NUMBER: Final = re.compile(r"\d{1,18}(\.\d{1,18})?")
_SIGNED: Final = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_WHOLE: Final = re.compile(r"\d{1,18}")
_DEEPEST: Final = 1_000
_REMEMBERED: Final = 65_536
_LEAST: Final = Decimal("1E-18")  # that such a number can be, above 0


class Contracts(Protocol):
    """Where the filters of a contract come from."""

    def __contains__(self, symbol: str, /) -> bool:
        """Tell whether they are known."""
        ...

    def instrument(self, symbol: str) -> Mapping[str, Any]:
        """Give the item of instruments-info."""
        ...


class _Shipped:
    def __contains__(self, symbol: str) -> bool:
        return symbol in known_symbols()

    def instrument(self, symbol: str) -> Mapping[str, Any]:
        return instruments_for((symbol,))[0]


class TapeCheck:
    """Looks at frames in their order: prices and sizes on the contract's grid, books that open with a snapshot and never cross.

    Args:
        contracts: with these filters; the shipped ones if none are given.
        depth: levels a side that the books keep.
    """

    def __init__(self, contracts: Contracts | None = None, depth: int = _DEEPEST) -> None:
        self._contracts = contracts or _Shipped()
        self._depth = depth
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
                return _ticker(frame, self._grid(frame.symbol))
            case KlineFrame():
                return _candles(frame)
            case _:
                return ""

    def _book(self, frame: BookFrame) -> str:
        symbol, data = frame.symbol, frame.data
        fault = self._grid(symbol).fault((*data.bids, *data.asks), least=0)
        if fault:
            return fault
        book = self._books.get(symbol)
        if frame.snapshot:
            book = self._books[symbol] = OrderBook(self._depth)
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
            self._grids[symbol] = _Grid(symbol, self._contracts)
        return self._grids[symbol]


class _Grid:
    """One contract's filters; of a contract that is not known the numbers alone are looked at."""

    def __init__(self, symbol: str, contracts: Contracts) -> None:
        self._scale: Scale | None = None
        self._min_price, self._max_price = _LEAST, Decimal("Infinity")
        self._known: dict[tuple[str, bool, int], str] = {}
        if symbol in contracts:
            item = contracts.instrument(symbol)
            price, lot = item["priceFilter"], item["lotSizeFilter"]
            self._min_price, self._max_price = Decimal(price["tickSize"]), Decimal(price["maxPrice"])
            self._scale = Scale.load(
                symbol=symbol,
                tick_size=self._min_price,
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

    def price_fault(self, name: str, text: str) -> str:
        """Say what is wrong with a price that need not be on the tick (a mark is finer) but must reach it, or ""."""
        if not _NUMBER.fullmatch(text):
            return f"{name} {text[:40]!r} is not a number"
        if not self._min_price <= Decimal(text) <= self._max_price:
            return f"{name} {text} is not from {self._min_price} to {self._max_price}"
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


def _ticker(frame: TickerFrame, grid: _Grid) -> str:
    data = frame.data
    prices = {"lastPrice": data.last_price, "markPrice": data.mark_price, "indexPrice": data.index_price}
    for name, text in prices.items():
        fault = grid.price_fault(name, text) if text else ""
        if fault:
            return fault
    if data.open_interest and not _NUMBER.fullmatch(data.open_interest):
        return f"openInterest {data.open_interest[:40]!r} is not a number"
    if data.next_funding_ms and not _WHOLE.fullmatch(data.next_funding_ms):
        return f"nextFundingTime {data.next_funding_ms[:40]!r} is not a whole number"
    return _rate(data.funding_rate) if data.funding_rate else ""


def _rate(text: str) -> str:
    if not _SIGNED.fullmatch(text):
        return f"fundingRate {text[:40]!r} is not a number"
    if abs(Decimal(text)) > 1:
        return f"fundingRate {text} is beyond 1"
    try:
        to_units(Decimal(text))
    except OffGridError as error:
        return f"fundingRate {error}"
    return ""


def _candles(frame: KlineFrame) -> str:
    for candle in frame.data:
        for text in (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover):
            if not _NUMBER.fullmatch(text):
                return f"a candle has {text[:40]!r}, which is not a number"
    return ""
