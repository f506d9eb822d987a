"""API keys, whose they are and what they may. Those of the paper account are public by design: they open nothing but paper.

What the protocol does not state (our inference): `permissions` decide about changes only, whoever holds a valid key may ask; a key
without a list of addresses ends 90 days after the market's origin, except those of the paper account, which say so and go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

ACCOUNT_UID: Final = "100001"
LIFE_DAYS: Final = 90  # of a key that is bound to no address
DAY_MS: Final = 86_400_000
_NEVER: Final = "1970-01-01T00:00:00Z"  # as the venue spells it for a key that is bound to addresses

Permissions = Mapping[str, tuple[str, ...]]
Standing = Literal["good", "banned", "region", "compliance", "trading_banned"]

RIGHTS: Final[Permissions] = {
    "ContractTrade": ("Order", "Position"),
    "Derivatives": ("DerivativesTrade",),
    "Spot": ("SpotTrade",),
    "Wallet": ("AccountTransfer", "SubMemberTransfer", "Withdraw"),
    "Options": ("OptionsTrade",),
    "CopyTrading": ("CopyTrading",),
    "BlockTrade": ("BlockTrade",),
    "Exchange": ("ExchangeHistory",),
    "NFT": ("NFTQueryProductList",),
    "Affiliate": ("Affiliate",),
    "Earn": ("Earn",),
}
"""Every group of permissions and what it may hold."""
TRADING: Final[Permissions] = {name: RIGHTS[name] for name in ("ContractTrade", "Derivatives")}


@dataclass(frozen=True, slots=True)
class Owner:
    """What the venue's edge knows of an account.

    Attributes:
        vip_level: 0 for none; it sets the limits of the order endpoints.
        is_unified: a classic account is refused with 10028.
        standing: what the venue has against it.
        symbols: the only ones it may trade; empty for all.
    """

    vip_level: int = 0
    is_unified: bool = True
    standing: Standing = "good"
    symbols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account.

    Attributes:
        secret: of HMAC; empty for a key with `rsa_public_key`.
        uid: whose.
        read_only: whether it may only ask.
        permissions: what it may change, by group.
        addresses: from where it may be used; empty for anywhere.
        expires_ms: market time of its end; None for never.
        rsa_public_key: PEM, for signatures by RSA.
    """

    key: str
    secret: str
    uid: str
    read_only: bool
    note: str
    permissions: Permissions = field(default_factory=lambda: TRADING)
    addresses: frozenset[str] = frozenset()
    expires_ms: int | None = None
    rsa_public_key: str = ""
    owner: Owner = Owner()

    def may(self, group: str, right: str) -> bool:
        """Answer whether it holds a permission."""
        return right in self.permissions.get(group, ())

    def describe(self, created_ms: int, now_ms: int) -> dict[str, Any]:
        """Give the result of `/v5/user/query-api`."""
        ends_ms = created_ms + LIFE_DAYS * DAY_MS if self.expires_ms is None else self.expires_ms
        is_bound = bool(self.addresses) and self.expires_ms is None
        return {
            "id": self.key,
            "note": self.note,
            "apiKey": self.key,
            "readOnly": int(self.read_only),
            "secret": "",
            "permissions": {group: list(self.permissions.get(group, ())) for group in RIGHTS},
            "ips": sorted(self.addresses) or ["*"],
            "type": 1,
            "deadlineDay": 0 if is_bound else max(0, -(-(ends_ms - now_ms) // DAY_MS)),
            "expiredAt": _NEVER if is_bound else _iso(ends_ms),
            "createdAt": _iso(created_ms),
            "unified": 0,
            "uta": int(self.owner.is_unified),
            "userID": int(self.uid),
            "inviterID": 0,
            "vipLevel": f"VIP-{self.owner.vip_level}" if self.owner.vip_level else "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": self.rsa_public_key,
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }


class KeyRing:
    """All keys, by their name."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = {key.key: key for key in keys}

    def find(self, key: str) -> ApiKey | None:
        """Give a key, or None."""
        return self._keys.get(key)


PAPER_KEYS: Final = tuple(
    ApiKey(
        key=f"paper-{role}",
        secret=f"paper-{role}-secret",
        uid=ACCOUNT_UID,
        read_only=role == "reader",
        note=role,
        permissions={} if role == "reader" else TRADING,
    )
    for role in ("router", "guardian", "reader")
)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
