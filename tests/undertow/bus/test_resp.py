from __future__ import annotations

import asyncio

import pytest

from tests.conftest import RedisServer
from undertow.bus.errors import BusAwayError, BusRefusedError
from undertow.bus.redis_bus import RedisBus
from undertow.bus.resp import Address, Connection, DirectLink, connect


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address(host="localhost")),
        ("redis://h:1/2", Address(host="h", port=1, database=2)),
        ("redis://u:p%40@h:1/2", Address(host="h", port=1, database=2, username="u", password="p@")),
        ("redis://:p@h", Address(host="h", password="p")),
        ("unix:///a/b.sock", Address(path="/a/b.sock")),
        ("unix://:p@/a/b.sock?db=3", Address(path="/a/b.sock", password="p", database=3)),
    ],
)
def test_an_address_is_read_from_its_url(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize("url", ["http://h", "h:6379", "", "unix://", "redis://"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a Redis address"):
        RedisBus(url, "p/1")


async def test_replies_come_in_the_order_of_the_requests(redis_server: RedisServer) -> None:
    connection = await connect(Address.parse(redis_server.url), 5.0)
    answers = await asyncio.gather(*(connection.ask(("ECHO", number), ("ECHO", "x")) for number in range(100)))
    assert answers == [[str(number).encode(), b"x"] for number in range(100)]
    connection.close()


async def test_an_abandoned_request_does_not_shift_the_next_ones(redis_server: RedisServer) -> None:
    connection = await connect(Address.parse(redis_server.url), 5.0)
    connection.request([("ECHO", "abandoned")]).cancel()
    assert await connection.ask(("ECHO", "next")) == [b"next"]
    connection.close()


async def test_a_reply_split_over_many_packets_is_one_reply(redis_server: RedisServer) -> None:
    connection = await connect(Address.parse(redis_server.url), 5.0)
    big = b"x" * 3_000_000
    assert await connection.ask(("ECHO", big)) == [big]
    connection.close()


async def test_who_waits_learns_that_the_connection_is_gone(redis_server: RedisServer) -> None:
    connection = await connect(Address.parse(redis_server.url), 5.0)
    waiting = connection.request([("BLPOP", "nothing", 0)])
    redis_server.kill()
    with pytest.raises(BusAwayError):
        await waiting
    assert not connection.alive
    with pytest.raises(BusAwayError):
        await connection.ask(("PING",))


async def test_tcp_and_another_database_work(redis_server: RedisServer) -> None:
    seen = asyncio.get_running_loop().create_future()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(await reader.read(100))
        writer.write(b"+OK\r\n+PONG\r\n")

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await connect(Address.parse(f"redis://127.0.0.1:{port}/4"), 5.0)
        assert await seen == b"*2\r\n$6\r\nSELECT\r\n$1\r\n4\r\n*1\r\n$4\r\nPING\r\n"
        connection.close()


async def test_a_loading_redis_is_away_and_a_refusing_one_is_an_error() -> None:
    greeting = b"-LOADING Redis is loading the dataset in memory\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(greeting)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        link = DirectLink(Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]), 5.0)
        with pytest.raises(BusAwayError, match="LOADING"):
            await link.once()
        greeting = b"-NOPERM no\r\n"
        with pytest.raises(BusRefusedError, match="NOPERM"):
            await link.patiently()


def test_a_connection_needs_a_loop() -> None:
    with pytest.raises(RuntimeError):
        Connection(1.0)
