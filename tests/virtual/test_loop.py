from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest

from tests.virtual.loop import ORIGIN_NS, VirtualLoop


def run(main, seed=1):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(main())


def test_a_year_passes_at_once_and_timers_fire_in_their_order():
    woken = []

    async def wake(after_s):
        await asyncio.sleep(after_s)
        woken.append(after_s)

    async def main():
        await asyncio.gather(*map(wake, (31_536_000, 0.001, 60)))
        return asyncio.get_running_loop().wall_ns()

    assert run(main) == ORIGIN_NS + 31_536_000 * 10**9
    assert woken == [0.001, 60, 31_536_000]


class Note(asyncio.Protocol):
    def __init__(self):
        self.heard = []
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard.append(data)

    def eof_received(self):
        self.heard.append("the end")

    def connection_lost(self, error):
        self.heard.append(error)


async def pair():
    loop, theirs = asyncio.get_running_loop(), Note()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = await loop.create_server(lambda: theirs, sock=listener)
        _, ours = await loop.create_connection(Note, "127.0.0.1", listener.getsockname()[1])
        return ours, theirs, server, listener.getsockname()[1]


@pytest.mark.parametrize("last", ["close", "abort"])
def test_what_is_written_arrives_later_in_its_order_and_then_the_end(last):
    async def main():
        ours, theirs, *_ = await pair()
        ours.transport.writelines([b"a", b"b"])
        ours.transport.write(b"c")
        getattr(ours.transport, last)()
        ours.transport.write(b"too late")
        assert theirs.heard == []
        await asyncio.sleep(1)  # virtual: no time goes by
        assert theirs.heard == [b"ab", b"c", "the end", None]
        assert ours.heard == [None]

    run(main)


def test_who_does_not_read_gets_it_when_it_does():
    async def main():
        ours, theirs, *_ = await pair()
        theirs.transport.pause_reading()
        ours.transport.write(b"a")
        await asyncio.sleep(1)  # virtual: no time goes by
        assert theirs.heard == []
        theirs.transport.resume_reading()
        await asyncio.sleep(1)  # virtual: no time goes by
        assert theirs.heard == [b"a"]

    run(main)


def test_where_nobody_listens_any_more_a_connection_is_refused():
    async def main():
        _, _, server, port = await pair()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().create_connection(Note, "127.0.0.1", port)

    run(main)


def test_when_all_wait_for_each_other_it_is_said_instead_of_waiting():
    with pytest.raises(AssertionError, match="nothing can happen"):
        run(lambda: asyncio.Event().wait())
