"""Evidence gathered look by look, with a bound on false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

LIMIT: Final = log(1e5)
"""On a healthy feed a false alarm then comes after 100,000 looks at the earliest, on average."""
_CERTAIN: Final = 0.999
_MOST: Final = 3.0


@dataclass(slots=True)
class Evidence:
    """Page's cumulative sum of log-likelihood ratios, a fault's against health's.

    Page, Biometrika 41 (1954); the mean number of looks to a false alarm is at least exp(`LIMIT`) by Lorden, Annals of Mathematical
    Statistics 42 (1971), for looks that do not depend on each other and that a healthy feed passes as often as is said.

    Attributes:
        total: the sum, never below 0 and never beyond twice the limit.
        raised: whether it speaks for the fault; taken back when the sum has come down to 0.
    """

    total: float = 0.0
    raised: bool = False

    def add(self, ratio: float) -> None:
        """Take the log-likelihood ratio of one look."""
        self.total = min(2.0 * LIMIT, max(0.0, self.total + ratio))
        self.raised = self.total > 0.0 if self.raised else self.total >= LIMIT

    def clear(self) -> None:
        """Forget what was gathered."""
        self.total, self.raised = 0.0, False


def ratio_of_look(*, wrong: bool, usual: float, faulty: float) -> float:
    """Give the log-likelihood ratio of a look that goes wrong with a chance of at most `usual` in health, `faulty` in a fault."""
    return log(faulty / usual) if wrong else log((1.0 - faulty) / (1.0 - usual))


def ratio_of_shift(value: float, *, middle: float, spread: float, shift: float) -> float:
    """Give the log-likelihood ratio of a normal value whose middle a fault shifts; bounded, for values are not that normal."""
    ratio = shift / spread**2 * (value - middle - shift / 2.0)
    return max(-_MOST, min(_MOST, ratio))


def largest_share(count: int, looks: int) -> float:
    """Give the upper end of the 95 % interval (Agresti and Coull, American Statistician 52, 1998) of a share."""
    middle = (count + 2.0) / (looks + 4.0)
    return min(_CERTAIN, middle + 1.645 * sqrt(middle * (1.0 - middle) / (looks + 4.0)))
