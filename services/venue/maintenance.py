"""Maintenance as `/v5/system/status` and the system.status topic tell of it.

Codes are those of the venue's page of enums; that ids derive from the time is our inference.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid5

from services.venue.faults.steps import AnnounceStatus
from undertow.domain.time import NS_PER_MS

_NAMESPACE: Final = UUID("b6a4a4b0-4c0c-5a0d-8a34-0f3d2a1f7c55")
_TRADING: Final = [2, 3, 4]  # trading over HTTP and WebSocket, and the private stream
_FUTURES: Final = [1]
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
        "product": _FUTURES,
        "uidSuffix": [],
        "maintainType": _PLANNED,
        "env": _MAINNET,
    }
