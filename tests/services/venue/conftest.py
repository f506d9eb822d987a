"""A small venue for the tests that speak with it over HTTP and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.venue.little_market import Client, dripping, running
from tests.support import eventually


@pytest.fixture
def starts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a market start a moment after it is told to."""
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 10_000_000)


@pytest.fixture
async def client(tmp_path: Path, starts_at_once: None) -> AsyncIterator[Client]:
    """Give a client of a venue whose market waits for its start."""
    async with running(tape=dripping(tmp_path / "drip.rawlines"), start="on_command") as each:
        yield each


@pytest.fixture
async def open_client(client: Client) -> Client:
    """Give a client of a venue whose market has begun."""
    await client.start()
    await eventually(lambda: client.has_sent(2))
    return client
