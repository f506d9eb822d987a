"""Redis dies, comes back, forgets, or hangs: nothing is lost, nothing arrives twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, redis_executables
from tests.redis_cluster import RedisCluster
from undertow.bus.errors import BusOverflowError, BusRefusedError
from undertow.bus.ports import Delivery, Topic
from undertow.bus.redis_bus import RedisBus
from undertow.bus.resp import Address, connect
from undertow.bus.settings import PublisherSettings, ReaderSettings
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.streams import CONTROL

TOPIC = Topic(CONTROL, source="admin")
Eventually = Callable[..., Awaitable[Any]]


def command(number: int) -> Command:
    return Command(ts_event=number, ts_recv=number, command_id=str(number), verb=Verb.PAUSE, who="me", why="test")


@pytest.fixture(params=redis_executables())
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = RedisServer(redis_executables()[request.param], tmp_path)
    made.start()
    yield made
    made.stop()


@asynccontextmanager
async def opened(server: RedisServer | RedisCluster, **publishing: Any) -> AsyncIterator[RedisBus]:
    bus = RedisBus(
        server.url,
        "p/1",
        reading=ReaderSettings(block_ms=50, claim_every_s=0.1),
        publishing=PublisherSettings(**{"answer_timeout_s": 0.5, **publishing}),
    )
    yield bus
    await bus.close()


@asynccontextmanager
async def consuming(bus: RedisBus) -> AsyncIterator[list[Delivery]]:
    found: list[Delivery] = []

    async def consume() -> None:
        reader = bus.reader("g", "c", [TOPIC])
        async for batch in reader.batches():
            found.extend(batch)
            reader.ack(batch)

    task = asyncio.create_task(consume())
    yield found
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def events(found: list[Delivery]) -> list[int]:
    return [delivery.message.ts_event for delivery in found]


async def ask(server: RedisServer, *arguments: Any) -> Any:
    connection = await connect(Address.parse(server.url), 5.0)
    (reply,) = await connection.ask(arguments)
    connection.close()
    return reply


async def test_nothing_is_lost_or_doubled_when_redis_is_killed_in_the_middle(
    server: RedisServer, eventually: Eventually
) -> None:
    async with opened(server) as bus, consuming(bus) as found:
        for number in range(200):
            await bus.publish(TOPIC, command(number))
            if number == 100:
                server.kill()
            if number == 150:
                server.start()
        await eventually(lambda: len(found) >= 200)
        assert events(found) == list(range(200))

        async def settled() -> bool:
            (row,) = await bus.lags([TOPIC])
            return (row.lag, row.pending) == (0, 0)

        await eventually(settled)


async def test_confirmed_messages_that_redis_forgot_are_published_again_by_themselves(
    server: RedisServer, eventually: Eventually
) -> None:
    async with opened(server) as bus, consuming(bus) as found:
        await bus.publish_many([(TOPIC, command(number), ()) for number in range(10)])
        await eventually(lambda: len(found) == 10)
        server.kill()
        for file in server.folder.rglob("*appendonly*"):
            if file.is_file():
                file.unlink()  # as if nothing had reached the disk
        server.start()

        async def back() -> bool:
            return len(await bus.tail(TOPIC, 100)) == 10

        await eventually(back)
        await bus.publish(TOPIC, command(10))
        await eventually(lambda: len(found) > 10)
        assert events(found) == list(range(11))


async def test_what_survived_is_not_written_again(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server) as bus:
        await bus.publish_many([(TOPIC, command(number), ()) for number in range(10)])
        await ask(server, "CLIENT", "KILL", "TYPE", "normal")
        await bus.publish(TOPIC, command(10))

        async def all_there() -> bool:
            return await ask(server, "XLEN", TOPIC.key) >= 11

        await eventually(all_there)
        assert await ask(server, "XLEN", TOPIC.key) == 11


async def test_what_is_older_than_the_window_is_not_published_again(
    server: RedisServer, eventually: Eventually
) -> None:
    async with opened(server, republish_window_s=0.0) as bus:
        await bus.publish(TOPIC, command(0))
        await ask(server, "FLUSHALL")
        await asyncio.sleep(0.01)
        await ask(server, "CLIENT", "KILL", "TYPE", "normal")
        await bus.publish(TOPIC, command(1))

        async def there() -> bool:
            return bool(await bus.tail(TOPIC, 10))

        await eventually(there)
        assert events(await bus.tail(TOPIC, 10)) == [1]


async def test_a_lost_group_is_made_again_where_the_reader_was(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server) as bus, consuming(bus) as found:
        await bus.publish_many([(TOPIC, command(number), ()) for number in range(5)])
        await eventually(lambda: len(found) == 5)
        await ask(server, "XGROUP", "DESTROY", TOPIC.key, "g")
        await bus.publish(TOPIC, command(5))
        await eventually(lambda: len(found) >= 6)
        assert events(found) == [0, 1, 2, 3, 4, 5]
        (info,) = await ask(server, "XINFO", "GROUPS", TOPIC.key)
        assert info[1] == b"g"


async def test_messages_wait_up_to_the_limit_while_redis_is_away(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server, unconfirmed_limit=5) as bus:
        await bus.publish(TOPIC, command(0))
        server.kill()
        for number in range(1, 6):
            await bus.publish(TOPIC, command(number))
        with pytest.raises(BusOverflowError, match="limit is 5"):
            await bus.publish(TOPIC, command(6))
        assert not await bus.connected()
        server.start()

        async def all_there() -> bool:
            return await bus.connected() and events(await bus.tail(TOPIC, 10)) == [0, 1, 2, 3, 4, 5]

        await eventually(all_there)
        await bus.publish(TOPIC, command(7))
        assert events(await bus.tail(TOPIC, 1)) == [7]


async def test_publishing_may_begin_before_redis_does(server: RedisServer, eventually: Eventually) -> None:
    server.kill()
    async with opened(server) as bus, consuming(bus) as found:
        await bus.publish(TOPIC, command(0))
        server.start()
        await eventually(lambda: events(found) == [0])


async def test_a_hanging_redis_is_given_up_and_found_again(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server) as bus, consuming(bus) as found:
        await bus.publish(TOPIC, command(0))
        await eventually(lambda: len(found) == 1)
        server.signal(signal.SIGSTOP)
        async with asyncio.timeout(3):
            await bus.publish(TOPIC, command(1))  # kept
        server.signal(signal.SIGCONT)
        await eventually(lambda: len(found) >= 2)
        await bus.publish(TOPIC, command(2))
        await eventually(lambda: len(found) >= 3)
        assert events(found) == [0, 1, 2]


async def test_acknowledgements_wait_for_the_effects_they_confirm(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server) as bus:
        await bus.publish(TOPIC, command(0))
        reader = bus.reader("g", "c", [TOPIC])
        batches = reader.batches()
        first = await anext(batches)
        behind = True
        reader._publisher_behind = lambda: behind
        reader.ack(first)
        reading = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.15)  # several reads in which nothing may be acknowledged
        (row,) = await bus.lags([TOPIC])
        assert row.pending == 1
        behind = False

        async def acknowledged() -> bool:
            return (await bus.lags([TOPIC]))[0].pending == 0

        await eventually(acknowledged)
        reading.cancel()


async def test_a_reader_of_a_closed_bus_comes_to_its_end(server: RedisServer) -> None:
    async with opened(server) as bus:
        await bus.publish(TOPIC, command(0))
        batches = bus.reader("g", "c", [TOPIC]).batches()
        await anext(batches)
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_what_a_full_redis_does_not_take_waits_for_room(server: RedisServer, eventually: Eventually) -> None:
    async with opened(server) as bus:
        await bus.publish(TOPIC, command(0))
        await ask(server, "CONFIG", "SET", "maxmemory", "1")
        await bus.publish_many([(TOPIC, command(number), ()) for number in (1, 2)])
        await bus.publish(TOPIC, command(3))
        assert events(await bus.tail(TOPIC, 9)) == [0]
        await ask(server, "CONFIG", "SET", "maxmemory", "0")

        async def taken() -> bool:
            return len(await bus.tail(TOPIC, 9)) == 4

        await eventually(taken)
        assert events(await bus.tail(TOPIC, 9)) == [0, 1, 2, 3]


async def test_what_redis_refuses_is_the_publishers_error(server: RedisServer) -> None:
    await ask(server, "SET", TOPIC.key, "not a stream")
    async with opened(server) as bus:
        with pytest.raises(BusRefusedError, match="WRONGTYPE"):
            await bus.publish(TOPIC, command(0))


async def test_a_wrong_password_is_an_error_for_writer_and_reader(server: RedisServer) -> None:
    await ask(server, "CONFIG", "SET", "requirepass", "secret")
    right = server.url.replace("unix://", "unix://:secret@")
    with_password = RedisBus(right, "p/1")
    await with_password.publish(TOPIC, command(0))
    assert events(await with_password.tail(TOPIC, 1)) == [0]
    await with_password.close()
    async with opened(server) as bus:
        with pytest.raises(BusRefusedError, match="NOAUTH"):
            await bus.publish(TOPIC, command(0))
        with pytest.raises(BusRefusedError, match="NOAUTH"):
            await anext(bus.reader("g", "c", [TOPIC]).batches())
        assert not await bus.connected()
