"""A venue that begins at once on a calm tape."""

from __future__ import annotations

import pytest

from tests.services.venue.little_market import book, running, ticker, write_tape
from tests.support import eventually
from undertow.exchange.bybit import socket


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)
    monkeypatch.setattr(socket, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def tape(tmp_path):
    """A book whose second bid changes every 20 ms; no trades, so that nothing fills by itself."""
    frames = [(0, book()), (1, ticker())]
    for number, at_ms in enumerate(range(20, 60_000, 20)):
        bids = [["64999.90", f"{1 + number % 5}.000"]]
        frames.append((at_ms, book(at_ms, kind="delta", u=2 + number, bids=bids, asks=[])))
    return write_tape(tmp_path / "book.rawlines", frames)


@pytest.fixture
async def client(tape):
    limits = dict.fromkeys(("order/create", "order/cancel", "order/cancel-all"), 1_000)
    async with running(tape=tape, ip_limit=False, rate_limits=limits) as each:
        await eventually(lambda: each.has_sent(2))
        yield each
