"""How far behind the readers are, for reports and metrics."""

from __future__ import annotations

from collections.abc import Sequence

from undertow.bus.ports import Bus, GroupLag, Topic


async def lags(bus: Bus, topics: Sequence[Topic] | None = None) -> list[GroupLag]:
    """Give length, lag and pending of every group; a key without groups has one row with group "".

    Args:
        bus: any.
        topics: which keys; None for every key there is but dead letters.

    Raises:
        BusAwayError: Redis is away (it is a `ConnectionError`).
    """
    return await bus.lags(topics)
