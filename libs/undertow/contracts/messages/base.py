"""What every message is: a frozen, tagged MessagePack array.

A message grows by new fields at the end, with defaults; a type never changes and a tag is never reused. Times are UTC nanoseconds of
the market clock; wall time appears only in `Envelope.hops`, where it measures latency.
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all payloads.

    Attributes:
        ts_event: when it happened, by its source's clock, market ns.
        ts_recv: when the fleet first saw it, market ns.
        cause: reference (`key/id`) of the message that led to it, then the last reference seen of each other input.
    """

    ts_event: int
    ts_recv: int
    cause: tuple[str, ...] = ()
