"""What becomes of frames that say the same twice."""

from __future__ import annotations

from tests.undertow.exchange.bybit.frames import LIQUIDATION, TRADE, raw
from undertow.exchange.bybit.facts import TRADES_REMEMBERED, FrameDecoder


def frame(*ids: str) -> bytes:
    return raw({**TRADE, "data": [{**TRADE["data"][0], "i": each} for each in ids]})


def told(decoder: FrameDecoder, *ids: str) -> list[str]:
    return [trade.trade_id for fact in decoder.decode(frame(*ids), 1) for trade in fact.trades]


def test_a_trade_that_comes_twice_is_told_once():
    decoder = FrameDecoder()
    assert told(decoder, "a", "b") == ["a", "b"]
    assert told(decoder, "a", "b") == []
    decoder.forget()  # a new connection
    assert told(decoder, "b", "c", "c") == ["c"]


def test_another_symbol_has_trades_of_its_own():
    decoder = FrameDecoder()
    assert told(decoder, "a") == ["a"]
    other = frame("a").replace(b"publicTrade.ABCUSDT", b"publicTrade.XYZUSDT")
    assert [fact.symbol for fact in decoder.decode(other, 1)] == ["XYZUSDT"]


def test_trades_without_an_id_are_all_told():
    assert told(FrameDecoder(), "", "", "") == ["", "", ""]


def test_a_frame_of_liquidations_that_comes_twice_is_told_once_and_the_same_rows_in_another_frame_are_others():
    decoder = FrameDecoder()
    first, later = raw(LIQUIDATION), raw({**LIQUIDATION, "ts": LIQUIDATION["ts"] + 500})
    assert [len(decoder.decode(each, 1)) for each in (first, first, later, first, later)] == [1, 0, 1, 0, 0]


def test_so_many_trades_are_remembered_and_no_more():
    decoder = FrameDecoder()
    ids = [str(number) for number in range(TRADES_REMEMBERED + 1)]
    assert told(decoder, *ids) == ids
    assert told(decoder, "0", ids[-1]) == ["0"]
