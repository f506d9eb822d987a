"""Update ids after a restart of the book service: `u` begins at 1 again and counts on from there. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_UPDATE_ID: Final = re.compile(rb'("u"\s*:\s*)(\d+)')
_BOOK: Final = b'"orderbook.'
_FIRST: Final = 1


class _Data(msgspec.Struct):
    u: int


class _Book(msgspec.Struct):
    topic: str
    type: str
    data: _Data


_DECODER: Final = msgspec.json.Decoder(_Book)


class Renumbering:
    """What is subtracted from the source's update ids, by topic; nothing before the first restart, and nothing is touched then."""

    def __init__(self) -> None:
        self._offsets: dict[str, int] = {}

    def restart(self, topic: str, snapshot: bytes) -> bytes:
        """Give the topic's own snapshot with `u` = 1; what follows counts on from there."""
        shown = _DECODER.decode(snapshot).data.u
        self._offsets[topic] = self._offsets.get(topic, 0) + shown - _FIRST
        return _with(snapshot, _FIRST)

    def apply(self, raw: bytes) -> bytes:
        """Give a frame of the source with the number that clients expect; a snapshot of the source's own brings its own number."""
        if not self._offsets or _BOOK not in raw:
            return raw
        book = _DECODER.decode(raw)
        offset = self._offsets.get(book.topic)
        if offset is None:
            return raw
        if book.type != "delta" or book.data.u <= offset:
            del self._offsets[book.topic]
            return raw
        return _with(raw, book.data.u - offset)


def _with(raw: bytes, update_id: int) -> bytes:
    return _UPDATE_ID.sub(rb"\g<1>%d" % update_id, raw, count=1)
