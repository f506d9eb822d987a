"""How the guardian looks at a venue that may refuse or lose half of its answers: each question is asked until it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from services.guardian.rules import Look, OpenOrder, Transfer
from undertow.exchange.models import LedgerEntry, VenueOrder, VenuePosition, Wallet
from undertow.trading.ledger import TRANSFERS

ATTEMPTS: Final = 12
"""Errors that one question may meet; a look that fails is followed by the next."""
PAUSE_S: Final = 0.04
CALM_PATIENCE_S: Final = 1.0
URGENT_PATIENCE_S: Final = 0.1
"""Wall seconds of silence after which a question is asked once more, beside the one that is not answered."""

T = TypeVar("T")


class Venue(Protocol):
    """What the guardian asks over HTTP; part of `undertow.exchange.ports.TradingRest`."""

    async def positions(self) -> list[VenuePosition]: ...  # noqa: D102 - see TradingRest
    async def open_orders(self) -> list[VenueOrder]: ...  # noqa: D102
    async def wallet(self) -> Wallet: ...  # noqa: D102
    async def ledger(self, *, since_ns: int) -> list[LedgerEntry]: ...  # noqa: D102
    async def cancel_all(self, *, stops_too: bool = True) -> int: ...  # noqa: D102


async def urgent_look(venue: Venue, now_ns: Callable[[], int]) -> Look:
    """See what flattening needs.

    Raises:
        VenueError: it could not be had.
    """
    positions, orders = await asyncio.gather(
        asked(venue.positions, now_ns, URGENT_PATIENCE_S), asked(venue.open_orders, now_ns, URGENT_PATIENCE_S)
    )
    return _look(min(positions[0], orders[0]), positions[1], orders[1])


async def calm_look(venue: Venue, now_ns: Callable[[], int], ledger_since_ns: Callable[[], int | None]) -> Look:
    """See everything; the transaction log where a time is given for it.

    Raises:
        VenueError: it could not be had.
    """
    positions, orders, wallet = await asyncio.gather(
        asked(venue.positions, now_ns, CALM_PATIENCE_S),
        asked(venue.open_orders, now_ns, CALM_PATIENCE_S),
        asked(venue.wallet, now_ns, CALM_PATIENCE_S),
    )
    # after the wallet, so that a transfer which moved it is in the log; a late row is what two looks in a row are for
    transfers: tuple[Transfer, ...] | None = None
    since_ns = ledger_since_ns()
    if since_ns is not None:
        rows = await venue.ledger(since_ns=since_ns)
        transfers = tuple(Transfer(row.entry_id, row.change) for row in rows if row.kind in TRANSFERS)
    started_ns = min(positions[0], orders[0], wallet[0])
    return _look(started_ns, positions[1], orders[1], wallet[1], transfers)


async def asked(ask: Callable[[], Awaitable[T]], now_ns: Callable[[], int], patience_s: float) -> tuple[int, T]:
    """Ask until an answer comes; give when that question was asked, and the answer.

    Raises:
        VenueError: the last of too many.
    """
    failures = 0
    questions: dict[asyncio.Task[T], int] = {}
    try:
        while True:
            asked_ns = now_ns()
            questions[asyncio.ensure_future(ask())] = asked_ns
            done, _ = await asyncio.wait(questions, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                asked_ns = questions.pop(task)
                error = task.exception()
                if error is None:
                    return asked_ns, task.result()
                failures += 1
                if failures >= ATTEMPTS:
                    raise error
            if done:
                await asyncio.sleep(PAUSE_S)  # so that a refusal at once is not answered at once
    finally:
        for task in questions:
            task.cancel()


def _look(
    started_ns: int,
    positions: Sequence[VenuePosition],
    orders: Sequence[VenueOrder],
    wallet: Wallet | None = None,
    transfers: tuple[Transfer, ...] | None = None,
) -> Look:
    return Look(
        started_ns=started_ns,
        positions={position.symbol: position.qty for position in positions if position.qty},
        orders=tuple(
            OpenOrder(order.symbol, order.order_id, order.is_conditional, order.created_ns) for order in orders
        ),
        equity=wallet.equity if wallet else None,
        transfers=transfers,
    )
