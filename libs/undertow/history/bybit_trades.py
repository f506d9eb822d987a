"""Bybit's public archive of trades: `public.bybit.com/trading/SYMBOL/SYMBOLYYYY-MM-DD.csv.gz`, a row for each trade of a day.

Columns as files of 2020 to 2026 have them (seen in public loaders and their fixtures; newer files add `RPI`): `timestamp` in seconds with
up to four decimals, `symbol`, `side` of the taker, `size` in base coin, `price`, …, `trdMatchID`. Nothing says when a trade was received,
so it counts as received when it happened. Trades of one moment become one message, as on the wire. Rows ascend by time, or
descend (old files do, as public loaders' tests have it); a file that does neither is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Trade, Trades
from undertow.domain.order import Side
from undertow.history.archive import Archive

COLUMNS: Final = ("timestamp", "symbol", "side", "size", "price", "trdMatchID")
SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
_BACK: Final = "sort its rows by their first column"


def read_bybit_trades(archive: Archive) -> Iterator[Message]:
    """Yield the trades of an archive by ascending time.

    Raises:
        ArchiveError: a row makes no sense, or is out of order.
    """
    waiting: list[Trade] = []
    latest_ns, of = 0, ""
    lines = archive.backwards() if _is_newest_first(archive) else None
    archive.rewind()
    for moment, symbol, side, size, price, trade_id in archive.cells(archive.header(), COLUMNS, lines):
        at_ns = archive.seconds_ns("timestamp", moment)
        if at_ns < latest_ns:
            raise archive.fault(f"timestamp {moment} is out of order", _BACK)
        if waiting and (at_ns != latest_ns or symbol != of):
            yield _message(of, waiting)
            waiting = []
        latest_ns, of = at_ns, symbol
        waiting.append(
            Trade(
                at_ns,
                archive.choice("side", side, SIDES),
                archive.number("price", price, above_zero=True),
                archive.number("size", size, above_zero=True),
                trade_id,
            )
        )
        archive.symbol(symbol)
    if waiting:
        yield _message(of, waiting)


def _message(symbol: str, trades: list[Trade]) -> Trades:
    at_ns = trades[-1].ts_event
    return Trades(ts_event=at_ns, ts_recv=at_ns, symbol=symbol, trades=tuple(trades))


def _is_newest_first(archive: Archive) -> bool:
    first_ns = None
    for (moment,) in archive.cells(archive.header(), COLUMNS[:1]):
        at_ns = archive.seconds_ns("timestamp", moment)
        first_ns = at_ns if first_ns is None else first_ns
        if at_ns != first_ns:
            return at_ns < first_ns
    return False
