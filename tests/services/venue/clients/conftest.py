from __future__ import annotations

import pytest

from tests.services.venue.clients.running_venue import PRICE, point_at, running_venue

KEYS = ("pybit-day", "pybit-fall", "pybit-guards", "ccxt-day", "ccxt-fall", "ccxt-guards", "ccxt-pro", "docs")


@pytest.fixture(scope="session")
def _venue(tmp_path_factory):
    with running_venue(tmp_path_factory.mktemp("venue"), *KEYS) as venue:
        yield venue


@pytest.fixture
def venue(_venue, monkeypatch):
    """The one venue of these tests, which each of them uses with a key of its own; Bybit's names lead to it."""
    point_at(_venue, monkeypatch)
    yield _venue
    _venue.tell(price=PRICE)
