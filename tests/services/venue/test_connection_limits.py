"""How many sockets one address may open, and have open."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest

from tests.services.venue.little_market import Client, book, running, ticker, write_tape
from tests.support import eventually

LINEAR, SPOT, PRIVATE = "/v5/public/linear", "/v5/public/spot", "/v5/private"


@pytest.fixture
def tape(tmp_path):
    return write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker()), (60_000, ticker(60_000))])


async def status_of(client: Client, path: str) -> int:
    """Give the HTTP status with which a socket is opened or refused."""
    try:
        async with client.socket(path, auth=False):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


async def test_a_market_data_socket_too_many_is_refused_until_another_closes(tape):
    async with running(tape=tape, market_connections=2) as client, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(client.socket(LINEAR, auth=False))
        assert await status_of(client, LINEAR) == 403
        async with client.session.get(LINEAR, headers=UPGRADE) as answer:
            assert (answer.status, await answer.text()) == (403, "403 Forbidden: access too frequent")
        assert [await status_of(client, path) for path in (SPOT, PRIVATE, "/v5/public/misc/status")] == [101] * 3
        await stack.aclose()
        await eventually(lambda: is_open(client, LINEAR))


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def is_open(client: Client, path: str) -> bool:
    return await status_of(client, path) == 101


async def test_the_new_sockets_of_five_minutes_are_limited_by_setting_over_all_kinds(tape):
    async with running(tape=tape, new_connections=3) as client:
        assert [await status_of(client, path) for path in (LINEAR, SPOT, PRIVATE, LINEAR)] == [101, 101, 101, 403]


async def test_without_limits_per_address_neither_holds(tape):
    async with (
        running(tape=tape, new_connections=1, market_connections=1, ip_limit=False) as client,
        client.socket(LINEAR, auth=False),
    ):
        assert await status_of(client, LINEAR) == 101


async def test_a_client_that_goes_during_the_handshake_leaves_no_socket_behind(tape, monkeypatch):
    async def breaks(*_: object) -> None:
        raise ConnectionResetError

    async with running(tape=tape) as client:
        with monkeypatch.context() as patched:
            patched.setattr("services.venue.session.web.WebSocketResponse.prepare", breaks)
            with pytest.raises(aiohttp.ClientError):
                async with client.socket(LINEAR, auth=False):
                    pass
        assert client.venue._sockets.public.sessions == {}
