"""Entry ids and what Redis tells about groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from undertow.bus.errors import BusRefusedError
from undertow.bus.ports import entry_order
from undertow.bus.resp import Connection

ENTRY_FIELD: Final = b"m"
LAST_SEQUENCE: Final = 2**64 - 1
COUNT_PAGE: Final = 1000
NO_KEY: Final = "no such key"


def before(entry_id: str) -> str:
    """Give the id just before this one; "0-0" has none and stays."""
    milliseconds, sequence = entry_order(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{LAST_SEQUENCE}" if milliseconds else "0-0"


def after(entry_id: str) -> str:
    """Give the id just after this one."""
    milliseconds, sequence = entry_order(entry_id)
    return f"{milliseconds}-{sequence + 1}" if sequence < LAST_SEQUENCE else f"{milliseconds + 1}-0"


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """One group on one key.

    Attributes:
        delivered: last id delivered.
        acked: id up to which everything is acknowledged.
        pending: entries delivered and not acknowledged.
    """

    delivered: str
    acked: str
    pending: int


async def group_states(connection: Connection, key: str) -> dict[str, GroupInfo]:
    """Give the groups of a key; none where there is no such key.

    Raises:
        BusAwayError: Redis is away.
        BusRefusedError: it is no stream, or not on this node.
    """
    try:
        (rows,) = await connection.ask(("XINFO", "GROUPS", key))
    except BusRefusedError as error:
        if NO_KEY not in str(error):
            raise
        return {}
    states: dict[str, GroupInfo] = {}
    for row in rows:
        facts: dict[bytes, Any] = dict(zip(row[::2], row[1::2], strict=True))
        name, delivered = facts[b"name"].decode(), facts[b"last-delivered-id"].decode()
        acked = delivered
        if facts[b"pending"]:
            (summary,) = await connection.ask(("XPENDING", key, name))
            if summary[1] is not None:
                acked = before(summary[1].decode())
        states[name] = GroupInfo(delivered, acked, facts[b"pending"])
    return states


async def count_after(connection: Connection, key: str, entry_id: str) -> int:
    """Count the entries after an id by reading them.

    Redis 6.2 does not say, and the `lag` of Redis 7 counts entries that were trimmed before anybody read them.

    Raises:
        BusAwayError: Redis is away.
    """
    total = 0
    while True:
        (entries,) = await connection.ask(("XRANGE", key, f"({entry_id}", "+", "COUNT", COUNT_PAGE))
        total += len(entries)
        if len(entries) < COUNT_PAGE:
            return total
        entry_id = entries[-1][0].decode()
