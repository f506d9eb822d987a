"""Who trades here: the paper account with its three keys, then the accounts of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.venue.account_settings import AccountSettings, KeySettings
from services.venue.answers import AccountSpec
from services.venue.keys import ACCOUNT_UID, DAY_MS, LIFE_DAYS, PAPER_KEYS, ApiKey, KeyRing, Owner
from services.venue.settings import PaperSettings
from undertow.domain.time import NS_PER_MS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX


@dataclass(frozen=True, slots=True)
class Roster:
    """Accounts as the core opens them, and their keys as the edge knows them."""

    accounts: tuple[AccountSpec, ...]
    ring: KeyRing


def read_roster(paper: PaperSettings, symbols: Sequence[str], origin_ns: int) -> Roster:
    """Open the accounts of the settings.

    Args:
        paper: the settings.
        symbols: of the market.
        origin_ns: market time of the first frame, from which the life of a key counts.

    Raises:
        ConfigurationError: an account may trade a symbol only that the market does not have.
    """
    keys = list(PAPER_KEYS)
    default = AccountSpec(
        uid=ACCOUNT_UID, opening_balance=paper.opening_balance, keys=tuple(key.key for key in PAPER_KEYS)
    )
    accounts = [default]
    for number, account in enumerate(paper.accounts):
        unknown = sorted(set(account.symbols) - set(symbols))
        if unknown:
            raise ConfigurationError(
                f"{PREFIX}PAPER__ACCOUNTS",
                f"[{number}].symbols names {', '.join(unknown)}, which this market does not have",
                f"name some of these: {', '.join(symbols)}",
            )
        owner = Owner(account.vip_level, account.unified, account.standing, frozenset(account.symbols))
        keys += [_key(account, key, owner, origin_ns // NS_PER_MS) for key in account.keys]
        accounts.append(
            AccountSpec(
                uid=account.uid,
                opening_balance=account.opening_balance,
                keys=tuple(key.key for key in account.keys),
                maker_rate=account.maker_rate,
                taker_rate=account.taker_rate,
                fee_coin=account.fee_coin.opened() if account.fee_coin else None,
            )
        )
    return Roster(tuple(accounts), KeyRing(keys))


def _key(account: AccountSettings, key: KeySettings, owner: Owner, origin_ms: int) -> ApiKey:
    unbound_ms = None if key.ips else origin_ms + LIFE_DAYS * DAY_MS
    expires_ms = unbound_ms if key.expires is None else int(key.expires.timestamp() * 1000)
    return ApiKey(
        key=key.key,
        secret=key.secret,
        uid=account.uid,
        read_only=key.read_only,
        note=key.note,
        permissions=key.permissions,
        addresses=frozenset(key.ips),
        expires_ms=expires_ms,
        rsa_public_key=key.rsa_public_key,
        owner=owner,
    )
