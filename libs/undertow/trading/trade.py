"""A trade from entry to flat: its stages, the one table between them, and what each stage knows.

A trade is made of one entry, any number of numbered exits, and what the venue's stop did. Its position is the fold of its own
executions; its result is that position's realised result less the fees of those executions, plus the funding that came while it was
live. A fee in another coin than the quote coin is kept by coin, and counts at the rate that the venue named for the fill: value · rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from undertow.contracts.messages.trading import TradeClosed
from undertow.domain.order import OrderRole, Side
from undertow.domain.position import Position
from undertow.exchange.models import VenueExecution
from undertow.trading.records import Plan

_ZERO: Final = Decimal(0)


class Stage(StrEnum):
    """How far a trade is."""

    ENTERING = "entering"
    HOLDING = "holding"
    EXITING = "exiting"
    CLOSED = "closed"


class TradeEvent(StrEnum):
    """What happens to a trade."""

    ENTRY_FILLED = "entry_filled"  # some of it
    EXIT_ASKED = "exit_asked"
    ENTRY_SURFACED = "entry_surfaced"  # given up, and it rests after all
    FLAT = "flat"  # nothing held, every order settled


_S, _E = Stage, TradeEvent
TRANSITIONS: Final[dict[tuple[Stage, TradeEvent], Stage]] = {
    (_S.ENTERING, _E.ENTRY_FILLED): _S.HOLDING,
    (_S.ENTERING, _E.EXIT_ASKED): _S.EXITING,  # cancels the entry, closes what crosses
    (_S.ENTERING, _E.FLAT): _S.CLOSED,  # the entry ended unfilled
    (_S.HOLDING, _E.ENTRY_FILLED): _S.HOLDING,  # T counts from the first
    (_S.HOLDING, _E.EXIT_ASKED): _S.EXITING,
    (_S.HOLDING, _E.FLAT): _S.CLOSED,  # the venue's stop closed it
    (_S.EXITING, _E.ENTRY_FILLED): _S.EXITING,  # the fill that crossed our cancel
    (_S.EXITING, _E.EXIT_ASKED): _S.EXITING,  # the first reason holds
    (_S.EXITING, _E.FLAT): _S.CLOSED,
    (_S.CLOSED, _E.ENTRY_SURFACED): _S.ENTERING,  # to be cancelled; nobody else would
    (_S.CLOSED, _E.ENTRY_FILLED): _S.HOLDING,  # a fill came after the end
}


class ImpossibleStep(Exception):  # noqa: N818 - the domain's word
    """Our own mistake: a trade was asked for a step that its stage does not have."""


@dataclass(frozen=True, slots=True)
class Entering:
    """The entry rests, or may rest."""

    cancel_at_ns: int

    @property
    def name(self) -> Stage:
        """Key of the table."""
        return Stage.ENTERING


@dataclass(frozen=True, slots=True)
class Holding:
    """Something filled; the exit is due at `exit_at_ns`."""

    first_fill_ns: int
    exit_at_ns: int

    @property
    def name(self) -> Stage:
        """Key of the table."""
        return Stage.HOLDING


@dataclass(frozen=True, slots=True)
class Exiting:
    """It wants to be flat since `asked_ns`; `is_patient`: the softer legs of the exit plan will do."""

    asked_ns: int
    why: str
    is_patient: bool = False

    @property
    def name(self) -> Stage:
        """Key of the table."""
        return Stage.EXITING


@dataclass(frozen=True, slots=True)
class Closed:
    """Flat, every order settled."""

    closed_ns: int
    why: str

    @property
    def name(self) -> Stage:
        """Key of the table."""
        return Stage.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade.

    Attributes:
        order_ids: the entry, then exits and stops in the order in which they became known.
        exits: how many exits have been submitted.
        position: of this trade alone, from its executions.
        entry_qty: base coin that entries filled.
        entry_value: quote coin of these fills.
        exit_qty: base coin that left through exits, stops and others.
        exit_value: quote coin of these fills.
        fees_elsewhere: fees in other coins than the quote coin, by coin.
        fees_converted: what those are worth in quote coin.
    """

    plan: Plan
    stage: Entering | Holding | Exiting | Closed
    order_ids: tuple[str, ...]
    opened_ns: int
    position: Position
    exits: int = 0
    entry_qty: Decimal = _ZERO
    entry_value: Decimal = _ZERO
    exit_qty: Decimal = _ZERO
    exit_value: Decimal = _ZERO
    fees_elsewhere: dict[str, Decimal] = field(default_factory=dict)
    fees_converted: Decimal = _ZERO

    @staticmethod
    def opened(plan: Plan, entry_id: str, at_ns: int) -> Trade:
        """Begin a trade whose entry is submitted at `at_ns`."""
        return Trade(
            plan=plan,
            stage=Entering(cancel_at_ns=at_ns + plan.rest_ns),
            order_ids=(entry_id,),
            opened_ns=at_ns,
            position=Position(symbol=plan.symbol),
        )

    @property
    def side(self) -> Side:
        """Of the entry."""
        return Side(self.plan.side)

    @property
    def entry_id(self) -> str:
        """Our id of the entry order."""
        return self.order_ids[0]

    @property
    def is_live(self) -> bool:
        """True until it is closed."""
        return not isinstance(self.stage, Closed)

    def with_order(self, order_id: str, *, is_exit: bool) -> Trade:
        """Add an exit or a stop."""
        if order_id in self.order_ids:
            return self
        return replace(self, order_ids=(*self.order_ids, order_id), exits=self.exits + is_exit)

    def entry_filled(self, at_ns: int) -> Trade:
        """Some of the entry filled at `at_ns`; T counts from the first time."""
        after = _next(self.stage.name, TradeEvent.ENTRY_FILLED)
        if after is Stage.HOLDING and not isinstance(self.stage, Holding):
            return replace(self, stage=Holding(first_fill_ns=at_ns, exit_at_ns=at_ns + self.plan.hold_ns))
        return self

    def entry_surfaced(self, at_ns: int) -> Trade:
        """The entry, believed never to have arrived, rests since `at_ns`: it lives again, until it is cancelled.

        Raises:
            ImpossibleStep: it is not closed.
        """
        _next(self.stage.name, TradeEvent.ENTRY_SURFACED)
        return replace(self, stage=Entering(cancel_at_ns=at_ns))

    def exit_asked(self, at_ns: int, why: str, *, is_patient: bool = False) -> Trade:
        """From `at_ns` it wants to be flat; who asks again can only take its patience away.

        Raises:
            ImpossibleStep: it is closed.
        """
        _next(self.stage.name, TradeEvent.EXIT_ASKED)
        if isinstance(self.stage, Exiting):
            return replace(self, stage=replace(self.stage, is_patient=self.stage.is_patient and is_patient))
        return replace(self, stage=Exiting(asked_ns=at_ns, why=why, is_patient=is_patient))

    def flat(self, at_ns: int, why: str = "") -> Trade:
        """It is over.

        Raises:
            ImpossibleStep: it was over before.
        """
        _next(self.stage.name, TradeEvent.FLAT)
        known = self.stage.why if isinstance(self.stage, Exiting) else ""
        return replace(self, stage=Closed(closed_ns=at_ns, why=why or known))

    def executed(self, fact: VenueExecution, role: OrderRole) -> Trade:
        """Book one fill; the stage is another matter."""
        value = fact.qty * fact.price
        booked = self._with_fee_elsewhere(fact, value)
        fee = fact.fee if booked is self else _ZERO
        position = self.position.after_fill(fact.side, fact.qty, fact.price, fee)
        if role is OrderRole.ENTRY:
            entered = self.entry_qty + fact.qty
            return replace(booked, position=position, entry_qty=entered, entry_value=self.entry_value + value)
        left = self.exit_qty + fact.qty
        return replace(booked, position=position, exit_qty=left, exit_value=self.exit_value + value)

    def funded(self, paid: Decimal) -> Trade:
        """Book a funding payment, positive when paid."""
        return replace(self, position=self.position.after_funding(-paid))

    def _with_fee_elsewhere(self, fact: VenueExecution, value: Decimal) -> Trade:
        coin = fact.fee_coin
        if coin in (self.plan.quote_coin, "") or not fact.fee:
            return self
        by_coin = self.fees_elsewhere | {coin: self.fees_elsewhere.get(coin, _ZERO) + fact.fee}
        return replace(self, fees_elsewhere=by_coin, fees_converted=self.fees_converted + value * fact.fee_rate)

    def result(self, now_ns: int) -> TradeClosed | None:
        """Give the round trip for the policy to learn from, or None when nothing was ever held."""
        if not self.entry_qty:
            return None
        position = self.position
        net = position.realised - position.fees - self.fees_converted + position.funding
        return TradeClosed(
            ts_event=self.stage.closed_ns if isinstance(self.stage, Closed) else now_ns,
            ts_recv=now_ns,
            cause=self.plan.cause,
            trade_id=self.plan.trade_id,
            signal_id=self.plan.signal_id,
            symbol=self.plan.symbol,
            source=self.plan.source,
            side=self.side,
            delta_bps=self.plan.delta_bps,
            hold_ns=self.plan.hold_ns,
            model_hash=self.plan.model_hash,
            qty=self.entry_qty,
            entry_price=self.entry_value / self.entry_qty,
            exit_price=self.exit_value / self.exit_qty if self.exit_qty else _ZERO,
            gross_pnl=position.realised,
            fees=position.fees,
            return_bps=float(net / self.entry_value * 10_000),
            expected_bps=self.plan.expected_bps,
            funding=position.funding,
            fees_elsewhere=tuple(self.fees_elsewhere.items()),
            fees_converted=self.fees_converted,
            is_complete=position.is_flat,
        )


def _next(stage: Stage, event: TradeEvent) -> Stage:
    try:
        return TRANSITIONS[stage, event]
    except KeyError:
        raise ImpossibleStep(f"a trade that is {stage} cannot be {event}") from None
