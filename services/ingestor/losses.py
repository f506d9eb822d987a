"""What the readers of a symbol have missed while the bus was away, and do not know of yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Gap, GapReason


@dataclass(frozen=True, slots=True)
class Loss:
    """Facts that nobody has read.

    Attributes:
        facts: how many.
        from_ns: earliest `ts_event` of them.
        until_ns: latest.
    """

    facts: int
    from_ns: int
    until_ns: int

    @classmethod
    def of(cls, facts: Iterable[Message]) -> Loss:
        """Sum up facts, one at least."""
        times = [fact.ts_event for fact in facts]
        return cls(len(times), min(times), max(times))

    def and_also(self, more: Loss) -> Loss:
        """Add what was lost later."""
        span = min(self.from_ns, more.from_ns), max(self.until_ns, more.until_ns)
        return Loss(self.facts + more.facts, *span)

    def gap(self, symbol: str, now_ns: int) -> Gap:
        """Say it to the readers."""
        seconds = (self.until_ns - self.from_ns) / 1e9
        return Gap(
            ts_event=now_ns,
            ts_recv=now_ns,
            symbol=symbol,
            reason=GapReason.UNPUBLISHED,
            detail=f"the bus was away for too long: {self.facts} facts of {seconds:.3f} s are lost",
            lost_facts=self.facts,
            lost_from_ns=self.from_ns,
            lost_until_ns=self.until_ns,
        )
