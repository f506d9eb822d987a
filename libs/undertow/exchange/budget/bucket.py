"""A token bucket that keeps an allowance in every window, wherever the window begins. Pure; time is an argument.

A bucket of `capacity` tokens that fills at `rate` lets at most `capacity + rate · window` through in any window, so the two are chosen to
add up to the allowance. What is granted may be sent `slack` later, as if the window were that much longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BURST: Final = 0.25
"""The part of an allowance that may be used at once."""
LEAST_REFILL: Final = 0.5
"""The part of an allowance that a window brings at least, where whole requests are so few that the burst takes it all."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests in any window.

    Attributes:
        most: requests.
        window_s: length of a window.
        slack_s: how long after its grant a request may be sent.
    """

    most: float
    window_s: float
    slack_s: float = 0.0

    def part(self, share: float) -> Allowance:
        """Give a part of it."""
        return Allowance(self.most * share, self.window_s, self.slack_s)

    @property
    def capacity(self) -> float:
        """Tokens of a full bucket: a burst, and one request at least."""
        return max(1.0, self.most * BURST)

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return max(self.most - self.capacity, self.most * LEAST_REFILL) / (self.window_s + self.slack_s)


@dataclass(slots=True)
class Bucket:
    """Tokens of one allowance.

    Attributes:
        allowance: what it keeps.
        level: tokens at `at_s`.
        at_s: when it was looked at last.
    """

    allowance: Allowance
    level: float
    at_s: float

    @classmethod
    def full(cls, allowance: Allowance, now_s: float) -> Bucket:
        """Make one that nobody has taken from."""
        return cls(allowance, allowance.capacity, now_s)

    def take(self, now_s: float, *, kept: float = 0.0) -> float:
        """Take one token and leave a part of the capacity; give 0, or the seconds until there may be one."""
        self.level = self.peek(now_s)
        self.at_s = max(self.at_s, now_s)
        missing = 1.0 + kept * self.allowance.capacity - self.level
        if missing > 0.0:
            return missing / self.allowance.rate
        self.level -= 1.0
        return 0.0

    def peek(self, now_s: float) -> float:
        """Give the tokens there are."""
        filled = self.level + max(0.0, now_s - self.at_s) * self.allowance.rate
        return min(self.allowance.capacity, filled)
