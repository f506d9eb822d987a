"""Our books beside the venue's, read at the end of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.cli.fleet import FleetPlan
from services.cli.http import FleetHttp
from services.cli.report import Residuals, plain, residual_of_positions
from undertow.domain.state import Mode
from undertow.exchange.bybit.sign import signed_headers
from undertow.runtime.settings import credentials_for


@dataclass(frozen=True, slots=True)
class Books:
    """What both sides say now.

    Attributes:
        ours: symbol to signed qty, from the position manager.
        venues: symbol to signed qty, from the venue itself.
    """

    ours: dict[str, Decimal] | None = None
    venues: dict[str, Decimal] | None = None
    our_wallet: Decimal | None = None
    venue_wallet: Decimal | None = None
    realised: Decimal | None = None
    open_orders: list[str] = field(default_factory=list)

    @property
    def realised_text(self) -> str:
        """Realised result net of fees and funding, quote coin."""
        return "0" if self.realised is None else plain(self.realised)

    @property
    def why_restless(self) -> str:
        """What is still open, in words."""
        return (
            f"our positions {_shown(self.ours)}, the venue's {_shown(self.venues)}, open orders {self.open_orders}, "
            f"our wallet {self.our_wallet}, the venue's {self.venue_wallet}"
        )

    def at_rest(self, *, flat: bool) -> bool:
        """Answer whether both sides are known and nothing is in motion; with `flat` also whether nothing is held."""
        if self.ours is None or self.venues is None or self.our_wallet is None or self.venue_wallet is None:
            return False
        held = any(self.ours.values()) or any(self.venues.values()) or bool(self.open_orders)
        return not (flat and held) and self.our_wallet == self.venue_wallet

    def residuals(self) -> Residuals:
        """Compare; "unknown" where a side could not be read."""
        if self.ours is None or self.venues is None:
            return Residuals(position="unknown", money="unknown")
        money = "unknown"
        if self.our_wallet is not None and self.venue_wallet is not None:
            money = plain(self.our_wallet - self.venue_wallet)
        return Residuals(position=plain(residual_of_positions(self.ours, self.venues)), money=money)


async def read_books(http: FleetHttp, plan: FleetPlan, mode: Mode) -> Books:
    """Ask the position manager for our books and the venue for its own."""
    ours = await http.get_json(f"{plan.url('position_manager')}/state")
    venue = _VenueBooks(http, plan, mode) if plan.has_paper_venue else None
    positions = await venue.positions() if venue else None
    return Books(
        ours={p["symbol"]: Decimal(p["qty"]) for p in ours["positions"]} if ours else None,
        venues=positions,
        our_wallet=Decimal(ours["wallet"]) if ours else None,
        venue_wallet=await venue.wallet() if venue else None,
        realised=Decimal(ours["realised"]) - Decimal(ours["fees"]) + Decimal(ours["funding"]) if ours else None,
        open_orders=await venue.open_orders() if venue else [],
    )


class _VenueBooks:
    def __init__(self, http: FleetHttp, plan: FleetPlan, mode: Mode) -> None:
        self._http, self._url = http, plan.url("venue")
        self._credentials = credentials_for(mode, "reader", os.environ)

    async def _get(self, path: str, query: str) -> Any | None:
        clock = await self._http.get_json(f"{self._url}/v5/market/time")
        if clock is None:
            return None
        headers = signed_headers(self._credentials, int(clock["time"]), 5000, query)
        answer = await self._http.get_json(f"{self._url}{path}?{query}", headers)
        return answer["result"] if answer and answer["retCode"] == 0 else None

    async def positions(self) -> dict[str, Decimal] | None:
        result = await self._get("/v5/position/list", "category=linear&settleCoin=USDT&limit=200")
        if result is None:
            return None
        return {p["symbol"]: Decimal(p["size"]) * (1 if p["side"] == "Buy" else -1) for p in result["list"]}

    async def wallet(self) -> Decimal | None:
        result = await self._get("/v5/account/wallet-balance", "accountType=UNIFIED&coin=USDT")
        if result is None:
            return None
        return next((Decimal(c["walletBalance"]) for c in result["list"][0]["coin"] if c["coin"] == "USDT"), Decimal(0))

    async def open_orders(self) -> list[str]:
        result = await self._get("/v5/order/realtime", "category=linear&settleCoin=USDT&limit=50")
        return [o["orderLinkId"] or o["orderId"] for o in result["list"]] if result else []


def _shown(positions: dict[str, Decimal] | None) -> str:
    if positions is None:
        return "unknown"
    return ", ".join(f"{s} {plain(q)}" for s, q in positions.items() if q) or "none"
