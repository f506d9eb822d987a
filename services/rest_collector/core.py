"""When to ask the venue for what, and what is new in its answers. Pure.

A task is due at its interval of market time; one that failed is asked again after `retry_ns` of wall time, for the market's clock
stands still before it starts. Instruments and risk tiers are published when they change,
time series when they have a row that was not published yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import InstrumentChanged, RiskTier

SECOND_NS = 1_000_000_000


class Kind(StrEnum):
    """What there is to ask for."""

    INSTRUMENT = "instrument"
    OPEN_INTEREST = "open_interest"
    FUNDING = "funding"
    LONG_SHORT_RATIO = "long_short_ratio"
    RISK_TIERS = "risk_tiers"
    STATUS = "status"
    CLOCK = "clock"


OF_THE_VENUE = (Kind.STATUS, Kind.CLOCK)


@dataclass(frozen=True, slots=True)
class Task:
    """One request; `symbol` is empty for what concerns the venue as a whole."""

    kind: Kind
    symbol: str = ""


@dataclass(slots=True)
class CollectorCore:
    """The schedule.

    Attributes:
        intervals_ns: market ns between two requests of a kind.
        retry_ns: wall ns to wait after a failure.
    """

    symbols: Sequence[str]
    intervals_ns: dict[Kind, int]
    retry_ns: int = 2 * SECOND_NS
    _due: dict[Task, int] = field(init=False)
    _resting: dict[Task, int] = field(init=False, default_factory=dict)  # until when, wall ns
    _published: dict[Task, tuple[Message, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        tasks = [Task(kind) for kind in Kind if kind in OF_THE_VENUE]
        tasks += [Task(kind, symbol) for kind in Kind if kind not in OF_THE_VENUE for symbol in self.symbols]
        self._due = dict.fromkeys(tasks, 0)

    def due(self, now_ns: int, wall_ns: int) -> list[Task]:
        """Give what should be asked now, instruments first."""
        due = (t for t, at in self._due.items() if at <= now_ns and self._resting.get(t, 0) <= wall_ns)
        return sorted(due, key=lambda task: task.kind is not Kind.INSTRUMENT)

    def on_answer(self, task: Task, facts: Sequence[Message], now_ns: int) -> list[Message]:
        """Take an answer, oldest fact first; give the facts that are new."""
        self._resting.pop(task, None)
        self._due[task] = now_ns + self.intervals_ns[task.kind]
        before = self._published.get(task, ())
        if task.kind in (Kind.INSTRUMENT, Kind.RISK_TIERS):
            new = list(facts) if [_substance(f) for f in facts] != [_substance(f) for f in before] else []
            if new:
                self._published[task] = tuple(facts)
            return new
        latest = before[-1].ts_event if before else -1
        new = [fact for fact in facts if fact.ts_event > latest]
        if new:
            self._published[task] = (new[-1],)
        return new

    def on_failure(self, task: Task, wall_ns: int) -> None:
        """The request failed: ask again soon."""
        self._resting[task] = wall_ns + self.retry_ns

    def has_instruments(self) -> bool:
        """Answer whether every symbol's filters have been published."""
        return all(Task(Kind.INSTRUMENT, symbol) in self._published for symbol in self.symbols)


def _substance(fact: Message) -> Message:
    if isinstance(fact, InstrumentChanged | RiskTier):
        fields = {name: getattr(fact, name) for name in fact.__struct_fields__} | {"ts_event": 0, "ts_recv": 0}
        return type(fact)(**fields)
    return fact
