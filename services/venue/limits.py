"""How often one may ask: per account and endpoint in a rolling second, and per address over all of HTTP. Pure; time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SECOND_NS: Final = 1_000_000_000
ADDRESS_REQUESTS: Final = 600
ADDRESS_WINDOW_NS: Final = 5 * _SECOND_NS
BAN_NS: Final = 600 * _SECOND_NS

RAISABLE: Final = {
    "order/create": 10,
    "order/amend": 10,
    "order/cancel": 10,
    "order/cancel-all": 10,
    "order/create-batch": 10,
    "order/amend-batch": 10,
    "order/cancel-batch": 10,
    "order/pre-check": 10,
}
"""Defaults per second of the endpoints whose limit a setting may change; batches count in orders."""

FIXED: Final = {
    "order/disconnected-cancel-all": 5,
    "order/realtime": 50,
    "order/history": 50,
    "execution/list": 50,
    "position/list": 50,
    "position/closed-pnl": 50,
    "position/set-leverage": 10,
    "position/switch-mode": 10,
    "position/trading-stop": 10,
    "position/add-margin": 10,
    "position/set-auto-add-margin": 10,
    "account/wallet-balance": 50,
    "account/info": 50,
    "account/fee-rate": 5,
    "account/transaction-log": 25,
    "account/set-margin-mode": 5,
    "account/query-dcp-info": 5,
    "account/smp-group": 5,
    "user/query-api": 10,
}
OTHERWISE: Final = 10
"""For private endpoints that the protocol gives no number for (our inference)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a limiter allowed.

    Attributes:
        limit: per second.
        allowed: how many of those asked for.
        remaining: how many are left now.
        reset_in_ns: until one more is free when none is left, else 0.
    """

    limit: int
    allowed: int
    remaining: int
    reset_in_ns: int

    def headers(self, now_ms: int) -> dict[str, str]:
        """Give the `X-Bapi-*` headers."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(now_ms + -(-self.reset_in_ns // 1_000_000)),
        }


class EndpointLimits:
    """A rolling second per account and endpoint.

    Args:
        raised: endpoints whose default is replaced.
    """

    def __init__(self, raised: Mapping[str, int]) -> None:
        self._limits = {**FIXED, **RAISABLE, **raised}
        self._taken: dict[tuple[str, str], deque[int]] = {}

    def take(self, uid: str, endpoint: str, wanted: int, at_ns: int) -> Grant:
        """Take up to `wanted` from the budget; what is refused costs nothing."""
        limit = self._limits.get(endpoint, OTHERWISE)
        taken = self._taken.setdefault((uid, endpoint), deque())
        while taken and taken[0] <= at_ns - _SECOND_NS:
            taken.popleft()
        allowed = min(wanted, limit - len(taken))
        taken.extend([at_ns] * allowed)
        remaining = limit - len(taken)
        reset_in_ns = taken[0] + _SECOND_NS - at_ns if not remaining else 0
        return Grant(limit, allowed, remaining, reset_in_ns)


class AddressLimit:
    """600 requests in 5 s from one address; beyond that nothing but 403 for ten minutes."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[int]] = {}
        self._banned_until: dict[str, int] = {}

    def admits(self, address: str, at_ns: int) -> bool:
        """Count a request and answer whether it may pass."""
        if at_ns < self._banned_until.get(address, 0):
            return False
        seen = self._seen.setdefault(address, deque())
        while seen and seen[0] <= at_ns - ADDRESS_WINDOW_NS:
            seen.popleft()
        if len(seen) >= ADDRESS_REQUESTS:
            self._banned_until[address] = at_ns + BAN_NS
            seen.clear()
            return False
        seen.append(at_ns)
        return True
