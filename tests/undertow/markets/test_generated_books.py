"""What holds of every generated market, whatever its settings."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.frames import BookFrame, TickerFrame, TradeFrame, decode_frame
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.instruments import instruments_for

FRAMES = 600
MARKETS = st.builds(
    GeneratedMarket,
    symbols=st.sampled_from([(symbol,) for symbol in CONTRACTS]),
    seed=st.integers(0, 2**32),
    manner=st.sampled_from(["demonstration", "calibrated"]),
    planted_edge_bps=st.sampled_from([None, 0.0, 25.0, 200.0]),
    frame_rate=st.sampled_from([1.0, 10.0, 50.0]),
)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(MARKETS)
def test_the_book_is_contiguous_full_on_the_grid_and_never_crossed(market):
    (instrument,) = instruments_for(market.symbols)
    tick, lot = Decimal(instrument["priceFilter"]["tickSize"]), Decimal(instrument["lotSizeFilter"]["qtyStep"])
    book, last, at_ns = OrderBook(200), None, 0
    for frame in islice(market.frames(), FRAMES):
        assert frame.at_ns >= at_ns
        at_ns = frame.at_ns
        fact = decode_frame(frame.raw)
        if isinstance(fact, BookFrame):
            assert (last is None) == fact.snapshot
            assert last is None or fact.data.update_id == last + 1
            last = fact.data.update_id
            book.apply(fact.data.bids, fact.data.asks)
            assert not book.is_crossed
            assert [len(side) for side in book.levels()] == [200, 200]
            grid = [*fact.data.bids, *fact.data.asks]
        elif isinstance(fact, TradeFrame):
            grid = [(trade.price, trade.size) for trade in fact.data]
            assert all(Decimal(size) > 0 for _, size in grid)
        else:
            continue
        assert all(Decimal(price) % tick == 0 == Decimal(size) % lot for price, size in grid)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(MARKETS)
def test_the_same_settings_give_the_same_bytes_and_the_label_says_what_they_are(market):
    assert list(islice(market.frames(), FRAMES)) == list(islice(market.frames(), FRAMES))
    edge = market.edge_bps
    assert market.label.startswith(f"generated, {market.manner} (seed {market.seed}")
    assert (f"planted edge {edge:g} bp" in market.label) == (edge > 0)
    assert ("no planted edge" in market.label) == (edge == 0)


@pytest.mark.parametrize(("manner", "edge"), [("demonstration", 25.0), ("calibrated", 0.0)])
def test_each_manner_has_its_own_default_edge(manner, edge):
    assert GeneratedMarket(("BTCUSDT",), manner=manner).edge_bps == edge
    assert GeneratedMarket(("BTCUSDT",), manner=manner, planted_edge_bps=3.0).edge_bps == 3.0


def test_the_manners_are_different_markets():
    first = [
        next(iter(GeneratedMarket(("BTCUSDT",), manner=name).frames())) for name in ("demonstration", "calibrated")
    ]
    assert first[0] != first[1]


def test_a_ticker_that_tells_nothing_new_is_not_sent():
    market = GeneratedMarket(("BTCUSDT",), manner="calibrated", frame_rate=1.0)
    for frame in islice(market.frames(), 2_000):
        fact = decode_frame(frame.raw)
        if isinstance(fact, TickerFrame):
            assert frame.raw.count(b'":"') > 3
