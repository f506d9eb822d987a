"""Answers that never come, and what was done all the same."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from tests.services.venue.mischief.bench import (
    add,
    has_orders,
    rest,
    resting,
    trading,
)
from tests.support import eventually
from undertow.domain.order import OrderStatus
from undertow.exchange.errors import (
    OutcomeUnknownError,
)

# time-outs


async def test_an_order_that_timed_out_after_acceptance_surfaces_later_and_is_found_by_its_link_id(client):
    await add(client, action="accept_silently", endpoint="order/create", surface_ms=900, count=1)
    async with rest(client, timeout_s=0.2) as victim:
        await victim.wallet()
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("late"))
        assert await victim.find_order("BTCUSDT", "late") is None
        found = await eventually(lambda: victim.find_order("BTCUSDT", "late"))
    assert (found.status, found.order_id) == (OrderStatus.NEW, "late")


async def test_a_late_order_surfaces_within_its_receive_window(client):
    await add(client, action="accept_silently", where="trade", surface_ms=4_900, count=1)
    async with trading(client) as victim:
        sent_ms = client.now_ms
        asked = asyncio.create_task(victim.create_order(resting("narrow")))
        await eventually(lambda: has_orders(client, 1))
        assert client.now_ms - sent_ms < 2_000  # entries are signed with a window of 1,000 ms
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked


async def test_a_time_out_without_acceptance_leaves_nothing(client):
    await add(client, action="swallow", endpoint="order/create", count=1)
    async with rest(client, timeout_s=0.2) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("never"))
        assert await victim.find_order("BTCUSDT", "never") is None
        assert await victim.create_order(resting("never"))


@pytest.mark.parametrize("performed", [False, True])
async def test_a_connection_is_cut_instead_of_an_answer(client, performed):
    await add(client, action="hang_up", endpoint="order/create", performed=performed, count=1)
    async with rest(client) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("cut"))
        assert (await victim.find_order("BTCUSDT", "cut") is not None) is performed
    await add(client, action="hang_up", endpoint="order.create", performed=performed, count=1)
    async with trading(client) as victim:
        with pytest.raises(OutcomeUnknownError):
            await victim.create_order(resting("cut too"))


async def test_the_opening_of_a_socket_is_refused(client):
    await add(client, action="http", endpoint="connect", where="private", status=503, count=1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with client.socket("/v5/private"):
            pass
    assert caught.value.status == 503
    await add(client, action="hang_up", endpoint="connect", count=2)  # aiohttp tries a GET twice
    with pytest.raises(aiohttp.ClientError):
        async with client.socket("/v5/private"):
            pass
    assert client.venue._sockets.private.sessions == {}
    async with client.socket("/v5/private") as wire:
        assert wire.auth_reply["success"]
