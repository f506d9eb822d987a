"""What the faults are asked about, and one fault with what it has done so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from services.venue.faults.catalogue import ACTIONS, TRADING, Seam
from services.venue.faults.specs import Spec
from services.venue.faults.steps import Course

WAITING: Final = "waiting"
ACTIVE: Final = "active"
OVER: Final = "over"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the faults see it; key and uid are what it claims to be.

    Attributes:
        where: rest, trade, private or public.
        endpoint: path without `/v5/`, operation, or `connect`.
        joined_ns: when the socket was opened; 0 for rest.
    """

    where: str
    endpoint: str
    key: str = ""
    uid: str = ""
    address: str = ""
    joined_ns: int = 0

    @property
    def changes(self) -> bool:
        """Whether it would change orders or positions."""
        return any(fnmatchcase(self.endpoint, pattern) for pattern in TRADING.get(self.where, ()))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame to one client as the faults see it."""

    where: str
    topic: str
    kind: str
    key: str = ""
    uid: str = ""


@dataclass(slots=True)
class Fault:
    """A fault that was added.

    Attributes:
        name: by which it can be removed.
        from_ns: market time from which it strikes.
        until_ns: market time at which it is over.
        asked: candidates so far.
        hits: of them, those it struck.
    """

    name: str
    spec: Spec
    seed: int
    from_ns: int
    until_ns: int
    course: Course | None = None
    asked: int = 0
    hits: int = 0
    has_begun: bool = False
    has_ended: bool = False

    @property
    def seam(self) -> Seam:
        """Where it is asked for."""
        return ACTIONS[self.spec.action].seam

    @property
    def is_spent(self) -> bool:
        """Whether it has struck as often as it may."""
        return self.spec.count is not None and self.hits >= self.spec.count

    def state(self, now_ns: int) -> str:
        """Give `waiting`, `active` or `over`."""
        if self.is_spent or self.has_ended or now_ns >= self.until_ns:
            return OVER
        return WAITING if now_ns < self.from_ns else ACTIVE

    def describe(self, now_ns: int) -> dict[str, Any]:
        """Give it as the control API lists it."""
        counts = {"asked": self.asked, "hits": self.hits, "state": self.state(now_ns)}
        return {"id": self.name, **self.spec.describe(), "seed": self.seed, **counts}
