from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.ingestor.as_read import opened
from tests.support import recorded
from undertow.contracts.messages.market import Book
from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.facts import book_fact
from undertow.exchange.bybit.followed_book import (
    FAULTY,
    MISFIT,
    TAKEN,
    TAKEN_CROSSED,
    UNREAD,
    FollowedBook,
    begin_of,
    packed_fact,
)
from undertow.exchange.bybit.frames import BadFrameError, BookFrame, decode_frame
from undertow.exchange.kernels.memory import prices_of
from undertow.exchange.kernels.warm import warm
from undertow.exchange.levels import Levels

LARGE = partial(pytest.param, marks=pytest.mark.compiled)
SYMBOL, TOPIC = "ABCUSDT", "orderbook.3.ABCUSDT"


def frame(u, kind="delta", bids=(), asks=(), seq=None, **more) -> bytes:
    data = {"s": SYMBOL, "b": bids, "a": asks, "u": u, "seq": 10 * u if seq is None else seq}
    return json.dumps(
        {"topic": TOPIC, "type": kind, "ts": 7, "data": data, "cts": 5} | more, separators=(",", ":")
    ).encode()


def new_book(depth=3) -> FollowedBook:
    return FollowedBook(SYMBOL, TOPIC, depth, Levels())


def test_warming_up_twice_is_no_harm():
    warm()
    warm()


@settings(deadline=None)
@given(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,18})?", fullmatch=True))
def test_a_number_has_the_value_that_is_nearest_to_its_text(text):
    levels = Levels()
    levels.read((), ((text, "0"),))
    if len(text) > 31:
        assert levels.fault
    else:
        assert float(Decimal(text)) == prices_of(levels.columns)[0]


NUMBERS = ["1", "2", "2.0", "03", "3", "4", "5.50", "5.5", "6e0", " 7", "+8", "1_0"]
ROWS = st.lists(
    st.tuples(st.sampled_from(NUMBERS), st.sampled_from(["0", "0.00", "-0", "1", "2.5", "1e1"])), max_size=7
)


class DictBook:
    """A book as one would first write it."""

    def __init__(self, depth) -> None:
        self.depth, self.sides = depth, ({}, {})

    def take(self, clear, *sides) -> None:
        if clear:
            self.sides = ({}, {})
        for side, rows in zip(self.sides, sides, strict=True):
            for price, size in rows:
                side.pop(Decimal(price.strip()), None)
                if float(size):
                    side[Decimal(price.strip())] = (price, size)
        bids, asks = self.sides
        self.sides = (
            dict(sorted(bids.items(), reverse=True)[: self.depth]),
            dict(sorted(asks.items())[: self.depth]),
        )

    def levels(self):
        return tuple(tuple(side.values()) for side in self.sides)

    def is_crossed(self):
        bids, asks = self.sides
        return bool(bids and asks) and max(bids) >= min(asks)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), ROWS, ROWS), max_size=8))
def test_a_book_equals_two_dictionaries_cut_to_their_depth_however_its_levels_come(frames):
    book, followed, twin = OrderBook(3), new_book(), DictBook(3)
    is_wanting = True  # of a snapshot
    for number, (clear, bids, asks) in enumerate(frames, start=2):
        (book.replace if clear else book.apply)(bids, asks)
        twin.take(clear, bids, asks)
        sides = twin.levels() if is_wanting else (bids, asks)
        raw = frame(number, "snapshot" if clear or is_wanting else "delta", *sides)
        state = followed.follow(raw)
        if state == UNREAD:
            state = followed.follow_frame(decode_frame(raw))
        is_wanting = twin.is_crossed()
        assert state == (TAKEN_CROSSED if is_wanting else TAKEN)
        assert book.is_crossed == followed.is_crossed == is_wanting
        assert book.levels() == followed.levels() == twin.levels()
        assert (book.best_bid, book.best_ask) == tuple(next(iter(side), None) for side in twin.levels())


@pytest.mark.parametrize("count", [0, 1, 15, 16, 300, LARGE(65_535), LARGE(65_536)])
def test_the_message_has_the_bytes_of_a_book_however_many_levels_it_has(count):
    rows = [(str(number), "1.5") for number in range(1, count + 1)]
    raw = frame(1, "snapshot", (), rows)
    book = new_book(depth=max(count, 1))
    assert book.follow(raw) == TAKEN
    decoded = decode_frame(raw)
    assert isinstance(decoded, BookFrame)
    for fact in (book.fact(9), packed_fact(decoded, 9)):
        assert msgspec.msgpack.encode(fact) == msgspec.msgpack.encode(book_fact(decoded, 9))
    assert book.levels() == ((), tuple(rows))


def test_a_delta_is_taken_when_it_is_the_next_and_not_before():
    book = new_book()
    assert book.follow(frame(4, bids=[("1", "1")])) == MISFIT
    assert book.follow(frame(4, "snapshot", [("1", "1")], [("9", "1")])) == TAKEN
    for u, seq in ((4, 40), (6, 60), (5, 39), (5, 40)):
        assert book.follow(frame(u, bids=[("2", "1")], seq=seq)) == MISFIT
        assert book.follow_frame(decode_frame(frame(u, bids=[("2", "x")], seq=seq))) == MISFIT
    assert book.best_bid == ("1", "1")
    assert book.follow(frame(5, bids=[("2", "1")], seq=41)) == TAKEN
    assert book.follow(frame(6, bids=[("9", "1")])) == TAKEN_CROSSED
    assert book.follow(frame(7, bids=[("9", "0")])) == MISFIT
    assert book.follow(frame(1, bids=[("3", "1")])) == TAKEN  # which is a snapshot, whatever it is called
    assert book.levels() == ((("3", "1"),), ())
    book.lose()
    assert book.follow(frame(2)) == MISFIT


@pytest.mark.parametrize(
    "bad", [("x", "1"), ("1", "-1"), ("0", "1"), ("nan", "1"), ("1" * 32, "1"), ("1", "0." + "1" * 30)]
)
def test_a_level_that_is_none_ends_the_book_with_a_reason(bad):
    book = new_book()
    book.follow(frame(4, "snapshot", [("1", "1")]))
    raw = frame(5, bids=[("1", "2"), bad])
    assert book.follow(raw) == UNREAD
    assert book.follow_frame(decode_frame(raw)) == FAULTY
    assert book.fault
    assert book.follow(frame(6)) == MISFIT


PLAIN = [
    frame(4, "snapshot", [("1", "1"), ("0.5", "2")], [("2", "1")]),
    frame(5, "delta", [("1", "0")], [("10.25", "3")]),
]
ODD = [
    "1e400",
    "-1",
    '""',
    "null",
    "[]",
    "{}",
    "true",
    "1" * 400,
    '"NaN"',
    "\\ud800",
    "9" * 19,
    "0.5",
    "07",
    '"1"',
    "-0",
]
MUTATION = st.one_of(
    st.tuples(st.just("cut"), st.integers(1, 400), st.just("")),
    st.tuples(st.just("value"), st.integers(0, 30), st.sampled_from(ODD)),
    st.tuples(st.just("byte"), st.integers(0, 400), st.sampled_from(list('0123456789.,:"[]{} \\-+eabstcu\x00\xff'))),
    st.tuples(st.just("insert"), st.integers(0, 400), st.sampled_from([*'0,"[]{} .', '["1","2"],', '"u":7,', '"b":[],', ',"cts":1'])),
    st.tuples(st.just("drop"), st.integers(0, 400), st.just("")),
)  # fmt: skip


def mutated(raw: bytes, how: str, at: int, what: str) -> bytes:
    text = raw.decode("latin-1")
    at %= max(len(text), 1)
    if how == "cut":
        text = text[:at]
    elif how == "drop":
        text = text[:at] + text[at + 1 :]
    elif how == "insert":
        text = text[:at] + what + text[at:]
    elif how == "byte":
        text = text[:at] + what + text[at + 1 :]
    else:
        found = list(re.finditer(r'(?<=:)("[^"]*"|[\d.]+|\[[^\[\]]*\])', text))
        if found:
            each = found[at % len(found)]
            text = text[: each.start()] + what + text[each.end() :]
    return text.encode("latin-1")


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PLAIN), st.lists(MUTATION, max_size=2))
def test_what_the_kernel_reads_is_what_decoding_says_and_all_that_is_plain_is_read(raw, mutations):
    for mutation in mutations:
        raw = mutated(raw, *mutation)
    book = new_book()
    book.follow(frame(4, "snapshot", [("1", "1")]))
    if begin_of(raw) != book.begin:
        return
    state = book.follow(raw)
    if not mutations:
        assert state != UNREAD
    if state == UNREAD:
        return
    decoded = decode_frame(raw)  # which raises if there is anything wrong with it
    assert isinstance(decoded, BookFrame)
    assert opened(book.fact(9)) == book_fact(decoded, 9)
    twin = new_book()
    twin.follow_frame(decode_frame(frame(4, "snapshot", [("1", "1")])))
    assert twin.follow_frame(decoded) == state
    assert twin.levels() == book.levels()


def test_a_frame_that_ends_with_its_topic_is_not_read():
    for end in (b"}", b'"', b'"}', b'",', b'",}', b'","ts":7', b'","ts":7}'):
        book = new_book()
        assert book.follow(book.begin + end) == UNREAD


def test_keys_come_in_other_orders_too():
    said = json.loads(PLAIN[0])
    for order in (["cts", "data", "ts", "type"], ["data", "type", "cts", "ts"]):
        raw = json.dumps({"topic": TOPIC, **{key: said[key] for key in order}}, separators=(",", ":")).encode()
        book = new_book()
        assert book.follow(raw) == TAKEN
        assert opened(book.fact(1)) == book_fact(decode_frame(raw), 1)


def test_optional_keys_may_be_missing():
    raw = PLAIN[0].replace(b',"cts":5', b"").replace(b',"seq":40', b"")
    book = new_book()
    assert book.follow(raw) == TAKEN
    assert (book.fact(1).ts_event, book.fact(1).sequence) == (7_000_000, 0)


@pytest.mark.parametrize("key", ["type", "ts", "data", "s", "b", "a", "u"])
def test_no_other_key_may(key):
    said = json.loads(PLAIN[0])
    (said if key in said else said["data"]).pop(key)
    raw = json.dumps(said, separators=(",", ":")).encode()
    assert new_book().follow(raw) == UNREAD
    with pytest.raises(BadFrameError):
        decode_frame(raw)


@pytest.mark.compiled
def test_every_frame_that_bybit_sent_is_plain_and_its_message_has_the_bytes_of_a_book():
    lines = gzip.decompress(recorded("bybit/linear-20260809.rawlines.gz").read_bytes()).splitlines()
    raws = [line.partition(b" ")[2] for line in lines if b'"orderbook.' in line]
    books = {
        b.begin: b
        for s in ("BTC", "ETH", "SOL", "DOGE")
        for b in [FollowedBook(f"{s}USDT", f"orderbook.200.{s}USDT", 200, Levels())]
    }
    for raw in raws:
        book = books[begin_of(raw)]
        assert book.follow(raw) == TAKEN
        decoded = decode_frame(raw)
        assert isinstance(decoded, BookFrame)
        fact: Book = book_fact(decoded, 3)
        assert msgspec.msgpack.encode(book.fact(3)) == msgspec.msgpack.encode(fact)
    assert len(raws) == 1_598
