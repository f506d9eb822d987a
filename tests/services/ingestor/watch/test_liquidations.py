"""Every fault is found within 60 s of market time or 200 liquidations; nothing is found where nothing is wrong."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.ingestor.watch.liquidations import LiquidationWatch
from tests.services.ingestor.watch import feeds, okx
from tests.support import recorded, unmeasured
from undertow.contracts.messages.market import FeedFault, Ticker, Trade, Trades
from undertow.domain.order import Side
from undertow.exchange.bybit.frames import LiquidationData
from undertow.markets.generated import GeneratedMarket
from undertow.markets.recordings import open_recording

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
HEALTHY_MINUTES = 20
MINUTES = 26
FRAME_RATE = 5.0
SECOND_NS = 1_000_000_000


def market(minutes: float, **how):
    return list(feeds.seen(GeneratedMarket(SYMBOLS, frame_rate=FRAME_RATE, **how).frames(), minutes))


def ticker(at_s, interest="50000", ahead_s=0):
    return Ticker(
        ts_event=(at_s + ahead_s) * SECOND_NS,
        ts_recv=at_s * SECOND_NS + 1,
        symbol="BTCUSDT",
        last_price="",
        mark_price="60000",
        index_price="",
        open_interest=interest,
        funding_rate="",
        next_funding_ns=0,
    )


def trade(at_s, ahead_s=0):
    one = Trade((at_s + ahead_s) * SECOND_NS, Side.BUY, "60000", "1", "t")
    return Trades(ts_event=one.ts_event, ts_recv=at_s * SECOND_NS + 1, symbol="BTCUSDT", trades=(one,))


def liquidations(at_s, *sizes, ahead_s=0):
    return [LiquidationData((at_s + ahead_s) * 1000, "BTCUSDT", Side.SELL, size, "60001") for size in sizes]


def unheard(watch, from_s=0):
    """Thirteen times in a row of what looks like forced trading, of which nothing is told; give what is raised."""
    raised = []
    for at_s in range(from_s, from_s + 20 * 15, 5):
        raised += watch.on_ticker(ticker(at_s, str(50_000 - at_s)))
        raised += watch.on_trades(trade(at_s))
    return {suspect.fault for suspect in raised}


@pytest.fixture(scope="module", params=[7, pytest.param(8, marks=pytest.mark.long)])
def facts(request):
    with unmeasured():
        return market(MINUTES, seed=request.param)


FAULTS = {
    "silent": (FeedFault.SILENT, lambda: feeds.silent, 0),
    "inverted": (FeedFault.INVERTED, lambda: feeds.inverted, 0),
    "zero size": (FeedFault.ZERO_SIZE, lambda: feeds.of_size_zero, 0),
    "ten times the price": (FeedFault.IMPLAUSIBLE_PRICE, lambda: feeds.ten_times_the_price, 0),
    "three seconds late": (FeedFault.LATE, lambda: feeds.as_it_is, 3 * SECOND_NS),
    "one a second": (FeedFault.THINNED, feeds.OneASecond, 0),
    "half of them": (FeedFault.THINNED, lambda: feeds.Half(1), 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_whole_feed_is_found_within_sixty_seconds_or_two_hundred_liquidations(facts, name):
    fault, mutation, delay_ns = FAULTS[name]
    from_ns = HEALTHY_MINUTES * feeds.MINUTE_NS
    raised = feeds.watched(facts, SYMBOLS, mutation(), from_ns=from_ns, delay_ns=delay_ns)
    for symbol in SYMBOLS:
        found = raised[symbol, fault]
        assert found.after_ns >= 0
        assert found.after_ns <= 60 * SECOND_NS or found.events <= 200, found


def test_nothing_is_raised_while_the_feed_is_in_order(facts):
    assert feeds.watched(facts, SYMBOLS) == {}


@pytest.mark.parametrize("symbol", ["SOLUSDT"])
def test_a_fault_of_one_symbol_alone_is_told_of_it(facts, symbol):
    from_ns = 5 * feeds.MINUTE_NS
    for name in ("zero size", "inverted", "ten times the price", "three seconds late"):
        fault, mutation, delay_ns = FAULTS[name]
        raised = feeds.watched(facts, SYMBOLS, mutation(), from_ns=from_ns, only=symbol, delay_ns=delay_ns)
        assert raised[symbol, fault].events <= 200


def test_an_inverted_feed_whose_prices_say_nothing_is_known_by_its_trades(facts):
    others = [fact for fact in facts if not isinstance(fact, Ticker)]  # so that the mark price never is another
    first = [next(fact for fact in facts if isinstance(fact, Ticker) and fact.symbol == symbol) for symbol in SYMBOLS]
    at_mark = {fact.symbol: fact.mark_price for fact in first}

    def at_the_mark(rows):
        return [replace(row, price=at_mark[row.symbol]) for row in feeds.inverted(rows)]

    raised = feeds.watched([*first, *others], SYMBOLS, at_the_mark)
    assert {fault for _, fault in raised} == {FeedFault.INVERTED}
    assert max(each.events for each in raised.values()) <= 200


def test_a_feed_that_never_speaks_is_silent_after_a_dozen_episodes(facts):
    raised = feeds.watched(facts, SYMBOLS, feeds.silent)
    assert {fault for _, fault in raised} == {FeedFault.SILENT}
    assert max(each.events for each in raised.values()) <= 200


def test_a_fault_is_taken_back_when_the_feed_is_in_order_again(facts):
    watch = LiquidationWatch(SYMBOLS, feeds.SILENCE_NS)
    begin_ns = facts[0].ts_recv
    state = {}
    for fact in facts:
        here = fact
        if isinstance(fact, feeds.Liquidated) and fact.recv_ns - begin_ns < 5 * feeds.MINUTE_NS:
            here = feeds.Liquidated(fact.symbol, feeds.inverted(fact.rows), fact.recv_ns)
        for suspect in feeds.told(watch, here):
            state.setdefault((suspect.symbol, suspect.fault), []).append(suspect.suspected)
    assert state == {(symbol, FeedFault.INVERTED): [True, False] for symbol in SYMBOLS}


def test_very_long_silence_is_suspect_while_trades_go_on_and_not_while_they_do_not():
    watch = LiquidationWatch(["BTCUSDT"], 10 * SECOND_NS)
    assert watch.on_ticker(ticker(0)) == watch.on_ticker(ticker(11)) == []
    assert watch.on_trades(trade(12))[0].fault is FeedFault.SILENT
    watch = LiquidationWatch(["BTCUSDT"], 10 * SECOND_NS)
    assert watch.on_trades(trade(0)) == []
    watch.on_blind()
    assert watch.on_trades(trade(12)) == []


def test_one_frame_whose_time_lies_far_ahead_does_not_make_the_watch_deaf():
    ahead_s = 10**9
    assert unheard(LiquidationWatch(["BTCUSDT"], 7200 * SECOND_NS)) == {FeedFault.SILENT}
    for poison in (
        lambda watch: watch.on_ticker(ticker(0, ahead_s=ahead_s)),
        lambda watch: watch.on_trades(trade(0, ahead_s=ahead_s)),
    ):
        watch = LiquidationWatch(["BTCUSDT"], 7200 * SECOND_NS)
        poison(watch)
        assert unheard(watch) == {FeedFault.SILENT}
    watch = LiquidationWatch(["BTCUSDT"], 7200 * SECOND_NS)
    heard = watch.on_liquidations("BTCUSDT", liquidations(0, "1", ahead_s=ahead_s), 1)
    apart = [watch.on_liquidations("BTCUSDT", liquidations(at_s, "1"), at_s * SECOND_NS + 1) for at_s in range(1, 400)]
    assert [suspect.fault for suspects in (heard, *apart) for suspect in suspects] == [FeedFault.THINNED]


def test_nothing_is_raised_on_the_recorded_tape():
    tape = open_recording(recorded("bybit/linear-20260809.rawlines.gz"))
    facts = list(feeds.seen(tape.frames(), 60))
    assert len(facts) > 500
    assert feeds.watched(facts, tape.symbols) == {}


@pytest.mark.long
@pytest.mark.parametrize("manner", ["demonstration", "calibrated"])
def test_nothing_is_raised_in_an_hour_of_generated_market(manner):
    assert feeds.watched(market(60, seed=11, manner=manner), SYMBOLS) == {}


@pytest.mark.unmeasured
@pytest.mark.parametrize("tape", [okx.moved_by_them, okx.unmoved_by_them])
@pytest.mark.parametrize(
    ("from_hour", "hours"), [(22.5, 0.5), pytest.param(0.0, 24.0, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_nothing_is_raised_on_real_liquidations_over_a_generated_tape(tape, from_hour, hours):
    facts = list(tape(from_hour, hours))
    assert sum(len(fact.rows) for fact in facts if isinstance(fact, feeds.Liquidated)) > 50 * hours
    assert feeds.watched(facts, okx.SYMBOLS) == {}
