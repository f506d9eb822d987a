"""Settings of further accounts and their keys, beside the paper account."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from ipaddress import ip_address
from typing import Final, get_args

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field, ValidationError, field_validator, model_validator

from services.venue.answers import FeeCoin
from services.venue.keys import ACCOUNT_UID, PAPER_KEYS, RIGHTS, TRADING, Standing
from undertow.runtime.settings import Section

EXAMPLE: Final = (
    'JSON such as [{"uid": "200001", "opening_balance": "1000", "keys": [{"key": "bot", "secret": "bot-secret"}]}]'
)
_MOST_RATE: Final = Decimal(1)


class KeySettings(Section):
    """A key of an account.

    Attributes:
        secret: of HMAC; or `rsa_public_key`, a PEM text, instead of it.
        permissions: by group, as `user/query-api` shows them.
        ips: the addresses from which it may be used; none for any.
        expires: its end in market time; without it and without `ips` 90 days after the market's origin.
    """

    key: str = Field(min_length=1, max_length=64)
    secret: str = ""
    rsa_public_key: str = ""
    note: str = ""
    read_only: bool = False
    permissions: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(TRADING))
    ips: tuple[str, ...] = ()
    expires: datetime | None = None

    @field_validator("permissions")
    @classmethod
    def _known(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for group, rights in value.items():
            if group not in RIGHTS:
                raise ValueError(f"there is no group {group!r}, only {', '.join(RIGHTS)}")
            for right in rights:
                if right not in RIGHTS[group]:
                    raise ValueError(f"there is no {right!r} in {group}, only {', '.join(RIGHTS[group])}")
        return value

    @field_validator("ips")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_address(text)
            except ValueError:
                raise ValueError(f"{text!r} is not an IP address such as 127.0.0.1") from None
        return value

    @field_validator("expires")
    @classmethod
    def _with_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("names no time zone; write it like 2026-08-10T00:00:00Z")
        return value

    @field_validator("rsa_public_key")
    @classmethod
    def _is_rsa(cls, value: str) -> str:
        if not value:
            return value
        try:
            key = load_pem_public_key(value.encode())
        except (ValueError, TypeError) as error:
            raise ValueError(f"is not a public key in PEM ({error})") from None
        if not isinstance(key, RSAPublicKey):
            raise ValueError("is a public key of another kind than RSA")  # noqa: TRY004 - pydantic reads ValueError
        return value

    @model_validator(mode="after")
    def _one_way_to_sign(self) -> KeySettings:
        if bool(self.secret) == bool(self.rsa_public_key):
            raise ValueError(f"key {self.key!r} needs either secret or rsa_public_key")
        return self


class FeeCoinSettings(Section):
    """A coin in which an account pays its trading fees while it has enough of it.

    Attributes:
        price: USDT of one coin.
        balance: what the account opens with.
    """

    coin: str = Field(pattern=r"^[A-Z0-9]{2,10}$")
    price: Decimal = Field(decimal_places=8)
    balance: Decimal = Field(default=Decimal(0), ge=0, max_digits=20, decimal_places=8)

    @model_validator(mode="after")
    def _possible(self) -> FeeCoinSettings:
        self.opened()
        return self

    def opened(self) -> FeeCoin:
        """Give it as the core takes it.

        Raises:
            ValueError: a price out of bounds, or USDT itself.
        """
        return FeeCoin(self.coin, self.price, self.balance)


class AccountSettings(Section):
    """An account.

    Attributes:
        fee_coin: another coin to pay trading fees in; none for USDT.
        maker_rate: a fraction of the value, negative for a rebate.
        vip_level: sets the limits of the order endpoints: 1 is 20 a second, 2 is 40, above is 60.
        unified: False for a classic account, which is refused with 10028.
        standing: what the venue has against it.
        symbols: the only ones it may trade; none for all.
    """

    uid: str = Field(pattern=r"^[1-9][0-9]{0,17}$")
    opening_balance: Decimal = Field(default=Decimal(10_000), ge=0, max_digits=20, decimal_places=8)
    maker_rate: Decimal = Field(default=Decimal("0.0002"), gt=-_MOST_RATE, lt=_MOST_RATE, decimal_places=8)
    taker_rate: Decimal = Field(default=Decimal("0.00055"), ge=0, lt=_MOST_RATE, decimal_places=8)
    fee_coin: FeeCoinSettings | None = None
    vip_level: int = Field(default=0, ge=0, le=5)
    unified: bool = True
    standing: Standing = "good"
    symbols: tuple[str, ...] = ()
    keys: tuple[KeySettings, ...] = Field(min_length=1)


def check_distinct(accounts: tuple[AccountSettings, ...]) -> None:
    """Check that no account and no key is there twice, those of the paper account included.

    Raises:
        ValueError: the first one that is.
    """
    uids, keys = {ACCOUNT_UID}, {key.key for key in PAPER_KEYS}
    for number, account in enumerate(accounts):
        if account.uid in uids:
            raise ValueError(f"[{number}].uid {account.uid} is taken already; give another")
        uids.add(account.uid)
        for place, key in enumerate(account.keys):
            if key.key in keys:
                raise ValueError(f"[{number}].keys[{place}].key {key.key!r} is taken already; give another")
            keys.add(key.key)


def explain(error: ValidationError) -> str:
    """Say the first thing that is wrong with the accounts, and where."""
    first = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    rule = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        rule = "is missing"
    if first["type"] == "extra_forbidden":
        rule = "is not a field"
    if first["type"] == "literal_error":
        rule = f"is none of {', '.join(get_args(Standing))}"
    return f"{where} {rule[0].lower()}{rule[1:]}".strip()
