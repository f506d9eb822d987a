"""What holds entries back besides permits and commands: limits, money, marks, late conduct, strangers, the circuit breaker. Pure.

It watches what the keeper decides and what is told, and answers two questions: why is the router itself REDUCING, and what would a risk
check look at now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from undertow.contracts.messages.decision import Signal, Verdict
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, TradeClosed
from undertow.domain.execution import FORCED
from undertow.domain.order import GUARDIAN_PREFIX, OrderRole
from undertow.exchange.models import Wallet
from undertow.trading.breaker import Breaker, BreakerRules
from undertow.trading.caps import Caps
from undertow.trading.desk import Desk
from undertow.trading.effects import Anomaly, Decide, Effect, Journal, Publish
from undertow.trading.limits import CHANGEABLE, LimitError, Limits, value_of, with_limit
from undertow.trading.marks import Marks
from undertow.trading.records import (
    AnyRecord,
    CapsCarried,
    CommandTaken,
    EntrySubmitted,
    ExecutionSeen,
    OrderSettled,
    Outcome,
    Tripped,
)
from undertow.trading.risk import EntryWish
from undertow.trading.sizing import Funds, SizingRules
from undertow.trading.strangers import Strangers

_ZERO: Final = Decimal(0)


class Restraint:
    """The router's own brakes.

    Attributes:
        limits: as they are now; `sizing` keeps step with them.
        unrestored: changes of limits that the journal has and the settings no longer allow, in words.
    """

    def __init__(self, desk: Desk, limits: Limits, sizing: SizingRules, breaker: BreakerRules) -> None:
        self.limits, self.sizing = limits, sizing
        self.marks = Marks()
        self.breaker = Breaker(breaker)
        self.strangers = Strangers(desk)
        self.equity = self.available = self.drawdown = _ZERO
        self.account_ns = 0
        self.unrestored: list[str] = []
        self._settings = (limits, sizing)
        self._desk = desk
        self._caps = Caps()
        self._changes: dict[str, CommandTaken] = {}
        self._settled_ns = 0
        self._liquidations: dict[str, Decimal] = {}
        self._is_warned = False

    # facts

    def on_mark(self, symbol: str, price: Decimal, at_ns: int, now_ns: int) -> list[Effect]:
        """The venue's mark of a symbol."""
        jump, apart_ns = self.marks.put(symbol, price, at_ns)
        return self._tripped(self.breaker.on_mark(symbol, jump, apart_ns, now_ns))

    def on_account(self, fact: Account, now_ns: int) -> list[Effect]:
        """Money as position_manager has it; an older word than the last is nothing."""
        if fact.ts_event < self.account_ns:
            return []
        self.equity, self.available, self.drawdown = fact.equity, fact.available, fact.drawdown
        self.account_ns = fact.ts_event
        self._settled_ns = fact.reconciled_ns - self.limits.account_lag_ns
        self._liquidations = {
            each.symbol: abs(each.mark_price - each.liquidation_price) / each.mark_price
            for each in fact.positions
            if each.liquidation_price > 0 and each.mark_price > 0
        }
        trips = self.breaker.on_residuals(fact.position_residual, fact.money_residual, fact.reconciled_ns, now_ns)
        return self._tripped(trips) + self._warned()

    def on_wallet(self, fact: Wallet, now_ns: int) -> None:
        """The venue's word about money: it stands until position_manager speaks."""
        if not self.account_ns or now_ns - self.account_ns > self.limits.max_account_age_ns:
            self.equity, self.available, self.account_ns = fact.equity, fact.available, now_ns
            self._settled_ns = now_ns - self.limits.account_lag_ns

    def observe(self, effects: Sequence[Effect], now_ns: int) -> list[Effect]:
        """See what was decided and booked; give what that leads to."""
        more: list[Effect] = []
        for effect in effects:
            match effect:
                case Journal(EntrySubmitted(plan=plan)):
                    self._caps.entered(plan.symbol, now_ns)
                case Journal(OrderSettled(outcome=Outcome.REFUSED) as record):
                    order = self._desk.orders.get(record.order_id)
                    if order is not None and order.role is OrderRole.ENTRY:
                        more += self._tripped(self.breaker.on_rejected(record.reason, now_ns))
                case Journal(ExecutionSeen(role=OrderRole.FOREIGN) as record):
                    more += self._foreign_fill(record, now_ns)
                case Publish(TradeClosed() as closed):
                    if self._caps.closed(closed, self.limits):
                        words = f"{self.limits.max_losses_in_row} trades in a row lost"
                        more.append(Anomaly("losses_in_row", closed.symbol, words))
                case _:
                    pass
        return more + self.strangers.look(now_ns)

    # the journal

    def replay(self, record: AnyRecord, messages: Sequence[OrderChanged | Execution | TradeClosed]) -> None:
        """Fold a record and the messages that it led to."""
        match record:
            case EntrySubmitted():
                self._caps.entered(record.plan.symbol, record.at_ns)
            case Tripped():
                self.breaker.take(record)
            case CapsCarried():
                self._caps.restore(record)
            case _:
                pass
        for message in messages:
            if isinstance(message, TradeClosed):
                self._caps.closed(message, self.limits)

    def compacted(self, now_ns: int) -> list[AnyRecord]:
        """Give the records that stand for all this, to be put behind those that a compaction keeps."""
        return [*self.breaker.trips, self._caps.carried(now_ns, self.limits.cascade_ns)]

    def changes(self) -> tuple[CommandTaken, ...]:
        """Give the newest change of each limit."""
        return tuple(self._changes.values())

    def rearm(self) -> None:
        """A person resumes."""
        self.breaker.rearm()

    def base_of(self, name: str) -> str:
        """Give what the settings say of a limit: a later edit of the settings takes the place of a change."""
        return str(value_of(*self._settings, name)) if name in CHANGEABLE else ""

    def change(self, taken: CommandTaken) -> None:
        """Let a change hold.

        Raises:
            LimitError: the limit cannot be changed so.
        """
        if taken.base and taken.base != self.base_of(taken.limit):
            raise LimitError(f"the settings of {taken.limit} were edited since {taken.who} changed it to {taken.value}")
        self.limits, self.sizing = with_limit(self.limits, self.sizing, taken.limit, taken.value)
        self._changes[taken.limit] = taken

    # what is asked

    def why(self, now_ns: int) -> str:
        """Say why the router itself is REDUCING, or ""."""
        reasons = [self.strangers.why(), self.breaker.why(now_ns)]
        if self.limits.reduces_at_warning and self.drawdown >= self.limits.warn_drawdown:
            reasons.append(self._drawdown_words())
        return "; ".join(reason for reason in reasons if reason)

    def looked_at(self, signal: Signal, now_ns: int) -> dict[str, Any]:
        """Give what the risk checks look at, as fields of an `EntryWish`."""
        prices, symbol = self.marks.prices, signal.symbol
        exposures = self._desk.exposures(prices)
        entries = self._caps.entries_since(now_ns - self.limits.cascade_ns)
        return {
            "mark": prices.get(symbol, _ZERO),
            "mark_ns": self.marks.at_ns(symbol),
            "equity": self.equity,
            "available": self.available,
            "account_ns": self.account_ns,
            "drawdown": self.drawdown,
            "symbol_exposure": sum((each for (of, _), each in exposures.items() if of == symbol), _ZERO),
            "gross_exposure": sum(exposures.values(), _ZERO),
            "correlated_exposure": self.marks.returns.together(symbol, signal.side, exposures),
            "unsettled_exposure": self._desk.unsettled_exposure(self._settled_ns, prices),
            "liquidation_distance": min(self._liquidations.values(), default=None),
            "entries_in_cascade": len(entries),
            "entries_of_symbol": sum(of == symbol for of, _ in entries),
            "cooling_until_ns": self._caps.cooling_until_ns,
            "reducing": self.why(now_ns),
        }

    def volatility_bps(self, signal: Signal) -> Decimal | None:
        """Give how far the price moves over the holding time, where known."""
        return self.marks.returns.volatility_bps(signal.symbol, signal.hold_ns)

    def picture(self, now_ns: int) -> Mapping[str, Any]:
        """Give all this for people, ready for JSON."""
        return {
            "reducing": self.why(now_ns),
            "equity": str(self.equity),
            "available": str(self.available),
            "marks": {symbol: str(price) for symbol, price in self.marks.prices.items()},
            "losses_in_row": self._caps.losses_in_row,
            "limits": {name: str(value_of(self.limits, self.sizing, name)) for name in CHANGEABLE},
            "limits_changed": {name: taken.who for name, taken in self._changes.items()},
        }

    def _foreign_fill(self, record: ExecutionSeen, now_ns: int) -> list[Effect]:
        fact = record.fact
        is_known = fact.order_id.startswith(GUARDIAN_PREFIX) or self._desk.was_ours(record.order_id)
        if not fact.moves_position or fact.exec_type in FORCED or is_known:
            return []
        words = f"{fact.side} {fact.qty:f} {fact.symbol} at {fact.price:f}, order {record.order_id}"
        return self._tripped(self.breaker.on_foreign_fill(words, now_ns))

    def _tripped(self, trips: Sequence[Tripped]) -> list[Effect]:
        effects: list[Effect] = []
        for trip in trips:
            self.breaker.take(trip)
            numbers = {"why": trip.why, "until_ns": trip.until_ns}
            effects += [
                Journal(trip),
                Anomaly(f"breaker_{trip.kind}", "", trip.why),
                Decide(Verdict.TRIPPED, "", trip.kind, numbers),
            ]
        return effects

    def _warned(self) -> list[Effect]:
        was, self._is_warned = self._is_warned, self.drawdown >= self.limits.warn_drawdown
        is_news = self._is_warned and not was
        return [Anomaly("drawdown_warning", "", self._drawdown_words())] if is_news else []

    def _drawdown_words(self) -> str:
        return f"drawdown {self.drawdown:.6g}, warned from {self.limits.warn_drawdown:.6g}"


def funds_of(wish: EntryWish) -> Funds:
    """Give what sizing looks at."""
    return Funds(
        equity=wish.equity,
        available=wish.available,
        symbol_exposure=wish.symbol_exposure,
        gross_exposure=wish.gross_exposure,
        correlated_exposure=wish.correlated_exposure,
        unsettled_exposure=wish.unsettled_exposure,
    )
