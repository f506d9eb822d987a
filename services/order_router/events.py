"""What comes in, as calls of the core: the private feed, the fleet's streams, and what the venue's answers mean. Pure.

The shell and the fleet in one process share these, so that both treat an answer alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.order_router.core import RouterCore
from undertow.contracts.messages.control import Command, GuardianState
from undertow.contracts.messages.reference import InstrumentChanged, VenueStatus
from undertow.contracts.messages.trading import Account
from undertow.exchange.errors import (
    AccessError,
    AlreadySoError,
    BannedError,
    ClockSkewError,
    OrderGoneError,
    OrderRefusedError,
    RateLimitedError,
    TooLateError,
    VenueBusyError,
    VenueError,
)
from undertow.exchange.models import VenueExecution, VenueOrder, VenuePosition, Wallet
from undertow.exchange.ports import FeedDown, FeedUp
from undertow.trading.effects import Effect
from undertow.trading.keeper import Answer, NeverSent, Refused, Unknown

OVERLOADED: Final = 429  # the matching service may have it all the same
_CERTAIN_REFUSALS: Final = (
    OrderRefusedError,
    OrderGoneError,
    AlreadySoError,
    RateLimitedError,
    AccessError,
    ClockSkewError,
    BannedError,
)

FeedEvent = VenueOrder | VenueExecution | VenuePosition | Wallet | FeedUp | FeedDown


def on_feed(core: RouterCore, event: FeedEvent, now_ns: int) -> list[Effect]:
    """Hand an event of the private feed to the core."""
    match event:
        case VenueOrder():
            return core.on_order(event, now_ns)
        case VenueExecution():
            return core.on_execution(event, now_ns)
        case VenuePosition():
            return core.on_position(event, now_ns)
        case Wallet():
            return core.on_wallet(event, now_ns)
        case FeedUp():
            return core.on_feed_up(now_ns)
        case FeedDown(reason=reason):
            return core.on_feed_down(reason)


def on_fleet(core: RouterCore, message: Any, now_ns: int) -> list[Effect]:
    """Hand a slow fact or a command of the fleet to the core; what does not concern it does nothing."""
    match message:
        case Account():
            return core.on_account(message, now_ns)
        case InstrumentChanged():
            return core.on_instrument(message, now_ns)
        case VenueStatus():
            return core.on_venue_status(message)
        case Command():
            return core.on_command(message, now_ns)
        case GuardianState():
            return core.on_guardian_state(message, now_ns)
        case _:
            return []


def answer_of(error: VenueError) -> Answer:
    """Say what an order request that failed so has come to: refused or never sent for certain, or unknown."""
    if isinstance(error, TooLateError):
        return NeverSent(error.message)
    if isinstance(error, VenueBusyError):
        if was_not_sent(error):
            return Refused(0, f"not sent: {error.message}")
        return Unknown(str(error)) if error.code == OVERLOADED else Refused(error.code, error.message)
    if isinstance(error, _CERTAIN_REFUSALS):
        return Refused(error.code, error.message)
    return Unknown(str(error))


def was_not_sent(error: VenueError) -> bool:
    """Answer whether nothing can have left by this way, so that the next one may be tried."""
    return isinstance(error, VenueBusyError) and not error.code


def of_symbol(
    symbol: str, positions: Sequence[VenuePosition], executions: Sequence[VenueExecution]
) -> tuple[VenuePosition | None, list[VenueExecution]]:
    """Give one symbol's position, None when it is flat, and its executions."""
    position = next((each for each in positions if each.symbol == symbol), None)
    return position, [each for each in executions if each.symbol == symbol]


def essence(
    orders: Sequence[VenueOrder],
    executions: Sequence[VenueExecution],
    positions: Sequence[VenuePosition],
    wallet: Wallet,
) -> object:
    """Give what two passes over the venue must agree in."""
    return (
        {(each.venue_order_id, each.status, each.filled_qty) for each in orders},
        {each.exec_id for each in executions},
        {(each.symbol, each.qty, each.stop_loss) for each in positions},
        wallet.wallet,
    )
