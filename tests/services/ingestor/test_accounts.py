"""Every frame is accounted for: received = published + dropped, by the metrics; through garbage, lost connections and an absent bus."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingestor.core import IngestorCore
from services.ingestor.line import Line
from services.ingestor.settings import Settings
from tests.services.ingestor.test_app import Bus, both_ready, ingesting
from tests.services.ingestor.test_core import FRAMES, MUTATION, book, mutated, snapshot
from tests.support import eventually
from tests.undertow.exchange.bybit.frames import KLINE, LIQUIDATION, TICKER, TRADE, raw
from undertow.bus.codec import opened
from undertow.bus.memory import Store
from undertow.bus.ports import Topic
from undertow.contracts.messages.market import Book, Gap, GapReason, Kline, Liquidations, Ticker, Trades
from undertow.contracts.streams import MARKET, REJECTS
from undertow.exchange.bybit.public_ws import BybitPublicStream, Connected, Disconnected, Frames
from undertow.runtime.clock import ManualClock, wall_ns
from undertow.runtime.service import Runtime

ABC, DEF = SYMBOLS = ("ABCUSDT", "DEFUSDT")
OF_A_FRAME = Book | Trades | Liquidations | Ticker | Kline
SETTINGS = Settings(bus={"url": "redis://127.0.0.1:1/0"}, venue={"rest_url": "http://127.0.0.1:1"})
NOW_NS = 1_767_225_600_500_000_000
ANSWERS = (
    b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"s","op":"subscribe"}',
    b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}',
    b'{"req_id":"","op":"pong","args":["1"],"conn_id":"c"}',
)
STRANGE = (
    b"", b"[]", b"{}", b"1", b'"x"', b"\xff\xfe", b"[" * 5_000, b'{"topic":"tickers', b'{"topic":".x","op":"y"}',
    b'{"type":"delta","ts":1,"data":{}}', b'{"success":true}', b'{"op":"subscribe","topic":"nothing.ABCUSDT"}',
    raw({**TRADE, "topic": "publicTrade.XYZUSDT"}), raw({**TICKER, "topic": "tickerz.ABCUSDT"}), raw({**TRADE, "data": []}),
    raw({**LIQUIDATION, "data": [{**LIQUIDATION["data"][0], "v": "0"}]}), raw({**KLINE, "data": KLINE["data"] * 2}),
    raw(TICKER).replace(b'"1.2347"', b'"\\ud800"'), raw(TRADE).replace(b"20f43950", b"\\ud800"),
    snapshot(10, depth=50), snapshot(10, bids=(("2.0", "1"),)), snapshot(10, bids=(("x", "1"),)),
)  # fmt: skip
NEXT, AGAIN, SNAPSHOT = "next", "again", "snapshot"
SYMBOL = st.sampled_from(SYMBOLS)
FRAME = st.one_of(
    st.tuples(st.just(NEXT), SYMBOL),
    st.tuples(st.just(SNAPSHOT), SYMBOL),
    st.tuples(st.just(AGAIN), SYMBOL),
    st.builds(lambda frame, how: mutated(frame, *how), st.sampled_from(FRAMES), MUTATION),
    st.sampled_from(STRANGE),
    st.sampled_from(ANSWERS),
    st.binary(max_size=20),
)
KEYS = [Topic(stream, symbol=symbol).key for stream in (MARKET, REJECTS) for symbol in SYMBOLS]
STEP = st.one_of(
    st.lists(FRAME, min_size=1, max_size=6),
    st.sets(st.sampled_from(KEYS)).map(frozenset),
    st.just(frozenset(KEYS)),
    st.sampled_from(["lost", "up", "pause"]),
)


class Books:
    """Turns steps into frames: update ids follow each other, unless a step says otherwise."""

    def __init__(self):
        self._last = dict.fromkeys(SYMBOLS, 10)

    def frame(self, step):
        if isinstance(step, bytes):
            return step
        what, symbol = step
        self._last[symbol] += what != AGAIN
        make = snapshot if what == SNAPSHOT else book
        return make(self._last[symbol], symbol=symbol, at_ms=1_767_225_600_000 + self._last[symbol] * 4_000)


class Ledger(Bus):
    """A bus that refuses keys, and remembers which facts of the line it refused."""

    def __init__(self, store):
        super().__init__("ingestor/1", store)
        self.refused = Counter()

    async def publish_many(self, items):
        for topic, message, hops in items:
            is_told_again = not hops and not (isinstance(message, Gap) and message.reason != GapReason.UNPUBLISHED)
            if topic.key in self.full_keys and not is_told_again:
                self.refused[topic.key] += 1
        await super().publish_many(items)


class Script:
    """A connection that brings what it is told to; what is not the line's to see it keeps back, as the stream does."""

    def __init__(self, steps, bus):
        self._steps = steps
        self._bus = bus
        self._stream = BybitPublicStream("ws://127.0.0.1:1", [])
        self.line = None
        self.fed = 0

    async def events(self):
        books, begun_ns = Books(), wall_ns()
        for step in self._steps:
            match step:
                case frozenset():
                    self._bus.full_keys = step
                case "lost":
                    yield Disconnected("lost")
                case "up":
                    yield Connected()
                case "pause":
                    await self.line.pause("works")
                case _:
                    frames = [frame for frame in map(books.frame, step) if not self._stream._control(frame)]
                    assert len(frames) == sum(frame not in ANSWERS for frame in step)
                    yield Frames([(frame, begun_ns + self.fed + at) for at, frame in enumerate(frames)])
                    self.fed += len(frames)

    async def hold(self):
        """The line hangs up."""

    async def resubscribe(self, topic):
        """The line asks for a snapshot."""


def counted(runtime, name):
    samples = (s for family in runtime.metrics.registry.collect() for s in family.samples)
    return round(sum(sample.value for sample in samples if sample.name == f"undertow_{name}_total"))


def messages(store, stream, symbol):
    topic = Topic(stream, symbol=symbol)
    return [opened(topic, "", entry) for entry in store.log(topic.key).raws]


def published(store):
    """Give how many frames have facts on the bus, by the stamp of their receipt."""
    entries = [each for symbol in SYMBOLS for each in messages(store, MARKET, symbol)]
    return len({each.hops[0] for each in entries if isinstance(each.message, OF_A_FRAME) and len(each.hops) > 1})


def lost(store, symbol):
    gaps = [each.message for each in messages(store, MARKET, symbol) if isinstance(each.message, Gap)]
    assert all(gap.lost_from_ns <= gap.lost_until_ns for gap in gaps)
    assert all((gap.reason == GapReason.UNPUBLISHED) == (gap.lost_facts > 0) for gap in gaps)
    return sum(gap.lost_facts for gap in gaps)


def balance(runtime, store):
    assert counted(runtime, "frames_received") == published(store) + counted(runtime, "frames_dropped")
    assert counted(runtime, "rejects_kept") == sum(len(messages(store, REJECTS, symbol)) for symbol in SYMBOLS)
    assert counted(runtime, "facts_lost") == sum(lost(store, symbol) for symbol in SYMBOLS)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_received_is_published_plus_dropped_whatever_comes_and_whenever_the_bus_is_away(steps):
    end = ["up", frozenset(), [(SNAPSHOT, ABC), (SNAPSHOT, DEF)]]
    store = Store()
    bus = Ledger(store)
    script = Script([*steps, *end], bus)
    runtime = Runtime("ingestor", SETTINGS, ManualClock(NOW_NS))
    script.line = Line(IngestorCore(SYMBOLS), script, bus, runtime)
    asyncio.run(script.line.run())
    assert counted(runtime, "frames_received") == script.fed
    balance(runtime, store)
    assert counted(runtime, "facts_lost") == sum(bus.refused[Topic(MARKET, symbol=s).key] for s in SYMBOLS)


async def test_over_a_real_socket_nothing_that_was_sent_is_missing_after_lost_connections_and_outages(monkeypatch):
    chance, sent = random.Random(4), Counter()

    async def script(connection, message):
        if message["op"] == "unsubscribe":
            return
        await both_ready(connection, message)
        sent["snapshots"] += len(message["args"]) * message["args"][0].startswith("orderbook")

    async with ingesting(monkeypatch, script, symbols=",".join(SYMBOLS)) as (ingestor, runtime, peer, store, _):
        books = Books()

        async def say(step):
            frame = books.frame(step)
            await peer.connections[-1].send(frame)
            sent["frames"] += frame not in ANSWERS

        for _turn in range(16):
            await eventually(
                lambda: len(peer.connections) == sent["connections"] + 1 and ingestor._lines[0]._why_not is None
            )
            for _frame in range(10):
                garbage = mutated(
                    chance.choice(FRAMES), chance.choice(["cut", "byte", "key"]), chance.randrange(400), "S"
                )
                await say(chance.choice([*[(NEXT, each) for each in SYMBOLS] * 3, garbage, *STRANGE, *ANSWERS]))
            ingestor._bus.full = chance.random() < 0.4
            if chance.random() < 0.3:
                await peer.connections[-1].close()
                sent["connections"] += 1
        await eventually(
            lambda: len(peer.connections) == sent["connections"] + 1 and ingestor._lines[0]._why_not is None
        )
        ingestor._bus.full = False
        for symbol in SYMBOLS:
            await say((SNAPSHOT, symbol))
        await eventually(lambda: counted(runtime, "frames_received") == sent["frames"] + sent["snapshots"])
        await eventually(lambda: not ingestor._lines[0]._losses)
        balance(runtime, store)
        assert min(counted(runtime, "facts_lost"), sent["connections"], published(store)) > 2
