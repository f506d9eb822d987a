import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from undertow.contracts.messages.reference import OpenInterest
from undertow.contracts.streams import STREAMS
from undertow.storage.schema import Record, schema_of, table_of


@pytest.mark.parametrize("payload", [payload for stream in STREAMS for payload in stream.payloads])
def test_every_message_of_every_stream_has_a_schema(payload):
    names = schema_of(payload).names
    assert {"stream_key", "entry_id", "producer", "producer_sequence", "ts_event", "ts_recv"} <= set(names)
    assert len(names) == len(set(names))


def test_money_is_stored_as_the_exact_text_of_the_wire():
    message = OpenInterest(ts_event=1, ts_recv=1, symbol="BTCUSDT", open_interest=Decimal("59891.7320"))
    table = table_of(OpenInterest, [Record(message, "reference:{BTCUSDT}", "p", 1)])
    assert table.column("open_interest").to_pylist() == ["59891.7320"]


def made(kind: msgspec.inspect.Type, chance: random.Random) -> Any:
    """Give some value of a type."""
    match kind:
        case msgspec.inspect.StructType():
            fields = msgspec.inspect.type_info(kind.cls).fields
            return kind.cls(**{field.name: made(field.type, chance) for field in fields})
        case msgspec.inspect.VarTupleType():
            return tuple(made(kind.item_type, chance) for _ in range(chance.randrange(4)))
        case msgspec.inspect.TupleType():
            return tuple(made(item, chance) for item in kind.item_types)
        case msgspec.inspect.EnumType():
            return chance.choice(list(kind.cls))
        case msgspec.inspect.DecimalType():
            return Decimal(chance.randrange(10**9)) / 1000
    simple = {msgspec.inspect.IntType: int, msgspec.inspect.FloatType: float, msgspec.inspect.BoolType: bool}
    simple |= {msgspec.inspect.BytesType: lambda n: b"%d" % n}
    return simple.get(type(kind), str)(chance.randrange(10**9))


def plain(value: Any) -> Any:
    """The slow twin: a value as Parquet gives it back."""
    match value:
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case tuple():
            return [plain(each) for each in value]
        case Decimal():
            return str(value)
    return getattr(value, "value", value)


@pytest.mark.parametrize("payload", [payload for stream in STREAMS for payload in stream.payloads])
def test_every_field_of_every_message_comes_back_as_it_was(payload):
    chance = random.Random(5)
    messages = [made(msgspec.inspect.type_info(payload), chance) for _ in range(20)]
    rows = [Record(message, "k", "p", n, f"{n}-0", tuple(range(n % 3))) for n, message in enumerate(messages, 1)]
    origin = [
        {"stream_key": "k", "entry_id": f"{n}-0", "producer": "p", "producer_sequence": n, "hops": list(range(n % 3))}
        for n in range(1, 21)
    ]
    assert table_of(payload, rows).to_pylist() == [
        first | plain(message) for first, message in zip(origin, messages, strict=True)
    ]
