"""Maintenance as `/v5/system/status` and the system.status topic tell of it.

What the protocol page does not show is our inference: the values of the lists, ids derived from the time.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid5

from services.venue.faults.steps import AnnounceStatus
from undertow.domain.time import NS_PER_MS

_NAMESPACE: Final = UUID("b6a4a4b0-4c0c-5a0d-8a34-0f3d2a1f7c55")
_TRADING: Final = [2, 3, 4]  # trading over HTTP, private and trade WebSocket
_DERIVATIVES: Final = [2]
_PLANNED: Final = "1"
_MAINNET: Final = "1"


def notice(announced: AnnounceStatus) -> dict[str, Any]:
    """Give one notice; times are market ms as text."""
    return {
        "id": str(uuid5(_NAMESPACE, f"{announced.fault} {announced.begins_ns}")),
        "title": announced.title,
        "state": announced.state,
        "begin": str(announced.begins_ns // NS_PER_MS),
        "end": str(announced.ends_ns // NS_PER_MS),
        "href": "",
        "serviceTypes": _TRADING,
        "product": _DERIVATIVES,
        "uidSuffix": [],
        "maintainType": _PLANNED,
        "env": _MAINNET,
    }
