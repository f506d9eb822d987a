"""SQL over a store: one view a topic, read only.

DuckDB itself touches no file: each view is an Arrow dataset over the files that count, access to anything else is switched off, and the
configuration is locked before a query runs. So a query can read what is stored and nothing besides, on a disk and in a bucket alike.

Each view has the stored columns, and beside them

- `event_time`: `ts_event` as a TIMESTAMP_NS (UTC);
- `NAME_number`: for each column NAME that holds money, a price or a quantity as decimal text, the same as DECIMAL(38, 18); null where
  the text is empty.

`trade` and `liquidation` have one row for each of the lists in `trades` and `liquidations`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import duckdb
import msgspec

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Kline, Liquidations, Ticker, Trades
from undertow.storage.errors import StorageError, StoreMissingError
from undertow.storage.kinds import KINDS
from undertow.storage.layout import PartFile
from undertow.storage.schema import schema_of
from undertow.storage.store import Store, dataset_of

NUMBER: Final = "DECIMAL(38, 18)"
TEXT_NUMBERS: Final[Mapping[type[Message], tuple[str, ...]]] = {
    Ticker: ("last_price", "mark_price", "index_price", "open_interest", "funding_rate"),
    Kline: ("open", "high", "low", "close", "volume", "turnover"),
}
"""Columns that the market's messages carry as the venue's own text; those of type Decimal are found by themselves."""
ONE_BY_ONE: Final[Mapping[type[Message], tuple[str, str, tuple[str, ...]]]] = {
    Trades: ("trade", "trades", ("price", "size")),
    Liquidations: ("liquidation", "liquidations", ("price", "size")),
}
"""Lists that have a view with one row for each element: its name, the column, and the element's numbers."""
_LOCKED: Final = {
    "temp_directory": "''",
    "TimeZone": "'UTC'",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "lock_configuration": "true",
}


class QueryError(StorageError):
    """The SQL is wrong, or asks for what a query may not do."""


class Answer(msgspec.Struct, frozen=True):
    """What a query gave.

    Attributes:
        columns: their names.
        rows: values as Python has them.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@contextmanager
def connected(
    store: Store, dates: Collection[date] | None = None, limits: Mapping[str, str] = MappingProxyType({})
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database whose views are the topics of a store as it is at this moment.

    Args:
        store: the store.
        dates: which days, None for all.
        limits: further settings of DuckDB, as `memory_limit`.

    Raises:
        StoreMissingError: nothing is stored there yet.
    """
    files: dict[str, list[PartFile]] = {}
    for file in store.part_files(dates=dates):
        if file.place.topic in KINDS:
            files.setdefault(file.place.topic, []).append(file)
    if not files:
        raise StoreMissingError(f"no snapshots in {store.address} yet")
    with duckdb.connect() as database:
        for topic, parts in files.items():
            kind = KINDS[topic]
            database.register(f"stored_{topic}", dataset_of(store.files, kind, parts))
            for statement in _views(topic, kind):
                database.execute(statement)
        for name, value in (*limits.items(), *_LOCKED.items()):
            database.execute(f"SET {name} = {value}")
        yield database


def answer(store: Store, sql: str) -> Answer:
    """Answer a query.

    Raises:
        StoreMissingError: nothing is stored there yet.
        QueryError: the SQL is wrong; says in one line why, and which views there are.
    """
    with connected(store) as database:
        try:
            found = database.execute(sql)
            columns = tuple(column[0] for column in found.description or ())
            return Answer(columns, found.fetchall() if columns else [])
        except duckdb.Error as error:
            shown = [
                row[0] for row in database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
            ]
            views = ", ".join(sorted(name for name in shown if not name.startswith("stored_")))
            raise QueryError(f"{str(error).partition('LINE ')[0].strip()}; there are the views {views}") from None


def _views(topic: str, kind: type[Message]) -> Iterator[str]:
    stored = f'"stored_{topic}"'
    numbers = "".join(f', TRY_CAST("{name}" AS {NUMBER}) AS "{name}_number"' for name in _numbers(kind))
    yield f'CREATE VIEW "{topic}" AS SELECT *, make_timestamp_ns(ts_event) AS event_time{numbers} FROM {stored}'  # noqa: S608 - our own names
    if kind in ONE_BY_ONE:
        name, column, numeric = ONE_BY_ONE[kind]
        cast = "".join(f', TRY_CAST("{each}" AS {NUMBER}) AS "{each}_number"' for each in numeric)
        yield (
            f'CREATE VIEW "{name}" AS SELECT one.*, make_timestamp_ns(ts_event) AS event_time{cast}'  # noqa: S608 - as above
            f" FROM (SELECT unnest({column}, recursive := true), symbol, ts_recv, date, hour FROM {stored}) AS one"
        )


def _numbers(kind: type[Message]) -> tuple[str, ...]:
    info = msgspec.inspect.type_info(kind)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{kind.__name__} is not a message")
    money = tuple(field.name for field in info.fields if isinstance(field.type, msgspec.inspect.DecimalType))
    text = TEXT_NUMBERS.get(kind, ())
    return tuple(name for name in schema_of(kind).names if name in money + text)
