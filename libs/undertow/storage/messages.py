"""Rows back into the deliveries that they were: the way of `undertow.storage.schema` in the other direction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pyarrow.dataset as pads

from undertow.bus.ports import Delivery, Topic, entry_order
from undertow.contracts.messages.base import Message
from undertow.storage.layout import NO_SYMBOL
from undertow.storage.store import Store

Make = Callable[[Any], Any]


def stored_deliveries(store: Store, topic: Topic, dates: Collection[date] | None = None) -> list[Delivery]:
    """Give what the snapshotter stored of one key, in the order of its stream; all of it at once in memory.

    Args:
        store: where.
        topic: whose key; rows of archives, which never were on a stream, have another.
        dates: of the events, None for all.

    Raises:
        StoreDamagedError: a progress file cannot be read.
    """
    wanted = pads.field("stream_key") == topic.key
    if topic.symbol:
        wanted &= pads.field("symbol") == topic.symbol
    found = [
        Delivery(
            topic, row["entry_id"], row["producer"], row["producer_sequence"], tuple(row["hops"]), _message(kind, row)
        )
        for kind in topic.stream.payloads
        for row in _rows(store, kind, dates, wanted)
    ]
    return sorted(found, key=lambda delivery: entry_order(delivery.entry_id))


def _rows(
    store: Store, kind: type[Message], dates: Collection[date] | None, wanted: pads.Expression
) -> Iterator[dict[str, Any]]:
    for batch in store.dataset(kind, dates).to_batches(filter=wanted):
        for row in batch.to_pylist():
            if row["symbol"] == NO_SYMBOL:  # the place answers for the column
                row["symbol"] = ""
            yield row


def _message(kind: type[Message], row: Mapping[str, Any]) -> Message:
    return kind(**{name: make(row[name]) for name, make in _makers(kind) if row[name] is not None})


@cache
def _makers(kind: type[msgspec.Struct]) -> tuple[tuple[str, Make], ...]:
    info = msgspec.inspect.type_info(kind)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{kind.__name__} is not a message")
    return tuple((field.name, _maker(field.type)) for field in info.fields)


def _maker(kind: msgspec.inspect.Type) -> Make:
    match kind:
        case msgspec.inspect.StructType(cls=struct):
            return lambda value: struct(**{name: make(value[name]) for name, make in _makers(struct)})
        case msgspec.inspect.VarTupleType(item_type=item):
            make = _maker(item)
            return lambda value: tuple(map(make, value))
        case msgspec.inspect.TupleType(item_types=(first, *_)):
            make = _maker(first)
            return lambda value: tuple(map(make, value))
        case msgspec.inspect.DecimalType():
            return Decimal
        case msgspec.inspect.EnumType(cls=words):
            return words
        case _:
            return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
