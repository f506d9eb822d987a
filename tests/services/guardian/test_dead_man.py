from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from services.guardian.dead_man import DeadMan
from services.guardian.settings import Settings
from tests.services.guardian.test_app import Venue, guardian, ready
from tests.services.position_manager.facts import stopped
from tests.support import eventually
from undertow.contracts.metrics import GUARDIAN_PINGED
from undertow.exchange.errors import VenueBusyError
from undertow.runtime.errors import ConfigurationError

URL = "https://watcher.test/secret"


class Outside:
    """Who is pinged."""

    def __init__(self):
        self.asked, self.status, self.is_well = [], 200, True
        self.pinged, self.failed = [], []

    async def answer(self, request):
        self.asked.append(str(request.url))
        if self.status is None:
            raise httpx.ConnectError(f"no way to {URL}", request=request)
        return httpx.Response(self.status)

    @contextlib.asynccontextmanager
    async def running(self):
        man = DeadMan(
            URL,
            0.01,
            lambda: self.is_well,
            self.pinged.append,
            self.failed.append,
            httpx.MockTransport(self.answer),
        )
        task = asyncio.create_task(man.run())
        try:
            yield
        finally:
            await stopped(task)


async def test_it_pings_at_its_pace_and_says_when_it_last_worked():
    outside = Outside()
    async with outside.running():
        await eventually(lambda: len(outside.pinged) > 2)
    assert set(outside.asked) == {URL}
    assert outside.pinged == sorted(outside.pinged)
    assert outside.failed == []


@pytest.mark.parametrize("status", [500, 404, None])
async def test_a_ping_that_fails_is_told_without_the_address_and_tried_again(status):
    outside = Outside()
    outside.status = status
    async with outside.running():
        await eventually(lambda: len(outside.failed) > 1)
        outside.status = 204
        await eventually(lambda: outside.pinged)
    assert "watcher" in str(outside.failed[0])
    assert "secret" not in str(outside.failed[0])


async def test_who_is_not_well_is_silent():
    outside = Outside()
    outside.is_well = False
    async with outside.running():
        await asyncio.sleep(0)
        assert outside.asked == []
        outside.is_well = True
        await eventually(lambda: outside.pinged)


async def test_the_guardian_pings_while_it_sees_the_venue(tmp_path):
    outside, venue = Outside(), Venue()
    way = httpx.MockTransport(outside.answer)
    venue.trouble["positions"] = [VenueBusyError(10016, "busy")] * 12
    async with guardian(tmp_path, venue, ping_by=way, dead_man_url=URL, dead_man_every_seconds=0.01) as app:
        await asyncio.sleep(0)
        assert outside.asked == []
        await ready(app)
        await eventually(lambda: outside.asked)
        gauge = app._runtime.metrics.gauge(GUARDIAN_PINGED)
        await eventually(lambda: gauge._value.get() > 0)


def test_an_address_that_is_none_is_refused():
    with pytest.raises((ConfigurationError, ValueError), match="dead_man_url"):
        Settings(venue={"rest_url": "http://venue"}, guard={"dead_man_url": "watcher"})
