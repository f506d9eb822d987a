"""How good a stored day is: what is missing, doubled, silent, crossed or late, and how much there is of everything.

A day is that of `ts_event`. Numbers of producers are joined hour by hour, so memory does not grow with the day; what seems to be missing is
looked for in all other days before it is told, because facts of the past (a funding rate, a candle) lie in the day of their event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any, Final

import duckdb

from undertow.storage.crossed import Crossing, Origin, crossings
from undertow.storage.query import connected
from undertow.storage.store import Store

LIMITS: Final = {"memory_limit": "'1GB'", "threads": "1"}
SILENCE_NS: Final = 60_000_000_000
"""A topic that is never silent for so long on a living market."""
LIVELY: Final = ("book", "trades", "ticker")
"""Topics in which silence is a finding."""
SHOWN: Final = 50
"""Findings of a kind that are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers of a producer that are stored in no day."""

    stream_key: str
    producer: str
    first: int
    last: int
    missing: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A topic of a symbol in which nothing happened for longer than `SILENCE_NS`, by receive time."""

    topic: str
    symbol: str
    begin_ns: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From the event to the fleet, and from the frame to the bus, in milliseconds."""

    topic: str
    p50: float
    p99: float
    most: float
    inside_p99: float | None


@dataclass(slots=True)
class Quality:
    """What was found in a day.

    Attributes:
        counts: (topic, symbol, hour) → rows.
        duplicates: rows beyond the first of the same key, producer and number.
        repeated_trades: trades of the venue that are there under the same id more than once.
        gaps: (symbol, reason) → times the ingestor lost a book.
        crossed: books whose best bid was not below the best ask after a stored update.
        suspicions: (symbol, fault) → times the liquidation feed was suspected.
    """

    day: date
    address: str
    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)
    duplicates: int = 0
    repeated_trades: int = 0
    gaps: dict[tuple[str, str], int] = field(default_factory=dict)
    crossed: list[Crossing] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    suspicions: dict[tuple[str, str], int] = field(default_factory=dict)
    latencies: list[Latency] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of the day."""
        return sum(self.counts.values())

    @property
    def missing(self) -> int:
        """Rows that are missing."""
        return sum(hole.missing for hole in self.holes)

    @property
    def findings(self) -> int:
        """How many things are not as they should be; 0 for a perfect day."""
        many = len(self.holes) + len(self.silences) + len(self.crossed) + sum(self.gaps.values())
        return many + self.duplicates + self.repeated_trades + sum(self.suspicions.values())


def days(store: Store) -> list[date]:
    """Give the days of which something is stored, ascending.

    Raises:
        StoreDamagedError: a progress file cannot be read.
    """
    return sorted({file.place.date for file in store.part_files()})


def measure(store: Store, day: date) -> Quality:
    """Look at a day.

    Raises:
        StoreMissingError: nothing is stored of it.
    """
    quality = Quality(day, store.address)
    with connected(store, {day}, LIMITS) as database:
        topics = _topics(database)
        for topic in topics:
            for symbol, hour, rows in _ask(database, f'SELECT symbol, hour, count(*) FROM "{topic}" GROUP BY ALL'):  # noqa: S608 - our own name
                quality.counts[topic, symbol, hour] = rows
        ranges = _numbers(database, topics, quality)
        _look_at_market(database, topics, ranges, quality)
    quality.holes = _holes(store, ranges)
    return quality


def _topics(database: duckdb.DuckDBPyConnection) -> list[str]:
    rows = _ask(
        database, "SELECT table_name FROM duckdb_columns() WHERE column_name = 'producer_sequence' AND NOT internal"
    )
    return sorted(name for (name,) in rows if not name.startswith("stored_"))


def _numbers(
    database: duckdb.DuckDBPyConnection, topics: Sequence[str], quality: Quality
) -> dict[Origin, list[tuple[int, int]]]:
    ranges: dict[Origin, list[tuple[int, int]]] = {}
    for hour in sorted({hour for _, _, hour in quality.counts}):
        every = " UNION ALL ".join(
            f'SELECT stream_key, producer, producer_sequence AS n FROM "{topic}" WHERE hour = {hour}'  # noqa: S608 - our own names
            for topic in topics
        )
        islands = f"""
            SELECT stream_key, producer, min(n), max(n), sum(times - 1) FROM (
                SELECT *, n - row_number() OVER (PARTITION BY stream_key, producer ORDER BY n) AS island FROM (
                    SELECT stream_key, producer, n, count(*) AS times FROM ({every}) GROUP BY ALL))
            GROUP BY stream_key, producer, island"""  # noqa: S608 - as above
        for key, producer, first, last, doubled in _ask(database, islands):
            ranges.setdefault((key, producer), []).append((first, last))
            quality.duplicates += int(doubled)
    return {origin: _joined(each, quality) for origin, each in ranges.items()}


def _joined(ranges: list[tuple[int, int]], quality: Quality) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            quality.duplicates += max(0, min(last, joined[-1][1]) - first + 1)
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _holes(store: Store, ranges: dict[Origin, list[tuple[int, int]]]) -> list[Hole]:
    suspected = [
        (key, producer, left[1] + 1, right[0] - 1)
        for (key, producer), each in sorted(ranges.items())
        for left, right in pairwise(each)
    ]
    if not suspected:
        return []
    found = []
    with connected(store, limits=LIMITS) as database:
        every = " UNION ALL ".join(
            f'SELECT stream_key, producer, producer_sequence AS n FROM "{topic}"'  # noqa: S608 - our own names
            for topic in _topics(database)
        )
        for key, producer, first, last in suspected:
            sql = f"SELECT count(DISTINCT n) FROM ({every}) WHERE stream_key = ? AND producer = ? AND n BETWEEN ? AND ?"  # noqa: S608 - as above
            ((there,),) = _ask(database, sql, [key, producer, first, last])
            if there <= last - first:
                found.append(Hole(key, producer, first, last, last - first + 1 - there))
    return found


def _look_at_market(
    database: duckdb.DuckDBPyConnection,
    topics: Sequence[str],
    ranges: Mapping[Origin, Sequence[tuple[int, int]]],
    quality: Quality,
) -> None:
    if "gap" in topics:
        rows = _ask(database, "SELECT symbol, reason, count(*) FROM gap GROUP BY ALL ORDER BY ALL")
        quality.gaps = {(symbol, reason): times for symbol, reason, times in rows}
    if "feed_suspect" in topics:
        rows = _ask(
            database, "SELECT symbol, fault, count(*) FROM feed_suspect WHERE suspected GROUP BY ALL ORDER BY ALL"
        )
        quality.suspicions = {(symbol, fault): times for symbol, fault, times in rows}
    if "book" in topics:
        hours = sorted({hour for topic, _, hour in quality.counts if topic in ("book", "gap")})
        quality.crossed = crossings(database, hours, ranges)
    if "trades" in topics:
        ((quality.repeated_trades,),) = _ask(
            database,
            "SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM trade GROUP BY symbol, trade_id)",
        )
    for topic in (topic for topic in LIVELY if topic in topics):
        rows = _ask(
            database,
            f"SELECT symbol, at_ns, wait FROM (SELECT symbol, ts_recv AS at_ns, lead(ts_recv) OVER (PARTITION BY symbol ORDER BY ts_recv)"  # noqa: S608 - our own name
            f' - ts_recv AS wait FROM "{topic}") WHERE wait > {SILENCE_NS} ORDER BY ALL',
        )
        quality.silences += [Silence(topic, symbol, begin, wait / 1e9) for symbol, begin, wait in rows]
    for topic in topics:
        late = "(ts_recv - ts_event) / 1e6 AS late"
        inside = "CASE WHEN len(hops) > 1 THEN (hops[-1] - hops[1]) / 1e6 END AS inside"
        spread = "quantile_cont(late, 0.5), quantile_cont(late, 0.99), max(late), quantile_cont(inside, 0.99)"
        sql = f'SELECT {spread} FROM (SELECT {late}, {inside} FROM "{topic}")'  # noqa: S608 - our own names
        ((p50, p99, most, inside_p99),) = _ask(database, sql)
        quality.latencies.append(Latency(topic, p50, p99, most, inside_p99))


def _ask(database: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    return database.execute(sql, list(values)).fetchall()
