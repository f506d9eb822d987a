"""The golden file: an envelope on the wire for every payload of every stream, and for every word of their enums.

`golden.jsonl` only ever grows. After a new message, a new field or a new word, append what is missing by

    python tests/undertow/contracts/golden.py

and commit it. A line that no longer decodes means that bytes which wait in a stream, or lie in a journal, no longer decode.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.base import Message
from undertow.contracts.streams import STREAMS

FILE = Path(__file__).with_name("golden.jsonl")


def sample(kind: Any, name: str, turn: int) -> Any:
    """Make a value of a type that is a function of its place alone; `turn` walks through the words of an enum."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[turn % len(kind)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return kind(**{field: sample(hints[field], field, turn) for field in kind.__struct_fields__})
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        return tuple(sample(part, name, turn) for part in ((first, first) if others == [...] else (first, *others)))
    plain = {bool: True, int: len(name) * 10**17 + 1, float: len(name) + 0.1, bytes: name.encode(), str: name}
    return plain[kind] if kind in plain else {Decimal: Decimal(f"-{len(name)}.10")}[kind]


def words(kind: Any) -> int:
    """Count the words of the longest enum within a type."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return len(kind)
    inner = (
        get_type_hints(kind).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else get_args(kind)
    )
    return max((words(part) for part in inner if part is not ...), default=1)


def plain(value: Any) -> Any:
    """Say a value as JSON with the names of its fields."""
    if isinstance(value, msgspec.Struct):
        return {field: plain(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return msgspec.to_builtins(value)


def today() -> Iterator[dict[str, Any]]:
    """Give the lines that the messages of today ask for."""
    for stream in STREAMS:
        for payload in stream.payloads:
            for turn in range(words(payload)):
                message: Message = sample(payload, "", turn)
                envelope = Envelope("producer/boot", 7, (1, 2), message)
                yield {
                    "stream": stream.name,
                    "tag": payload.__struct_config__.tag,
                    "bytes": msgspec.msgpack.encode(envelope).hex(),
                    "reads": plain(envelope),
                }


def recorded() -> list[dict[str, Any]]:
    """Give the lines of the golden file."""
    return [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []


def missing() -> list[dict[str, Any]]:
    """Give the lines of today that the golden file lacks."""
    known = {(line["stream"], line["bytes"]) for line in recorded()}
    return [line for line in today() if (line["stream"], line["bytes"]) not in known]


if __name__ == "__main__":
    added = missing()
    with FILE.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in added)
    for tag, lines in itertools.groupby(added, lambda line: line["tag"]):
        print(f"{tag}: {len(list(lines))} added")  # noqa: T201 - a command's answer
