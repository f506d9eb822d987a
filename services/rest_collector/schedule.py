"""When each task is due. Pure; market time says how often, wall time how long a failure rests, for the market's clock may stand still.

A task keeps its own beat: it is due at its first time plus whole intervals, however late an answer was. What was missed meanwhile is
left out, for an answer has all that came since the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.rest_collector.kinds import Kind, Task

SECOND_NS: Final = 1_000_000_000
FIRST_REST_NS: Final = 1 * SECOND_NS
LONGEST_REST_NS: Final = 60 * SECOND_NS
ABSENT_NS: Final = 3_600 * SECOND_NS


@dataclass(slots=True)
class _Beat:
    due_ns: int = 0  # market
    begun_ns: int | None = None  # market; while it is under way
    resting_until_ns: int = 0  # wall
    failures: int = 0
    is_absent: bool = False
    good_ns: int | None = None  # market


@dataclass(slots=True)
class Schedule:
    """The beats of all tasks.

    Attributes:
        tasks: the most wanted first.
        intervals_ns: market ns between two requests of a kind.
        began_ns: market time of the start.
    """

    tasks: Iterable[Task]
    intervals_ns: Mapping[Kind, int]
    began_ns: int
    _beats: dict[Task, _Beat] = field(init=False)

    def __post_init__(self) -> None:
        self._beats = {task: _Beat(self.began_ns) for task in self.tasks}

    def next(self, now_ns: int, wall_ns: int) -> Task | None:
        """Give the task that has been due for longest, among equals the most wanted; None when none is."""
        waiting = (
            (task, beat)
            for task, beat in self._beats.items()
            if beat.begun_ns is None and beat.due_ns <= now_ns and beat.resting_until_ns <= wall_ns
        )
        first = min(waiting, key=lambda item: item[1].due_ns, default=None)
        return None if first is None else first[0]

    def begin(self, task: Task, now_ns: int) -> None:
        """A task is under way; it is due again after it has been answered or has failed."""
        self._beats[task].begun_ns = now_ns

    def answered(self, task: Task, now_ns: int) -> None:
        """A task is done."""
        beat, interval_ns = self._beats[task], self.intervals_ns[task.kind]
        beat.due_ns += (max(0, now_ns - beat.due_ns) // interval_ns + 1) * interval_ns
        beat.begun_ns, beat.failures, beat.good_ns, beat.is_absent = None, 0, now_ns, False

    def failed(self, task: Task, wall_ns: int) -> None:
        """A task could not be done: it rests for twice as long each time."""
        beat = self._beats[task]
        beat.begun_ns = None
        beat.resting_until_ns = wall_ns + min(LONGEST_REST_NS, FIRST_REST_NS << min(beat.failures, 10))
        beat.failures += 1

    def absent(self, task: Task, wall_ns: int) -> None:
        """The venue has no such page (demo has fewer than the others): it is asked again after an hour, and has no age meanwhile."""
        beat = self._beats[task]
        beat.begun_ns, beat.is_absent, beat.resting_until_ns = None, True, wall_ns + ABSENT_NS

    def rest(self, kind: Kind, until_ns: int) -> None:
        """The venue wants no more of a kind until then (wall ns)."""
        for task, beat in self._beats.items():
            if task.kind is kind:
                beat.resting_until_ns = max(beat.resting_until_ns, until_ns)

    def hasten(self, task: Task, now_ns: int) -> None:
        """Make a task due now, if it is one of ours."""
        if task in self._beats:
            self._beats[task].due_ns = min(self._beats[task].due_ns, now_ns)

    def age_ns(self, kind: Kind, now_ns: int) -> int:
        """Give the market ns since the last good answer of the task of a kind that has waited longest; 0 without such a task."""
        beats = (beat for task, beat in self._beats.items() if task.kind is kind and not beat.is_absent)
        good = (self.began_ns if beat.good_ns is None else beat.good_ns for beat in beats)
        return max(0, now_ns - min(good, default=now_ns))
