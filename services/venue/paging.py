"""The venue's pages: newest first, cursors that survive rows that come and go, spans of time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.venue import answers as code
from services.venue.answers import Item, Refusal

DAY_MS: Final = 24 * 3_600 * 1_000
WEEK_MS: Final = 7 * DAY_MS
TWO_YEARS_MS: Final = 730 * DAY_MS
_CURSOR: Final = re.compile(r"page_args%3D(-?[0-9]{1,18})%26")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def page(rows: Iterable[tuple[int, Item]], params: Mapping[str, str], *, most: int, default: int) -> Item:
    """Cut one page out of rows with falling keys; a cursor names the last key that was shown, so rows that come or go shift nothing.

    Raises:
        Refusal: 10001, limit or cursor are wrong.
    """
    limit = _integer(params, "limit", default)
    if not 1 <= limit <= most:
        raise Refusal(code.PARAMETER, f"params error: limit must be within [1, {most}]")
    cursor = params.get("cursor", "")
    match = _CURSOR.fullmatch(cursor)
    if cursor and match is None:
        raise Refusal(code.PARAMETER, "params error: cursor invalid")
    shown: list[tuple[int, Item]] = []
    for key, row in rows:
        if match and key >= int(match[1]):
            continue
        if len(shown) == limit:
            return {"nextPageCursor": f"page_args%3D{shown[-1][0]}%26", "list": [item for _, item in shown]}
        shown.append((key, row))
    return {"nextPageCursor": "", "list": [item for _, item in shown]}


def span(params: Mapping[str, str], now_ms: int, default_ms: int) -> tuple[int, int]:
    """Read startTime and endTime: at most a week apart, `default_ms` when one is missing, until now when both are.

    Raises:
        Refusal: 10001.
    """
    start, end = _integer(params, "startTime", -1), _integer(params, "endTime", -1)
    if end < 0:
        end = now_ms if start < 0 else start + default_ms
    if start < 0:
        start = end - default_ms
    if not 0 <= end - start <= WEEK_MS:
        raise Refusal(code.PARAMETER, "params error: endTime - startTime must be within 7 days")
    return start, end


def _integer(params: Mapping[str, Any], key: str, default: int) -> int:
    text = params.get(key, "")
    if not text:
        return default
    if not _NUMBER.fullmatch(str(text)):
        raise Refusal(code.PARAMETER, f"params error: {key} invalid")
    return int(text)
