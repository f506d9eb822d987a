"""The circuit breaker: what should not happen, or not so often, stops the entries (REDUCING) until it has been quiet, or a person looked.

| kind | trips when | ends |
|---|---|---|
| rejections | the venue refused `max_rejections` entries within `window_ns` | after `pause_ns` |
| price_jump | a mark moved by more than `max_jump_bps` between two looks at most `window_ns` apart | after `pause_ns` |
| residual | `residual_looks` comparisons in a row found our books and the venue's apart | after `pause_ns`; at once again while it holds |
| foreign_fill | a fill that is not ours, the guardian's or forced by the venue | when a person resumes or rearms |

A trip is a record of the journal: a restart does not end it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from undertow.trading.records import Tripped

UNTIL_REARMED: Final = 0


class Kind(StrEnum):
    """What tripped it."""

    REJECTIONS = "rejections"
    PRICE_JUMP = "price_jump"
    RESIDUAL = "residual"
    FOREIGN_FILL = "foreign_fill"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When it trips; a count of 0 or a distance of 0 turns that kind off."""

    max_rejections: int
    max_jump_bps: Decimal
    residual_looks: int
    money_epsilon: Decimal
    foreign_fills: bool
    window_ns: int
    pause_ns: int


class Breaker:
    """Counts, trips, and says why. `take` is the only way its trips change, live and in replay alike."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._rejected_ns: deque[int] = deque()
        self._residuals = 0
        self._compared_ns = 0
        self._trips: dict[str, Tripped] = {}

    @property
    def trips(self) -> Sequence[Tripped]:
        """The trips that no person has ended, past ones too."""
        return tuple(self._trips.values())

    def take(self, trip: Tripped) -> None:
        """Fold a trip."""
        self._trips[trip.kind] = trip

    def rearm(self) -> None:
        """A person has looked."""
        self._trips.clear()
        self._rejected_ns.clear()
        self._residuals = 0

    def why(self, now_ns: int) -> str:
        """Say why entries are stopped, or ""."""
        return "; ".join(trip.why for trip in self._trips.values() if _holds(trip, now_ns))

    def on_rejected(self, words: str, now_ns: int) -> list[Tripped]:
        """The venue refused an entry."""
        most, window = self._rules.max_rejections, self._rules.window_ns
        self._rejected_ns.append(now_ns)
        while self._rejected_ns[0] <= now_ns - window:
            self._rejected_ns.popleft()
        count = len(self._rejected_ns)
        if not most or count < most:
            return []
        return self._trip(
            Kind.REJECTIONS, f"{count} entries refused within {window / 1e9:g} s, the last: {words}", now_ns
        )

    def on_mark(self, symbol: str, jump_bps: Decimal, apart_ns: int, now_ns: int) -> list[Tripped]:
        """A mark moved."""
        most = self._rules.max_jump_bps
        if not most or apart_ns > self._rules.window_ns or jump_bps <= most:
            return []
        words = f"the mark of {symbol} moved {jump_bps:.1f} bps in {apart_ns / 1e9:.1f} s, at most {most:g}"
        return self._trip(Kind.PRICE_JUMP, words, now_ns)

    def on_residuals(self, position: Decimal, money: Decimal, compared_ns: int, now_ns: int) -> list[Tripped]:
        """Our books were compared with the venue's; the same comparison told again is nothing."""
        if compared_ns <= self._compared_ns:
            return []
        self._compared_ns = compared_ns
        is_apart = position != 0 or abs(money) > self._rules.money_epsilon
        self._residuals = self._residuals + 1 if is_apart else 0
        looks = self._rules.residual_looks
        if not looks or self._residuals < looks:
            return []
        words = (
            f"{self._residuals} comparisons in a row found residuals, now {position} of positions and {money} of money"
        )
        return self._trip(Kind.RESIDUAL, words, now_ns)

    def on_foreign_fill(self, words: str, now_ns: int) -> list[Tripped]:
        """A fill is not ours: until a person has looked."""
        if not self._rules.foreign_fills or Kind.FOREIGN_FILL in self._trips:
            return []
        why = f"a fill that is not ours: {words}"
        return [Tripped(at_ns=now_ns, kind=Kind.FOREIGN_FILL, why=why, until_ns=UNTIL_REARMED)]

    def _trip(self, kind: Kind, why: str, now_ns: int) -> list[Tripped]:
        known = self._trips.get(kind)
        if known is not None and _holds(known, now_ns):
            return []  # it holds already; should the cause go on, it trips again after the pause
        return [Tripped(at_ns=now_ns, kind=kind, why=why, until_ns=now_ns + self._rules.pause_ns)]


def _holds(trip: Tripped, now_ns: int) -> bool:
    return trip.until_ns == UNTIL_REARMED or now_ns < trip.until_ns
