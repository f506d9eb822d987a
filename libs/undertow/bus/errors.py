"""What can go wrong on the bus.

BusError
├── BusAwayError        Redis does not answer, or has no room; what waits will be sent when it returns
├── BusOverflowError    it has been away for longer than the publisher can remember
├── BusRefusedError     Redis answered with an error (wrong type, no permission)
└── PoisonLimitError    too many entries could not be decoded: writer and reader disagree
"""

from __future__ import annotations

from collections.abc import Iterable


class BusError(Exception):
    """Base."""


class BusAwayError(BusError, ConnectionError):
    """Redis does not answer now."""


class BusOverflowError(BusError):
    """More messages wait for Redis than the publisher may remember.

    Attributes:
        keys: whose messages were not taken; those of other keys were.
    """

    def __init__(self, message: str, keys: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.keys = frozenset(keys)


class BusRefusedError(BusError):
    """Redis answered with an error."""


class PoisonLimitError(BusError):
    """More entries than the limit could not be decoded."""
