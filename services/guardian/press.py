"""What is sent while halting, and when: cancels and closes wait for nobody but themselves. Pure.

The stops at the venue stay until a look shows that nothing is held and nothing else rests: they are what closes a position if we die
before it is flat. Cancels and closes have each their own waits and their own share of the venue's limit. A close that the venue refuses
is tried with half the size, since above `maxMktOrderQty` it refuses for ever; far below, the whole is tried again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from services.guardian.rules import SECOND_NS, CancelAll, Look, Rules

SMALLEST_PART: Final = 256
"""A refused close is halved down to this part of the position, then begun anew with the whole."""


class Share:
    """At most so many in any second."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._taken: deque[int] = deque()

    def take(self, now_ns: int) -> bool:
        """Take one; False when there is none left."""
        while self._taken and now_ns - self._taken[0] >= SECOND_NS:
            self._taken.popleft()
        if len(self._taken) >= self._per_second:
            return False
        self._taken.append(now_ns)
        return True


@dataclass(frozen=True, slots=True)
class Close:
    """Send this much of a position, signed as the position is."""

    symbol: str
    qty: Decimal


class Press:
    """Decides what goes out now. `acted_ns` is when something last did."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._orders = Share(rules.orders_per_second)
        self._cancels = Share(rules.orders_per_second)
        self._closing: dict[str, int] = {}
        self._lost: set[str] = set()
        self._largest: dict[str, Decimal] = {}
        self._close_from_ns = self._cancel_from_ns = 0
        self._cancelled_ns: int | None = None
        self._swept_ns: int | None = None
        self.acted_ns = 0

    def begin(self, now_ns: int) -> None:
        """Start a halt: whatever was sent before counts no more, what the venue's limits say still does."""
        self.acted_ns = now_ns
        self._cancelled_ns = self._swept_ns = None
        self._closing.clear()
        self._lost.clear()
        self._largest.clear()

    def cancel(self, look: Look | None, *, sees: bool, now_ns: int) -> CancelAll | None:
        """Give the cancel that is due: first of all that rests, and of the stops when a look shows nothing else."""
        if now_ns < self._cancel_from_ns:
            return None
        plain = tuple(order for order in look.orders if not order.is_conditional) if look else ()
        rests = bool(plain) or not sees
        if self._cancelled_ns is None or (rests and self._is_old(self._cancelled_ns, now_ns)):
            cancel = CancelAll(plain, stops_too=False)
        elif look is None or rests or look.positions or not look.orders or look.started_ns < self.acted_ns:
            return None
        elif self._is_old(self._swept_ns, now_ns):
            cancel = CancelAll(look.orders, stops_too=True)
        else:
            return None
        if not self._cancels.take(now_ns):
            return None
        if cancel.stops_too:
            self._swept_ns = now_ns
        else:
            self._cancelled_ns = now_ns
        self.acted_ns = now_ns
        return cancel

    def closes(self, held: Mapping[str, Decimal], look: Look | None, now_ns: int) -> list[Close]:
        """Give the closes that are due, those that have waited longest first."""
        if now_ns < self._close_from_ns:
            return []
        found: list[Close] = []
        for symbol, qty in sorted(held.items(), key=lambda item: self._closing.get(item[0], 0)):
            if self._may_close(symbol, look, now_ns):
                found += self._parts(symbol, qty, now_ns)
        if found:
            self.acted_ns = now_ns
        return found

    def may_send(self, now_ns: int) -> bool:
        """Take one order of the share, to send a close by another way."""
        return self._orders.take(now_ns)

    def may_cancel(self, now_ns: int) -> bool:
        """Take one cancel of the share, to cancel one by one."""
        return self._cancels.take(now_ns)

    def on_close_lost(self, symbol: str, retry_at_ns: int) -> None:
        """No way took a close; the next goes out no sooner than `retry_at_ns`, though within the rule's longest wait."""
        self._close_from_ns = max(self._close_from_ns, retry_at_ns)
        self._lost.add(symbol)

    def on_cancel_lost(self, retry_at_ns: int) -> None:
        """A cancel-all did not get through; closes do not wait for it."""
        self._cancel_from_ns = max(self._cancel_from_ns, retry_at_ns)
        self._cancelled_ns = self._swept_ns = None

    def on_close_refused(self, symbol: str, qty: Decimal, position: Decimal) -> None:
        """The venue said no to a close of this size: half of it is next, at once."""
        largest = self._largest.get(symbol)
        if largest is not None and qty > largest:
            return  # an answer to what was sent before it was halved
        smaller = halved(qty)
        if smaller * SMALLEST_PART < abs(position):
            self._largest.pop(symbol, None)  # and the next try waits as any other
            return
        self._largest[symbol] = smaller
        self._closing.pop(symbol, None)

    def _is_old(self, at_ns: int | None, now_ns: int) -> bool:
        return at_ns is None or now_ns - at_ns >= self._rules.retry_ns

    def _may_close(self, symbol: str, look: Look | None, now_ns: int) -> bool:
        sent_ns = self._closing.get(symbol)
        if sent_ns is None:
            return True
        settled = symbol in self._lost or (look is not None and look.started_ns > sent_ns)
        return now_ns - sent_ns >= (self._rules.retry_ns if settled else self._rules.blind_ns)

    def _parts(self, symbol: str, qty: Decimal, now_ns: int) -> list[Close]:
        left, sign = abs(qty), 1 if qty > 0 else -1
        largest = self._largest.get(symbol, left)
        found = []
        while left and self._orders.take(now_ns):
            part = min(left, largest)
            found.append(Close(symbol, part * sign))
            left -= part
        if found:
            self._closing[symbol] = now_ns
            self._lost.discard(symbol)
        return found


def halved(qty: Decimal) -> Decimal:
    """Give half, rounded down to the power of ten that a multiple of the venue's step certainly is a multiple of.

    The steps are powers of ten. Where half of that power is nothing, a tenth of the power is the step.
    """
    exponent = int(qty.normalize().as_tuple().exponent)
    half = (qty / 2).quantize(Decimal(1).scaleb(exponent), ROUND_DOWN)
    return half or (qty / 2).quantize(Decimal(1).scaleb(exponent - 1), ROUND_DOWN)
