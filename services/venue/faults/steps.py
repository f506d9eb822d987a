"""What happens to the whole venue at a moment: values that the shell performs, and the faults that lead to them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from services.venue.faults.catalogue import NO_SERVICE, SOCKETS
from services.venue.faults.specs import Spec
from undertow.domain.time import NS_PER_MS

_ALL_BOOKS: Final = "*"
SCHEDULED: Final = "scheduled"
ONGOING: Final = "ongoing"
COMPLETED: Final = "completed"
CANCELED: Final = "canceled"


@dataclass(frozen=True, slots=True)
class CloseSockets:
    """Close sockets of these kinds, of a key or a user, or a share of them."""

    kinds: tuple[str, ...]
    key: str | None = None
    uid: str | None = None
    share: float = 1.0
    seed: int = 0
    close_code: int = NO_SERVICE
    abrupt: bool = False


@dataclass(frozen=True, slots=True)
class RestartBooks:
    """Send the topics that match as snapshots with `u` = 1."""

    topic: str = _ALL_BOOKS


@dataclass(frozen=True, slots=True)
class ForgetClosedOrders:
    """order/realtime forgets the orders that are closed by now."""


@dataclass(frozen=True, slots=True)
class SkewClock:
    """Shift what the venue states as its time."""

    by_ns: int


@dataclass(frozen=True, slots=True)
class AnnounceStatus:
    """Push the state of a maintenance; its times are market ns."""

    fault: str
    state: str
    title: str
    begins_ns: int
    ends_ns: int


Step = CloseSockets | RestartBooks | ForgetClosedOrders | SkewClock | AnnounceStatus


@dataclass(frozen=True, slots=True)
class Course:
    """A timed fault over market time.

    Attributes:
        begins_ns: when `begin` is done.
        ends_ns: when `end` is done; None for never.
        notice: done when the fault is added.
        undone: done instead of `end` when it is removed after its begin.
        called_off: done when it is removed before its begin.
    """

    begins_ns: int
    begin: tuple[Step, ...]
    ends_ns: int | None = None
    end: tuple[Step, ...] = ()
    notice: tuple[AnnounceStatus, ...] = ()
    undone: tuple[Step, ...] = ()
    called_off: tuple[Step, ...] = ()


def course(spec: Spec, name: str, seed: int, added_ns: int) -> Course:
    """Give what a timed fault does and when."""
    return _COURSES[spec.action](spec, name, seed, added_ns)


def _close(spec: Spec, _name: str, seed: int, added_ns: int) -> Course:
    kinds = (spec.where,) if spec.where else SOCKETS
    values = spec.values
    step = CloseSockets(
        kinds, spec.key, spec.uid, values["share"], seed, values["close_code"] or NO_SERVICE, abrupt=values["abrupt"]
    )
    return Course(added_ns + spec.from_ms * NS_PER_MS, (step,))


def _restart(spec: Spec, _name: str, _seed: int, added_ns: int) -> Course:
    down_ns = added_ns + (spec.from_ms + spec.values["drain_ms"]) * NS_PER_MS
    anew = (RestartBooks(),)
    return Course(
        down_ns,
        (CloseSockets(SOCKETS, abrupt=True), ForgetClosedOrders()),
        ends_ns=down_ns + spec.values["down_ms"] * NS_PER_MS,
        end=anew,
        undone=anew,
    )


def _maintenance(spec: Spec, name: str, _seed: int, added_ns: int) -> Course:
    begins_ns = added_ns + spec.from_ms * NS_PER_MS
    ends_ns = begins_ns + (spec.for_ms or 0) * NS_PER_MS

    def told(state: str) -> AnnounceStatus:
        return AnnounceStatus(name, state, spec.values["title"], begins_ns, ends_ns)

    return Course(
        begins_ns,
        (told(ONGOING), CloseSockets(SOCKETS)),
        ends_ns,
        end=(told(COMPLETED),),
        notice=(told(SCHEDULED),),
        undone=(told(CANCELED),),
        called_off=(told(CANCELED),),
    )


def _skew(spec: Spec, _name: str, _seed: int, added_ns: int) -> Course:
    by_ns = spec.values["skew_ms"] * NS_PER_MS
    begins_ns = added_ns + spec.from_ms * NS_PER_MS
    ends_ns = None if spec.for_ms is None else begins_ns + spec.for_ms * NS_PER_MS
    back = (SkewClock(-by_ns),)
    return Course(begins_ns, (SkewClock(by_ns),), ends_ns, end=back, undone=back)


def _restart_books(spec: Spec, _name: str, _seed: int, added_ns: int) -> Course:
    return Course(added_ns + spec.from_ms * NS_PER_MS, (RestartBooks(spec.topic or _ALL_BOOKS),))


_COURSES: Final[Mapping[str, Callable[[Spec, str, int, int], Course]]] = {
    "close_sockets": _close,
    "restart_books": _restart_books,
    "restart": _restart,
    "maintenance": _maintenance,
    "clock_skew": _skew,
}
