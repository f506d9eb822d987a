"""The keys of the paper account. They are public by design: they open nothing but paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

ACCOUNT_UID: Final = "100001"
_LIFE_DAYS: Final = 90  # of a key that is bound to no address
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account.

    Attributes:
        uid: whose.
        read_only: whether it may only ask.
    """

    key: str
    secret: str
    uid: str
    read_only: bool
    note: str

    def describe(self, created_ms: int) -> dict[str, Any]:
        """Give the result of `/v5/user/query-api`."""
        rights = {"ContractTrade": ["Order", "Position"], "Derivatives": ["DerivativesTrade"]}
        if self.read_only:
            rights = {"ContractTrade": [], "Derivatives": []}
        none: dict[str, list[str]] = {
            name: []
            for name in (
                "Spot",
                "Wallet",
                "Options",
                "CopyTrading",
                "BlockTrade",
                "Exchange",
                "NFT",
                "Affiliate",
                "Earn",
            )
        }
        return {
            "id": self.key,
            "note": self.note,
            "apiKey": self.key,
            "readOnly": int(self.read_only),
            "secret": "",
            "permissions": {**rights, **none},
            "ips": ["*"],
            "type": 1,
            "deadlineDay": _LIFE_DAYS,
            "expiredAt": _iso(created_ms + _LIFE_DAYS * _DAY_MS),
            "createdAt": _iso(created_ms),
            "unified": 0,
            "uta": 1,
            "userID": int(self.uid),
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
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

    @property
    def uids(self) -> frozenset[str]:
        """Every account that some key signs for."""
        return frozenset(key.uid for key in self._keys.values())


PAPER_KEYS: Final = tuple(
    ApiKey(key=f"paper-{role}", secret=f"paper-{role}-secret", uid=ACCOUNT_UID, read_only=role == "reader", note=role)
    for role in ("router", "guardian", "reader")
)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
