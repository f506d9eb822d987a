"""From a kind of message to an Arrow schema and tables; derived, so that a new message is stored without a line written here.

Money stays the exact decimal text that it was on the wire (the views of `undertow.storage.query` have numbers beside it). Nested structs
become structs, tuples of them lists of structs, pairs lists of what both are in Arrow. A message grows by new fields at the end, so older
files lack columns; a reader sees null there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain
from operator import attrgetter
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
    messages = [row.message for row in rows]
    hops = [row.hops for row in rows]
    arrays = [
        pa.array([row.stream_key for row in rows], pa.string()),
        pa.array([row.entry_id for row in rows], pa.string()),
        pa.array([row.producer for row in rows], pa.string()),
        pa.array([row.sequence for row in rows], pa.int64()),
        pa.ListArray.from_arrays(_offsets(hops), pa.array(list(chain.from_iterable(hops)), pa.int64())),
        *(_array(inner, list(map(attrgetter(name), messages))) for name, inner in _fields(kind)),
    ]
    return pa.Table.from_arrays(arrays, schema=schema_of(kind))


@cache
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


def _array(kind: msgspec.inspect.Type, values: list[Any]) -> pa.Array:
    """Column by column, down into lists and structs: nothing is made for a row of its own."""
    if isinstance(kind, msgspec.inspect.StructType):
        fields = [(name, inner, list(map(attrgetter(name), values))) for name, inner in _fields(kind.cls)]
        columns = [_array(inner, column) for _, inner, column in fields]
        return pa.StructArray.from_arrays(columns, fields=[pa.field(name, _arrow(inner)) for name, inner, _ in fields])
    if isinstance(kind, msgspec.inspect.TupleType) and len(set(map(type, kind.item_types))) > 1:
        places = [_array(item, [value[at] for value in values]) for at, item in enumerate(kind.item_types)]
        by_row = [at * len(values) + row for row in range(len(values)) for at in range(len(places))]
        return pa.ListArray.from_arrays(_offsets(values), pa.concat_arrays(places).take(pa.array(by_row, pa.int64())))
    if isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.TupleType):
        item = kind.item_type if isinstance(kind, msgspec.inspect.VarTupleType) else kind.item_types[0]
        return pa.ListArray.from_arrays(_offsets(values), _array(item, list(chain.from_iterable(values))))
    if isinstance(kind, msgspec.inspect.DecimalType):
        values = list(map(str, values))
    elif isinstance(kind, msgspec.inspect.EnumType):
        values = [value.value for value in values]
    return pa.array(values, _SCALARS[type(kind)])


def _offsets(values: Sequence[Sequence[Any]]) -> pa.Array:
    return pa.array(list(accumulate(map(len, values), initial=0)), pa.int32())
