"""The guardian's stated rules, its memory, and what it is told and answers; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from undertow.domain.order import GUARDIAN_PREFIX, Side
from undertow.domain.state import TradingState

SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000
ROUTER: Final = "order_router"
BOOKS: Final = "position_manager"
ORDER_PREFIX: Final = GUARDIAN_PREFIX
"""Order ids that begin so are the guardian's: `g-<birth of its memory, hex>-<number>`."""


class Phase(StrEnum):
    """Where the guardian is; to the fleet HALTING is HALTED."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTING = "HALTING"  # cancelling, flattening, looking whether it is so
    HALTED = "HALTED"  # seen flat; only rearming leads out


STATES: Final = {
    Phase.ACTIVE: TradingState.ACTIVE,
    Phase.REDUCING: TradingState.REDUCING,
    Phase.HALTING: TradingState.HALTED,
    Phase.HALTED: TradingState.HALTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When the guardian acts; times are market ns.

    Attributes:
        permit_ns: how long a permit holds.
        heartbeat_timeout_ns: silence of every router boot that trips while positions or orders are open.
        books_timeout_ns: silence of the position manager that withholds permits; it never trips.
        startup_grace_ns: the first heartbeat may take this long after the guardian's own start.
        stall_ns: a gap between two of our own ticks above this means that we slept: heartbeat ages start anew.
        view_timeout_ns: an older look at the venue is no view: no permits, and no trip by silence or disagreement.
        reduce_after_ns: one and the same difference between fleet and venue lasts so long: REDUCING; none for as long: ACTIVE again.
        halt_after_ns: one and the same difference lasts so long: halt.
        drawdown_limit: of the peak, a fraction; two looks in a row must show it.
        retry_ns: the same symbol's close, or cancel-all, is repeated no sooner.
        blind_ns: without a look since the last close, it is repeated after this.
        longest_wait_ns: whatever time the venue names after a refusal, the next try is no later than this.
        orders_per_second: own share of the venue's order budget, each way of sending counted; as many cancels, single or of all, besides.
        token_ns: a rearm token's life.
    """

    permit_ns: int = 2 * SECOND_NS
    heartbeat_timeout_ns: int = 3 * SECOND_NS
    books_timeout_ns: int = 10 * SECOND_NS
    startup_grace_ns: int = 10 * SECOND_NS
    stall_ns: int = SECOND_NS
    view_timeout_ns: int = 5 * SECOND_NS
    reduce_after_ns: int = 5 * SECOND_NS
    halt_after_ns: int = 15 * SECOND_NS
    drawdown_limit: Decimal = field(default_factory=lambda: Decimal("0.10"))
    retry_ns: int = 300 * MILLISECOND_NS
    blind_ns: int = SECOND_NS
    longest_wait_ns: int = 500 * MILLISECOND_NS
    orders_per_second: int = 8
    token_ns: int = 60 * SECOND_NS


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What survives a restart.

    Attributes:
        born_ns: when this memory began; part of every order id, and transfers count from here.
        reason: why it is halted; empty when not.
        peak: highest equity less net transfers; None before the first look.
        transfers: net, since `born_ns`, settle coin.
        counted_rows: transfers counted already.
        orders: how many order ids were used.
        ledger_ns: the transaction log was read up to about here.
    """

    born_ns: int
    reason: str = ""
    peak: Decimal | None = None
    transfers: Decimal = Decimal(0)
    counted_rows: tuple[str, ...] = ()
    orders: int = 0
    ledger_ns: int = 0


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests at the venue.

    Attributes:
        order_id: our id; empty for an order that has none.
        is_conditional: it is a stop that waits for its trigger.
        created_ns: when the venue made it.
    """

    symbol: str
    order_id: str
    is_conditional: bool = False
    created_ns: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money moved in (> 0) or out."""

    entry_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the venue; all of it was asked for at or after `started_ns`.

    Attributes:
        positions: signed qty by symbol, flat ones left out.
        equity: settle coin; None when it was not asked for.
        transfers: all since `GuardianCore.ledger_since_ns`; None when not asked for.
    """

    started_ns: int
    positions: dict[str, Decimal]
    orders: tuple[OpenOrder, ...]
    equity: Decimal | None = None
    transfers: tuple[Transfer, ...] | None = None

    @property
    def is_flat(self) -> bool:
        """True when nothing is held and nothing rests."""
        return not self.positions and not self.orders

    @property
    def is_exposed(self) -> bool:
        """True when something is held or rests that needs an owner; a stop alone does not."""
        return bool(self.positions) or any(not order.is_conditional for order in self.orders)


@dataclass(frozen=True, slots=True)
class Remember:
    """Write the memory; nobody waits for the disk, and an order id used twice after a crash is refused and counted on."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Cancel every order that is no stop, or with `stops_too` every order; `known` for the way that can only cancel one by one."""

    known: tuple[OpenOrder, ...]
    stops_too: bool


@dataclass(frozen=True, slots=True)
class Flatten:
    """Send a reduce-only market order."""

    order_id: str
    symbol: str
    side: Side
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Announce:
    """The phase changed."""

    phase: Phase
    reason: str


Effect = Remember | CancelAll | Flatten | Announce


@dataclass(frozen=True, slots=True)
class RearmAnswer:
    """What came of a rearm call: a token to confirm with, success, or a refusal."""

    rearmed: bool
    token: str = ""
    refusal: str = ""
