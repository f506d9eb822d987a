"""What a symbol's liquidation feed tells of episodes, learnt while it is in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log
from statistics import median
from typing import Final

from services.ingestor.watch.evidence import Evidence, largest_share, ratio_of_look, ratio_of_shift

_JUDGED_UP_TO: Final = 0.5
_KEPT: Final = 200
_FEWEST: Final = 10
_SHIFT: Final = log(0.55)
_LEAST_SPREAD: Final = 0.15
_NORMAL: Final = 1.4826  # from the median deviation to the standard deviation of a normal law


@dataclass(slots=True)
class Silences:
    """How many episodes the feed says nothing of; those before it speaks again count as its habit only then."""

    episodes: int = 0
    untold: int = 0
    run: int = 0

    def told(self) -> None:
        """Take an episode of which the feed spoke."""
        self.episodes += self.run + 1
        self.untold += self.run
        self.run = 0

    def not_told(self) -> float:
        """Take an episode of which it did not; give the log-likelihood ratio for silence, 0 where half of them may be untold."""
        self.run += 1
        usual = largest_share(self.untold, self.episodes)
        return ratio_of_look(wrong=True, usual=usual, faulty=0.999) if usual <= _JUDGED_UP_TO else 0.0


@dataclass(slots=True)
class Shares:
    """What part of the fall of the open interest the feed tells; values in doubt count as habit only when the doubt is gone."""

    _habit: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _doubtful: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def ratio(self, share: float) -> float:
        """Give the log-likelihood ratio for a feed that tells about half of what it used to, 0 while that is not known."""
        value = log(share)
        if len(self._habit) < _FEWEST:
            self._habit.append(value)
            return 0.0
        self._doubtful.append(value)
        middle = median(self._habit)
        spread = max(_LEAST_SPREAD, _NORMAL * median(abs(each - middle) for each in self._habit))
        return ratio_of_shift(value, middle=middle, spread=spread, shift=_SHIFT)

    def judged(self, evidence: Evidence) -> None:
        """Learn what was in doubt when the evidence has vanished."""
        if not evidence.total:
            self._habit += self._doubtful
            self._doubtful.clear()
