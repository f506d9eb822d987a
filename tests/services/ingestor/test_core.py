from __future__ import annotations

import gzip
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingestor.core import ASK_AGAIN_NS, BOOK_SILENCE_NS, Drop, Publish, Resubscribe
from services.ingestor.losses import Loss
from tests.services.ingestor.as_read import ReadCore
from tests.support import recorded
from tests.undertow.exchange.bybit.frames import KLINE, LIQUIDATION, TICKER, TRADE, changed, raw
from undertow.contracts.messages.market import Book, FeedSuspect, Gap, GapReason, Liquidations, Resync, Ticker

SYMBOL = "ABCUSDT"
MS = 1_000_000
LOSS = Loss(2, 5, 9)


def book(
    u, *, kind="delta", bids=(("1.0", "5"),), asks=(("1.1", "5"),), at_ms=1000, symbol=SYMBOL, depth=200, seq=None
):
    data = {"s": symbol, "b": bids, "a": asks, "u": u, "seq": u * 10 if seq is None else seq}
    return raw({"topic": f"orderbook.{depth}.{symbol}", "type": kind, "ts": at_ms + 3, "data": data, "cts": at_ms})


def snapshot(u=10, **how):
    return book(u, kind="snapshot", **how)


@pytest.fixture
def core():
    return ReadCore([SYMBOL])


@pytest.fixture
def synced(core):
    core.on_frame(snapshot(10), 1)
    return core


def kinds(effects):
    return [type(e.fact) if isinstance(e, Publish) else type(e) for e in effects]


def test_the_first_snapshot_is_announced_then_published(core):
    assert core.out_of_sync == []
    effects = core.on_frame(snapshot(10), 7)
    assert kinds(effects) == [Resync, Book]
    assert effects[1].fact.snapshot
    assert (effects[0].fact.ts_event, effects[0].fact.ts_recv) == (1000 * MS, 7)
    assert core.best(SYMBOL) == ("1.0", "1.1")


def test_an_old_snapshot_followed_by_a_burst_of_deltas_is_in_step(core):
    frames = [snapshot(10, at_ms=1000), *(book(u, at_ms=1000 + 100 * u) for u in range(11, 31))]
    effects = [e for frame in frames for e in core.on_frame(frame, 9_000 * MS)]
    assert kinds(effects) == [Resync, *[Book] * 21]


def test_a_delta_is_published_as_it_came(synced):
    (effect,) = synced.on_frame(book(11, bids=(("1.0", "0"), ("0.9", "2")), asks=()), 5)
    assert (effect.fact.bids, effect.fact.asks, effect.fact.update_id) == ((("1.0", "0"), ("0.9", "2")), (), 11)
    assert synced.best(SYMBOL) == ("0.9", "1.1")


def test_a_gap_is_told_once_and_healed_by_a_snapshot(synced):
    effects = synced.on_frame(book(12), 2)
    assert kinds(effects) == [Drop, Gap, Resubscribe]
    assert effects[1].fact.reason is GapReason.UPDATE_ID
    assert synced.out_of_sync == [SYMBOL]
    assert synced.best(SYMBOL) is None
    for u in (13, 14, 20):
        assert synced.on_frame(book(u), 3) == [Drop(SYMBOL, "delta_before_snapshot", f"u {u}")]
    assert kinds(synced.on_frame(snapshot(30), 4)) == [Resync, Book]
    assert kinds(synced.on_frame(book(31), 5)) == [Book]
    assert synced.out_of_sync == []


def test_a_book_that_stays_away_is_asked_for_again(synced):
    synced.on_frame(book(12), 0)
    assert kinds(synced.on_frame(book(13), ASK_AGAIN_NS - 1)) == [Drop]
    assert kinds(synced.on_frame(book(14), ASK_AGAIN_NS)) == [Drop, Resubscribe]
    assert kinds(synced.on_frame(book(15), ASK_AGAIN_NS + 1)) == [Drop]


def test_a_delta_before_any_snapshot_asks_for_one(core):
    assert kinds(core.on_frame(book(5), 1)) == [Drop, Resubscribe]
    assert kinds(core.on_frame(book(6), 2)) == [Drop]
    assert core.out_of_sync == [SYMBOL]


@pytest.mark.parametrize("u", [9, 10])
def test_an_update_that_was_seen_is_dropped_without_harm(synced, u):
    assert synced.on_frame(book(u), 2) == [Drop(SYMBOL, "old_update", f"u {u} after 10")]
    assert kinds(synced.on_frame(book(11), 3)) == [Book]


def test_a_restart_whose_snapshot_is_lost_is_a_gap_though_its_numbers_are_low(synced):
    assert kinds(synced.on_frame(book(2, seq=105), 2)) == [Drop, Gap, Resubscribe]
    assert kinds(synced.on_frame(snapshot(2, seq=105), 3)) == [Resync, Book]
    assert kinds(synced.on_frame(book(3, seq=106), 4)) == [Book]


@pytest.mark.parametrize(("u", "seq"), [(11, 99), (11, 100), (2, 99), (2, 100)])
def test_what_was_shown_before_a_restart_is_old_whatever_its_number(synced, u, seq):
    synced.on_frame(snapshot(1, seq=100), 2)
    assert synced.on_frame(book(u, seq=seq), 3) == [Drop(SYMBOL, "old_update", f"u {u} after 1")]
    assert kinds(synced.on_frame(book(2, seq=101), 4)) == [Book]


def test_without_a_sequence_update_ids_alone_decide(core):
    core.on_frame(snapshot(10, seq=0), 1)
    assert kinds(core.on_frame(book(9, seq=0), 2)) == [Drop]
    assert kinds(core.on_frame(book(11, seq=0), 3)) == [Book]
    assert kinds(core.on_frame(book(13, seq=0), 4)) == [Drop, Gap, Resubscribe]


def test_a_snapshot_in_the_middle_replaces_the_book(synced):
    assert kinds(synced.on_frame(snapshot(50, bids=(("0.5", "1"),)), 2)) == [Book]
    assert synced.best(SYMBOL) == ("0.5", "1.1")
    assert kinds(synced.on_frame(book(51), 3)) == [Book]


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_update_one_is_a_restart_of_the_venue_s_service(synced, kind):
    assert kinds(synced.on_frame(book(1, kind=kind), 2)) == [Resync, Book]
    assert kinds(synced.on_frame(book(2), 3)) == [Book]


@pytest.mark.parametrize("price", ["1.1", "1.2"])
def test_a_crossed_book_is_never_published(synced, price):
    effects = synced.on_frame(book(11, bids=((price, "1"),), asks=()), 2)
    assert kinds(effects) == [Drop, Gap, Resubscribe]
    assert effects[1].fact.reason is GapReason.CROSSED


def test_a_crossed_snapshot_is_not_published_and_tells_no_second_gap(synced):
    crossed = snapshot(20, bids=(("2", "1"),))
    assert kinds(synced.on_frame(crossed, 2)) == [Drop, Gap, Resubscribe]
    assert kinds(synced.on_frame(crossed, 3)) == [Drop]
    assert kinds(synced.on_frame(snapshot(21), 4)) == [Resync, Book]


@pytest.mark.parametrize("bad", [("x", "1"), ("1.05", "-3"), ("nan", "1"), ("1.05", "")])
def test_levels_that_cannot_be_read_end_the_book_with_a_reason(synced, bad):
    effects = synced.on_frame(book(11, bids=(bad,)), 2)
    assert kinds(effects) == [Drop, Gap, Resubscribe]
    assert effects[0].reason == "malformed"
    assert kinds(synced.on_frame(book(12), 3)) == [Drop]
    effects = synced.on_frame(snapshot(20, bids=(bad,)), 4)
    assert kinds(effects) == [Drop]
    assert effects[0].reason == "malformed"
    assert kinds(synced.on_frame(snapshot(21), 5)) == [Resync, Book]


def test_after_a_lost_connection_a_resync_and_a_snapshot_come_before_any_delta(synced):
    effects = synced.on_disconnected("gone", 77)
    assert effects == [
        Publish(SYMBOL, Gap(ts_event=77, ts_recv=77, symbol=SYMBOL, reason=GapReason.DISCONNECTED, detail="gone"))
    ]
    assert synced.on_disconnected("gone again", 78) == []
    assert kinds(synced.on_frame(book(11), 80)) == [Drop, Resubscribe]  # though its number would fit
    assert kinds(synced.on_frame(snapshot(11), 81)) == [Resync, Book]
    assert kinds(synced.on_frame(book(12), 82)) == [Book]


def test_a_lost_connection_forgets_the_tickers(core):
    core.on_frame(raw(changed(TICKER, lastPrice="3")), 1)
    core.on_disconnected("gone", 2)
    (effect,) = core.on_frame(raw(TICKER), 3)
    assert effect.fact.last_price == ""


def test_a_checkpoint_is_the_whole_book_at_the_time_of_the_latest_change():
    core = ReadCore([SYMBOL], checkpoint_ns=500 * MS)
    core.on_frame(snapshot(10, at_ms=1000), 1)
    assert len(core.on_frame(book(11, at_ms=1499, bids=(("0.9", "1"),), asks=()), 2)) == 1
    _, checkpoint = core.on_frame(book(12, at_ms=1500, bids=(), asks=(("1.1", "0"), ("1.3", "2"))), 3)
    assert checkpoint.fact == Book(
        ts_event=1500 * MS,
        ts_recv=3,
        symbol=SYMBOL,
        snapshot=True,
        bids=(("1.0", "5"), ("0.9", "1")),
        asks=(("1.3", "2"),),
        update_id=12,
        sequence=120,
    )
    assert len(core.on_frame(book(13, at_ms=1999), 4)) == 1
    assert len(core.on_frame(book(14, at_ms=2000), 5)) == 2


def test_a_book_whose_topic_falls_silent_while_the_others_go_on_is_given_up_once_and_asked_for(synced):
    for recv_ns in (2, BOOK_SILENCE_NS):
        assert kinds(synced.on_frame(raw(TICKER), recv_ns)) == [Ticker]
    ticker, gap, ask = synced.on_frame(raw(TICKER), BOOK_SILENCE_NS + 1)
    assert isinstance(ticker.fact, Ticker)
    assert (gap.fact.reason, ask) == (GapReason.SILENT, Resubscribe(SYMBOL))
    assert synced.out_of_sync == [SYMBOL]
    assert kinds(synced.on_frame(raw(TICKER), BOOK_SILENCE_NS + 2)) == [Ticker]
    assert kinds(synced.on_frame(snapshot(20), BOOK_SILENCE_NS + 3)) == [Resync, Book]


def test_a_book_of_which_nothing_ever_comes_is_asked_for(core):
    assert kinds(core.on_frame(raw(TICKER), 1)) == [Ticker]
    assert kinds(core.on_frame(raw(TICKER), BOOK_SILENCE_NS + 1)) == [Ticker, Resubscribe]


def test_a_change_that_is_dated_far_ahead_does_not_end_the_checkpoints():
    core = ReadCore([SYMBOL], checkpoint_ns=500 * MS)
    core.on_frame(snapshot(10, at_ms=1000), 1)
    assert len(core.on_frame(book(11, at_ms=9_000_000), 2)) == 2
    assert len(core.on_frame(book(12, at_ms=1100), 3)) == 2
    assert len(core.on_frame(book(13, at_ms=1599), 4)) == 1
    assert len(core.on_frame(book(14, at_ms=1600), 5)) == 2


def test_readers_who_missed_facts_hear_of_it_and_get_the_whole_book_to_go_on_from(synced):
    synced.on_frame(book(11, at_ms=1200, bids=(("0.9", "2"),), asks=()), 5)
    gap, resync, whole = (effect.fact for effect in synced.on_unpublished({SYMBOL: LOSS}, 77))
    assert gap == LOSS.gap(SYMBOL, 77)
    assert resync == Resync(ts_event=1200 * MS, ts_recv=5, symbol=SYMBOL)
    assert whole == Book(
        ts_event=1200 * MS,
        ts_recv=5,
        symbol=SYMBOL,
        snapshot=True,
        bids=(("1.0", "5"), ("0.9", "2")),
        asks=(("1.1", "5"),),
        update_id=11,
        sequence=110,
    )
    assert kinds(synced.on_frame(book(12), 78)) == [Book]


def test_readers_who_missed_facts_get_no_book_that_is_not_in_step(synced):
    synced.on_frame(book(12), 2)
    assert kinds(synced.on_unpublished({SYMBOL: LOSS}, 3)) == [Gap]
    assert kinds(synced.on_frame(snapshot(20), 4)) == [Resync, Book]
    assert kinds(ReadCore([SYMBOL]).on_unpublished({SYMBOL: LOSS}, 1)) == [Gap]


def test_a_foreign_symbol_or_depth_is_dropped(core):
    assert kinds(core.on_frame(snapshot(10, symbol="XYZUSDT"), 1)) == [Drop]
    (drop,) = core.on_frame(snapshot(10, depth=50), 1)
    assert drop.reason == "foreign_topic"
    assert core.best(SYMBOL) is None


def test_other_facts_pass_while_the_book_is_away(core):
    (liquidation,) = core.on_frame(raw(LIQUIDATION), 1)
    assert isinstance(liquidation.fact, Liquidations)
    assert kinds(core.on_frame(raw({**TRADE, "data": []}), 1)) == [Drop]


@pytest.mark.parametrize(
    "frame", [b"garbage", raw(changed(TRADE, S="B")), raw(changed(TRADE, p="x")), raw(changed(LIQUIDATION, S=1))]
)
def test_a_malformed_frame_is_dropped_with_a_reason(core, frame):
    (drop,) = core.on_frame(frame, 1)
    assert (drop.reason, bool(drop.detail)) == ("malformed", True)


def test_acknowledgements_have_no_effect(core):
    assert core.on_frame(b'{"success":true,"op":"subscribe","req_id":"s"}', 1) == []


PRICES = st.sampled_from(["0.9", "1.0", "1.05", "1.1", "1.2", "x"])
SIDE = st.lists(st.tuples(PRICES, st.sampled_from(["0", "1", "2", "-1"])), max_size=3)
STEP = st.tuples(st.sampled_from(["snapshot", "delta", "delta", "delta", "lost"]), st.integers(0, 3), SIDE, SIDE)


@given(st.lists(STEP, max_size=30))
def test_readers_never_see_a_delta_without_its_predecessor_nor_a_crossed_book(steps):
    core, u, readers = ReadCore([SYMBOL]), 10, None
    twin = ({}, {})
    for number, (kind, jump, bids, asks) in enumerate(steps):
        if kind == "lost":
            effects = core.on_disconnected("x", number)
        else:
            u += jump
            effects = core.on_frame(book(u, kind=kind, bids=bids, asks=asks), number)
        for effect in effects:
            if not isinstance(effect, Publish):
                continue
            fact = effect.fact
            if isinstance(fact, Gap):
                assert readers is not None
                readers = None
            elif isinstance(fact, Resync):
                readers = "promised"
            elif isinstance(fact, Book):
                assert readers is not None
                assert fact.snapshot or fact.update_id == readers + 1
                readers = fact.update_id
                for side, rows in zip(twin, (fact.bids, fact.asks), strict=True):
                    if fact.snapshot:
                        side.clear()
                    for price, size in rows:
                        side[float(price)] = size
                        if size == "0":
                            del side[float(price)]
                assert not (twin[0] and twin[1]) or max(twin[0]) < min(twin[1])


FRAMES = [snapshot(10), book(11), *map(raw, (TRADE, TICKER, LIQUIDATION, KLINE))]
ODD = ["1e400", "-1", '""', "null", "[]", "{}", "true", "1" * 400, '"NaN"', '"1e999"', "\\ud800", "9" * 19, "0.5"]
MUTATION = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 400), st.just("")),
    st.tuples(st.just("value"), st.integers(0, 30), st.sampled_from(ODD)),
    st.tuples(st.just("byte"), st.integers(0, 400), st.characters(max_codepoint=255)),
    st.tuples(st.just("key"), st.integers(0, 30), st.sampled_from(["new", "S", "data", "topic"])),
    st.tuples(st.just("none"), st.just(0), st.just("")),
)


def mutated(frame, how, at, what):
    text = frame.decode()
    if how == "cut":
        return text[: at % len(text)].encode()
    if how == "byte":
        at %= len(text)
        return (text[:at] + what + text[at + 1 :]).encode()
    if how == "value":
        found = list(re.finditer(r'(?<=:)("[^"]*"|[\d.]+|true|false|\[[^\[\]]*\])', text))
        each = found[at % len(found)]
        return (text[: each.start()] + what + text[each.end() :]).encode()
    if how == "key":
        found = list(re.finditer(r'"(\w+)"(?=:)', text))
        each = found[at % len(found)]
        return (text[: each.start(1)] + what + text[each.end(1) :]).encode()
    return frame


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FRAMES), MUTATION), max_size=12))
def test_every_frame_is_published_or_dropped_with_a_reason_and_the_stream_goes_on(steps):
    core = ReadCore([SYMBOL])
    for number, (frame, mutation) in enumerate(steps):
        wrong = mutated(frame, *mutation)
        effects = core.on_frame(wrong, number)
        if not effects:
            assert b'"topic"' not in wrong  # what has no topic is an answer of the venue's
            continue
        drops = [effect for effect in effects if isinstance(effect, Drop)]
        told = [e for e in effects if isinstance(e, Publish) and not isinstance(e.fact, Gap | FeedSuspect)]
        assert len(drops) == (0 if told else 1)
        assert all(drop.reason != "malformed" or (drop.raw == wrong and drop.detail) for drop in drops)
    assert kinds(core.on_frame(snapshot(50), 99))[-1] is Book
    assert kinds(core.on_frame(book(51), 100)) == [Book]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame[10:20].decode())
def test_keys_that_nobody_knows_are_ignored(frame):
    core, plain = ReadCore([SYMBOL]), ReadCore([SYMBOL])
    for each in (core, plain):
        each.on_frame(snapshot(10), 1)
    with_more = frame.replace(b'"data":', b'"new":{"a":[1]},"data":', 1).replace(b'"s":', b'"novel":null,"s":')
    assert with_more != frame
    assert core.on_frame(with_more, 2) == plain.on_frame(frame, 2)


def test_every_book_of_the_recorded_tape_ends_as_an_independent_replay_says():
    lines = gzip.decompress(recorded("bybit/linear-20260809.rawlines.gz").read_bytes()).splitlines()
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
    core, twin, effects = ReadCore(symbols), {}, []
    for line in lines:
        at, _, text = line.partition(b" ")
        effects += core.on_frame(text, int(at))
        frame = json.loads(text)
        if not str(frame.get("topic", "")).startswith("orderbook"):
            continue
        data = frame["data"]
        if frame["type"] == "snapshot":
            twin[data["s"]] = {"b": {}, "a": {}}
        for side in "ba":
            for price, size in data[side]:
                twin[data["s"]][side].pop(price, None)
                if float(size):
                    twin[data["s"]][side][price] = size
    assert len(effects) >= 2529
    assert not [e for e in effects if not isinstance(e, Publish)]
    assert sum(isinstance(e.fact, Resync) for e in effects) == len(symbols)
    assert sum(isinstance(e.fact, Book) and e.fact.snapshot for e in effects) >= 4 * len(symbols)
    for symbol in symbols:
        sides = twin[symbol]
        best = max(sides["b"], key=float), min(sides["a"], key=float)
        assert core.best(symbol) == best
