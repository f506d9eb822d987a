"""Tardis.dev's CSV files of `bybit`: `trades`, `incremental_book_L2`, `liquidations`, `derivative_ticker`, told by their header.

Times are microseconds since 1970: `timestamp` is the exchange's, `local_timestamp` when Tardis received the message. The columns are
documented at docs.tardis.dev, "downloadable CSV files"; that rows ascend by `local_timestamp` is our inference, on which public loaders
rely too. Numbers came through JavaScript, so `1e-7` occurs and trailing zeros are gone.

Sides. In `trades` it is the taker's, as ours. In `liquidations` it is the side of the **order** that the liquidation forced: `sell` when
a long was liquidated (Tardis' own mapper turns Bybit's `Buy` into `sell`). Ours, like Bybit's, is the side of the **position**, so it is
turned around here.

Books. Rows of one `local_timestamp` are one message. A snapshot after other rows means that the connection was made again: a `Gap`, then
a `Resync`. Rows before the first snapshot are left out, as the documentation asks. There are no update ids, so only a crossed book shows
a loss; messages are numbered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeVar

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import (
    Book,
    Gap,
    GapReason,
    Level,
    Liquidation,
    Liquidations,
    Ticker,
    Trade,
    Trades,
)
from undertow.domain.order import Side
from undertow.exchange.bybit.facts import LIQUIDATION_FEED
from undertow.history.archive import Archive
from undertow.history.bybit_books import BookWatch

EXCHANGE: Final = "bybit"
THINNED_FEED: Final = "bybit.liquidation.1s"
"""Bybit's former feed, which told at most one liquidation a second and symbol."""
_ALL_SINCE_NS: Final = (
    1_740_528_000_000_000_000  # 26 February 2025, when Tardis' mapper changed (a public reading of it says)
)
_US_NS: Final = 1_000
_TAKERS: Final = {"buy": Side.BUY, "sell": Side.SELL}
_POSITIONS: Final = {"sell": Side.BUY, "buy": Side.SELL}  # whose forced order this is
_FLAGS: Final = {"true": True, "false": False}
_SIDES: Final = {"bid": True, "ask": False}
_DEEPEST: Final = 1_000
_HEAD: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
_BOOK: Final = ("is_snapshot", "side", "price", "amount")
_EVENTS: Final = ("id", "side", "price", "amount")
_TICKER: Final = ("funding_timestamp", "funding_rate", "open_interest", "last_price", "index_price", "mark_price")

T = TypeVar("T")
Row = tuple[str, int, int, tuple[str, ...]]
"""Symbol, event ns, receive ns, the other columns."""


def read_tardis(archive: Archive) -> Iterator[Message]:
    """Yield the facts of an archive by ascending time of receipt.

    Raises:
        ArchiveError: a row makes no sense, is out of order, or is of another exchange.
    """
    header = archive.header()
    if "is_snapshot" in header:
        return _books(archive, _rows(archive, header, _BOOK))
    if "funding_rate" in header:
        return _tickers(archive, _rows(archive, header, _TICKER))
    archive.require(header, (*_HEAD, *_EVENTS))
    return _KINDS[_kind(archive)](archive, _rows(archive, header, _EVENTS))


def _kind(archive: Archive) -> str:
    # trades and liquidations have the same columns; the names that Tardis' own downloader gives tell them apart
    for part in reversed(archive.path.parts):
        kinds = [kind for kind in _KINDS if kind in part]
        if len(kinds) == 1:
            return kinds[0]
    rule = "may hold trades or liquidations, whose columns are alike"
    raise archive.fault(rule, f"let the name of the file or its folder say {' or '.join(_KINDS)}")


def _rows(archive: Archive, header: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    latest_us = 0
    for exchange, symbol, event, local, *rest in archive.cells(header, (*_HEAD, *columns)):
        if exchange != EXCHANGE:
            raise archive.fault(
                f"is of the exchange {exchange}, and history is kept of {EXCHANGE} alone", "leave it out"
            )
        local_us = archive.whole("local_timestamp", local)
        if local_us < latest_us:
            raise archive.fault(f"local_timestamp {local} is before {latest_us} of the row above")
        latest_us = local_us
        yield archive.symbol(symbol), archive.whole("timestamp", event) * _US_NS, local_us * _US_NS, tuple(rest)


def _trades(archive: Archive, rows: Iterator[Row]) -> Iterator[Message]:
    def trade(row: Row) -> Trade:
        trade_id, side, price, amount = row[3]
        taker = archive.choice("side", side, _TAKERS)
        return Trade(row[1], taker, *_sized(archive, price, amount), trade_id)

    for symbol, at_ns, received_ns, trades in _together(rows, trade, itemgetter(0, 2)):
        yield Trades(ts_event=at_ns, ts_recv=received_ns, symbol=symbol, trades=tuple(trades))


def _liquidations(archive: Archive, rows: Iterator[Row]) -> Iterator[Message]:
    def liquidation(row: Row) -> Liquidation:
        _, side, price, amount = row[3]
        position = archive.choice("side", side, _POSITIONS)
        return Liquidation(row[1], position, *_sized(archive, price, amount))

    for symbol, at_ns, received_ns, each in _together(rows, liquidation, itemgetter(0, 2)):
        feed = LIQUIDATION_FEED if received_ns >= _ALL_SINCE_NS else THINNED_FEED
        yield Liquidations(ts_event=at_ns, ts_recv=received_ns, symbol=symbol, liquidations=tuple(each), feed=feed)


def _tickers(archive: Archive, rows: Iterator[Row]) -> Iterator[Message]:
    for symbol, at_ns, received_ns, (funding_at, rate, interest, last, index, mark) in rows:
        yield Ticker(
            ts_event=at_ns,
            ts_recv=received_ns,
            symbol=symbol,
            last_price=last and archive.number("last_price", last),
            mark_price=mark and archive.number("mark_price", mark),
            index_price=index and archive.number("index_price", index),
            open_interest=interest and archive.number("open_interest", interest),
            funding_rate=rate and _signed(archive, rate),
            next_funding_ns=archive.whole("funding_timestamp", funding_at) * _US_NS if funding_at else 0,
        )


def _books(archive: Archive, rows: Iterator[Row]) -> Iterator[Message]:
    watches: dict[str, BookWatch] = {}
    was_snapshot: dict[str, bool] = {}
    number = 0

    def level(row: Row) -> tuple[bool, bool, Level]:
        flag, side, price, amount = row[3]
        size = archive.number("amount", amount)
        size = size if size.strip("0.") else "0"
        found = (archive.number("price", price, above_zero=True), size)
        return archive.choice("is_snapshot", flag, _FLAGS), archive.choice("side", side, _SIDES), found

    for symbol, at_ns, received_ns, levels in _together(rows, level, lambda row: (row[0], row[2], row[3][0])):
        is_snapshot = levels[0][0]
        if not is_snapshot and symbol not in watches:
            continue
        if is_snapshot and was_snapshot.get(symbol) is False:
            detail = "the archive begins anew with a snapshot"
            yield Gap(ts_event=at_ns, ts_recv=received_ns, symbol=symbol, reason=GapReason.DISCONNECTED, detail=detail)
            watches[symbol] = BookWatch(_DEEPEST, counts=False)
        was_snapshot[symbol] = is_snapshot
        number += 1
        watch = watches.setdefault(symbol, BookWatch(_DEEPEST, counts=False))
        yield from watch.messages(
            Book(
                ts_event=at_ns,
                ts_recv=received_ns,
                symbol=symbol,
                snapshot=is_snapshot,
                bids=tuple(each for _, is_bid, each in levels if is_bid),
                asks=tuple(each for _, is_bid, each in levels if not is_bid),
                update_id=number,
                sequence=0,
            )
        )


def _together(
    rows: Iterator[Row], make: Callable[[Row], T], same: Callable[[Row], object]
) -> Iterator[tuple[str, int, int, list[T]]]:
    """Yield what came in one message: symbol, its latest event, its receipt, what was made of its rows."""
    for _, group in groupby(rows, same):
        made: list[T] = []
        symbol, at_ns, received_ns = "", 0, 0
        for row in group:
            symbol, at_ns, received_ns = row[0], max(at_ns, row[1]), row[2]
            made.append(make(row))
        yield symbol, at_ns, received_ns, made


def _sized(archive: Archive, price: str, amount: str) -> tuple[str, str]:
    return archive.number("price", price, above_zero=True), archive.number("amount", amount, above_zero=True)


def _signed(archive: Archive, rate: str) -> str:
    sign = "-" if rate.startswith("-") else ""
    return sign + archive.number("funding_rate", rate.removeprefix("-"))


_KINDS: Final = {"trades": _trades, "liquidations": _liquidations}
