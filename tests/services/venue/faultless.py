"""A venue's mischief without any fault, for tests of a part alone."""

from __future__ import annotations

from services.venue.faults.core import Faults
from services.venue.keys import KeyRing
from services.venue.mischief import Mischief
from undertow.runtime.clock import ManualClock
from undertow.runtime.metrics import Metrics


def faultless() -> Mischief:
    return Mischief(Faults(), ManualClock(), KeyRing(()), Metrics("venue", "paper"), print)
