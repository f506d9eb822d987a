"""Notes lie in files for years: what was written once is read for ever."""

from __future__ import annotations

import pytest

from undertow.markets.notes import Answer, Back, End, Head, Lost, decode_note, encode_note

GOLDEN = {
    b'{"undertow":{"note":"head","version":1,"source":"wss://stream","mode":"live","clock":"wall","symbols":["BTCUSDT"],'
    b'"topics":["tickers.BTCUSDT"],"continues":"a.zst"}}': Head(
        source="wss://stream",
        mode="live",
        clock="wall",
        symbols=("BTCUSDT",),
        topics=("tickers.BTCUSDT",),
        continues="a.zst",
    ),
    b'{"undertow":{"note":"answer","path":"/v5/market/risk-limit","symbol":"BTCUSDT","result":{"list":[{"id":1}]}}}': Answer(
        path="/v5/market/risk-limit", symbol="BTCUSDT", result={"list": [{"id": 1}]}
    ),
    b'{"undertow":{"note":"lost","reason":"cut"}}': Lost(reason="cut"),
    b'{"undertow":{"note":"back","after_ns":5}}': Back(after_ns=5),
    b'{"undertow":{"note":"end","reason":"stopped","continued":"b.zst"}}': End(reason="stopped", continued="b.zst"),
}


@pytest.mark.parametrize(("raw", "note"), GOLDEN.items())
def test_a_note_is_written_and_read_as_ever(raw, note):
    assert decode_note(raw) == note
    assert encode_note(note) == raw


def test_any_other_line_is_no_note():
    assert decode_note(b'{"topic":"tickers.BTCUSDT"}') is None
    with pytest.raises(ValueError, match="Invalid value"):
        decode_note(b'{"undertow":{"note":"weather"}}')
