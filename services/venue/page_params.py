"""Query parameters of public pages: text in, values out, 10001 for what breaks a rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from services.venue.refusals import bad_parameter

Params = Mapping[str, str]
FOREVER_MS: Final = 2**62
_MOST_DIGITS: Final = 18
_CURSOR: Final = "first%3A"  # a cursor holds a percent sign, so that clients must encode it again
Row = TypeVar("Row")


def limit_of(params: Params, default: int, most: int) -> int:
    """Give `limit`, within [1, most]."""
    text = params.get("limit", "")
    if not text:
        return default
    if not _is_number(text) or not 1 <= int(text) <= most:
        raise bad_parameter(f"params error: limit {text!r} is not in 1..{most}")
    return int(text)


def span_of(params: Params, first: str, last: str) -> tuple[int, int]:
    """Give the two times in ms; everything where they are absent."""
    start, end = _time(params, first, 0), _time(params, last, FOREVER_MS)
    if start > end:
        raise bad_parameter(f"params error: {first} {start} is after {last} {end}")
    return start, end


def choice_of(params: Params, name: str, choices: Collection[str], default: str = "") -> str:
    """Give one of the documented words."""
    word = params.get(name, "") or default
    if word not in choices:
        raise bad_parameter(f"params error: {name} {word!r} is none of {' '.join(choices)}")
    return word


def page_of(rows: Sequence[Row], params: Params, limit: int) -> tuple[Sequence[Row], str]:
    """Cut the page out that `cursor` names; give it and the next cursor, empty at the end."""
    cursor = params.get("cursor", "")
    begin = cursor.removeprefix(_CURSOR)
    if cursor and (begin == cursor or not _is_number(begin)):
        raise bad_parameter(f"params error: cursor {cursor!r} was not given by this page")
    first = int(begin or 0)
    rest = first + limit
    return rows[first:rest], f"{_CURSOR}{rest}" if rest < len(rows) else ""


def _time(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not _is_number(text):
        raise bad_parameter(f"params error: {name} {text!r} is not a number of milliseconds")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
