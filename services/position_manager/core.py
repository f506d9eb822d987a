"""Our books beside the venue's: executions in; account view, residuals, commands out. Pure: `now_ns` is an argument.

`comparison` says which differences are errors and how long the fleet must reduce for them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.position_manager.comparison import STICKY, Cause, Comparison, Limits, VenueView
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.market import Ticker
from undertow.contracts.messages.trading import Account, Execution, OrderChanged, PositionView
from undertow.domain.execution import FORCED, LIQUIDATED
from undertow.domain.position import Position
from undertow.domain.state import TradingState, most_severe
from undertow.exchange.models import LedgerEntry, VenueExecution, VenuePosition, Wallet
from undertow.trading.ledger import Books, Ledger, Residuals

_ZERO: Final = Decimal(0)
KILL_AGAIN_NS: Final = 5_000_000_000
SERVICE: Final = "position_manager"


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What survives a restart.

    Attributes:
        opened_ns: when the opening balance was read, market ns.
        floor_ns: executions before it are in the opening balance; those since whose ids were adopted are, too.
        through_ns: newest execution or ledger row in the books; what is later is read again.
        peak: highest equity less net transfers; None before the first view.
        wishes: why the fleet shall reduce.
        drawdown_noted: the warning was acted on, and equity has not been above it since.
    """

    books: Books
    opened_ns: int
    floor_ns: int
    through_ns: int
    peak: Decimal | None = None
    wishes: dict[Cause, str] = {}
    drawdown_noted: bool = False


@dataclass(frozen=True, slots=True)
class Remember:
    """The memory has changed and should be written soon; what a crash loses of it the venue is asked for again."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Append to `account`."""

    account: Account


@dataclass(frozen=True, slots=True)
class Tell:
    """Append to `control:position_manager`."""

    command: Command


@dataclass(frozen=True, slots=True)
class Kill:
    """Ask the guardian to halt."""

    why: str


@dataclass(frozen=True, slots=True)
class Page:
    """Something that a person must look at: the venue has closed a position of ours."""

    kind: str
    words: str


Effect = Remember | Publish | Tell | Kill | Page


def opened(
    coin: str,
    view: VenueView,
    executions: Sequence[VenueExecution],
    *,
    floor_ns: int,
    now_ns: int,
) -> Memory:
    """Open the books on the venue's word: its wallet and positions, with all that they contain since `floor_ns` adopted."""
    ledger = Ledger(
        Books(
            coin=coin,
            opening_wallet=view.wallet.wallet,
            positions=tuple(
                Position(symbol=each.symbol, qty=each.qty, cost=each.qty * each.entry_price)
                for each in view.positions
                if each.qty
            ),
        )
    )
    ledger.adopt([each.exec_id for each in executions], [each.entry_id for each in view.rows])
    through_ns = max([floor_ns, *(each.executed_ns for each in executions), *(each.booked_ns for each in view.rows)])
    return Memory(books=ledger.books(), opened_ns=now_ns, floor_ns=floor_ns, through_ns=through_ns)


class PositionManagerCore:
    """All decisions of the position manager."""

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._limits = limits
        self._ledger = Ledger(memory.books)
        self._opened_ns = memory.opened_ns
        self._floor_ns = memory.floor_ns
        self._through_ns = memory.through_ns
        self._peak = memory.peak
        self._marks: dict[str, Decimal] = {}
        self._mark_texts: dict[str, str] = {}
        self._venue: dict[str, VenuePosition] = {}
        self._venue_wallet: Wallet | None = None
        self._open_orders: dict[str, int] = {}
        self._revision = 0
        self._comparison = Comparison(limits, memory.wishes)
        self._drawdown_noted = memory.drawdown_noted
        self._forced: deque[str] = deque(maxlen=10)
        self._guardian = TradingState.ACTIVE
        self._killed_ns: int | None = None

    # what comes in

    def on_message(self, message: Any, now_ns: int) -> list[Effect]:
        """Take a message of `orders`, `executions` or `control`; what does not concern the books does nothing."""
        match message:
            case Execution():
                return self.on_execution(message, now_ns)
            case OrderChanged():
                self.on_order(message)
            case Command():
                return self.on_command(message)
        return []

    @property
    def revision(self) -> int:
        """Number of bookings; ask for it before asking the venue."""
        return self._revision

    @property
    def through_ns(self) -> int:
        """Newest execution or ledger row in the books, market ns."""
        return self._through_ns

    def on_execution(self, execution: Execution, now_ns: int) -> list[Effect]:
        """Book a fill or cash event; a known one does nothing."""
        return self._booked(execution, execution.ts_event, now_ns)

    def on_reread(self, executions: Sequence[VenueExecution], rows: Sequence[LedgerEntry], now_ns: int) -> list[Effect]:
        """Book what the venue says happened since the checkpoint; used at start, before the first comparison."""
        effects: list[Effect] = []
        for execution in executions:
            effects += self._booked(execution, execution.executed_ns, now_ns)
        self._book_rows(rows)
        return [*effects, Remember()]

    def on_order(self, order: OrderChanged) -> None:
        """Note which orders may rest."""
        if order.status.is_terminal:
            self._open_orders.pop(order.order_id, None)
        else:
            self._open_orders[order.order_id] = order.ts_event

    def on_ticker(self, ticker: Ticker) -> None:
        """Note the mark price."""
        if ticker.mark_price and ticker.mark_price != self._mark_texts.get(ticker.symbol):
            self._mark_texts[ticker.symbol] = ticker.mark_price
            self._marks[ticker.symbol] = Decimal(ticker.mark_price)

    def on_command(self, command: Command) -> list[Effect]:
        """A person's resume ends our own wishes to reduce; a residual that still holds brings them back."""
        if command.verb is not Verb.RESUME or not self._comparison.wishes:
            return []
        self._comparison.wishes.clear()
        return [Remember()]

    def on_guardian(self, state: TradingState) -> None:
        """Note what the guardian's answer says."""
        self._guardian = state

    def on_time(self, now_ns: int) -> list[Effect]:
        """Give the view of the account and what drawdown asks for; called each second."""
        own = self._own_equity()
        effects: list[Effect] = []
        if self._peak is None or own > self._peak:
            self._peak = own
            effects.append(Remember())
        effects += self._warn(now_ns)
        if self.drawdown >= self._limits.drawdown_limit and self._may_kill(now_ns):
            self._killed_ns = now_ns
            effects.append(Kill(self._drawdown_words()))
        return [*effects, Publish(self.account(now_ns))]

    def on_view(self, view: VenueView, now_ns: int) -> list[Effect]:
        """Compare with the venue by the rule of `comparison`."""
        before = self._ledger.transfers, self._ledger.other_cash
        self._book_rows(view.rows)
        self._venue = {position.symbol: position for position in view.positions}
        self._venue_wallet = view.wallet
        for position in view.positions:
            self._marks.setdefault(position.symbol, position.mark_price)
        effects: list[Effect] = []
        if before != (self._ledger.transfers, self._ledger.other_cash):
            effects.append(Remember())
        if view.revision != self._revision:
            return effects
        executions = [each for each in view.executions if each.executed_ns >= self._floor_ns]
        before_wishes = set(self._comparison.wishes)
        view = replace(view, executions=executions)
        news = self._comparison.take(self._ledger, view, self._open_orders, now_ns)
        if set(self._comparison.wishes) != before_wishes:
            effects += [Remember(), Publish(self.account(now_ns))]
        return effects + [self._told(cause, now_ns) for cause in news if cause in STICKY]

    # what is known

    @property
    def drawdown(self) -> Decimal:
        """1 − (equity − net transfers) / peak; 0 at or above the peak, or without one."""
        if not self._peak or self._peak <= 0:
            return _ZERO
        return max(_ZERO, (self._peak - self._own_equity()) / self._peak)

    @property
    def residuals(self) -> Residuals:
        """The differences that hold."""
        return self._comparison.residuals

    @property
    def is_reconciled(self) -> bool:
        """True after the first counted comparison."""
        return self._comparison.counted > 0

    @property
    def suspects(self) -> bool:
        """True when the last comparison showed a difference: the next should follow soon."""
        return self._comparison.suspects

    @property
    def order_residual(self) -> int:
        """Number of resting orders that only we or only the venue know."""
        return len(self._comparison.orders)

    @property
    def on_way(self) -> int:
        """Number of executions that the venue lists and the books lack."""
        return len(self._comparison.on_way)

    @property
    def missing_since_ns(self) -> int:
        """Executions since then are asked for: all that the books may lack."""
        return min([self._through_ns, *(each.executed_ns for each in self._comparison.on_way)])

    @property
    def open_order_ids(self) -> tuple[str, ...]:
        """Orders that may rest at the venue."""
        return tuple(self._open_orders)

    @property
    def quantities(self) -> dict[str, Decimal]:
        """Signed qty by symbol, flat ones left out."""
        return {symbol: each.qty for symbol, each in self._ledger.positions.items() if each.qty}

    @property
    def net_realised(self) -> Decimal:
        """Realised result net of fees and funding."""
        return self._ledger.realised - self._ledger.fees + self._ledger.funding

    @property
    def state(self) -> TradingState:
        """The most severe of the guardian's state and our own wish."""
        return most_severe(self._guardian, TradingState.REDUCING if self._comparison.wishes else TradingState.ACTIVE)

    def memory(self) -> Memory:
        """Give what a restart needs."""
        return Memory(
            books=self._ledger.books(),
            opened_ns=self._opened_ns,
            floor_ns=self._floor_ns,
            through_ns=self._through_ns,
            peak=self._peak,
            wishes=dict(self._comparison.wishes),
            drawdown_noted=self._drawdown_noted,
        )

    def account(self, now_ns: int) -> Account:
        """Give the whole view."""
        unrealised = self._ledger.unrealised(self._marks)
        wallet = self._ledger.wallet
        known = self._venue_wallet
        used = known.wallet + known.unrealised - known.available if known else _ZERO
        return Account(
            ts_event=now_ns,
            ts_recv=now_ns,
            equity=wallet + unrealised,
            wallet=wallet,
            available=max(_ZERO, wallet + unrealised - used),
            realised=self._ledger.realised,
            unrealised=unrealised,
            fees=self._ledger.fees,
            funding=self._ledger.funding,
            drawdown=self.drawdown,
            positions=tuple(self._view(symbol) for symbol, each in self._ledger.positions.items() if each.qty),
            position_residual=self.residuals.position,
            money_residual=self.residuals.money,
            reconciled_ns=self._comparison.reconciled_ns,
            state=self.state,
            anomalies=self._anomalies(),
        )

    def report(self, now_ns: int) -> dict[str, Any]:
        """Give what `GET /state` shows: the account in plain words, numbers as exact decimal strings."""
        account = self.account(now_ns)
        fields = _plain(account, Account.__struct_fields__)
        fields["positions"] = [_plain(each, PositionView.__struct_fields__) for each in account.positions]
        return fields | {
            "peak": "" if self._peak is None else format(self._peak, "f"),
            "net_transfers": format(self._ledger.transfers, "f"),
            "open_orders": list(self._open_orders),
            "opened_ns": self._opened_ns,
            "comparisons": self._comparison.counted,
            "reducing": dict(self._comparison.wishes),
            "executions_on_way": self.on_way,
        }

    # within

    def _booked(self, fill: Execution | VenueExecution, happened_ns: int, now_ns: int) -> list[Effect]:
        if happened_ns < self._floor_ns or not self._ledger.book(fill):
            return []
        self._revision += 1
        self._through_ns = max(self._through_ns, happened_ns)
        effects: list[Effect] = [Remember()]
        if fill.exec_type in FORCED:
            words = f"{fill.exec_type} of {fill.qty} {fill.symbol} at {fill.price}: closed by the venue"
            self._forced.append(words)
            effects.append(Page(fill.exec_type, words))
            if fill.exec_type == LIQUIDATED and self._comparison.wish(Cause.LIQUIDATION, words):
                effects.append(self._told(Cause.LIQUIDATION, now_ns))
        return [*effects, Publish(self.account(now_ns))]

    def _book_rows(self, rows: Sequence[LedgerEntry]) -> None:
        for row in rows:
            if self._ledger.book_row(row):
                self._through_ns = max(self._through_ns, row.booked_ns)

    def _own_equity(self) -> Decimal:
        return self._ledger.wallet + self._ledger.unrealised(self._marks) - self._ledger.transfers

    def _may_kill(self, now_ns: int) -> bool:
        if self._guardian is TradingState.HALTED:
            return False
        return self._killed_ns is None or now_ns - self._killed_ns >= KILL_AGAIN_NS

    def _warn(self, now_ns: int) -> list[Effect]:
        is_deep = self.drawdown >= self._limits.drawdown_warning
        if not self._limits.drawdown_reduces or is_deep == self._drawdown_noted:
            return []
        self._drawdown_noted = is_deep
        if not is_deep or not self._comparison.wish(Cause.DRAWDOWN, self._drawdown_words()):
            return [Remember()]
        return [Remember(), self._told(Cause.DRAWDOWN, now_ns)]

    def _drawdown_words(self) -> str:
        return f"drawdown {self.drawdown:.2%} of the peak {self._peak}"

    def _told(self, cause: Cause, now_ns: int) -> Tell:
        why = self._comparison.wishes[cause]
        digest = hashlib.sha256(f"{SERVICE}|{self._opened_ns}|{now_ns}|{why}".encode()).hexdigest()[:32]
        return Tell(Command(ts_event=now_ns, ts_recv=now_ns, command_id=digest, verb=Verb.REDUCE, who=SERVICE, why=why))

    def _view(self, symbol: str) -> PositionView:
        position = self._ledger.positions[symbol]
        venue = self._venue.get(symbol)
        mark = self._marks.get(symbol, position.entry_price)
        return PositionView(
            symbol=symbol,
            qty=position.qty,
            entry_price=position.entry_price,
            mark_price=mark,
            unrealised=position.unrealised(mark),
            realised=position.realised,
            fees=position.fees,
            funding=position.funding,
            liquidation_price=venue.liquidation_price if venue else _ZERO,
            stop_loss=venue.stop_loss if venue else _ZERO,
        )

    def _anomalies(self) -> tuple[str, ...]:
        words = [*self._forced, *self._comparison.wishes.values(), *self._comparison.orders.values()]
        if self._comparison.on_way:
            words.append(f"{self.on_way} executions are on their way to the books")
        if self.drawdown >= self._limits.drawdown_warning:
            words.append(self._drawdown_words())
        words += [f"fees of {paid} {coin} outside the wallet" for coin, paid in self._ledger.fees_elsewhere.items()]
        return tuple(words)


def _plain(struct: Account | PositionView, names: Sequence[str]) -> dict[str, Any]:
    return {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name in names
        for value in (getattr(struct, name),)
    }
