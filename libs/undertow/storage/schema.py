"""From a kind of message to an Arrow schema and tables; derived, so that a new message is stored without a line written here.

Money stays the exact decimal text that it was on the wire (the views of `undertow.storage.query` have numbers beside it). Nested structs
become structs, tuples of them lists of structs. A message grows by new fields at the end, so older files lack columns; a reader sees
null there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Final, Protocol

import msgspec
import pyarrow as pa

from undertow.contracts.messages.base import Message
from undertow.storage.layout import topic_of

SCHEMA_VERSION: Final = 2
"""1 had no `stream_key`."""
VERSION_KEY: Final = "undertow.schema_version"
_SCALARS: Final[dict[type[msgspec.inspect.Type], pa.DataType]] = {
    msgspec.inspect.IntType: pa.int64(),
    msgspec.inspect.FloatType: pa.float64(),
    msgspec.inspect.BoolType: pa.bool_(),
    msgspec.inspect.StrType: pa.string(),
    msgspec.inspect.BytesType: pa.binary(),
    msgspec.inspect.DecimalType: pa.string(),
    msgspec.inspect.EnumType: pa.string(),
}
_ORIGIN: Final = (
    pa.field("stream_key", pa.string()),
    pa.field("entry_id", pa.string()),
    pa.field("producer", pa.string()),
    pa.field("producer_sequence", pa.int64()),
    pa.field("hops", pa.list_(pa.int64())),
)


class Row(Protocol):
    """A message and where it came from; `stream_key`, `producer` and `sequence` together are unique in a store."""

    @property
    def message(self) -> Any:
        """The message."""
        ...

    @property
    def stream_key(self) -> str:
        """Key of the stream it was on, or the name of the archive it comes from."""
        ...

    @property
    def entry_id(self) -> str:
        """Id in the stream; empty outside streams."""
        ...

    @property
    def producer(self) -> str:
        """Who published it: service and boot id."""
        ...

    @property
    def sequence(self) -> int:
        """1, 2, 3 … per producer and stream key."""
        ...

    @property
    def hops(self) -> tuple[int, ...]:
        """Wall ns of its journey."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """A row made by hand, for what never was on a stream."""

    message: Message
    stream_key: str
    producer: str
    sequence: int
    entry_id: str = ""
    hops: tuple[int, ...] = ()


@cache
def schema_of(kind: type[Message]) -> pa.Schema:
    """Give the schema of the rows of a kind of message: where each came from, then its fields."""
    fields = [pa.field(name, _arrow(field)) for name, field in _fields(kind)]
    return pa.schema([*_ORIGIN, *fields], metadata={"undertow.tag": topic_of(kind), VERSION_KEY: str(SCHEMA_VERSION)})


def table_of(kind: type[Message], rows: Sequence[Row]) -> pa.Table:
    """Make a table of rows whose messages are all of one kind."""
    columns: list[list[Any]] = [
        [row.stream_key for row in rows],
        [row.entry_id for row in rows],
        [row.producer for row in rows],
        [row.sequence for row in rows],
        [row.hops for row in rows],
        *([_plain(getattr(row.message, name)) for row in rows] for name in kind.__struct_fields__),
    ]
    schema = schema_of(kind)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _fields(struct: type[msgspec.Struct]) -> list[tuple[str, msgspec.inspect.Type]]:
    info = msgspec.inspect.type_info(struct)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{struct.__name__} is not a message")
    return [(field.name, field.type) for field in info.fields]


def _arrow(kind: msgspec.inspect.Type) -> pa.DataType:
    if isinstance(kind, msgspec.inspect.StructType):
        return pa.struct([pa.field(name, _arrow(inner)) for name, inner in _fields(kind.cls)])
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return pa.list_(_arrow(kind.item_type))
    if isinstance(kind, msgspec.inspect.TupleType):
        return pa.list_(_arrow(kind.item_types[0]))
    return _SCALARS[type(kind)]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value
