"""What is stored where, and when: rows gather per message kind, symbol and hour until a part is due. Pure.

Per stream key the last stored entry id is remembered, so that rows that come again after a crash between the rename and the
acknowledgement are known to be stored already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

from undertow.bus.ports import Delivery, entry_order
from undertow.contracts.messages.base import Message

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that go into one file. All deliveries carry the same kind of message."""

    path: PurePosixPath
    kind: type[Message]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    kind: type[Message]
    key: str
    symbol: str
    hour: int


@dataclass(slots=True)
class SnapshotCore:
    """Gathers deliveries until a flush is due.

    Attributes:
        flush_ns: longest time that a row waits, market ns.
        flush_rows: most rows that wait.
        stored: stream key to the last entry id that is on disk.
    """

    flush_ns: int
    flush_rows: int
    stored: dict[str, str]
    _waiting: dict[_Place, list[Delivery]] = field(default_factory=dict)
    _count: int = 0
    _oldest_ns: int | None = None

    def add(self, deliveries: Iterable[Delivery], now_ns: int) -> int:
        """Take what was read; give how many of them are stored already and so were left out."""
        known = 0
        for each in deliveries:
            if entry_order(each.entry_id) <= entry_order(self.stored.get(each.topic.key, "0-0")):
                known += 1
                continue
            message: Message = each.message
            symbol = getattr(message, "symbol", "") or "all"
            place = _Place(type(message), each.topic.key, symbol, message.ts_event // (3600 * _NS))
            self._waiting.setdefault(place, []).append(each)
            self._count += 1
            if self._oldest_ns is None:
                self._oldest_ns = now_ns
        return known

    def is_due(self, now_ns: int) -> bool:
        """Answer whether what waits should be written now."""
        if self._oldest_ns is None:
            return False
        return self._count >= self.flush_rows or now_ns - self._oldest_ns >= self.flush_ns

    def take(self) -> list[Part]:
        """Give all that waits as parts, and begin anew."""
        parts = [Part(_path(place, rows), place.kind, tuple(rows)) for place, rows in self._waiting.items()]
        self._waiting, self._count, self._oldest_ns = {}, 0, None
        return parts

    def stored_after(self, parts: Iterable[Part]) -> dict[str, str]:
        """Give what `stored` is once the parts are on disk."""
        stored = dict(self.stored)
        for part in parts:
            for each in part.deliveries:
                stored[each.topic.key] = max(stored.get(each.topic.key, "0-0"), each.entry_id, key=entry_order)
        return stored


def _path(place: _Place, rows: list[Delivery]) -> PurePosixPath:
    hour = datetime.fromtimestamp(place.hour * 3600, UTC)
    return PurePosixPath(
        f"topic={place.kind.__struct_config__.tag}",
        f"date={hour:%Y-%m-%d}",
        f"hour={hour:%H}",
        f"symbol={place.symbol}",
        f"{rows[0].entry_id}_{rows[-1].entry_id}.parquet",
    )
