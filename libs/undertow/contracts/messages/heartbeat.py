"""What router and position manager tell the guardian each 500 ms, and the permit that is its answer (JSON over HTTP)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from undertow.domain.state import TradingState


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Alive, and this is what I believe.

    Attributes:
        boot_id: of the process; a permit is for this boot only.
        open_order_ids: our order ids that may rest at the venue.
        positions: symbol to signed qty.
    """

    service: str
    boot_id: str
    sequence: int
    sent_ns: int
    state: TradingState
    open_order_ids: tuple[str, ...]
    positions: dict[str, Decimal]


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender may do until `valid_until_ns` (market ns); entries need ACTIVE and `entries_permitted`."""

    state: TradingState
    reason: str
    boot_id: str
    entries_permitted: bool
    valid_until_ns: int
