"""What our services ask of a venue. `exchange/bybit` implements these; tests use fakes held to the same suite.

Errors are those of `undertow.exchange.errors`. Times are market ns. Every verb but `create_order` is idempotent and may be repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Protocol

from undertow.domain.instrument import Instrument
from undertow.exchange.models import (
    AccountInfo,
    KeyInfo,
    LedgerEntry,
    OrderRequest,
    Touch,
    VenueExecution,
    VenueOrder,
    VenuePosition,
    Wallet,
)


class OrderEntry(Protocol):
    """Sends and cancels orders: the trade socket, or HTTP where there is none."""

    async def create_order(self, request: OrderRequest, not_after_ns: int | None = None) -> str:
        """Send once; give the venue's order id. `on_written` of the implementation tells the wall time of the write.

        Args:
            request: the order.
            not_after_ns: asked right before the write: past this market time nothing is written.

        Raises:
            TooLateError: `not_after_ns` had passed; nothing was written.
            OutcomeUnknownError: no answer, or one that says nothing; look the id up.
            OrderRefusedError: the venue said no.
        """
        ...

    async def cancel_order(self, symbol: str, order_id: str) -> None:
        """Ask for a cancel by our id; the order stream says what came of it."""
        ...

    async def amend_order(self, symbol: str, order_id: str, price: str) -> None:
        """Move a resting order to another price; already there is success."""
        ...


class TradingRest(Protocol):
    """Signed HTTP: the truth about orders, fills and money."""

    async def find_order(self, symbol: str, order_id: str) -> VenueOrder | None:
        """Look in order/realtime, then order/history; None when neither knows the id."""
        ...

    async def open_orders(self) -> list[VenueOrder]:
        """Give all open orders of the settle coin, conditional ones too."""
        ...

    async def executions(self, *, since_ns: int, order_id: str = "") -> list[VenueExecution]:
        """Give executions since a time, oldest first, all pages."""
        ...

    async def positions(self) -> list[VenuePosition]:
        """Give positions that are not flat."""
        ...

    async def wallet(self) -> Wallet:
        """Give the settle coin's balance."""
        ...

    async def ledger(self, *, since_ns: int) -> list[LedgerEntry]:
        """Give transaction-log rows since a time, oldest first, all pages."""
        ...

    async def cancel_all(self, *, stops_too: bool = True) -> int:
        """Cancel every order of the settle coin, or only those that wait for no trigger; give how many the venue names."""
        ...

    async def set_stop_loss(self, symbol: str, stop_loss: str) -> None:
        """Set the position's full-size stop by mark price."""
        ...

    async def set_leverage(self, symbol: str, leverage: str) -> None:
        """Set both sides' leverage; already so is success."""
        ...

    async def account_info(self) -> AccountInfo:
        """Give the margin mode."""
        ...

    async def key_info(self) -> KeyInfo:
        """Give what the key may do."""
        ...


class MarketRest(Protocol):
    """Public HTTP."""

    async def server_time_ns(self) -> int:
        """Give the venue's clock."""
        ...

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Give the filters; all pages when no symbol is named."""
        ...

    async def touch(self, symbol: str) -> Touch:
        """Give a contract's best prices; asked for once."""
        ...

    async def mark_price(self, symbol: str) -> Decimal:
        """Give a contract's mark price; asked for once."""
        ...


class PrivateFeed(Protocol):
    """The private stream as events; reconnects by itself and says so, because what was missed must be fetched."""

    def events(self) -> AsyncIterator[VenueOrder | VenueExecution | VenuePosition | Wallet | FeedUp | FeedDown]:
        """Yield events for ever."""
        ...


class FeedUp:
    """Authenticated and subscribed: fetch what happened meanwhile."""


class FeedDown:
    """Disconnected."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
