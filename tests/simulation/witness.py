"""Sees everything and forgets nothing: what the venue holds at each of its changes, what leaves for it, and whether that may be.

The first thing that must not be ends the seed. States of orders are the venue's; an order is `submitted` from the moment in which its
bytes leave until the venue says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from services.guardian.rules import ORDER_PREFIX
from services.venue.answers import Answer, Item, PrivateEvent
from services.venue.core import VenueCore
from tests.virtual.loop import ORIGIN_NS
from undertow.contracts.messages.decision import Signal
from undertow.domain.order import OrderRole
from undertow.matching.scale import from_units
from undertow.trading.orders import order_id_for

SECOND: Final = 1_000_000_000
STATES: Final = ("submitted", "new", "partially_filled", "filled", "cancelled", "rejected")
_STATE_OF: Final = {
    "New": "new",
    "PartiallyFilled": "partially_filled",
    "Filled": "filled",
    "Cancelled": "cancelled",
    "PartiallyFilledCanceled": "cancelled",
    "Rejected": "rejected",
}
_OPEN: Final = ("submitted", "new", "partially_filled")
LATELY_NS: Final = SECOND // 2
"""An order that ended so long ago still counts as being in its last state."""
NAKED_NS: Final = 2 * SECOND
ESCALATION_NS: Final = 8 * SECOND
"""From T, or from the end of the last fault: a lost exit is known to be lost after its window (5 s) and 1 s; then one more."""
MOST_EXITS: Final = 24
SUBMITTED_NS: Final = 8 * SECOND
STALE_EQUITY_NS: Final = 31 * SECOND


@dataclass
class Known:
    """An order that may be there: what it is for, and how far it is."""

    signal: Signal
    role: OrderRole
    number: int
    arrivals: int = 0
    state: str = ""
    since_ns: int = 0


@dataclass
class Held:
    """A position of the venue; `is_stripped`: somebody has taken its stop away, which its entry had brought."""

    opened_ns: int
    naked_ns: int | None = None
    is_stripped: bool = False
    due_ns: int = 0


@dataclass
class Witness:
    """The judge.

    Args:
        limits: largest fraction of equity per symbol, and over all.
        is_on_disk: whether the router's disk has an order for certain.

    Attributes:
        problem: the first thing that must not be.
        trades: positions that our entries opened and that are flat again.
        hits: how often a fault struck an order in a state: (state, kind).
        struck: faults that struck, by kind.
        disturbed_ns: until when faults have been at work.
        blind_ns: until when the router was down, or the venue to it.
    """

    symbol_fraction: Decimal
    gross_fraction: Decimal
    is_on_disk: Callable[[str], bool]
    now_ns: Callable[[], int]
    core: VenueCore | None = None
    problem: str = ""
    trades: int = 0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    disturbed_ns: int = 0
    blind_ns: int = 0
    orders: dict[str, Known] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    on_state: Callable[[str], None] = lambda _state: None
    on_fault: Callable[[str], None] = lambda _name: None
    why_may_close: Callable[[], str] = lambda: ""
    _equities: list[tuple[int, int]] = field(default_factory=list)

    def say(self, what: str) -> None:
        """Put a line into the story."""
        self.lines.append(f"{(self.now_ns() - ORIGIN_NS) / SECOND:8.3f} s  {what}")

    def complain(self, problem: str) -> None:
        """Note what must not be; the first is the one that counts."""
        if not self.problem:
            self.problem = problem
            self.say(f"WRONG: {problem}")

    # the fleet

    def signalled(self, signal: Signal) -> None:
        """A signal is published: these orders may come of it."""
        entry = order_id_for(signal.signal_id, OrderRole.ENTRY)
        self.orders[entry] = Known(signal, OrderRole.ENTRY, 1)
        for number in range(1, MOST_EXITS + 1):
            self.orders[order_id_for(signal.signal_id, OrderRole.EXIT, number)] = Known(signal, OrderRole.EXIT, number)

    def order_leaves(self, body: Item) -> None:
        """The bytes of an order are handed to a connection."""
        now_ns, order_id = self.now_ns(), body["orderLinkId"]
        known = self.orders.get(order_id)
        if known is None:
            if not order_id.startswith(ORDER_PREFIX):
                self.complain(f"order {order_id} leaves and has no owner: no signal makes it")
            return
        if not self.is_on_disk(order_id):
            self.complain(f"{_name(known)} leaves before the disk has its record")
        if known.role is OrderRole.ENTRY and now_ns > known.signal.valid_until_ns:
            late_ms = (now_ns - known.signal.valid_until_ns) / 1e6
            self.complain(f"{_name(known)} leaves {late_ms:.0f} ms after the end of its signal")
        self._enter(known, "submitted", now_ns)
        self.say(
            f"{_name(known)} leaves: {body['side']} {body['qty']} {body['symbol']} at {body.get('price', 'market')}"
        )

    def order_refused(self, order_id: str) -> None:
        """The answer to an order is no; with some codes it may be there all the same, and then the venue has said so."""
        known = self.orders.get(order_id)
        if known is not None and known.state == "submitted":
            self._enter(known, "rejected", self.now_ns())
            self.say(f"{_name(known)} is refused")

    def struck_by(self, kind: str) -> None:
        """A fault strikes now."""
        now_ns = self.now_ns()
        self.struck[kind] += 1
        for known in self.orders.values():
            if self._is_in_state(known, now_ns):
                self.hits[known.state, kind] += 1

    def disturbed(self, for_s: float) -> None:
        """Faults are at work for so long from now on."""
        self.disturbed_ns = max(self.disturbed_ns, self.now_ns() + round(for_s * SECOND))

    def blinded(self, for_s: float) -> None:
        """The router cannot see or do anything for so long from now on."""
        self.blind_ns = max(self.blind_ns, self.now_ns() + round(for_s * SECOND))

    def stripped(self, symbol: str) -> None:
        """Somebody takes a position's stop away now."""
        self.held[symbol].is_stripped = True

    # the venue

    def order_arrives(self, body: Item, now_ns: int) -> None:
        order_id = body["orderLinkId"]
        known = self.orders.get(order_id)
        if known is None:
            if not order_id.startswith(ORDER_PREFIX):
                self.complain(f"order {order_id} arrives and has no owner: no signal makes it")
            elif not self.why_may_close():
                self.complain(f"the guardian closes {body['symbol']} and nobody told it to")
            return
        known.arrivals += 1
        if known.arrivals > 1:
            self.complain(f"{_name(known)} arrives for the {known.arrivals}. time")

    def order_answered(self, body: Item, answer: Answer, now_ns: int) -> None:
        known = self.orders.get(body["orderLinkId"])
        if known is None:
            return
        if not answer.ret_code and known.role is OrderRole.ENTRY:
            self._check_exposure(body["symbol"], now_ns)

    def venue_changed(self, events: Sequence[PrivateEvent], now_ns: int) -> None:
        for event in events:
            if event.topic != "order":
                continue
            for item in event.data:
                known = self.orders.get(item["orderLinkId"])
                state = _STATE_OF.get(item["orderStatus"])
                if known is not None and state is not None and state != known.state:
                    self._enter(known, state, now_ns)
                    self.say(f"{_name(known)} is {state} at the venue, {item['cumExecQty']} of {item['qty']}")
        self._look_at_positions(now_ns)

    def fault_struck(self, name: str) -> None:
        self.on_fault(name)

    def look(self) -> None:
        """Look whether something has lasted too long."""
        now_ns = self.now_ns()
        for symbol, held in self.held.items():
            naked_ns = held.naked_ns
            if naked_ns is not None and held.is_stripped:  # who is down meanwhile cannot see it: 2 s from when it can
                naked_ns = max(naked_ns, min(self.blind_ns, now_ns))
            if naked_ns is not None and now_ns - naked_ns > NAKED_NS:
                self.complain(f"the position in {symbol} has had no stop for more than {NAKED_NS / SECOND:g} s")
            deadline_ns = max(held.due_ns, min(self.disturbed_ns, now_ns)) + ESCALATION_NS
            if now_ns > deadline_ns:
                over_s = (now_ns - held.due_ns) / SECOND
                self.complain(f"the position in {symbol} is still there {over_s:.1f} s after its time")

    @property
    def is_flat(self) -> bool:
        """Whether the venue holds nothing and nothing rests."""
        assert self.core is not None
        return not self.held and not self.core.account.open  # type: ignore[attr-defined]

    def _look_at_positions(self, now_ns: int) -> None:
        assert self.core is not None
        account: Any = self.core.account  # type: ignore[attr-defined]
        for (symbol, _), holding in account.holdings.items():
            held = self.held.get(symbol)
            if not holding.lots:
                if held is not None:
                    del self.held[symbol]
                    self.trades += 1
                    self.say(f"{symbol} is flat")
                continue
            if held is None:
                held = self.held[symbol] = Held(now_ns, due_ns=now_ns + self._hold_ns(symbol))
                self.say(f"{symbol} is held")
            if holding.guards.trigger("StopLoss"):
                held.naked_ns = None
            elif held.naked_ns is None:
                held.naked_ns = now_ns
                self.say(f"{symbol} has no stop")
        self.look()

    def _hold_ns(self, symbol: str) -> int:
        entries = [
            known
            for known in self.orders.values()
            if known.role is OrderRole.ENTRY and known.signal.symbol == symbol and known.arrivals
        ]
        return max(entries, key=lambda known: known.signal.ts_event).signal.hold_ns if entries else 0

    def _check_exposure(self, symbol: str, now_ns: int) -> None:
        assert self.core is not None
        account: Any = self.core.account  # type: ignore[attr-defined]
        self._equities.append((now_ns, account.balance))
        self._equities = [each for each in self._equities if each[0] >= now_ns - STALE_EQUITY_NS]
        equity = max(from_units(balance) for _, balance in self._equities)
        exposure = {
            name: from_units(abs(holding.cost)) for (name, _), holding in account.holdings.items() if holding.lots
        }
        for order in account.open.values():
            if not order.reduce_only and not order.waits:
                value = from_units(order.scale.value(order.tick, order.leaves))
                exposure[order.symbol] = exposure.get(order.symbol, Decimal(0)) + value
        slack = Decimal("1.002")  # equity moves with the mark between two words of the account
        if exposure.get(symbol, Decimal(0)) > self.symbol_fraction * equity * slack:
            self.complain(f"{symbol}: exposure {exposure[symbol]} above {self.symbol_fraction} of equity {equity}")
        if sum(exposure.values()) > self.gross_fraction * equity * slack:
            self.complain(f"exposure {sum(exposure.values())} above {self.gross_fraction} of equity {equity}")

    def _enter(self, known: Known, state: str, now_ns: int) -> None:
        known.state, known.since_ns = state, now_ns
        self.on_state(state)

    @staticmethod
    def _is_in_state(known: Known, now_ns: int) -> bool:
        if known.state == "submitted":
            return now_ns - known.since_ns < SUBMITTED_NS
        return known.state in _OPEN or (bool(known.state) and now_ns - known.since_ns < LATELY_NS)


def _name(known: Known) -> str:
    what = "the entry" if known.role is OrderRole.ENTRY else f"exit {known.number}"
    return f"{what} of {known.signal.signal_id}"
