"""Our books held against the venue's word, and what follows: which differences are errors, and for how long the fleet must reduce. Pure.

The rule. A comparison is *counted* only if no execution was booked between the moment before the venue was asked and the moment of
comparing, which lies a settling time after its answer. Executions that the venue lists and the books lack are *on their way*: they are
added before the two are compared, so a router that starts anew, a bus that is away or a stream that is late explains itself. A difference
*holds* as far as two counted comparisons in a row show it with the same sign and with the same executions on their way (one that comes
between the venue's two answers makes a difference of a moment); what holds is the residual, and one such pair is a cycle. An execution
that is on its way for too long is a finding of its own.

What holds above its epsilon asks the fleet to reduce. Positions and late executions end by themselves after some agreeing comparisons
in a row; money, drawdown and a liquidation need a person. Resting orders are compared too, by id, and only said: they are the
guardian's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from undertow.exchange.models import LedgerEntry, VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.trading.ledger import Ledger, Residuals

_ZERO: Final = Decimal(0)
_SECOND_NS: Final = 1_000_000_000
_NONE: Final = Residuals({}, _ZERO)


class Cause(StrEnum):
    """Why the fleet shall reduce."""

    POSITIONS = "positions"
    EXECUTIONS = "executions"
    MONEY = "money"
    DRAWDOWN = "drawdown"
    LIQUIDATION = "liquidation"


STICKY: Final = frozenset({Cause.MONEY, Cause.DRAWDOWN, Cause.LIQUIDATION})
"""Only a person ends these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to speak up; drawdowns are fractions of the peak, epsilons base and settle coin.

    Attributes:
        drawdown_reduces: the warning puts the fleet in REDUCING, too.
        agreeing_needed: counted comparisons without a finding that end what ends by itself.
        on_way_ns: an execution or an order may take so long to reach us, market ns.
    """

    drawdown_warning: Decimal = field(default_factory=lambda: Decimal("0.05"))
    drawdown_limit: Decimal = field(default_factory=lambda: Decimal("0.10"))
    drawdown_reduces: bool = False
    position_epsilon: Decimal = _ZERO
    money_epsilon: Decimal = field(default_factory=lambda: Decimal("0.001"))
    agreeing_needed: int = 3
    on_way_ns: int = 30 * _SECOND_NS


@dataclass(frozen=True, slots=True)
class VenueView:
    """The venue's word on the account.

    Attributes:
        revision: that of our books before it was asked.
        executions: all that the books may lack.
        orders: all that rest.
    """

    positions: Sequence[VenuePosition]
    wallet: Wallet
    rows: Sequence[LedgerEntry]
    revision: int
    executions: Sequence[VenueExecution] = ()
    orders: Sequence[VenueOrder] = ()


class Comparison:
    """The newest comparisons and the wishes that they left.

    Args:
        limits: what counts.
        wishes: of an earlier life.

    Attributes:
        residuals: the differences that hold.
        orders: what is said of resting orders that only one side knows, by id; it holds.
        on_way: executions that have not reached the books.
        counted: how many comparisons were.
        reconciled_ns: when the last was.
        wishes: why the fleet shall reduce now.
    """

    def __init__(self, limits: Limits, wishes: Mapping[Cause, str]) -> None:
        self._limits = limits
        self._last = _NONE
        self._last_orders: dict[str, str] = {}
        self._agreeing = 0
        self.residuals = _NONE
        self.orders: dict[str, str] = {}
        self.on_way: tuple[VenueExecution, ...] = ()
        self.counted = 0
        self.reconciled_ns = 0
        self.wishes = dict(wishes)

    @property
    def suspects(self) -> bool:
        """True when the last comparison showed a difference: the next should follow soon."""
        return bool(self._last.qty) or abs(self._last.money) > self._limits.money_epsilon

    def take(self, ledger: Ledger, view: VenueView, resting: Mapping[str, int], now_ns: int) -> list[Cause]:
        """Count a comparison; give the causes that it added to `wishes`, none when it ended some or changed nothing.

        Args:
            ledger: our books.
            view: the venue's.
            resting: our orders that may rest, with the time of their newest change.
            now_ns: market ns.
        """
        before = {each.exec_id for each in self.on_way}
        self.on_way = tuple(each for each in view.executions if not ledger.knows(each.exec_id))
        if before != {each.exec_id for each in self.on_way}:
            self._last = _NONE
        venue = {position.symbol: position.qty for position in view.positions if position.qty}
        fresh = ledger.after(self.on_way).residuals(venue, view.wallet.wallet)
        orders = self._order_differences(view.orders, resting, now_ns)
        if self.counted:
            self.residuals = _holding(self._last, fresh)
            self.orders = {each: words for each, words in orders.items() if each in self._last_orders}
        self._last, self._last_orders = fresh, orders
        self.counted += 1
        self.reconciled_ns = now_ns
        return self._judge(now_ns)

    def wish(self, cause: Cause, why: str) -> bool:
        """Note a reason to reduce; False when it was there already."""
        if cause in self.wishes:
            return False
        self.wishes[cause] = why
        return True

    def _judge(self, now_ns: int) -> list[Cause]:
        found: dict[Cause, str] = {}
        if self.residuals.position > self._limits.position_epsilon:
            quantities = ", ".join(f"{symbol} {qty:+f}" for symbol, qty in self.residuals.qty.items())
            found[Cause.POSITIONS] = f"our books minus the venue's: positions {quantities}"
        if abs(self.residuals.money) > self._limits.money_epsilon:
            found[Cause.MONEY] = f"our books minus the venue's: money {self.residuals.money:+f}"
        late = [each for each in self.on_way if now_ns - each.executed_ns > self._limits.on_way_ns]
        if late:
            oldest_s = (now_ns - min(each.executed_ns for each in late)) / _SECOND_NS
            found[Cause.EXECUTIONS] = (
                f"{len(late)} executions have not reached the books, the oldest for {oldest_s:.0f} s"
            )
        self._count_agreeing(found)
        return [cause for cause, why in found.items() if self.wish(cause, why)]

    def _count_agreeing(self, found: Mapping[Cause, str]) -> None:
        agrees = not (found.keys() - STICKY) and self._last.position <= self._limits.position_epsilon
        self._agreeing = self._agreeing + 1 if agrees else 0
        if self._agreeing >= self._limits.agreeing_needed:
            self.wishes = {cause: why for cause, why in self.wishes.items() if cause in STICKY}

    def _order_differences(
        self, orders: Sequence[VenueOrder], resting: Mapping[str, int], now_ns: int
    ) -> dict[str, str]:
        settled_ns = now_ns - self._limits.on_way_ns
        plain = {order.order_id or order.venue_order_id: order for order in orders if not order.is_conditional}
        foreign = {
            each: f"order {each} in {order.symbol} rests at the venue, and nobody announced it"
            for each, order in plain.items()
            if each not in resting and order.created_ns < settled_ns
        }
        gone = {
            each: f"order {each} rests in the books, and the venue has none"
            for each, changed_ns in resting.items()
            if each not in plain and changed_ns < settled_ns
        }
        return foreign | gone


def _holding(last: Residuals, fresh: Residuals) -> Residuals:
    """As far as both show it with the same sign."""
    qty: Mapping[str, Decimal] = {
        symbol: held for symbol in fresh.qty if (held := _common(last.qty.get(symbol, _ZERO), fresh.qty[symbol]))
    }
    return Residuals(qty, _common(last.money, fresh.money))


def _common(one: Decimal, other: Decimal) -> Decimal:
    if one > 0 and other > 0:
        return min(one, other)
    if one < 0 and other < 0:
        return max(one, other)
    return _ZERO
