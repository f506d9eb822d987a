"""The outage budget: how much a publisher leaves in its streams for readers that are away. Pure.

The snapshotter shortens streams to their declared length once everybody has read them (`Trimmer`). While it is away they grow, and the
publisher is the bound: with one message in `EVERY` per key it removes what is older than the budget's time, and with another what exceeds
the budget's bytes. The bytes are shared among the publisher's keys so that each keeps the same span of time, by what each has carried
since the process began; a stream's declared length is always kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERY: Final = 64
"""Messages of a key between two removals of the same kind; Redis removes nodes of 100 at a time anyway."""
OVERHEAD_BYTES: Final = 32
"""What an entry takes in Redis besides its content; our estimate."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What may be removed with a message.

    Attributes:
        before_ms: entries older than this wall time, or None.
        length: all but so many entries, or None.
    """

    before_ms: int | None = None
    length: int | None = None


UNBOUND: Final = Bound()


class OutageBudget:
    """Says with each message what may go.

    Args:
        seconds: age that is kept.
        most_bytes: size that is kept, all keys together.
    """

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._keep_ms = round(seconds * 1000)
        self._most_bytes = most_bytes
        self._carried: dict[str, int] = {}
        self._bytes = 0

    def bound(self, key: str, number: int, size: int, maxlen: int, now_ms: int) -> Bound:
        """Note a message, and say what may go with it.

        Args:
            key: of the stream.
            number: of the message in its key.
            size: bytes of its content.
            maxlen: declared length of the stream.
            now_ms: wall time.
        """
        carried = self._carried[key] = self._carried.get(key, 0) + 1
        self._bytes += size + OVERHEAD_BYTES
        match number % EVERY:
            case 0:
                return Bound(before_ms=max(now_ms - self._keep_ms, 0))
            case 1:
                return Bound(length=max(maxlen, self._most_bytes * carried // self._bytes))
        return UNBOUND
