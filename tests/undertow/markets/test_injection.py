from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import recorded
from undertow.markets.injection import BATCH_NS, SECOND_NS, InjectedSource, plan_cascade
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.markets.ports import MarketFrame
from undertow.markets.tape import TapeSource

ORIGIN = 1_786_310_819_000_000_000
LAG_MS = 100


class StillMarket:
    """Two symbols, a book frame of each every 100 ms, whose event time lies 100 ms before its receive time; no trades."""

    label = "still"
    symbols = ("BTCUSDT", "ETHUSDT")
    instruments = instruments_for(symbols)
    risk_tiers = risk_tiers_for(symbols)
    book_depth = 200
    kline_intervals = ()
    origin_ns = ORIGIN

    def __init__(self, seconds: int = 14) -> None:
        self.seconds = seconds

    def frames(self) -> Iterator[MarketFrame]:
        for step in range(self.seconds * 10):
            at = ORIGIN + step * SECOND_NS // 10
            for symbol, bid, ask in (("BTCUSDT", "65000.00", "65000.10"), ("ETHUSDT", "1900.00", "1900.01")):
                data = {"s": symbol, "b": [[bid, "1"]], "a": [[ask, "1"]], "u": step + 1, "seq": step * 1000}
                frame = {
                    "topic": f"orderbook.200.{symbol}",
                    "type": "snapshot",
                    "ts": at // 10**6 - LAG_MS,
                    "data": data,
                }
                yield MarketFrame(at, json.dumps(frame).encode())


def planted(source: InjectedSource) -> list[tuple[int, dict]]:
    return [(frame.at_ns, json.loads(frame.raw)) for frame in source.frames() if frame.injected]


@pytest.fixture(scope="module")
def tape() -> TapeSource:
    return TapeSource(recorded("bybit/linear-20260809.rawlines.gz"))


def test_the_recording_stays_verbatim_complete_and_in_order(tape):
    frames = list(InjectedSource(tape, seed=7).frames())
    assert [frame for frame in frames if not frame.injected] == list(tape.frames())
    assert any(frame.injected for frame in frames)


def test_times_ascend(tape):
    times = [frame.at_ns for frame in InjectedSource(tape, seed=7).frames()]
    assert times == sorted(times)


def test_the_same_seed_plants_the_same_frames_and_another_seed_others(tape):
    first, again, other = (list(InjectedSource(tape, seed).frames()) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_the_label_says_what_was_done(tape):
    assert InjectedSource(tape, seed=3).label == "recorded linear-20260809 (cascades injected, seed 3)"


def test_the_market_looks_like_the_recording(tape):
    source = InjectedSource(tape, seed=3)
    assert (source.symbols, source.book_depth, source.origin_ns) == (tape.symbols, tape.book_depth, tape.origin_ns)


@pytest.mark.parametrize("seed", range(6))
def test_a_liquidated_long_sells_below_the_bid_and_a_liquidated_short_buys_above_the_ask(seed):
    sides = set()
    order_side = {"Buy": "Sell", "Sell": "Buy"}
    forced_by: dict[tuple[str, int], str] = {}
    frames = planted(InjectedSource(StillMarket(), seed))
    for _, frame in frames:
        if frame["topic"].startswith("allLiquidation"):
            for item in frame["data"]:
                forced_by[item["s"], item["T"]] = item["S"]
    for _, frame in frames:
        if not frame["topic"].startswith("publicTrade"):
            continue
        prices = [Decimal(trade["p"]) for trade in frame["data"]]
        symbol = frame["data"][0]["s"]
        bid, ask = (Decimal(65000), Decimal("65000.1")) if symbol == "BTCUSDT" else (Decimal(1900), Decimal("1900.01"))
        side = forced_by[symbol, frame["data"][0]["T"]]
        sides.add(side)
        assert {trade["S"] for trade in frame["data"]} == {order_side[side]}
        if side == "Buy":
            assert all(price < bid for price in prices)
            assert prices == sorted(prices, reverse=True)
        else:
            assert all(price > ask for price in prices)
            assert prices == sorted(prices)
    assert sides


def test_a_cascade_walks_ever_further_from_the_touch():
    walked: dict[str, list[Decimal]] = defaultdict(list)
    for _, frame in planted(InjectedSource(StillMarket(seconds=8), seed=1)):
        if frame["topic"] == "publicTrade.BTCUSDT":
            walked[frame["data"][0]["S"]] += [Decimal(trade["p"]) for trade in frame["data"]]
    ((side, prices),) = walked.items()
    assert prices == sorted(prices, reverse=side == "Sell")
    assert abs(prices[-1] / 65000 - 1) > Decimal("0.0009")


def test_the_trades_of_a_liquidation_add_up_to_it_and_come_before_it():
    source = InjectedSource(StillMarket(), seed=5)
    traded: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    liquidated: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    traded_at: dict[tuple[str, int], int] = {}
    for at_ns, frame in planted(source):
        for item in frame["data"]:
            key = (item["s"], item["T"])
            if frame["topic"].startswith("publicTrade"):
                traded[key] += Decimal(item["v"])
                traded_at.setdefault(key, at_ns)
            else:
                liquidated[key] += Decimal(item["v"])
                assert traded_at[key] <= at_ns <= traded_at[key] + BATCH_NS
    assert traded == liquidated
    assert len(liquidated) > 10


def test_liquidations_are_told_in_batches_of_half_a_second():
    times = defaultdict(list)
    for at_ns, frame in planted(InjectedSource(StillMarket(), seed=5)):
        if frame["topic"].startswith("allLiquidation"):
            times[frame["topic"]].append(at_ns - ORIGIN)
    assert all(at % BATCH_NS == 0 for each in times.values() for at in each)
    assert all(len(set(each)) == len(each) for each in times.values())


def test_the_bankruptcy_price_lies_beyond_the_trades():
    last: dict[tuple[str, int], Decimal] = {}
    for _, frame in planted(InjectedSource(StillMarket(), seed=2)):
        for item in frame["data"]:
            key, price = (item["s"], item["T"]), Decimal(item["p"])
            if frame["topic"].startswith("publicTrade"):
                last[key] = price
            else:
                assert price < last[key] if item["S"] == "Buy" else price > last[key]


def test_event_times_keep_the_distance_to_receive_times_that_the_recording_has():
    for at_ns, frame in planted(InjectedSource(StillMarket(), seed=4)):
        if frame["topic"].startswith("publicTrade"):
            assert frame["data"][0]["T"] == at_ns // 10**6 - LAG_MS


def test_event_times_of_trades_never_go_back(tape):
    latest: dict[str, int] = defaultdict(int)
    for frame in InjectedSource(tape, seed=7).frames():
        if frame.injected and frame.raw.startswith(b'{"topic":"publicTrade'):
            for trade in json.loads(frame.raw)["data"]:
                assert trade["T"] >= latest[trade["s"]]
                latest[trade["s"]] = trade["T"]


def test_prices_and_sizes_are_on_the_instruments_grid_and_spelt_like_the_recording(tape):
    grids = {item["symbol"]: item for item in instruments_for(tape.symbols)}
    for _, frame in planted(InjectedSource(tape, seed=7)):
        for item in frame["data"]:
            tick = Decimal(grids[item["s"]]["priceFilter"]["tickSize"])
            lot = Decimal(grids[item["s"]]["lotSizeFilter"]["qtyStep"])
            assert Decimal(item["p"]) % tick == 0
            assert Decimal(item["p"]).as_tuple().exponent == tick.as_tuple().exponent
            assert Decimal(item["v"]) % lot == 0
            assert Decimal(item["v"]) > 0


def test_trade_ids_are_unique(tape):
    ids = [
        trade["i"]
        for _, frame in planted(InjectedSource(tape, seed=7))
        if frame["topic"].startswith("publicTrade")
        for trade in frame["data"]
    ]
    assert len(set(ids)) == len(ids)


def test_nothing_is_planted_after_the_last_recorded_frame(tape):
    *_, last = InjectedSource(tape, seed=7).frames()
    assert not last.injected


@pytest.mark.parametrize("timing", [{"length_s": 5.0}, {"length_s": 0.0}, {"first_s": -1.0}])
def test_cascades_that_would_overlap_are_refused(tape, timing):
    with pytest.raises(ValueError, match="must not overlap"):
        InjectedSource(tape, seed=1, **timing)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(), number=st.integers(0, 1000), length=st.integers(1, 10 * SECOND_NS))
def test_any_cascade_stays_within_its_time_and_grows_outward(seed, number, length):
    cascade = plan_cascade(seed, number, "BTCUSDT", ORIGIN, length)
    assert cascade.liquidations
    assert all(ORIGIN <= forced.at_ns < ORIGIN + length for forced in cascade.liquidations)
    ends = [forced.to_bps for forced in cascade.liquidations]
    assert ends == sorted(ends)
    assert all(forced.from_bps < forced.to_bps for forced in cascade.liquidations)


def test_sizes_have_a_heavy_tail():
    sizes = sorted(
        forced.notional_usdt
        for number in range(200)
        for forced in plan_cascade(1, number, "BTCUSDT", ORIGIN, 3 * SECOND_NS).liquidations
    )
    assert sum(sizes[-len(sizes) // 100 :]) > 0.15 * sum(sizes)
