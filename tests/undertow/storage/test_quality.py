from datetime import date
from html.parser import HTMLParser

import pytest

from tests.undertow.storage.rows import commit, store_at, trades
from undertow.contracts.messages.market import Book, Gap, GapReason
from undertow.storage.crossed import Crossing
from undertow.storage.layout import HOUR_NS, place_of
from undertow.storage.quality import days, measure
from undertow.storage.quality_page import page
from undertow.storage.schema import Record, table_of
from undertow.storage.store import Part

DAY = date(1970, 1, 1)


@pytest.fixture
def store(tmp_path):
    return store_at(tmp_path)


def put(store, writer, message, number):
    record = Record(message, "market:{BTCUSDT}", "ingestor/1", number, "", (1_000_000, 5_000_000))
    store.writer(writer).commit([Part(place_of(message), table_of(type(message), [record]))], b"null")


def book(bid, ask, at=HOUR_NS):
    return Book(
        ts_event=at, ts_recv=at + 2_000_000, symbol="BTCUSDT", snapshot=True, bids=((bid, "1"),), asks=((ask, "1"),),
        update_id=1, sequence=1,
    )  # fmt: skip


def test_a_perfect_day_has_no_findings(store):
    writer = store.writer("a")
    commit(writer, trades(1), trades(2), trades(3))
    put(store, "b", book("99", "100"), 4)
    found = measure(store, DAY)
    assert (found.rows, found.findings, found.missing) == (4, 0, 0)
    assert found.counts == {("trades", "BTCUSDT", 0): 3, ("book", "BTCUSDT", 1): 1}
    assert days(store) == [DAY]


def test_a_hole_across_topics_and_hours_is_found_and_one_that_another_day_fills_is_none(store):
    writer = store.writer("a")
    commit(writer, trades(1), trades(2), trades(3, hour=30))
    put(store, "b", book("99", "100"), 4)
    commit(writer, trades(9, hour=2))
    found = measure(store, DAY)
    assert [(hole.first, hole.last, hole.missing) for hole in found.holes] == [(5, 8, 4)]


def test_rows_and_trades_that_are_there_twice_are_counted(store):
    writer = store.writer("a")
    commit(writer, trades(1), trades(2))
    commit(writer, trades(2))
    commit(writer, trades(1, hour=3))
    found = measure(store, DAY)
    assert (found.duplicates, found.repeated_trades, found.missing) == (2, 2, 0)


def test_silences_crossed_books_and_gaps_are_found(store):
    writer = store.writer("a")
    commit(writer, trades(1), trades(2, hour=2))
    put(store, "b", book("100", "100"), 3)
    put(store, "b", Gap(ts_event=1, ts_recv=1, symbol="BTCUSDT", reason=GapReason.CROSSED, detail="x"), 4)
    found = measure(store, DAY)
    (silence,) = found.silences
    assert (silence.topic, silence.symbol, round(silence.seconds)) == ("trades", "BTCUSDT", 7200)
    assert found.crossed == [Crossing("BTCUSDT", HOUR_NS)]
    assert found.gaps == {("BTCUSDT", "crossed"): 1}
    (late,) = [each for each in found.latencies if each.topic == "book"]
    assert (late.p50, late.most, late.inside_p99) == (2.0, 2.0, 4.0)


def change(at, number, bids=(), asks=()):
    return Book(
        ts_event=at, ts_recv=at, symbol="BTCUSDT", snapshot=False, bids=bids, asks=asks, update_id=number, sequence=number
    )  # fmt: skip


def test_a_change_that_crosses_the_book_is_found_with_how_long_it_stood_across_hours(store):
    at = 2 * HOUR_NS
    put(store, "b", book("99", "100", at - 3), 1)
    put(store, "b", change(at - 2, 2, bids=(("100", "1"),)), 2)  # crossed, and no snapshot says so
    put(store, "b", change(at - 1, 3, bids=(("98", "1"),)), 3)
    put(store, "b", change(at, 4, asks=(("100", "2"),)), 4)
    put(store, "b", change(at + 1, 5, bids=(("100", "0"),)), 5)
    put(store, "b", change(at + 2, 6, bids=(("100.5", "1"),)), 6)
    assert measure(store, DAY).crossed == [Crossing("BTCUSDT", at - 2, 3), Crossing("BTCUSDT", at + 2, 1)]


@pytest.mark.parametrize("what", ["a gap", "a missing row"])
def test_a_book_that_is_unknown_is_not_looked_at_before_its_next_snapshot(store, what):
    put(store, "b", book("99", "100", 1), 1)
    if what == "a gap":
        put(store, "b", Gap(ts_event=2, ts_recv=2, symbol="BTCUSDT", reason=GapReason.UPDATE_ID, detail="x"), 2)
    put(store, "b", change(3, 3, bids=(("100", "1"),)), 3)
    assert measure(store, DAY).crossed == []
    put(store, "b", book("99", "100", 4), 4)
    put(store, "b", change(5, 5, bids=(("100", "1"),)), 5)
    assert measure(store, DAY).crossed == [Crossing("BTCUSDT", 5)]


def test_two_producers_of_a_symbol_have_a_book_each(store):
    put(store, "b", book("99", "100", 1), 1)
    other = Record(book("200", "201", 2), "archive:x", "import:y", 1, "", (1,))
    store.writer("c").commit([Part(place_of(other.message), table_of(Book, [other]))], b"null")
    put(store, "b", change(3, 2, bids=(("98", "1"),)), 2)
    assert measure(store, DAY).crossed == []


class Reader(HTMLParser):
    """Knows whether each tag is closed, and what is fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.fetched, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_needs_nothing_else_and_shows_every_finding(store):
    writer = store.writer("a")
    commit(writer, trades(1, symbol="A<B"), trades(2, symbol="A<B", hour=2), trades(7, symbol="A<B"))
    commit(writer, trades(2, symbol="A<B"))
    put(store, "b", book("100", "100"), 3)
    put(store, "b", Gap(ts_event=1, ts_recv=1, symbol="BTCUSDT", reason=GapReason.CROSSED, detail="x"), 4)
    reader = Reader()
    reader.feed(page(measure(store, DAY)))
    reader.close()
    assert (reader.open, reader.wrong, reader.fetched) == ([], [], [])
    text = " ".join(reader.text)
    for words in (
        "Missing rows",
        "Duplicates",
        "Silences",
        "Crossed books",
        "Book gaps",
        "Rows by hour",
        "Latency",
        "A<B",
    ):
        assert words in text
