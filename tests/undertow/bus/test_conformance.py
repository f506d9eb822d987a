"""What every bus does: the memory bus, each Redis there is and a cluster of each pass the same tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, redis_executables
from tests.redis_cluster import RedisCluster
from undertow.bus.errors import PoisonLimitError
from undertow.bus.memory import MemoryBus, Store
from undertow.bus.ports import Bus, Delivery, Reader, Topic
from undertow.bus.redis_bus import RedisBus
from undertow.bus.routes import routes_to
from undertow.bus.settings import PublisherSettings, ReaderSettings
from undertow.bus.stats import lags
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.streams import CONTROL

TOPIC = Topic(CONTROL, source="admin")
OTHER = Topic(CONTROL, source="position_manager")


def command(number: int) -> Command:
    return Command(ts_event=number, ts_recv=number, command_id=str(number), verb=Verb.PAUSE, who="me", why="test")


def numbers(deliveries: list[Delivery]) -> list[int]:
    return [delivery.message.ts_event for delivery in deliveries]


@dataclass
class Watched:
    hops: list[tuple[str, float]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def delivered(self, stream: str, seconds: float) -> None:
        self.hops.append((stream, seconds))

    def dead_letter(self, stream: str) -> None:
        self.dead.append(stream)


class Kind:
    """Makes buses that meet each other, and looks behind them."""

    def __init__(self, server: RedisServer | RedisCluster | None) -> None:
        self.server = server
        self.store = Store()
        self.watched = Watched()
        self.buses: list[Bus] = []

    def bus(self, producer: str = "p/1", publishing: PublisherSettings | None = None, **reading: float) -> Bus:
        settings = ReaderSettings(**{"block_ms": 50, "claim_every_s": 0.02, **reading})
        bus: Bus
        if self.server is None:
            bus = MemoryBus(producer, self.store, watch=self.watched, reading=settings, publishing=publishing)
        else:
            bus = RedisBus(self.server.url, producer, watch=self.watched, reading=settings, publishing=publishing)
        self.buses.append(bus)
        return bus

    async def redis(self, command: str, key: str, *arguments: Any) -> Any:
        assert self.server is not None
        routes = routes_to(self.server.url, 5.0)
        (reply,) = await (await routes.link(key).once()).ask((command, key, *arguments))
        await routes.close()
        return reply

    async def append_raw(self, key: str, raw: bytes) -> None:
        if self.server is None:
            self.store.append(key, raw)
        else:
            await self.redis("XADD", key, "*", "m", raw)

    async def raw(self, key: str) -> list[bytes]:
        if self.server is None:
            return list(self.store.log(key).raws)
        return [fields[1] for _, fields in await self.redis("XRANGE", key, "-", "+")]

    async def dead_letters(self, name: str) -> list[tuple[bytes, str, str]]:
        """(raw, key, id)."""
        if self.server is None:
            return [(letter.raw, letter.key, letter.entry_id) for letter in self.store.dead.get(f"dead:{name}", [])]
        letters = []
        for _, fields in await self.redis("XRANGE", f"dead:{name}", "-", "+"):
            facts = dict(zip(fields[::2], fields[1::2], strict=True))
            letters.append((facts[b"raw"], facts[b"key"].decode(), facts[b"id"].decode()))
        return letters


@pytest.fixture(params=["memory", *redis_executables(), *(f"cluster of {name}" for name in redis_executables())])
async def kind(
    request: pytest.FixtureRequest, tmp_path: Path, clusters: Callable[[str], RedisCluster]
) -> AsyncIterator[Kind]:
    server: RedisServer | RedisCluster | None = None
    if request.param.startswith("cluster"):
        server = clusters(request.param.removeprefix("cluster of "))
    elif request.param != "memory":
        server = RedisServer(redis_executables()[request.param], tmp_path)
        server.start()
    made = Kind(server)
    yield made
    for bus in made.buses:
        await bus.close()
    if isinstance(server, RedisServer):
        server.stop()


async def take(reader: Reader, count: int, *, ack: bool = True) -> list[Delivery]:
    """Read until `count` deliveries are there; a reader that is left was killed: what it did not acknowledge stays pending."""
    found: list[Delivery] = []
    async with asyncio.timeout(5), aclosing(reader.batches()) as batches:
        async for batch in batches:
            found += batch
            if ack:
                reader.ack(batch)
            if len(found) >= count:
                break
    return found


async def drained(reader: Reader, bus: Bus, eventually: Callable[..., Any]) -> list[Delivery]:
    """Read and acknowledge until the group has nothing left on TOPIC."""
    found: list[Delivery] = []

    async def consume() -> None:
        async for batch in reader.batches():
            found.extend(batch)
            reader.ack(batch)

    task = asyncio.create_task(consume())

    async def nothing_left() -> bool:
        return all(row.group and not row.lag and not row.pending for row in await bus.lags([TOPIC]))

    await eventually(nothing_left)
    task.cancel()
    await asyncio.wait({task})
    return found


async def test_messages_arrive_in_order_with_their_hops(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1), hops=(7,))
    await bus.publish_many([(TOPIC, command(2), ()), (TOPIC, command(3), (8, 9))])
    found = await take(bus.reader("g", "c", [TOPIC]), 3)
    assert [delivery.message for delivery in found] == [command(1), command(2), command(3)]
    assert [delivery.sequence for delivery in found] == [1, 2, 3]
    assert [delivery.hops[:-1] for delivery in found] == [(7,), (), (8, 9)]
    assert all(abs(time.time_ns() - delivery.hops[-1]) < 5e9 for delivery in found)
    assert found[0].ref == f"control:admin/{found[0].entry_id}"
    assert [stream for stream, _ in kind.watched.hops] == ["control"] * 3
    assert all(0 <= seconds < 5 for _, seconds in kind.watched.hops)


async def test_two_groups_each_read_everything(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    assert numbers(await take(bus.reader("one", "c", [TOPIC]), 1)) == [1]
    assert numbers(await take(bus.reader("two", "c", [TOPIC]), 1)) == [1]


async def test_several_keys_are_read_together(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    await bus.publish(OTHER, command(2))
    found = await take(bus.reader("g", "c", [TOPIC, OTHER]), 2)
    assert {(delivery.topic, delivery.message.ts_event) for delivery in found} == {(TOPIC, 1), (OTHER, 2)}


async def test_a_batch_is_no_longer_than_asked(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(10)])
    reader = bus.reader("g", "c", [TOPIC], batch=4)
    sizes = []
    async for batch in reader.batches():
        sizes.append(len(batch))
        reader.ack(batch)
        if sum(sizes) == 10:
            break
    assert sizes == [4, 4, 2]


async def test_a_waiting_reader_is_woken(kind: Kind) -> None:
    bus = kind.bus(block_ms=5000)
    waiting = asyncio.create_task(take(bus.reader("g", "c", [TOPIC]), 1))
    await asyncio.sleep(0.05)  # so that it waits on an empty stream
    await bus.publish(TOPIC, command(1))
    assert numbers(await waiting) == [1]


async def test_a_group_may_start_at_the_end(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    reader = bus.reader("g", "c", [TOPIC], from_start=False)
    waiting = asyncio.create_task(take(reader, 1))

    async def group_is_there() -> bool:
        return (await bus.lags([TOPIC]))[0].group == "g"

    await eventually(group_is_there)
    await bus.publish(TOPIC, command(2))
    assert numbers(await waiting) == [2]


async def test_what_a_crashed_consumer_did_not_acknowledge_comes_again_first(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(3)])
    crashed = await take(kind.bus().reader("g", "c", [TOPIC]), 3, ack=False)
    await bus.publish(TOPIC, command(3))
    found = await take(kind.bus().reader("g", "c", [TOPIC]), 4)
    assert numbers(found) == [0, 1, 2, 3]
    assert [delivery.entry_id for delivery in found[:3]] == [delivery.entry_id for delivery in crashed]


async def test_what_was_acknowledged_does_not_come_again(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(3)])
    assert numbers(await drained(bus.reader("g", "c", [TOPIC]), bus, eventually)) == [0, 1, 2]
    await bus.publish(TOPIC, command(3))
    assert numbers(await take(kind.bus().reader("g", "c", [TOPIC]), 1)) == [3]


async def test_closing_sends_the_last_acknowledgements(kind: Kind) -> None:
    writer, bus = kind.bus(), kind.bus()
    await writer.publish(TOPIC, command(1))
    await take(bus.reader("g", "c", [TOPIC]), 1)
    await bus.close()
    (row,) = await writer.lags([TOPIC])
    assert (row.lag, row.pending) == (0, 0)


async def test_a_dead_consumers_entries_are_claimed(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(3)])
    await take(kind.bus().reader("g", "dead", [TOPIC]), 3, ack=False)
    found = await take(kind.bus(claim_idle_s=0.05).reader("g", "alive", [TOPIC]), 3)
    assert numbers(found) == [0, 1, 2]


async def test_a_live_consumers_entries_are_not_claimed(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    await take(kind.bus().reader("g", "slow", [TOPIC]), 1, ack=False)
    await bus.publish(TOPIC, command(2))
    assert numbers(await take(kind.bus(claim_idle_s=60).reader("g", "other", [TOPIC]), 1)) == [2]


async def test_what_a_producer_sent_twice_arrives_once(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(3)])
    for raw in (await kind.raw(TOPIC.key))[1:]:
        await kind.append_raw(TOPIC.key, raw)
    await bus.publish(TOPIC, command(3))
    assert numbers(await drained(bus.reader("g", "c", [TOPIC]), bus, eventually)) == [0, 1, 2, 3]
    assert numbers(await bus.tail(TOPIC, 10)) == [0, 1, 2, 3]


async def test_a_late_claim_is_not_taken_for_a_duplicate(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    await take(kind.bus().reader("g", "dead", [TOPIC]), 1, ack=False)
    await bus.publish(TOPIC, command(2))
    found = await take(kind.bus(claim_idle_s=0.1).reader("g", "alive", [TOPIC]), 2)
    assert sorted(numbers(found)) == [1, 2]


async def test_another_producers_numbers_are_its_own(kind: Kind) -> None:
    await kind.bus("p/1").publish(TOPIC, command(1))
    await kind.bus("p/2").publish(TOPIC, command(2))
    found = await take(kind.bus().reader("g", "c", [TOPIC]), 2)
    assert [(delivery.producer, delivery.sequence) for delivery in found] == [("p/1", 1), ("p/2", 1)]


async def test_poison_goes_to_the_dead_letters_and_the_rest_arrives(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    await kind.append_raw(TOPIC.key, b"\xc1poison")
    await bus.publish(TOPIC, command(2))
    assert numbers(await drained(bus.reader("g", "c", [TOPIC]), bus, eventually)) == [1, 2]
    ((raw, key, entry_id),) = await kind.dead_letters("control")
    assert (raw, key) == (b"\xc1poison", TOPIC.key)
    assert entry_id
    assert kind.watched.dead == ["control"]


async def test_a_message_of_another_stream_is_poison(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    foreign = replace(TOPIC, stream=replace(CONTROL, name="foreign", payloads=(Command,)))
    await bus.publish(foreign, command(1))
    raw = (await kind.raw(TOPIC.key))[0].replace(b"command", b"kommand")
    await kind.append_raw(TOPIC.key, raw)
    assert numbers(await drained(bus.reader("g", "c", [TOPIC]), bus, eventually)) == [1]
    assert len(await kind.dead_letters("control")) == 1


async def test_too_much_poison_stops_the_reader(kind: Kind) -> None:
    bus = kind.bus(poison_limit=3)
    for _ in range(4):
        await kind.append_raw(TOPIC.key, b"\xc1")
    with pytest.raises(PoisonLimitError, match="control:admin"):
        await take(bus.reader("g", "c", [TOPIC]), 1)
    assert len(await kind.dead_letters("control")) == 4


SHORT = Topic(replace(CONTROL, maxlen=100), source="admin")


async def publish_many(bus: Bus, count: int, first: int = 0) -> None:
    for start in range(first, first + count, 100):
        await bus.publish_many([(SHORT, command(number), ()) for number in range(start, start + 100)])


async def test_a_stream_is_trimmed_to_about_its_length_when_everybody_has_read_it(
    kind: Kind, eventually: Callable[..., Any]
) -> None:
    bus = kind.bus()
    await publish_many(bus, 1000)
    await drained(bus.reader("keeper", "c", [SHORT]), bus, eventually)
    assert await bus.trim(SHORT, "keeper") >= 700
    assert 100 <= len(await kind.raw(SHORT.key)) < 300
    assert numbers(await bus.tail(SHORT, 2)) == [998, 999]
    assert await bus.trim(SHORT, "keeper") <= 100  # what is left is wanted


async def test_nothing_is_trimmed_that_a_group_has_not_acknowledged(kind: Kind) -> None:
    bus = kind.bus()
    await publish_many(bus, 1000)
    for group, count in (("slow", 250), ("keeper", 1000)):
        reading = kind.bus()
        await take(reading.reader(group, "c", [SHORT], batch=250), count)
        await reading.close()
    removed = await bus.trim(SHORT, "keeper")
    assert 100 <= removed <= 250  # whole nodes
    assert numbers(await bus.since(SHORT, "0-0")) == list(range(removed, 1000))


async def test_without_the_keeper_nothing_is_trimmed(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    await publish_many(bus, 1000)
    await drained(bus.reader("other", "c", [SHORT]), bus, eventually)
    assert await bus.trim(SHORT, "keeper") == 0
    assert await bus.trim(OTHER, "keeper") == 0
    assert len(await kind.raw(SHORT.key)) == 1000


async def test_beyond_the_outage_budgets_bytes_the_oldest_go_unread(kind: Kind) -> None:
    bus = kind.bus(publishing=PublisherSettings(outage_bytes=20_000))
    await publish_many(bus, 2000)
    assert 100 <= len(await kind.raw(SHORT.key)) < 600
    assert numbers(await bus.tail(SHORT, 1)) == [1999]


async def test_beyond_the_outage_budgets_time_the_oldest_go_unread(kind: Kind) -> None:
    await publish_many(kind.bus(), 1000)
    later = kind.bus("p/2", publishing=PublisherSettings(outage_s=0.0))
    await asyncio.sleep(0.01)  # so that what is there is older than the budget
    await publish_many(later, 100, 1000)
    assert numbers(await later.since(SHORT, "0-0"))[0] >= 900


async def test_within_the_outage_budget_nothing_goes_unread(kind: Kind) -> None:
    bus = kind.bus()
    await publish_many(bus, 2000)
    assert numbers(await bus.since(SHORT, "0-0")) == list(range(2000))


async def test_an_entry_trimmed_while_pending_does_not_stop_the_reader(
    kind: Kind, eventually: Callable[..., Any]
) -> None:
    bus = kind.bus(publishing=PublisherSettings(outage_bytes=1))
    await bus.publish(SHORT, command(-1))
    await take(kind.bus().reader("g", "c", [SHORT]), 1, ack=False)
    await publish_many(bus, 1000)
    found = await drained(kind.bus().reader("g", "c", [SHORT]), bus, eventually)
    assert numbers(found)[-1] == 999
    assert -1 not in numbers(found)


async def test_a_copy_of_what_is_in_hand_is_acknowledged_with_it_and_not_before(
    kind: Kind, eventually: Callable[..., Any]
) -> None:
    """Redis may have lost the first entry: then the copy is all that is left of it until the effect is done."""
    bus = kind.bus()
    await bus.publish(TOPIC, command(1))
    reader = bus.reader("g", "c", [TOPIC])
    batches = reader.batches()
    (first,) = await anext(batches)
    await kind.append_raw(TOPIC.key, (await kind.raw(TOPIC.key))[0])
    reading = asyncio.create_task(anext(batches))

    async def pending() -> int:
        (row,) = await kind.bus("q/1").lags([TOPIC])
        return -1 if row.lag else row.pending

    async def both_are_pending() -> bool:
        return await pending() == 2

    await eventually(both_are_pending)
    await asyncio.sleep(0.15)  # several reads in which it must not be acknowledged
    assert await pending() == 2
    reader.ack([first])
    await bus.publish(TOPIC, command(2))
    (second,) = await reading
    reader.ack([second])
    reading = asyncio.create_task(anext(batches))

    async def none_is_pending() -> bool:
        return await pending() == 0

    await eventually(none_is_pending)
    reading.cancel()
    await asyncio.wait({reading})


async def test_history_gives_a_range_and_the_tail(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(5)])
    every = await bus.since(TOPIC, "0-0")
    assert numbers(every) == [0, 1, 2, 3, 4]
    assert numbers(await bus.since(TOPIC, every[1].entry_id, every[3].entry_id)) == [1, 2, 3]
    assert numbers(await bus.tail(TOPIC, 2)) == [3, 4]
    assert await bus.tail(OTHER, 2) == []
    assert await bus.since(OTHER, "0-0") == []


async def test_the_acked_position_stops_before_what_is_pending(kind: Kind, eventually: Callable[..., Any]) -> None:
    bus = kind.bus()
    assert await bus.acked_position("g", TOPIC) == "0-0"
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(4)])
    assert await bus.acked_position("g", TOPIC) == "0-0"
    reader = bus.reader("g", "c", [TOPIC])
    found = await take(reader, 4, ack=False)
    until = await bus.acked_position("g", TOPIC)
    assert await bus.since(TOPIC, "0-0", until) == []
    reader.ack(found[:2])
    await bus.close()
    kind.buses.clear()
    after = kind.bus()
    assert numbers(await after.since(TOPIC, "0-0", await after.acked_position("g", TOPIC))) == [0, 1]
    await drained(after.reader("g", "c", [TOPIC]), after, eventually)
    assert numbers(await after.since(TOPIC, "0-0", await after.acked_position("g", TOPIC))) == [0, 1, 2, 3]


async def test_lags_tell_what_each_group_has_not_read_and_not_acknowledged(kind: Kind) -> None:
    bus = kind.bus()
    await bus.publish_many([(TOPIC, command(number), ()) for number in range(5)])
    await take(bus.reader("g", "c", [TOPIC], batch=2), 2, ack=False)
    first, second = await bus.lags([TOPIC, OTHER, TOPIC])
    assert (first.key, first.group, first.length, first.lag, first.pending) == (TOPIC.key, "g", 5, 3, 2)
    assert (second.key, second.group, second.length, second.lag, second.pending) == (OTHER.key, "", 0, 0, 0)
    await kind.append_raw(OTHER.key, b"x")
    if kind.server is not None:
        await kind.append_raw("dead:control", b"x")
    assert [(row.key, row.group, row.length) for row in await lags(bus)] == [(TOPIC.key, "g", 5), (OTHER.key, "", 1)]


async def test_a_bus_says_that_it_is_connected(kind: Kind) -> None:
    assert await kind.bus().connected()
