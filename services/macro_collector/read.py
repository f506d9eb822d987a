"""From an answer of a source to its value. Pure."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Final

import msgspec

from services.macro_collector.sources import Source

_UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000}
_LATEST_NS: Final = 9_000_000_000_000_000_000


class UnreadableError(ValueError):
    """The answer is not what the source's declaration says; the text names what was looked for."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A value and when it held, UTC ns; None when the source does not say."""

    value: Decimal
    ts_event: int | None


def observation(source: Source, body: bytes) -> Observation:
    """Find a source's value in its answer.

    Raises:
        UnreadableError: it is not there, or is no number.
    """
    found, held = _of_json(source, body) if source.format == "json" else _of_csv(source, body)
    value = _number(found)
    if value is None:
        raise UnreadableError(f"{source.value} is {_short(found)}, not a number")
    return Observation(value, _time(source, held) if source.time else None)


def _of_json(source: Source, body: bytes) -> tuple[Any, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"the answer is not JSON ({error}): {_short(body)}") from None
    return _at(document, source.value), _at(document, source.time) if source.time else None


def _at(document: Any, path: str) -> Any:
    here = document
    for part in path.split("."):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (LookupError, TypeError, ValueError):
            raise UnreadableError(f"the answer has no {path}: {_short(document)}") from None
    return here


def _of_csv(source: Source, body: bytes) -> tuple[Any, Any]:
    try:
        rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"the answer is not CSV ({error}): {_short(body)}") from None
    for column in (source.value, source.time):
        if column and (not rows or column not in rows[0]):
            raise UnreadableError(f"the answer has no column {column}, or no row: {_short(body)}")
    for row in reversed(rows):  # days without a value are empty or a dot
        if _number(row[source.value]) is not None:
            return row[source.value], row[source.time] if source.time else None
    raise UnreadableError(f"no row has a number in the column {source.value}")


def _number(found: Any) -> Decimal | None:
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    try:
        number = Decimal(str(found).strip())
        return number if isfinite(float(number)) else None  # who computes with it may have but a float
    except (InvalidOperation, ValueError):  # not a number, or one of too many digits
        return None


def _time(source: Source, found: Any) -> int:
    try:
        if source.time_unit == "iso":
            moment = datetime.fromisoformat(str(found))
            at_ns = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * _UNITS_NS["s"]
        else:
            exact_ns = Decimal(str(found)) * _UNITS_NS[source.time_unit]
            at_ns = int(exact_ns) if 0 <= exact_ns <= _LATEST_NS else -1  # a number of a million digits takes long
    except (ValueError, ArithmeticError):
        at_ns = -1
    if not 0 <= at_ns <= _LATEST_NS:
        raise UnreadableError(f"{source.time} is {_short(found)}, not a time ({source.time_unit})")
    return at_ns


def _short(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 120 else f"{text[:120]}…"  # noqa: PLR2004 - a line of a log
