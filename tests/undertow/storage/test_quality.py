from datetime import date
from html.parser import HTMLParser

import pytest

from tests.undertow.storage.rows import commit, store_at, trades
from undertow.contracts.messages.market import Book, Gap, GapReason
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
    assert found.crossed == [("BTCUSDT", HOUR_NS)]
    assert found.gaps == {("BTCUSDT", "crossed"): 1}
    (late,) = [each for each in found.latencies if each.topic == "book"]
    assert (late.p50, late.most, late.inside_p99) == (2.0, 2.0, 4.0)


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
