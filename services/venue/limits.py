"""How often one may ask: per account and endpoint in a rolling second (or minute), and per address. Pure; time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from undertow.domain.time import NS_PER_MS

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS
VIP_LIMITS: Final = (0, 20, 40, 60)
"""Per second and endpoint of `RAISABLE`, by VIP level; the last for all above."""

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
    "user/query-api": 10,
}
PER_MINUTE: Final = {"account/demo-apply-money": 1}
"""What is counted in minutes."""
OTHERWISE: Final = 10
"""For private endpoints that the protocol gives no number for (our inference)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a limiter allowed.

    Attributes:
        limit: per second, or per minute for `PER_MINUTE`.
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
            "X-Bapi-Limit-Reset-Timestamp": str(now_ms + -(-self.reset_in_ns // NS_PER_MS)),
        }


class EndpointLimits:
    """A rolling second, or minute, per account and endpoint.

    Args:
        raised: endpoints whose default is replaced, for every account.
    """

    def __init__(self, raised: Mapping[str, int]) -> None:
        self._limits = {**FIXED, **RAISABLE, **PER_MINUTE}
        self._raised = dict(raised)
        self._taken: dict[tuple[str, str], deque[int]] = {}
        self._swept_ns = 0

    def take(self, uid: str, endpoint: str, wanted: int, at_ns: int, *, vip_level: int = 0) -> Grant:
        """Take up to `wanted` from the budget, 0 to ask only how it stands; what is refused costs nothing."""
        self._sweep(at_ns)
        limit, window_ns = self._limit(endpoint, vip_level), _MINUTE_NS if endpoint in PER_MINUTE else _SECOND_NS
        taken = self._taken.setdefault((uid, endpoint), deque())
        while taken and taken[0] <= at_ns - window_ns:
            taken.popleft()
        allowed = min(wanted, limit - len(taken))
        taken.extend([at_ns] * allowed)
        remaining = limit - len(taken)
        reset_in_ns = taken[0] + window_ns - at_ns if not remaining else 0
        return Grant(limit, allowed, remaining, reset_in_ns)

    @property
    def remembered(self) -> int:
        """Give of how many budgets something is remembered."""
        return len(self._taken)

    def _sweep(self, at_ns: int) -> None:
        # whoever has a key may ask for any path: what was taken more than the longest window ago goes
        if at_ns - self._swept_ns >= _MINUTE_NS:
            self._swept_ns = at_ns
            since_ns = at_ns - _MINUTE_NS
            self._taken = {key: taken for key, taken in self._taken.items() if taken and taken[-1] > since_ns}

    def _limit(self, endpoint: str, vip_level: int) -> int:
        if endpoint in self._raised:
            return self._raised[endpoint]
        if vip_level and endpoint in RAISABLE:
            return VIP_LIMITS[min(vip_level, len(VIP_LIMITS) - 1)]
        return self._limits.get(endpoint, OTHERWISE)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much one address may do.

    Attributes:
        most: within `window_s`.
        ban_s: for how long nothing passes once it asked for more; 0 when only what is beyond `most` is refused.
    """

    most: int
    window_s: int
    ban_s: int = 0


REQUESTS: Final = Allowance(most=600, window_s=5, ban_s=600)
"""HTTP requests."""
CONNECTIONS: Final = Allowance(most=500, window_s=300, ban_s=600)
"""New WebSocket connections; that they are banned for as long as requests is our inference."""
MARKET_CONNECTIONS: Final = 1_000
"""Open sockets of one category's market data from one address; that one more gets the HTTP 403 of the other limits is our inference."""
TRADE_REQUESTS: Final = Allowance(most=3_000, window_s=1)
"""Requests on trade sockets."""


class AddressLimit:
    """Keeps every address within an allowance.

    Attributes:
        admitted: how many passed so far, of all addresses.
        refused: how many did not.
        busiest: the most that passed within one window, of any address.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.admitted, self.refused, self.busiest = 0, 0, 0
        self._most = allowance.most
        self._window_ns, self._ban_ns = allowance.window_s * _SECOND_NS, allowance.ban_s * _SECOND_NS
        self._seen: dict[str, deque[int]] = {}
        self._banned_until: dict[str, int] = {}

    def admits(self, address: str, at_ns: int) -> bool:
        """Count one more and answer whether it may pass."""
        passes = self._passes(address, at_ns)
        self.admitted += passes
        self.refused += not passes
        return passes

    def _passes(self, address: str, at_ns: int) -> bool:
        if at_ns < self._banned_until.get(address, 0):
            return False
        seen = self._seen.setdefault(address, deque())
        while seen and seen[0] <= at_ns - self._window_ns:
            seen.popleft()
        if len(seen) >= self._most:
            if self._ban_ns:
                self._banned_until[address] = at_ns + self._ban_ns
                seen.clear()
            return False
        seen.append(at_ns)
        self.busiest = max(self.busiest, len(seen))
        return True


@dataclass(frozen=True, slots=True)
class AddressLimits:
    """What an address may do over HTTP; `market_connections` of one category may be open at once."""

    requests: AddressLimit
    connections: AddressLimit
    market_connections: int
