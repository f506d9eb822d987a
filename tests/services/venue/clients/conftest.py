from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.services.venue.clients.running_venue import PRICE, point_at, running_venue

KEYS = (
    "pybit-day",
    "pybit-fall",
    "pybit-alone",
    "pybit-guards",
    "ccxt-day",
    "ccxt-fall",
    "ccxt-hedge",
    "ccxt-guards",
    "ccxt-pro",
)


@pytest.fixture(scope="session")
def rsa_pair():
    """A private and a public key, as Bybit's page for keys takes and gives them."""
    private = rsa.generate_private_key(65537, 2048)
    shape = PublicFormat.SubjectPublicKeyInfo
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return secret, private.public_key().public_bytes(Encoding.PEM, shape).decode()


@pytest.fixture(scope="session")
def _venue(tmp_path_factory, rsa_pair):
    with running_venue(tmp_path_factory.mktemp("venue"), *KEYS, rsa={"rsa": rsa_pair[1]}) as venue:
        yield venue


@pytest.fixture
def venue(_venue, monkeypatch):
    """The one venue of these tests, which each of them uses with a key of its own; Bybit's names lead to it."""
    point_at(_venue, monkeypatch)
    yield _venue
    _venue.tell(price=PRICE)
