from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertow.domain.order import Side
from undertow.domain.position import Position
from undertow.trading import ledger as module
from undertow.trading.ledger import Books, Ledger

D = Decimal
OPENING, ONE, PRICE, FEE = D("10000"), D("1"), D("100"), D("0.02")


@dataclass(frozen=True)
class Fill:
    exec_id: str
    side: Side = Side.BUY
    qty: Decimal = ONE
    price: Decimal = PRICE
    fee: Decimal = FEE
    symbol: str = "BTCUSDT"
    exec_type: str = "Trade"
    fee_coin: str = "USDT"


@dataclass(frozen=True)
class Row:
    entry_id: str
    kind: str
    change: Decimal
    coin: str = "USDT"


def fresh() -> Ledger:
    return Ledger(Books(coin="USDT", opening_wallet=OPENING))


def test_an_execution_counts_once():
    ledger = fresh()
    assert ledger.book(Fill("a"))
    assert not ledger.book(Fill("a", qty=D("7")))
    assert ledger.positions["BTCUSDT"].qty == 1
    assert ledger.wallet == OPENING - D("0.02")


def test_funding_moves_money_and_never_the_position():
    ledger = fresh()
    ledger.book(Fill("a", fee=D(0)))
    ledger.book(Fill("f", exec_type="Funding", qty=D("1"), fee=D("0.3")))
    assert ledger.positions["BTCUSDT"].qty == 1
    assert ledger.funding == D("-0.3")
    assert ledger.wallet == OPENING - D("0.3")


@pytest.mark.parametrize("forced", ["BustTrade", "AdlTrade"])
def test_a_forced_close_closes_our_position_too(forced):
    ledger = fresh()
    ledger.book(Fill("a", fee=D(0)))
    ledger.book(Fill("b", side=Side.SELL, price=D("90"), fee=D(0), exec_type=forced))
    assert ledger.positions["BTCUSDT"].is_flat
    assert ledger.wallet == OPENING - 10


def test_a_fee_in_another_coin_leaves_the_wallet_alone():
    ledger = fresh()
    ledger.book(Fill("a", fee=D("0.001"), fee_coin="MNT"))
    ledger.book(Fill("b", fee=D("0.002"), fee_coin="MNT"))
    assert ledger.wallet == OPENING
    assert ledger.fees_elsewhere == {"MNT": D("0.003")}


def test_transfers_and_interest_are_kept_apart_and_count_once():
    ledger = fresh()
    assert ledger.book_row(Row("1", "TRANSFER_IN", D("500")))
    assert not ledger.book_row(Row("1", "TRANSFER_IN", D("500")))
    assert ledger.book_row(Row("2", "TRANSFER_OUT", D("-200")))
    assert ledger.book_row(Row("3", "INTEREST", D("-1")))
    assert not ledger.book_row(Row("4", "TRADE", D("-9")))
    assert not ledger.book_row(Row("5", "TRANSFER_IN", D("1"), coin="BTC"))
    assert (ledger.transfers, ledger.other_cash) == (D("300"), D("-1"))
    assert ledger.wallet == OPENING + 299


def test_what_the_opening_balance_contains_is_not_booked_again():
    ledger = fresh()
    ledger.adopt(["a"], ["1"])
    assert not ledger.book(Fill("a"))
    assert not ledger.book_row(Row("1", "TRANSFER_IN", D("5")))


def test_differences_name_the_symbol_on_either_side():
    ledger = fresh()
    ledger.book(Fill("a", fee=D(0)))
    residuals = ledger.residuals({"ETHUSDT": D("-2")}, OPENING - D("0.01"))
    assert residuals.qty == {"BTCUSDT": D("1"), "ETHUSDT": D("2")}
    assert residuals.position == 3
    assert residuals.money == D("0.01")


def test_unrealised_uses_marks_and_takes_an_unknown_mark_as_the_entry():
    ledger = fresh()
    ledger.book(Fill("a", fee=D(0)))
    ledger.book(Fill("b", symbol="ETHUSDT", fee=D(0)))
    assert ledger.unrealised({"BTCUSDT": D("103")}) == 3


def test_remembered_ids_are_bounded_and_the_newest_stay(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_IDS", 3)
    ledger = fresh()
    for number in range(5):
        ledger.book(Fill(str(number)))
    assert ledger.books().booked_executions == ("2", "3", "4")
    assert not ledger.book(Fill("4"))


fills = st.lists(
    st.tuples(
        st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        st.sampled_from(Side),
        st.integers(1, 500),
        st.integers(1, 10**7),
        st.integers(-1000, 10**6),
        st.sampled_from(["Trade", "Trade", "Trade", "Funding", "BustTrade", "AdlTrade"]),
    ),
    max_size=60,
)


def made(raw):
    return [
        Fill(
            exec_id=f"e{number}",
            symbol=symbol,
            side=side,
            qty=D(qty) / 1000,
            price=D(price) / 100,
            fee=D(fee) / 10**8,
            exec_type=kind,
        )
        for number, (symbol, side, qty, price, fee, kind) in enumerate(raw)
    ]


@given(fills)
@settings(max_examples=200, deadline=None)
def test_the_position_is_the_sum_of_its_fills_through_flips(raw):
    ledger = fresh()
    expected: dict[str, Decimal] = {}
    for fill in made(raw):
        ledger.book(fill)
        if fill.exec_type != "Funding":
            expected[fill.symbol] = expected.get(fill.symbol, D(0)) + fill.qty * fill.side.sign
    assert {s: p.qty for s, p in ledger.positions.items() if s in expected} == expected


@given(fills)
@settings(max_examples=200, deadline=None)
def test_a_flat_account_has_gained_exactly_its_cash_flows(raw):
    ledger = fresh()
    flows = D(0)
    everything = made(raw)
    for fill in everything:
        ledger.book(fill)
    closing = [
        Fill(f"close-{p.symbol}", Side.SELL if p.qty > 0 else Side.BUY, abs(p.qty), D("123.45"), D(0), p.symbol)
        for p in list(ledger.positions.values())
        if p.qty
    ]
    for fill in closing:
        ledger.book(fill)
    for fill in everything + closing:
        if fill.exec_type != "Funding":
            flows -= fill.qty * fill.price * fill.side.sign
        flows -= fill.fee
    assert ledger.wallet - OPENING == flows


@given(fills, st.integers(0, 60), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_restart_anywhere_with_everything_told_again_changes_nothing(raw, cut, random):
    everything = made(raw)
    straight, interrupted = fresh(), fresh()
    for fill in everything:
        straight.book(fill)
    for fill in everything[:cut]:
        interrupted.book(fill)
    kept = msgspec.json.encode(interrupted.books())
    resumed = Ledger(msgspec.json.decode(kept, type=Books))
    again = everything[:cut]
    random.shuffle(again)
    for fill in [*again, *everything[cut:], *again]:
        resumed.book(fill)
    assert resumed.books() == straight.books()


def test_positions_survive_the_checkpoint_exactly():
    books = Books(
        coin="USDT",
        opening_wallet=OPENING,
        positions=(Position(symbol="BTCUSDT", qty=D("0.003"), cost=D("192.12345678"), realised=D("-0.00000001")),),
    )
    assert msgspec.json.decode(msgspec.json.encode(books), type=Books) == books
