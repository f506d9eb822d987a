"""What stands around a message on the wire: who wrote it, its number, and the wall time at each hop.

Encoded as one MessagePack array `[producer, sequence, hops, message]`. `(producer, sequence)` is unique, so a reader can drop what a
publisher sent again after a lost acknowledgement.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

M = TypeVar("M")


class Envelope(msgspec.Struct, Generic[M], frozen=True, array_like=True):
    """A message and its journey.

    Attributes:
        producer: service name and boot id of the writer.
        sequence: 1, 2, 3, … per producer and stream key.
        hops: wall ns: frame received, then each publication since.
    """

    producer: str
    sequence: int
    hops: tuple[int, ...]
    message: M
