"""The protocol page's examples, machine-read, and what differs from one.

`examples.json` has for each shape the page's section ("-" where the page has none), whether the page states it as an example, in prose, or
not at all (`our inference`, from the venue's public documentation), and an example message. What a message may do besides:

- `maps`: objects whose keys are data, such as coins; their values are like those of the example, or number texts where it is empty.
- `may_be`: texts that a field may be besides; an example list has an item of each kind, and an item is compared with the most alike.
- `may_lack`, `may_have`: keys that the page says can be absent, or be there as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

NUMBER = re.compile(r"-?\d+(\.\d+)?")
MILLISECONDS = re.compile(r"\d{13}")


class Example(msgspec.Struct, forbid_unknown_fields=True):
    """One shape of the page."""

    section: str
    stated: str
    example: Any
    maps: list[str] = []
    may_be: dict[str, list[str]] = {}
    may_lack: list[str] = []
    may_have: list[str] = []

    def differences(self, actual: Any) -> list[str]:
        """Say in what a message differs from the example; nothing when it has the same shape."""
        return list(self._compare(self.example, actual, ""))

    def _compare(self, example: Any, actual: Any, at: str) -> Iterator[str]:
        where = at or "message"
        expected, found = kind(example), kind(actual)
        if not _fits(expected, found) and actual not in self.may_be.get(at, ()):
            yield f"{where}: should be {expected} like {example!r}, is {found} ({actual!r})"
        elif isinstance(example, dict):
            yield from self._compare_objects(example, actual, at)
        elif isinstance(example, list):
            for item in actual:
                found_by_example = [list(self._compare(each, item, f"{at}[]")) for each in example]
                yield from min(found_by_example, key=len, default=[f"{where}: should be empty, holds {item!r}"])

    def _compare_objects(self, example: dict[str, Any], actual: dict[str, Any], at: str) -> Iterator[str]:
        prefix = f"{at}." if at else ""
        if at in self.maps:
            for key, value in actual.items():
                yield from self._compare(next(iter(example.values()), "0"), value, f"{prefix}{key}")
            return
        for key in example:
            path = prefix + key
            if key not in actual and path not in self.may_lack:
                yield f"{path}: is missing"
        for key, value in actual.items():
            if key in example:
                yield from self._compare(example[key], value, prefix + key)
            elif prefix + key not in self.may_have:
                yield f"{prefix}{key}: is not documented ({value!r})"


def kind(value: Any) -> str:
    """Name the type of a value; of texts also what they spell."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "list"
        case dict():
            return "object"
        case "":
            return "empty text"
        case str():
            if MILLISECONDS.fullmatch(value):
                return "milliseconds text"
            return "number text" if NUMBER.fullmatch(value) else "word"
    raise TypeError(f"{value!r} is no JSON")


def _fits(expected: str, found: str) -> bool:
    texts = {
        "empty text": {"empty text", "word", "number text", "milliseconds text"},
        "word": {"word", "empty text"},
        "number text": {"number text", "milliseconds text"},
    }
    return found in texts.get(expected, {expected})


def lists(value: Any, at: str = "") -> set[str]:
    """Name the places of the lists in a message that hold something."""
    prefix = f"{at}." if at else ""
    match value:
        case dict():
            return {place for key, inner in value.items() for place in lists(inner, prefix + key)}
        case [*items] if items:
            return {at, *(place for inner in items for place in lists(inner, f"{at}[]"))}
    return set()


def _load() -> dict[str, Example]:
    return msgspec.json.decode(Path(__file__).with_name("examples.json").read_bytes(), type=dict[str, Example])


EXAMPLES = _load()


def item(name: str) -> dict[str, Any]:
    """Give the first item of an example's list."""
    example = EXAMPLES[name].example
    return (example["result"]["list"] if "result" in example else example["data"])[0]


ITEMS = {
    "rest_order": item("GET /v5/order/realtime"),
    "rest_execution": item("GET /v5/execution/list"),
    "rest_position": item("GET /v5/position/list"),
    "wallet": item("GET /v5/account/wallet-balance"),
    "stream_order": item("private order"),
    "stream_execution": item("private execution"),
    "stream_position": item("private position"),
}
"""The items of account messages, by short names."""
