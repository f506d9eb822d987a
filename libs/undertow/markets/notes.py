"""What a recorder says of itself in a recording: lines `<ns> {"undertow":…}` among the frames, which have no topic and so are no frames."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

VERSION: Final = 1
START: Final = b'{"undertow":'
INSTRUMENTS: Final = "/v5/market/instruments-info"
RISK_LIMIT: Final = "/v5/market/risk-limit"


class Head(msgspec.Struct, tag_field="note", tag="head", frozen=True, kw_only=True):
    """The first line of a file.

    Attributes:
        version: of these notes.
        source: address of the public socket.
        mode: of the fleet's settings.
        clock: whose the times are: the recorder's wall clock, or the market's where a paper venue owns it.
        symbols: that were asked for.
        topics: that were asked for.
        continues: name of the file before, or empty.
    """

    version: int = VERSION
    source: str
    mode: str
    clock: Literal["wall", "market"]
    symbols: tuple[str, ...]
    topics: tuple[str, ...]
    continues: str = ""


class Answer(msgspec.Struct, tag_field="note", tag="answer", frozen=True, kw_only=True):
    """What a REST page answered when the file began; `result` is the venue's own."""

    path: str
    symbol: str
    result: dict[str, Any]


class Lost(msgspec.Struct, tag_field="note", tag="lost", frozen=True, kw_only=True):
    """The connection is gone: whatever happens from here to the next `Back` is not in the recording."""

    reason: str


class Back(msgspec.Struct, tag_field="note", tag="back", frozen=True, kw_only=True):
    """All topics are subscribed again; books begin anew with snapshots."""

    after_ns: int


class End(msgspec.Struct, tag_field="note", tag="end", frozen=True, kw_only=True):
    """The last line of a file that was closed; `continued` names the file after it, or is empty."""

    reason: str
    continued: str = ""


Note = Head | Answer | Lost | Back | End


class _Line(msgspec.Struct):
    undertow: Note


_DECODER: Final = msgspec.json.Decoder(_Line)


def encode_note(note: Note) -> bytes:
    """Write a note as the JSON of a line."""
    return msgspec.json.encode(_Line(note))


def decode_note(raw: bytes) -> Note | None:
    """Read a note; None for any other line.

    Raises:
        ValueError: a note that cannot be read.
    """
    return _DECODER.decode(raw).undertow if raw.startswith(START) else None
