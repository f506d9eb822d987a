"""Our own books of one account: fills, fees, funding, transfers in; positions, wallet, differences with the venue out.

Rules, each with a test:
- An execution counts once, by `exec_id`; a row of the venue's transaction log once, by `entry_id`.
- wallet = opening + realised - fees + funding + net transfers + other cash, exact to the last digit of `MONEY_STEP`.
- A fee in another coin than the settle coin does not touch the wallet; it is kept by coin.
- A transfer (deposit, withdrawal, bonus) moves the wallet, never the drawdown; interest and refunds are results and do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Final, Protocol

import msgspec

from undertow.domain.execution import MOVES_POSITION
from undertow.domain.order import Side
from undertow.domain.position import Position

_ZERO: Final = Decimal(0)
REMEMBERED_IDS: Final = 20_000
"""How many execution and entry ids are kept to recognise a repetition."""

BOOKED_BY_EXECUTIONS: Final = frozenset(
    {"TRADE", "SETTLEMENT", "LIQUIDATION", "ADL", "DELIVERY", "BLOCK_TRADE", "MOVE_POSITION"},
)
"""Kinds of transaction-log rows whose money reaches the books as executions."""

TRANSFERS: Final = frozenset(
    {
        "TRANSFER_IN",
        "TRANSFER_OUT",
        "DEPOSIT",
        "WITHDRAW",
        "AIRDROP",
        "BONUS",
        "BONUS_RECOLLECT",
        "CURRENCY_BUY",
        "CURRENCY_SELL",
    },
)
"""Kinds of rows that bring money in or take it out, and say nothing about trading."""


class Fill(Protocol):
    """What the books need of an execution; the fleet's message and the venue's row both have it. `fee` > 0 is paid."""

    @property
    def exec_id(self) -> str: ...  # noqa: D102 - said above
    @property
    def symbol(self) -> str: ...  # noqa: D102
    @property
    def side(self) -> Side: ...  # noqa: D102
    @property
    def exec_type(self) -> str: ...  # noqa: D102
    @property
    def price(self) -> Decimal: ...  # noqa: D102
    @property
    def qty(self) -> Decimal: ...  # noqa: D102
    @property
    def fee(self) -> Decimal: ...  # noqa: D102
    @property
    def fee_coin(self) -> str: ...  # noqa: D102


class CashRow(Protocol):
    """What the books need of a row of the venue's transaction log."""

    @property
    def entry_id(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def coin(self) -> str: ...  # noqa: D102
    @property
    def change(self) -> Decimal: ...  # noqa: D102


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The books at rest: what a checkpoint keeps.

    Attributes:
        transfers: net of deposits and withdrawals since the opening, settle coin.
        other_cash: interest, refunds and the like since the opening.
        fees_elsewhere: paid in other coins, by coin.
        booked: ids already counted, oldest first, at most `REMEMBERED_IDS` of each kind.
    """

    coin: str
    opening_wallet: Decimal
    transfers: Decimal = _ZERO
    other_cash: Decimal = _ZERO
    fees_elsewhere: dict[str, Decimal] = {}
    positions: tuple[Position, ...] = ()
    booked_executions: tuple[str, ...] = ()
    booked_rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Residuals:
    """Ours minus the venue's.

    Attributes:
        qty: base coin by symbol, only where it is not 0.
        money: settle coin.
    """

    qty: Mapping[str, Decimal]
    money: Decimal

    @property
    def position(self) -> Decimal:
        """Σ |difference of quantities|."""
        return sum((abs(each) for each in self.qty.values()), _ZERO)


class Ledger:
    """The books in use; `books()` gives what a checkpoint keeps, the constructor takes it back."""

    def __init__(self, books: Books) -> None:
        self._coin = books.coin
        self._opening = books.opening_wallet
        self.transfers = books.transfers
        self.other_cash = books.other_cash
        self.fees_elsewhere = dict(books.fees_elsewhere)
        self.positions = {each.symbol: each for each in books.positions}
        self._executions = dict.fromkeys(books.booked_executions)
        self._rows = dict.fromkeys(books.booked_rows)

    def books(self) -> Books:
        """Give the books at rest."""
        return msgspec.structs.replace(
            self._money(),
            positions=tuple(self.positions.values()),
            booked_executions=tuple(self._executions),
            booked_rows=tuple(self._rows),
        )

    def book(self, fill: Fill) -> bool:
        """Count an execution; False when it was counted before.

        Raises:
            ValueError: a fill whose qty is not positive.
        """
        if fill.exec_id in self._executions:
            return False
        position = self.positions.get(fill.symbol, Position(symbol=fill.symbol))
        fee = fill.fee if fill.fee_coin in {self._coin, ""} else _ZERO
        if fill.exec_type in MOVES_POSITION:
            position = position.after_fill(fill.side, fill.qty, fill.price, fee)
        else:
            position = position.after_funding(-fee)
        if fee != fill.fee:
            self.fees_elsewhere[fill.fee_coin] = self.fees_elsewhere.get(fill.fee_coin, _ZERO) + fill.fee
        self.positions[fill.symbol] = position
        _remember(self._executions, fill.exec_id)
        return True

    def book_row(self, row: CashRow) -> bool:
        """Count a transfer or other cash of the settle coin; False for what is or was counted elsewhere."""
        if row.kind in BOOKED_BY_EXECUTIONS or row.coin != self._coin or row.entry_id in self._rows:
            return False
        if row.kind in TRANSFERS:
            self.transfers += row.change
        else:
            self.other_cash += row.change
        _remember(self._rows, row.entry_id)
        return True

    def knows(self, exec_id: str) -> bool:
        """Tell whether an execution was counted."""
        return exec_id in self._executions

    def after(self, fills: Iterable[Fill]) -> Ledger:
        """Give the books as they would be with these fills, to be compared and thrown away: they recognise no repetition."""
        twin = Ledger(msgspec.structs.replace(self._money(), positions=tuple(self.positions.values())))
        for fill in fills:
            twin.book(fill)
        return twin

    def adopt(self, executions: Iterable[str], rows: Iterable[str]) -> None:
        """Note ids that the opening balance contains already."""
        for exec_id in executions:
            _remember(self._executions, exec_id)
        for entry_id in rows:
            _remember(self._rows, entry_id)

    @property
    def realised(self) -> Decimal:
        """Result of what was closed, before fees and funding."""
        return sum((each.realised for each in self.positions.values()), _ZERO)

    @property
    def fees(self) -> Decimal:
        """Paid in the settle coin."""
        return sum((each.fees for each in self.positions.values()), _ZERO)

    @property
    def funding(self) -> Decimal:
        """Received, negative when paid."""
        return sum((each.funding for each in self.positions.values()), _ZERO)

    @property
    def wallet(self) -> Decimal:
        """What the venue's wallet balance should be."""
        return self._opening + self.realised - self.fees + self.funding + self.transfers + self.other_cash

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Result if all were closed at `marks`; a position without a mark counts at its entry."""
        return sum(
            (each.unrealised(marks[each.symbol]) for each in self.positions.values() if each.symbol in marks),
            _ZERO,
        )

    def _money(self) -> Books:
        return Books(
            coin=self._coin,
            opening_wallet=self._opening,
            transfers=self.transfers,
            other_cash=self.other_cash,
            fees_elsewhere=dict(self.fees_elsewhere),
        )

    def residuals(self, qty: Mapping[str, Decimal], wallet: Decimal) -> Residuals:
        """Compare with the venue's signed quantities by symbol and its wallet balance."""
        ours = {symbol: each.qty for symbol, each in self.positions.items()}
        differences = {
            symbol: difference
            for symbol in sorted(ours.keys() | qty.keys())
            if (difference := ours.get(symbol, _ZERO) - qty.get(symbol, _ZERO))
        }
        return Residuals(differences, self.wallet - wallet)


def _remember(ids: dict[str, None], new: str) -> None:
    ids[new] = None
    if len(ids) > REMEMBERED_IDS:
        for oldest in list(islice(ids, len(ids) - REMEMBERED_IDS)):
            del ids[oldest]
