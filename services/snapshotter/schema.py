"""From a message type to an Arrow schema and rows; derived, so that a new message is stored without a line written here.

Money stays the exact decimal text that it was on the wire; DuckDB casts where numbers are wanted. Nested structs become structs,
tuples of them lists of structs.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from undertow.bus.ports import Delivery
from undertow.contracts.messages.base import Message

SCHEMA_VERSION = 1
_SCALARS: dict[type[msgspec.inspect.Type], pa.DataType] = {
    msgspec.inspect.IntType: pa.int64(),
    msgspec.inspect.FloatType: pa.float64(),
    msgspec.inspect.BoolType: pa.bool_(),
    msgspec.inspect.StrType: pa.string(),
    msgspec.inspect.BytesType: pa.binary(),
    msgspec.inspect.DecimalType: pa.string(),
    msgspec.inspect.EnumType: pa.string(),
}
_ENVELOPE = [
    pa.field("entry_id", pa.string()),
    pa.field("producer", pa.string()),
    pa.field("producer_sequence", pa.int64()),
    pa.field("hops", pa.list_(pa.int64())),
]


@cache
def schema_of(message: type[Message]) -> pa.Schema:
    """Give the schema of a message's rows: where it came from, then its fields."""
    fields = [pa.field(name, _arrow(kind)) for name, kind in _fields(message)]
    metadata = {"undertow.tag": str(message.__struct_config__.tag), "undertow.schema_version": str(SCHEMA_VERSION)}
    return pa.schema([*_ENVELOPE, *fields], metadata=metadata)


def table_of(message: type[Message], deliveries: Sequence[Delivery]) -> pa.Table:
    """Make a table of deliveries that all carry `message`."""
    rows = [
        {
            "entry_id": each.entry_id,
            "producer": each.producer,
            "producer_sequence": each.sequence,
            "hops": each.hops,
            **{name: _plain(getattr(each.message, name)) for name in message.__struct_fields__},
        }
        for each in deliveries
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(message))


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
