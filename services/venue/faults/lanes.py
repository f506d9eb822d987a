"""What waits in front of one client's socket: frames that a fault holds back, and those behind them. Pure.

A delayed frame keeps its place: what comes after it waits behind it. A frame that is to be overtaken waits aside until so many others
have passed, or its time is over.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from services.venue.faults.verdicts import FrameFault


@dataclass(slots=True)
class _Aside:
    raw: bytes
    behind: int
    until_ns: int


class Lane:
    """One client's."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, bytes]] = deque()
        self._aside: list[_Aside] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue and not self._aside

    def offer(self, raw: bytes, fault: FrameFault | None, now_ns: int) -> list[bytes]:
        """Take the next frame and what a fault makes of it; give what is sent now."""
        if fault is not None and fault.behind:
            self._aside.append(_Aside(raw, fault.behind, now_ns + fault.longest_ns))
            return []
        copies = 1 if fault is None else fault.copies
        due_ns = now_ns + (fault.delay_ns if fault is not None else 0)
        if self._queue or due_ns > now_ns:
            due_ns = max(due_ns, self._queue[-1][0]) if self._queue else due_ns
            self._queue.extend([(due_ns, raw)] * copies)
            return []
        return self._passed([raw] * copies)

    def due(self, now_ns: int) -> list[bytes]:
        """Give what time alone releases."""
        ready: list[bytes] = []
        while self._queue and self._queue[0][0] <= now_ns:
            ready += self._passed([self._queue.popleft()[1]])
        late = [each for each in self._aside if each.until_ns <= now_ns]
        self._aside = [each for each in self._aside if each.until_ns > now_ns]
        return ready + [each.raw for each in late]

    def _passed(self, frames: list[bytes]) -> list[bytes]:
        sent: list[bytes] = []
        for raw in frames:
            sent.append(raw)
            for each in self._aside:
                each.behind -= 1
            sent += [each.raw for each in self._aside if each.behind <= 0]
            self._aside = [each for each in self._aside if each.behind > 0]
        return sent
