"""Pages and what their parameters say: newest first, cursors that survive rows that come and go, spans of time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from services.venue.answers import Item
from services.venue.refusals import bad_parameter

Params = Mapping[str, str]
DAY_MS: Final = 24 * 3_600 * 1_000
WEEK_MS: Final = 7 * DAY_MS
TWO_YEARS_MS: Final = 730 * DAY_MS
_FOREVER_MS: Final = 2**62
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_CURSOR: Final = re.compile(r"page_args%3D(-?[0-9]{1,18})%26")
Row = TypeVar("Row")


def page(rows: Iterable[tuple[int, Item]], params: Params, *, most: int, default: int) -> Item:
    """Cut one page out of rows with falling keys, of the length that `limit` says.

    Raises:
        Refusal: 10001, limit or cursor are wrong.
    """
    shown, cursor = cut(rows, params, limit_of(params, default, most))
    return {"nextPageCursor": cursor, "list": shown}


def cut(rows: Iterable[tuple[int, Row]], params: Params, limit: int) -> tuple[list[Row], str]:
    """Cut one page out of rows with falling keys; a cursor names the last key that was shown, so rows that come or go shift nothing.

    Returns:
        The page and the next cursor, empty at the end. A cursor holds percent signs, so that clients must encode it again.

    Raises:
        Refusal: 10001, the cursor is wrong.
    """
    cursor = params.get("cursor", "")
    match = _CURSOR.fullmatch(cursor)
    if cursor and match is None:
        raise bad_parameter(f"params error: cursor {cursor!r} was not given by this page")
    shown: list[Row] = []
    last = 0
    for key, row in rows:
        if match and key >= int(match[1]):
            continue
        if len(shown) == limit:
            return shown, f"page_args%3D{last}%26"
        shown.append(row)
        last = key
    return shown, ""


def by_place(rows: Sequence[Row]) -> Iterable[tuple[int, Row]]:
    """Give rows that neither come nor go the keys that `cut` needs."""
    return ((-place, row) for place, row in enumerate(rows))


def limit_of(params: Params, default: int, most: int) -> int:
    """Give `limit`.

    Raises:
        Refusal: 10001, it is not within [1, most].
    """
    limit = _number(params, "limit", default)
    if not 1 <= limit <= most:
        raise bad_parameter(f"params error: limit {limit} is not in 1..{most}")
    return limit


def span(params: Params, now_ms: int, default_ms: int) -> tuple[int, int]:
    """Read startTime and endTime: at most a week apart, `default_ms` when one is missing, until now when both are.

    Raises:
        Refusal: 10001.
    """
    start, end = _number(params, "startTime", -1), _number(params, "endTime", -1)
    if end < 0:
        end = now_ms if start < 0 else start + default_ms
    if start < 0:
        start = end - default_ms
    if not 0 <= end - start <= WEEK_MS:
        raise bad_parameter("params error: endTime - startTime must be within 7 days")
    return start, end


def span_of(params: Params, first: str, last: str) -> tuple[int, int]:
    """Read two times of a public page; everything where they are absent.

    Raises:
        Refusal: 10001.
    """
    start, end = _number(params, first, 0), _number(params, last, _FOREVER_MS)
    if start > end:
        raise bad_parameter(f"params error: {first} {start} is after {last} {end}")
    return start, end


def choice_of(params: Params, name: str, choices: Collection[str], default: str = "") -> str:
    """Give one of the documented words.

    Raises:
        Refusal: 10001.
    """
    word = params.get(name, "") or default
    if word not in choices:
        raise bad_parameter(f"params error: {name} {word!r} is none of {' '.join(choices)}")
    return word


def _number(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not _NUMBER.fullmatch(text):
        raise bad_parameter(f"params error: {name} {text!r} is not a number of at most 18 digits")
    return int(text)
