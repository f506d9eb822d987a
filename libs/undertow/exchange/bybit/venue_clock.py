"""The venue's clock as a signer sees it: ours plus an offset, learnt from `market/time`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undertow.exchange.errors import TooLateError
from undertow.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of `market/time`; market ns.

    Attributes:
        sent_ns: when it was asked for, by our clock.
        received_ns: when it came, by our clock.
        venue_ns: what the venue said.
    """

    sent_ns: int
    received_ns: int
    venue_ns: int


@dataclass(frozen=True, slots=True)
class Offset:
    """The venue's clock minus ours, and by how much that may be wrong; market ns."""

    offset_ns: int
    uncertainty_ns: int


def estimate(readings: Sequence[Reading]) -> Offset:
    """Estimate the offset from several readings.

    The venue read its clock between our sending and our receiving, so each reading bounds the offset on both sides; what all of
    them allow is an interval, no wider than that of the quickest answer. Where a clock jumped in between they allow nothing, and
    the quickest answer alone is taken, read half-way (Cristian's algorithm).

    Raises:
        ValueError: there are none.
    """
    if not readings:
        raise ValueError("an offset needs one reading at least")
    least = max(each.venue_ns - each.received_ns for each in readings)
    most = min(each.venue_ns - each.sent_ns for each in readings)
    if least > most:
        quickest = min(readings, key=lambda each: each.received_ns - each.sent_ns)
        least, most = quickest.venue_ns - quickest.received_ns, quickest.venue_ns - quickest.sent_ns
    return Offset((least + most) // 2, (most - least) // 2)


class VenueClock:
    """Market time by the venue's clock; without an estimate it is ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ns = 0
        self.uncertainty_ns = 0
        self.is_known = False

    @property
    def rate(self) -> float:
        """Market seconds per wall second."""
        return self._clock.rate

    def learn(self, sent_ns: int, received_ns: int, venue_ns: int) -> None:
        """Take an answer of the venue."""
        self.take(estimate([Reading(sent_ns, received_ns, venue_ns)]))

    def take(self, offset: Offset) -> None:
        """Take an estimate."""
        self.offset_ns, self.uncertainty_ns = offset.offset_ns, offset.uncertainty_ns
        self.is_known = True

    def doubt(self) -> None:
        """The venue has refused one of our time stamps: whoever signs next by HTTP asks for the time first."""
        self.is_known = False

    def left_ns(self, not_after_ns: int) -> int:
        """Give how long it is until a time by our own clock; negative when that has passed."""
        return not_after_ns - self._clock.now_ns()

    def refuse_late(self, not_after_ns: int | None) -> None:
        """Return while an order may still be written; `not_after_ns` is by our own clock.

        Raises:
            TooLateError: it may not.
        """
        if not_after_ns is not None and (left_ns := self.left_ns(not_after_ns)) < 0:
            raise TooLateError(0, f"its deadline passed {-left_ns / 1e6:.1f} ms before it could be written")

    def now_ns(self) -> int:
        """Give the venue's time, ns."""
        return self._clock.now_ns() + self.offset_ns

    def now_ms(self) -> int:
        """Give the venue's time, ms."""
        return self.now_ns() // 1_000_000
