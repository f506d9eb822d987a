"""Where undecodable entries end: the stream `dead:<name>`, with the raw bytes, the reason and the place they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEAD_LETTER_MAXLEN: Final = 1000
DEAD_PREFIX: Final = "dead:"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One undecodable entry.

    Attributes:
        stream: declared name of the stream.
        key: key it was found on.
        entry_id: its id there.
        reason: what the decoder said.
        raw: the bytes.
    """

    stream: str
    key: str
    entry_id: str
    reason: str
    raw: bytes


def dead_key(stream: str) -> str:
    """Give the key of a stream's dead letters."""
    return DEAD_PREFIX + stream
