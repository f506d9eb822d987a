"""Books whose best bid is not below the best ask, looked for after every stored change, not at snapshots alone.

Each producer's books of a symbol are applied in the order of its numbers. After a gap, or where a row is missing, a book is unknown until
the next snapshot, and is not looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

from undertow.contracts.messages.market import Level
from undertow.exchange.book import OrderBook

ROWS: Final = 10_000
"""Rows in memory at a time."""
Origin = tuple[str, str]
"""Stream key and producer."""
_COLUMNS: Final = "producer_sequence, ts_event, snapshot, bids, asks"


@dataclass(slots=True)
class Crossing:
    """A book that was crossed for a while.

    Attributes:
        begin_ns: event of the update that crossed it.
        updates: after which it was crossed, this one among them.
    """

    symbol: str
    begin_ns: int
    updates: int = 1


@dataclass(slots=True)
class _Followed:
    ranges: Sequence[tuple[int, int]]
    book: OrderBook | None = None  # None while it is unknown
    last: int = 0
    crossing: Crossing | None = None
    found: list[Crossing] = field(default_factory=list)

    def on_update(
        self, symbol: str, number: int, at_ns: int, is_snapshot: bool | None, bids: list[Level], asks: list[Level]
    ) -> None:
        if is_snapshot is None or self._range_of(number) != self._range_of(self.last):
            self.book = None
        self.last = number
        try:
            if is_snapshot:
                self.book = OrderBook(max(len(bids), len(asks), 1))
                self.book.replace(bids, asks)
            elif self.book is not None:
                self.book.apply(bids, asks)
        except ValueError:  # no level: good for nothing until the next snapshot
            self.book = None
        if self.book is None or not self.book.is_crossed:
            self.crossing = None
        elif self.crossing is None:
            self.crossing = Crossing(symbol, at_ns)
            self.found.append(self.crossing)
        else:
            self.crossing.updates += 1

    def _range_of(self, number: int) -> int:
        return bisect_right(self.ranges, number, key=lambda each: each[0])


def crossings(
    database: duckdb.DuckDBPyConnection, hours: Sequence[int], ranges: Mapping[Origin, Sequence[tuple[int, int]]]
) -> list[Crossing]:
    """Follow all books of the views `book` and, where there is one, `gap`; by time.

    Args:
        database: of one day.
        hours: of the day in which there are books, ascending.
        ranges: of each producer the numbers that are stored without a hole, ascending.
    """
    views = {name for (name,) in database.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    followed: dict[tuple[Origin, str], _Followed] = {}
    for hour in hours:
        for origin, symbol, updates in _batches(database, hour, has_gaps="gap" in views):
            one = followed.setdefault((origin, symbol), _Followed(ranges.get(origin, ())))
            for update in updates:
                one.on_update(symbol, *update)
    found = [crossing for one in followed.values() for crossing in one.found]
    return sorted(found, key=lambda each: (each.begin_ns, each.symbol))


_Update = tuple[int, int, bool | None, list[Level], list[Level]]


def _batches(
    database: duckdb.DuckDBPyConnection, hour: int, *, has_gaps: bool
) -> Iterator[tuple[Origin, str, Iterator[_Update]]]:
    gaps = (
        f" UNION ALL SELECT stream_key, producer, symbol, producer_sequence, ts_event, NULL, [], [] FROM gap WHERE hour = {hour}"  # noqa: S608 - a number
        if has_gaps
        else ""
    )
    rows = f"SELECT stream_key, producer, symbol, {_COLUMNS} FROM book WHERE hour = {hour}{gaps}"  # noqa: S608 - our own names
    origins = database.execute(f"SELECT DISTINCT stream_key, producer, symbol FROM ({rows}) ORDER BY ALL").fetchall()  # noqa: S608 - as above
    for key, producer, symbol in origins:
        asked = f"SELECT {_COLUMNS} FROM ({rows}) WHERE stream_key = ? AND producer = ? AND symbol = ? ORDER BY producer_sequence"  # noqa: S608 - as above
        yield (key, producer), symbol, _fetched(database.execute(asked, [key, producer, symbol]))


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[_Update]:
    while rows := result.fetchmany(ROWS):
        yield from rows
