"""The venue's faults: the questions that its shells ask at each seam, and the answers. Pure and seeded.

Each fault counts the candidates it was asked about and draws for each from its seed and that count, so that the same requests and
frames with the same seed meet the same faults, whatever other faults there are. Where several would strike, the oldest does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final

from services.venue.faults.catalogue import ACTIONS, CONNECT, CUT, NOTHING, REST, TRADE, Seam
from services.venue.faults.draw import fraction
from services.venue.faults.fault import ACTIVE, OVER, WAITING, Fault, Frame, Request
from services.venue.faults.meanings import text_of
from services.venue.faults.specs import Spec
from services.venue.faults.steps import COMPLETED, ONGOING, SCHEDULED, AnnounceStatus, Step, course
from services.venue.faults.verdicts import (
    DRAINING,
    Coded,
    FrameFault,
    Performed,
    Plain,
    RequestFault,
    Silence,
    frame_fault,
    plain,
    request_fault,
)
from services.venue.refusals import TOO_FREQUENT
from undertow.domain.time import NS_PER_MS

_FOREVER: Final = 2**63
_SEEDS_APART: Final = 1_000_003
_STATES: Final = ("restart", "maintenance")
_STATUS: Final = {WAITING: SCHEDULED, ACTIVE: ONGOING, OVER: COMPLETED}


class Faults:
    """All faults of one venue.

    Args:
        seed: of the draws of faults that bring none of their own.

    Attributes:
        watches_requests: False while no fault can touch a request; the shells then do not ask.
        watches_frames: the same for frames to clients.
        watches_time: the same for moments.
        hits: by action, removed faults included.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._made = 0
        self._faults: dict[str, Fault] = {}
        self._live: dict[Seam, tuple[Fault, ...]] = dict.fromkeys(Seam, ())
        self._states: tuple[Fault, ...] = ()
        self._next_ns = _FOREVER
        self._banned: dict[str, tuple[int, str]] = {}
        self._leftover: list[Step] = []
        self.hits: dict[str, int] = {}
        self.watches_requests = self.watches_frames = self.watches_time = False

    def add(self, specs: Sequence[Spec], now_ns: int) -> list[Fault]:
        """Take faults in; they count from now."""
        added = []
        for spec in specs:
            self._made += 1
            name = f"f{self._made}"
            seed = spec.seed if spec.seed is not None else self._seed * _SEEDS_APART + self._made
            from_ns = now_ns + spec.from_ms * NS_PER_MS
            timed = course(spec, name, seed, now_ns) if ACTIONS[spec.action].seam is Seam.TIME else None
            if timed is None:
                until_ns = from_ns + spec.for_ms * NS_PER_MS if spec.for_ms is not None else _FOREVER
            else:
                until_ns = timed.ends_ns if timed.ends_ns is not None else _FOREVER
            fault = Fault(name, spec, seed, from_ns, until_ns, timed)
            if timed is not None:
                self._leftover += timed.notice
            self._faults[name] = fault
            added.append(fault)
        self._sort(now_ns)
        return added

    def remove(self, name: str, now_ns: int) -> Fault | None:
        """Take a fault out and end what it has begun; None where there is no such fault."""
        fault = self._faults.pop(name, None)
        if fault is None:
            return None
        if fault.course is not None and not fault.has_ended:
            self._leftover += fault.course.undone if fault.has_begun else fault.course.called_off
        self._banned = {address: ban for address, ban in self._banned.items() if ban[1] != name}
        self._sort(now_ns)
        return fault

    def clear(self, now_ns: int) -> list[Fault]:
        """Take all faults out."""
        return [fault for name in list(self._faults) if (fault := self.remove(name, now_ns)) is not None]

    def listed(self, now_ns: int) -> list[dict[str, Any]]:
        """Describe every fault, oldest first, with its counts."""
        return [fault.describe(now_ns) for fault in self._faults.values()]

    def on_request(self, request: Request, now_ns: int) -> RequestFault | None:
        """Say what becomes of a request; None where nothing goes wrong."""
        if (request.where == REST or request.endpoint == CONNECT) and self._is_banned(request.address, now_ns):
            return RequestFault(Performed.NEVER, Plain(HTTPStatus.FORBIDDEN, TOO_FREQUENT))
        for fault in self._states:
            verdict = self._of_state(fault, request, now_ns)
            if verdict is not None:
                return verdict
        for fault in self._live[Seam.REQUEST]:
            spec = fault.spec
            patterns = ACTIONS[spec.action].places.get(request.where, ())
            if not any(fnmatchcase(request.endpoint, pattern) for pattern in patterns):
                continue
            if not _fits(spec.endpoint, request.endpoint) or not _is_meant(spec, request):
                continue
            if not self._strikes(fault, now_ns):
                continue
            if "ban_ms" in spec.values:
                self._banned[request.address] = (now_ns + spec.values["ban_ms"] * NS_PER_MS, fault.name)
                self._sort(now_ns)
            return request_fault(spec.action, spec.values, fault.seed, fault.asked)
        return None

    def on_frame(self, frame: Frame, now_ns: int) -> FrameFault | None:
        """Say what becomes of a frame to one client; None where it is simply sent."""
        for fault in self._live[Seam.FRAME]:
            spec = fault.spec
            is_candidate = spec.kind in {None, frame.kind} and _fits(spec.topic, frame.topic) and _is_meant(spec, frame)
            if is_candidate and self._strikes(fault, now_ns):
                return frame_fault(spec.action, spec.values, fault.seed, fault.asked)
        return None

    def loses(self, topic: str, now_ns: int) -> bool:
        """Say whether a book delta is lost for all clients."""
        return any(
            _fits(fault.spec.topic, topic) and self._strikes(fault, now_ns) for fault in self._live[Seam.BROADCAST]
        )

    def due(self, now_ns: int) -> list[Step]:
        """Give what happens to the whole venue by now, each once, in the order of time."""
        if now_ns < self._next_ns and not self._leftover:
            return []
        steps, self._leftover = self._leftover, []
        moments: list[tuple[int, Fault, bool]] = []
        for fault in self._live[Seam.TIME]:
            timed = fault.course
            if timed is None:
                continue
            if not fault.has_begun and now_ns >= timed.begins_ns:
                moments.append((timed.begins_ns, fault, True))
            if not fault.has_ended and now_ns >= fault.until_ns:
                moments.append((fault.until_ns, fault, False))
        for _, fault, is_begin in sorted(moments, key=lambda moment: moment[0]):
            assert fault.course is not None  # noqa: S101 - chosen above; tells mypy
            if is_begin:
                fault.has_begun = True
                self._count(fault)
                steps += fault.course.begin
                fault.has_ended = fault.course.ends_ns is None and not fault.course.end
            else:
                fault.has_ended = True
                steps += fault.course.end
        self._sort(now_ns)
        return steps

    def notices(self, now_ns: int) -> list[AnnounceStatus]:
        """Give every maintenance with its state by now, oldest first."""
        return [
            replace(first, state=_STATUS[fault.state(now_ns)])
            for fault in self._faults.values()
            if fault.course is not None
            for first in fault.course.notice
        ]

    def _is_banned(self, address: str, now_ns: int) -> bool:
        until_ns, _ = self._banned.get(address, (0, ""))
        if until_ns and now_ns >= until_ns:
            del self._banned[address]
            self._sort(now_ns)
        return now_ns < until_ns

    def _of_state(self, fault: Fault, request: Request, now_ns: int) -> RequestFault | None:
        if not fault.from_ns <= now_ns < fault.until_ns:
            return None
        values = fault.spec.values
        if fault.spec.action == "maintenance":
            is_refused = request.changes
            return RequestFault(Performed.NEVER, _coded(values["code"])) if is_refused else None
        if fault.course is not None and now_ns >= fault.course.begins_ns:
            return RequestFault(Performed.NEVER, _while_down(request, values["down_answer"]))
        if request.where == TRADE and request.changes and request.joined_ns < fault.from_ns:
            return RequestFault(Performed.NEVER, _coded(DRAINING))
        return None

    def _strikes(self, fault: Fault, now_ns: int) -> bool:
        if now_ns < fault.from_ns:
            return False
        if now_ns >= fault.until_ns:
            self._sort(now_ns)
            return False
        fault.asked += 1
        chance = fault.spec.probability
        if chance < 1 and fraction(fault.seed, fault.asked) >= chance:
            return False
        self._count(fault)
        if fault.is_spent:
            self._sort(now_ns)
        return True

    def _count(self, fault: Fault) -> None:
        fault.hits += 1
        self.hits[fault.spec.action] = self.hits.get(fault.spec.action, 0) + 1

    def _sort(self, now_ns: int) -> None:
        """Keep at hand the faults that can still strike."""
        alive = [f for f in self._faults.values() if f.state(now_ns) != OVER or (f.course and not f.has_ended)]
        self._live = {seam: _only(alive, seam) for seam in Seam}
        timed = self._live[Seam.TIME]
        self._states = tuple(fault for fault in timed if fault.spec.action in _STATES)
        self._next_ns = min(map(_next_moment, timed), default=_FOREVER)
        self.watches_time = bool(timed or self._leftover)
        self.watches_requests = bool(self._live[Seam.REQUEST] or self._states or self._banned)
        self.watches_frames = bool(self._live[Seam.FRAME] or self._live[Seam.BROADCAST])


def _next_moment(fault: Fault) -> int:
    is_begin = fault.course is not None and not fault.has_begun
    return fault.course.begins_ns if is_begin and fault.course is not None else fault.until_ns


def _only(faults: Iterable[Fault], seam: Seam) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults if fault.seam is seam)


def _fits(pattern: str | None, word: str) -> bool:
    return pattern is None or fnmatchcase(word, pattern)


def _is_meant(spec: Spec, subject: Request | Frame) -> bool:
    return spec.where in {None, subject.where} and spec.key in {None, subject.key} and spec.uid in {None, subject.uid}


def _while_down(request: Request, given: Any) -> Plain | Silence:
    answer: Any = given or CUT
    is_http = request.where == REST or request.endpoint == CONNECT
    if is_http and answer not in {CUT, NOTHING}:
        return plain(answer)
    return Silence(hangs_up=answer != NOTHING)


def _coded(code: int) -> Coded:
    return Coded(code, text_of(code))
