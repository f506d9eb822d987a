from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.undertow.exchange.bybit.frames import ALL, BOOK, DELTA, KLINE, LIQUIDATION, TICKER, TRADE, changed, raw
from undertow.contracts.messages.market import Book, Kline, Liquidation, Liquidations, Ticker, Trade, Trades
from undertow.domain.order import Side
from undertow.exchange.bybit.facts import LIQUIDATION_FEED, FrameDecoder
from undertow.exchange.bybit.frames import BadFrameError, Control, decode_frame

MS = 1_000_000
RECV = 1767225600_900 * MS


def facts(frame, decoder=None):
    return (decoder or FrameDecoder()).decode(raw(frame), RECV)


def test_a_book_has_the_time_of_the_matching_engine():
    (fact,) = facts(DELTA)
    assert fact == Book(
        ts_event=1767225600118 * MS,
        ts_recv=RECV,
        symbol="ABCUSDT",
        snapshot=False,
        bids=(("1.2345", "0"), ("1.2344", "3.3")),
        asks=(),
        update_id=18521289,
        sequence=7961638730,
    )
    without = {key: value for key, value in BOOK.items() if key != "cts"}
    assert facts(without)[0].ts_event == 1767225600101 * MS
    assert facts(without)[0].snapshot


def test_update_one_is_a_snapshot_whatever_its_type_says():
    assert facts(changed(DELTA, u=1))[0].snapshot


def test_a_trade_s_side_is_the_taker_s():
    trade = Trade(1767225600114 * MS, Side.BUY, "1.2346", "3.0", "20f43950-d8dd-5b31-9112-a178eb6023af")
    assert facts(TRADE) == [Trades(ts_event=trade.ts_event, ts_recv=RECV, symbol="ABCUSDT", trades=(trade,))]


def test_buy_liquidated_means_that_a_long_was_liquidated():
    one = Liquidation(1767225600333 * MS, Side.BUY, "1.1011", "20000")
    assert facts(LIQUIDATION) == [
        Liquidations(ts_event=one.ts_event, ts_recv=RECV, symbol="ABCUSDT", liquidations=(one,), feed=LIQUIDATION_FEED)
    ]
    assert facts(changed(LIQUIDATION, S="Sell"))[0].liquidations[0].position_side is Side.SELL


def test_several_liquidations_in_a_frame_all_count_but_not_those_of_size_zero():
    row = LIQUIDATION["data"][0]
    frame = {**LIQUIDATION, "data": [{**row, "T": 9}, {**row, "v": "0"}, {**row, "T": 7, "v": "2"}]}
    (fact,) = facts(frame)
    assert [each.size for each in fact.liquidations] == ["20000", "2"]
    assert fact.ts_event == 9 * MS
    assert facts(changed(LIQUIDATION, v="0")) == []
    assert facts({**LIQUIDATION, "data": []}) == []
    assert facts({**TRADE, "data": []}) == []


def test_a_ticker_s_changes_are_merged_into_what_came_before():
    decoder = FrameDecoder()
    full = changed({**TICKER, "type": "snapshot"}, lastPrice="1.2", indexPrice="1.3", openInterest="5")
    full = changed(full, fundingRate="-0.0001", nextFundingTime="1767254400000")
    facts(full, decoder)
    (fact,) = facts({**changed(TICKER, markPrice="1.5"), "ts": 7}, decoder)
    assert fact == Ticker(
        ts_event=7 * MS,
        ts_recv=RECV,
        symbol="ABCUSDT",
        last_price="1.2",
        mark_price="1.5",
        index_price="1.3",
        open_interest="5",
        funding_rate="-0.0001",
        next_funding_ns=1767254400000 * MS,
    )


def test_a_ticker_snapshot_or_a_new_connection_forgets_what_came_before():
    decoder = FrameDecoder()
    facts(changed(TICKER, lastPrice="9", nextFundingTime="1767254400000"), decoder)
    (fresh,) = facts({**TICKER, "type": "snapshot"}, decoder)
    assert (fresh.last_price, fresh.next_funding_ns, fresh.mark_price) == ("", 0, "1.2347")
    facts(changed(TICKER, lastPrice="9"), decoder)
    decoder.forget()
    assert facts(TICKER, decoder)[0].last_price == ""


def test_tickers_of_two_symbols_do_not_mix():
    decoder = FrameDecoder()
    facts(changed(TICKER, lastPrice="9"), decoder)
    other = {**changed(TICKER, symbol="XYZUSDT"), "topic": "tickers.XYZUSDT"}
    assert facts(other, decoder)[0].last_price == ""


def test_a_boundary_frame_gives_two_candles():
    frame = {**KLINE, "data": [{**KLINE["data"][0], "confirm": True}, KLINE["data"][0]]}
    first, second = facts(frame)
    assert isinstance(first, Kline)
    assert (first.confirmed, second.confirmed, first.start_ns, first.turnover) == (
        True,
        False,
        1767225600000 * MS,
        "186.02",
    )


@pytest.mark.parametrize(
    ("frame", "pong"),
    [
        ({"success": True, "ret_msg": "", "conn_id": "3c", "req_id": "s1", "op": "subscribe"}, False),
        ({"success": True, "ret_msg": "pong", "conn_id": "46", "req_id": "p1", "op": "ping"}, True),
        ({"req_id": "p1", "op": "pong", "args": ["1767225600123"], "conn_id": "x"}, True),
    ],
)
def test_control_frames_are_told_apart_and_are_no_facts(frame, pong):
    decoded = decode_frame(raw(frame))
    assert isinstance(decoded, Control)
    assert decoded.is_pong is pong
    assert facts(frame) == []


def test_keys_come_in_any_order_and_unknown_ones_are_ignored():
    for frame in ALL:
        turned = dict(reversed(frame.items())) | {"new": [1, {"x": None}]}
        assert facts(turned) == facts(frame)
        assert FrameDecoder().decode(json.dumps(frame, indent=1).encode(), RECV) == facts(frame)


MALFORMED = [
    changed(TRADE, S="buy"),
    changed(TRADE, S=""),
    changed(TRADE, S=None),
    changed(LIQUIDATION, S="Long"),
    changed(LIQUIDATION, v="NaN"),
    changed(LIQUIDATION, v=None),
    changed(LIQUIDATION, p="-1"),
    changed(TRADE, p=1.5),
    changed(TRADE, p="abc"),
    changed(TRADE, v="inf"),
    changed(TRADE, T="1767225600114"),
    changed(TRADE, T=-1),
    changed(TRADE, T=10**16),
    changed(TICKER, markPrice="x"),
    changed(TICKER, markPrice=3),
    changed(TICKER, fundingRate="12"),
    changed(TICKER, fundingRate="nan"),
    changed(TICKER, nextFundingTime="soon"),
    changed(TICKER, nextFundingTime="-1"),
    changed(TICKER, nextFundingTime="9" * 30),
    changed(KLINE, open="x"),
    changed(KLINE, timestamp="1"),
    changed(BOOK, b=[["1.0"]]),
    changed(BOOK, b=[[1.0, 2.0]]),
    changed(BOOK, b=None),
    changed(BOOK, u="1"),
    changed(BOOK, u=-1),
    changed(BOOK, u=2**64),
    {**BOOK, "type": "update"},
    {**BOOK, "data": []},
    {**BOOK, "ts": None},
    {**TRADE, "data": {}},
    {**LIQUIDATION, "topic": "liquidation.ABCUSDT"},
    {"topic": "orderbook"},
    {"topic": None},
    {},
    {"topic": ""},
    {"op": "pong", "topic": ".ABCUSDT"},
    {"type": "delta", "ts": 1, "data": BOOK["data"]},
    {"success": "yes", "op": "subscribe"},
]


@pytest.mark.parametrize("frame", MALFORMED, ids=lambda frame: json.dumps(frame)[:90])
def test_a_malformed_frame_is_refused_with_a_reason_and_kept(frame):
    with pytest.raises(BadFrameError) as caught:
        facts(frame)
    assert caught.value.reason
    assert caught.value.raw == raw(frame)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"1", b'"x"', b"null", b"\xff\xfe", b'{"topic":"', b'{"topic":"\xff.x"}', b'{"x":' + b"[" * 5000,
     b'{"topic":"tickers.A","x":' + b"[" * 5000, b'{"topic":"tickers.A","x":' + b"[" * 5000 + b"]" * 5000 + b"}"],
    ids=lambda text: repr(text[:30]),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(BadFrameError):
        FrameDecoder().decode(text, RECV)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["0", "1e400", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("sbauTSvpi"), inner, max_size=4),
    max_leaves=6,
)


@given(st.sampled_from(ALL), st.data())
def test_no_mutation_of_a_frame_raises_anything_but_its_own_error(frame, data):
    frame = json.loads(json.dumps(frame))
    where = frame if data.draw(st.booleans()) else frame["data"]
    where = where[0] if isinstance(where, list) else where
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(JSON)
    text = bytearray(raw(frame))
    for _ in range(data.draw(st.integers(0, 2))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = FrameDecoder().decode(bytes(text), RECV)
    except BadFrameError:
        return
    assert all(fact.ts_recv == RECV for fact in found)
