from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import recorded
from undertow.markets.notes import Back, End, Head, Lost, Note, encode_note
from undertow.markets.rawlines import TapeError
from undertow.markets.survey import Hole, survey

S = 1_000_000_000
HEAD = Head(source="ws://here", mode="live", clock="wall", symbols=("BTCUSDT",), topics=("orderbook.200.BTCUSDT",))
BOOK = b'{"topic":"orderbook.200.BTCUSDT","type":"%s","ts":1,"data":{"s":"BTCUSDT","b":[],"a":[],"u":%d,"seq":1}}'
TRADE = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}'


def lines(path: Path, *each: tuple[float, bytes | Note]) -> Path:
    path.write_bytes(
        b"".join(
            b"%d %s\n" % (round(at * S), what if isinstance(what, bytes) else encode_note(what)) for at, what in each
        )
    )
    return path


def test_frames_bytes_silences_and_breaks_are_told_by_topic(tmp_path):
    path = lines(
        tmp_path / "a",
        (1, BOOK % (b"snapshot", 5)),
        (2, BOOK % (b"delta", 6)),
        (2.5, TRADE),
        (6, BOOK % (b"delta", 8)),
        (7, BOOK % (b"delta", 9)),
        (8, BOOK % (b"delta", 1)),
        (9, BOOK % (b"delta", 2)),
        (9, BOOK % (b"snapshot", 70)),
        (9, b'{"success":true,"op":"subscribe"}'),
    )
    found = survey([path])
    book, trade = found.by_name()
    assert (book.topic, book.frames, book.breaks, book.silence_ns) == ("orderbook.200.BTCUSDT", 7, 1, 4 * S)
    assert (trade.frames, trade.bytes, trade.silence_ns) == (1, len(TRADE), 0)
    assert (found.frames, found.seconds, found.other_lines) == (8, 8.0, 1)
    assert (found.silence_ns, found.silence_at_ns) == (3.5 * S, 2.5 * S)
    assert found.size == path.stat().st_size
    assert (found.is_closed, found.heads, found.holes) == (True, [], [])


def test_a_stretch_without_a_connection_is_a_hole_and_one_that_was_not_mended_too(tmp_path):
    first = lines(
        tmp_path / "a",
        (1, HEAD),
        (2, TRADE),
        (3, Lost(reason="cut")),
        (5, Back(after_ns=2)),
        (6, TRADE),
        (7, End(reason="x")),
    )
    second = lines(tmp_path / "b", (8, HEAD), (9, TRADE), (10, Lost(reason="again")))
    found = survey([second, first])
    assert found.holes == [Hole(3 * S, 5 * S, "cut"), Hole(10 * S, None, "again")]
    assert len(found.heads) == 2
    assert not found.is_closed  # the second has no last line
    assert survey([first]).is_closed


def test_figures_are_plain_values_for_scripts(tmp_path):
    found = survey([lines(tmp_path / "a", (1, HEAD), (2, TRADE))]).figures()
    assert found["topics"] == [
        {
            "topic": "publicTrade.BTCUSDT",
            "frames": 1,
            "bytes": len(TRADE),
            "longest_silence_seconds": 0.0,
            "book_breaks": 0,
        }
    ]
    assert found["recorders"][0]["mode"] == "live"


def test_a_recording_of_binance_is_counted_by_its_streams():
    found = survey([recorded("binance/usdm_btcusdt_20240808.gz")])
    depth = next(track for name, track in found.tracks.items() if "@depth" in name)
    assert depth.frames == 6_551
    assert depth.breaks == 0


def test_what_is_no_json_is_named(tmp_path):
    with pytest.raises(TapeError, match="line 2: is not a JSON object that can be read: Expected `object`"):
        survey([lines(tmp_path / "b", (1, TRADE), (2, b'{"topic":"orderbook.200.BTCUSDT","data":null}'))])
    with pytest.raises(TapeError, match="line 2: is not a JSON object"):
        survey([lines(tmp_path / "a", (1, TRADE), (2, b"shopping"))])
