from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from services.venue import session as session_module
from services.venue.session import Session
from tests.services.venue.faultless import faultless
from tests.support import eventually

IDLE_SECONDS = 600.0


class Echo(Session):
    """Says back what it hears."""

    where = "public"

    def __init__(self, idle_seconds: float | None = None) -> None:
        super().__init__(idle_seconds, faultless())
        self.has_left = False

    def hear(self, message):
        self.say(message)

    def malformed(self):
        self.say({"malformed": True})

    def left(self):
        self.has_left = True


@contextlib.asynccontextmanager
async def served(session: Session):
    application = web.Application()
    application.router.add_get("/", session.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
            yield http
    finally:
        await runner.cleanup()


async def test_a_binary_frame_is_heard_like_text_and_what_is_no_object_is_malformed():
    async with served(Echo()) as http, http.ws_connect("/") as wire:
        await wire.send_bytes(b'{"a":1}')
        assert await wire.receive_json() == {"a": 1}
        for text in ("[]", "{", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")):
            await wire.send_str(text)
            assert await wire.receive_json() == {"malformed": True}


async def test_who_closes_is_forgotten():
    echo = Echo()
    async with served(echo) as http:
        async with http.ws_connect("/"):
            assert not echo.has_left
        await eventually(lambda: echo.has_left)


async def test_what_is_queued_is_sent_before_the_close_and_its_reason_told():
    echo = Echo()
    async with served(echo) as http, http.ws_connect("/") as wire:
        echo.say({"last": "words"})
        echo.close(1001, "the venue stops")
        assert await wire.receive_json() == {"last": "words"}
        farewell = await wire.receive()
        assert (farewell.type, farewell.data, farewell.extra) == (aiohttp.WSMsgType.CLOSE, 1001, "the venue stops")


class Silence:
    """Stands for the wait for a word of the client: it is over, with nothing said, whenever the test says so.

    Attributes:
        waits: how often the session has begun to wait.
    """

    def __init__(self) -> None:
        self.waits = 0
        self._over = asyncio.Event()

    async def receive(self, seconds: float | None) -> None:
        assert seconds == IDLE_SECONDS
        self.waits += 1
        self._over.clear()
        await self._over.wait()
        raise TimeoutError

    async def pass_by(self) -> None:
        """Let the idle time pass, and the session look at what was sent meanwhile."""
        await eventually(lambda: not self._over.is_set() and self.waits)
        before = self.waits
        self._over.set()
        await eventually(lambda: self.waits > before)


async def test_a_silent_client_is_cut_unless_data_flows(monkeypatch):
    echo, silence = Echo(idle_seconds=IDLE_SECONDS), Silence()
    monkeypatch.setattr(web.WebSocketResponse, "receive", silence.receive)
    async with served(echo) as http, http.ws_connect("/") as wire:
        for _ in range(3):
            await eventually(lambda: silence.waits)
            echo.say({"still": "here"})
            assert await wire.receive_json() == {"still": "here"}
            await silence.pass_by()
        assert not echo.has_left
        silence._over.set()  # and nothing was sent
        assert (await wire.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_client_that_does_not_read_is_cut_and_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(session_module, "_MOST_QUEUED_BYTES", 4 * 2**20)
    echo = Echo()
    async with served(echo) as http, http.ws_connect("/", max_msg_size=0):
        big = b'"' + b"x" * 2**20 + b'"'
        for _ in range(64):
            echo.send(big)
            await asyncio.sleep(0)
        await eventually(lambda: echo.has_left)


@pytest.mark.parametrize("count", [1, 1000])
async def test_frames_arrive_in_the_order_in_which_they_were_sent(count):
    echo = Echo()
    async with served(echo) as http, http.ws_connect("/") as wire:
        for number in range(count):
            echo.say({"n": number})
        assert [(await wire.receive_json())["n"] for _ in range(count)] == list(range(count))
        assert echo.sent == count


@pytest.mark.parametrize("sizes", [[1], [0, 125, 126], [65_535, 65_536, 3], [2] * 300])
async def test_frames_that_waited_together_arrive_each_by_itself_and_in_order(sizes):
    echo = Echo()
    async with served(echo) as http, http.ws_connect("/", max_msg_size=0) as wire:
        sent = [b"x" * size for size in sizes]
        for raw in sent:
            echo.send(raw)
        received = [await wire.receive_str() for _ in sent]
        assert [each.encode() for each in received] == sent
        assert echo.sent == len(sent)
