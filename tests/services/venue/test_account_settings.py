from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.venue.settings import Settings
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import load

KEY = {"key": "bot", "secret": "bot-secret"}
ACCOUNT = {"uid": "200001", "keys": [KEY]}


def pem(private_key) -> str:
    return private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read(monkeypatch, *accounts):
    monkeypatch.setenv("UNDERTOW_PAPER__ACCOUNTS", json.dumps(accounts))
    return load(Settings).paper.accounts


def key(**changes):
    return {**ACCOUNT, "keys": [{**KEY, **changes}]}


def test_accounts_and_keys_are_read_from_one_variable(monkeypatch):
    first, second = read(
        monkeypatch,
        {**ACCOUNT, "opening_balance": "1000", "taker_rate": "0.0004", "vip_level": 2},
        {
            "uid": "200002",
            "keys": [
                {"key": "k1", "secret": "s", "read_only": True, "ips": ["127.0.0.2", "::1"]},
                {"key": "k2", "rsa_public_key": pem(rsa.generate_private_key(65537, 2048))},
            ],
        },
    )
    assert (str(first.opening_balance), str(first.maker_rate), first.vip_level) == ("1000", "0.0002", 2)
    assert first.keys[0].permissions["ContractTrade"] == ("Order", "Position")
    assert second.keys[0].ips == ("127.0.0.2", "::1")


def test_without_the_setting_there_is_the_paper_account_alone(monkeypatch):
    monkeypatch.delenv("UNDERTOW_PAPER__ACCOUNTS", raising=False)
    assert load(Settings).paper.accounts == ()


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        ([{"keys": [KEY]}], ["[0].uid is missing"]),
        ([{**ACCOUNT, "uid": "A1"}], ["[0].uid"]),
        ([{**ACCOUNT, "balance": "1"}], ["[0].balance is not a field"]),
        ([{**ACCOUNT, "opening_balance": "-1"}], ["[0].opening_balance"]),
        ([{**ACCOUNT, "taker_rate": "2"}], ["[0].taker_rate"]),
        ([{**ACCOUNT, "vip_level": 6}], ["[0].vip_level"]),
        ([{**ACCOUNT, "fee_coin": {"coin": "MNT", "price": "0"}}], ["[0].fee_coin price: 0 is outside 0.01 to 900"]),
        (
            [{**ACCOUNT, "fee_coin": {"coin": "USDT", "price": "1"}}],
            ["[0].fee_coin coin: fees in USDT need no fee coin"],
        ),
        ([{**ACCOUNT, "fee_coin": {"coin": "mnt", "price": "1"}}], ["[0].fee_coin.coin"]),
        ([{**ACCOUNT, "fee_coin": {"coin": "MNT"}}], ["[0].fee_coin.price is missing"]),
        ([{**ACCOUNT, "standing": "poor"}], ["[0].standing is none of good, banned, region"]),
        ([{**ACCOUNT, "keys": []}], ["[0].keys"]),
        ([ACCOUNT, key(key="other") | {"uid": "200001"}], ["[1].uid 200001 is taken already"]),
        ([{**ACCOUNT, "uid": "100001"}], ["[0].uid 100001 is taken already"]),
        ([key(key="paper-router")], ["[0].keys[0].key 'paper-router' is taken already"]),
        ([key(secret="")], ["[0].keys[0]", "needs either secret or rsa_public_key"]),
        ([key(rsa_public_key="x")], ["[0].keys[0].rsa_public_key is not a public key in PEM"]),
        (
            [key(secret="", rsa_public_key=pem(ec.generate_private_key(ec.SECP256R1())))],
            ["[0].keys[0].rsa_public_key is a public key of another kind"],
        ),
        ([key(permissions={"Trade": []})], ["[0].keys[0].permissions there is no group 'Trade'"]),
        ([key(permissions={"Wallet": ["Order"]})], ["[0].keys[0].permissions there is no 'Order' in Wallet"]),
        ([key(ips=["here"])], ["[0].keys[0].ips 'here' is not an IP address"]),
        ([key(expires="2026-08-10T00:00:00")], ["[0].keys[0].expires names no time zone"]),
        ([key(expires="soon")], ["[0].keys[0].expires"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_a_remedy(monkeypatch, accounts, words):
    with pytest.raises(ConfigurationError) as caught:
        read(monkeypatch, *accounts)
    assert caught.value.variable == "UNDERTOW_PAPER__ACCOUNTS"
    for word in words:
        assert word in caught.value.rule
    assert caught.value.remedy.startswith("set it to JSON such as [{")
