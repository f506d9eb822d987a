"""A node that refuses some of what was sent together, as a real one does for moments that no test can hit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import msgspec
import pytest

from tests.undertow.bus.test_outage import TOPIC, command
from undertow.bus.lanes import Lanes
from undertow.bus.resp import Address
from undertow.bus.routes import OneServer
from undertow.bus.settings import PublisherSettings
from undertow.contracts.envelope import Envelope


class Refusing:
    """A server that knows PING, XADD and XREVRANGE of one key, and refuses the XADDs that it is told to."""

    def __init__(self, refusal: str, *refused: int) -> None:
        self.refusal, self.refused = refusal, set(refused)
        self.asked = 0
        self.entries: list[bytes] = []

    @property
    def sequences(self) -> list[int]:
        decode = msgspec.msgpack.Decoder(Envelope[msgspec.Raw]).decode
        return [decode(raw).sequence for raw in self.entries]

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Lanes]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            routes = OneServer(Address("127.0.0.1", server.sockets[0].getsockname()[1]), 5.0)
            publisher = Lanes(routes, "p/1", PublisherSettings())
            yield publisher
            await publisher.close()
            await routes.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        while data := await reader.read(1 << 16):
            parser.feed(data)
            while words := parser.gets():
                writer.write(self._answer(words))
        writer.close()

    def _answer(self, words: list[Any]) -> bytes:
        match words:
            case [b"XADD", *_, raw]:
                self.asked += 1
                if self.asked in self.refused:
                    return f"-{self.refusal}\r\n".encode()
                self.entries.append(raw)
                return b"$3\r\n1-1\r\n"
            case [b"XREVRANGE", *_]:
                body = b"".join(
                    b"*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nm\r\n$%d\r\n%b\r\n" % (len(raw), raw) for raw in self.entries[::-1]
                )
                return b"*%d\r\n%b" % (len(self.entries), body)
        return b"+PONG\r\n"


@pytest.mark.parametrize(
    "refusal", ["MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1", "TRYAGAIN wait", "CLUSTERDOWN The cluster is down", "LOADING x",
                "OOM command not allowed", "MISCONF Redis is configured", "READONLY You can't write", "NOREPLICAS Not enough"]
)  # fmt: skip
async def test_what_a_node_refuses_as_not_its_own_is_sent_again_even_when_what_followed_got_in(refusal: str) -> None:
    node = Refusing(refusal, 2)
    async with node.publisher() as publisher:
        first = publisher.publish_many([(TOPIC, command(number), ()) for number in (1, 2, 3)])
        await asyncio.gather(first, publisher.publish_many([(TOPIC, command(4), ())]))
        assert await publisher.flush(5.0)
        assert sorted(node.sequences) == [1, 2, 3, 4]
        await publisher.publish_many([(TOPIC, command(5), ())])
        assert node.sequences[-1] == 5


async def test_what_is_refused_again_while_it_is_sent_again_is_sent_until_it_is_taken() -> None:
    node = Refusing("MOVED 1 127.0.0.1:1", 1, 4)
    async with node.publisher() as publisher:
        await publisher.publish_many([(TOPIC, command(number), ()) for number in (1, 2, 3)])
        assert await publisher.flush(5.0)
        assert sorted(node.sequences) == [1, 2, 3]
