"""What is known of one position's venue-side stop: whether it is there as it ought to be, and since when not. Pure.

It is right when the venue says so of the position itself: full size (a partial stop leaves the position's own field empty), by mark
price, and no wider than the trade's; a person may have drawn it tighter. An answer to our own request proves nothing, and what was
right is wrong again with the next fact that lacks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from undertow.domain.order import Side
from undertow.exchange.models import VenueOrder, VenuePosition

_ZERO: Final = Decimal(0)
_FULL: Final = "StopLoss"  # a partial one is another kind
_MARK: Final = ("MarkPrice", "")  # some answers leave it out


@dataclass(slots=True)
class StopWatch:
    """The watch of one position.

    Attributes:
        missing_since_ns: 0 while it is right.
        asked_ns: when it was last asked for since it is missing; 0 when it was not.
        was_right: whether it ever was.
    """

    missing_since_ns: int = 0
    asked_ns: int = 0
    was_right: bool = False
    _price: Decimal = _ZERO
    _trigger_by: str = ""
    _updated_ns: int = 0

    def on_position(self, fact: VenuePosition) -> None:
        """Take the venue's word about the position; an older one than the last changes nothing."""
        if fact.updated_ns >= self._updated_ns:
            self._price, self._updated_ns = fact.stop_loss, fact.updated_ns

    def on_order(self, fact: VenueOrder) -> None:
        """Take the venue's word about the order that is the stop: it alone says by which price it is triggered."""
        if fact.stop_order_type == _FULL:
            self._trigger_by = "" if fact.status.is_terminal else fact.trigger_by

    def what_is_wrong(self, side: Side, wanted: Decimal) -> str:
        """Say what is wrong for a position of `side` whose stop is to be at `wanted`, or ""."""
        if not self._price:
            return "it has none"
        if (self._price - wanted) * side.sign < 0:
            return f"it is at {self._price}, wider than {wanted}"
        return "" if self._trigger_by in _MARK else f"it is triggered by {self._trigger_by}"

    def looked(self, now_ns: int, *, is_right: bool) -> None:
        """Count since when it is missing."""
        if is_right:
            self.missing_since_ns, self.was_right = 0, True
        elif not self.missing_since_ns:
            self.missing_since_ns, self.asked_ns = now_ns, 0

    def ask_at_ns(self, wait_ns: int) -> int:
        """Give the time to ask for it: at once when it was there, `wait_ns` after a first fill or after the last asking."""
        if self.asked_ns:
            return self.asked_ns + wait_ns
        return self.missing_since_ns if self.was_right else self.missing_since_ns + wait_ns
