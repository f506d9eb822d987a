from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from services.ingestor.core import Publish
from tests.services.ingestor.as_read import ReadCore
from tests.support import recorded
from undertow.contracts.messages.market import Book, Gap, GapReason, Liquidations, Resync
from undertow.domain.order import Side
from undertow.history.archive import ArchiveError, opened
from undertow.history.recordings import read_recording
from undertow.markets.notes import Back, Head, Lost, Note, encode_note
from undertow.markets.rawlines import read_lines

HEAD = Head(source="ws://here", mode="live", clock="wall", symbols=("BTCUSDT",), topics=("orderbook.200.BTCUSDT",))
BOOK = b'{"topic":"orderbook.200.BTCUSDT","type":"%s","ts":1,"data":{"s":"BTCUSDT","b":[["1","%d"]],"a":[["2","1"]],"u":%d,"seq":1}}'
LIQUIDATION = b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":5,"data":[{"T":5,"s":"BTCUSDT","S":"Buy","v":"2","p":"1"}]}'


def read(path):
    with opened(path) as archive:
        return list(read_recording(archive))


def lines(path: Path, *each: tuple[int, bytes | Note]) -> Path:
    path.write_bytes(
        b"".join(b"%d %s\n" % (at, what if isinstance(what, bytes) else encode_note(what)) for at, what in each)
    )
    return path


def test_a_recording_gives_the_facts_that_the_ingestor_publishes():
    path = recorded("bybit/linear-20260809.rawlines.gz")
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
    core = ReadCore(symbols, depth=200, checkpoint_ns=10**18)
    published = [
        effect.fact
        for _, received_ns, raw in read_lines(path)
        for effect in core.on_frame(raw, received_ns)
        if isinstance(effect, Publish)
    ]
    facts = read(path)
    assert len(facts) > 2_529
    assert Counter(type(fact).__name__ for fact in facts) == Counter(type(fact).__name__ for fact in published)
    assert facts == published


def test_liquidations_keep_side_and_time_of_receipt(tmp_path):
    (fact,) = read(lines(tmp_path / "a.rawlines", (1, HEAD), (9, LIQUIDATION)))
    assert isinstance(fact, Liquidations)
    assert (fact.ts_recv, fact.liquidations[0].position_side) == (9, Side.BUY)


def test_a_lost_connection_is_a_gap_and_the_next_snapshot_mends_it(tmp_path):
    path = lines(
        tmp_path / "a.rawlines",
        (1, HEAD),
        (2, BOOK % (b"snapshot", 1, 5)),
        (3, BOOK % (b"delta", 2, 6)),
        (4, Lost(reason="cut")),
        (8, Back(after_ns=4)),
        (9, BOOK % (b"snapshot", 3, 99)),
    )
    facts = read(path)
    assert [type(fact) for fact in facts] == [Resync, Book, Book, Gap, Resync, Book]
    assert (facts[3].reason, facts[3].detail, facts[3].ts_recv) == (GapReason.DISCONNECTED, "cut", 4)


def test_a_book_is_as_deep_as_its_topic_and_what_the_venue_no_longer_tells_does_not_cross_it(tmp_path):
    def frame(kind, u, bids, asks):
        data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": u}
        return json.dumps({"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": 1, "data": data}).encode()

    path = lines(
        tmp_path / "a.rawlines",
        (1, HEAD),
        (2, frame("snapshot", 1, [["100", "1"]], [[str(200 + n), "1"] for n in range(50)])),
        (3, frame("delta", 2, [], [["150", "1"]])),  # 249 falls out of the window; that it goes is told nobody
        (4, frame("delta", 3, [["240", "1"]], [[str(n), "0"] for n in (150, *range(200, 249))])),
        (5, frame("delta", 4, [["249", "1"]], [["300", "1"]])),
    )
    assert [type(fact) for fact in read(path)] == [Resync, Book, Book, Book, Book]


def test_books_of_two_depths_are_followed_each_by_itself(tmp_path):
    deeper = BOOK.replace(b"orderbook.200", b"orderbook.1000")
    path = lines(
        tmp_path / "a.rawlines",
        (1, HEAD),
        (2, BOOK % (b"snapshot", 1, 5)),
        (3, deeper % (b"snapshot", 1, 90)),
        (4, BOOK % (b"delta", 2, 6)),
        (5, deeper % (b"delta", 2, 91)),
        (6, Lost(reason="cut")),
    )
    kinds = Counter(type(fact) for fact in read(path))
    assert kinds == {Resync: 2, Book: 4, Gap: 1}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"{", "is no frame of Bybit"),
        (b'{"stream":"btcusdt@trade","data":{}}', "is a frame of Binance"),
        (BOOK % (b"snapshot", 1, 5) + b"x", "is no frame of Bybit"),
        (b'{"undertow":{"note":"weather"}}', "Invalid value"),
    ],
)
def test_what_is_no_recording_of_bybit_is_named(tmp_path, line, rule):
    with pytest.raises(ArchiveError, match=rule) as caught:
        read(lines(tmp_path / "a.rawlines", (1, HEAD), (2, line)))
    assert caught.value.row == 2
