"""What is new in the answers of outside sources, and which of them are stale. Pure.

A value counts as told when the shell says that it is published; a restart reads from the stream what was told before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.macro_collector.read import UnreadableError, observation
from services.macro_collector.sources import Source
from undertow.contracts.messages.macro import MacroValue
from undertow.features.slots import SLOT_OF

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class MacroCore:
    """The last value of each source and symbol that was told."""

    _last: dict[tuple[str, str], MacroValue] = field(default_factory=dict)

    def on_answer(self, source: Source, symbol: str, body: bytes, now_ns: int) -> MacroValue | None:
        """Take an answer; give the value if it was not told yet, and is no older than what was.

        Raises:
            UnreadableError: the answer is not what the source's declaration says, or cannot be true of its slot.
        """
        seen = observation(source, body)
        slot = SLOT_OF.get(source.slot)
        if slot is not None and not slot.lowest <= seen.value <= slot.highest:
            raise UnreadableError(
                f"{source.value} is {seen.value}, outside {slot.lowest} to {slot.highest} of the slot {slot.name!r}"
            )
        before = self._last.get((source.name, symbol))
        if before is not None and seen.ts_event is not None:
            is_older = seen.ts_event < before.ts_event  # a cache on the way answered with yesterday's
            is_same = (seen.ts_event, seen.value, source.slot) == (before.ts_event, before.value, before.slot)
            if is_older or is_same:
                return None
        return MacroValue(
            ts_event=now_ns if seen.ts_event is None else seen.ts_event,
            ts_recv=now_ns,
            source=source.name,
            symbol=symbol,
            value=seen.value,
            unit=source.unit,
            stale_after_ns=round(source.stale_seconds * SECOND_NS),
            slot=source.slot,
        )

    def on_told(self, value: MacroValue) -> None:
        """A value is on the stream, by this process or by one before it."""
        self._last[value.source, value.symbol] = value

    def age_ns(self, source: Source, symbol: str, now_ns: int) -> int | None:
        """Give the age of the last value; None before the first."""
        last = self._last.get((source.name, symbol))
        return None if last is None else last.age_ns(now_ns)

    def is_stale(self, source: Source, symbol: str, now_ns: int) -> bool:
        """Answer whether there is no value that still says something."""
        last = self._last.get((source.name, symbol))
        return last is None or last.is_stale(now_ns)
