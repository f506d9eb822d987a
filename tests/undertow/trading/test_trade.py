from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.services.order_router.rig import SECOND, START
from undertow.domain.order import OrderRole, Side
from undertow.exchange.models import VenueExecution
from undertow.trading.records import Plan
from undertow.trading.trade import (
    TRANSITIONS,
    Closed,
    Entering,
    Exiting,
    Holding,
    ImpossibleStep,
    Stage,
    Trade,
    TradeEvent,
)

PLAN = Plan(
    trade_id="t",
    signal_id="s",
    symbol="BTCUSDT",
    source="model_server",
    side=Side.SELL,
    delta_bps=4.0,
    hold_ns=2 * SECOND,
    rest_ns=3 * SECOND,
    model_hash="m",
    expected_bps=1.5,
)
STAGES = {
    Stage.ENTERING: Entering(cancel_at_ns=START + 3 * SECOND),
    Stage.HOLDING: Holding(first_fill_ns=START, exit_at_ns=START + 2 * SECOND),
    Stage.EXITING: Exiting(asked_ns=START, why="held 2 s"),
    Stage.CLOSED: Closed(closed_ns=START, why=""),
}


def trade(stage: Stage = Stage.ENTERING) -> Trade:
    return replace(Trade.opened(PLAN, "en-1", START), stage=STAGES[stage])


def fill(side: Side, qty: str, price: str, fee: str = "0.5", **changes: object) -> VenueExecution:
    base = VenueExecution(
        exec_id="x",
        order_id="en-1",
        venue_order_id="v",
        symbol="BTCUSDT",
        side=side,
        exec_type="Trade",
        price=Decimal(price),
        qty=Decimal(qty),
        fee=Decimal(fee),
        fee_coin="USDT",
        is_maker=True,
        executed_ns=START,
    )
    return replace(base, **changes)


@pytest.mark.parametrize(("stage", "event"), sorted(itertools.product(Stage, TradeEvent)))
def test_every_pair_has_its_edge_or_is_our_mistake(stage: Stage, event: TradeEvent):
    step = {
        TradeEvent.ENTRY_FILLED: lambda t: t.entry_filled(START + SECOND),
        TradeEvent.ENTRY_SURFACED: lambda t: t.entry_surfaced(START + SECOND),
        TradeEvent.EXIT_ASKED: lambda t: t.exit_asked(START + SECOND, "why"),
        TradeEvent.FLAT: lambda t: t.flat(START + SECOND),
    }[event]
    if (stage, event) in TRANSITIONS:
        assert step(trade(stage)).stage.name is TRANSITIONS[stage, event]
    else:
        with pytest.raises(ImpossibleStep, match=f"{stage} cannot be {event}"):
            step(trade(stage))


def test_t_counts_from_the_first_fill():
    first = trade().entry_filled(START + SECOND)
    assert first.stage == Holding(first_fill_ns=START + SECOND, exit_at_ns=START + 3 * SECOND)
    assert first.entry_filled(START + 2 * SECOND) is first


def test_a_fill_while_exiting_does_not_bring_the_holding_back():
    assert trade(Stage.EXITING).entry_filled(START).stage == STAGES[Stage.EXITING]


def test_the_first_reason_to_exit_holds():
    exiting = trade(Stage.HOLDING).exit_asked(START, "held 2 s").exit_asked(START + 1, "flatten")
    assert exiting.stage == Exiting(asked_ns=START, why="held 2 s")
    assert exiting.flat(START + 2).stage == Closed(closed_ns=START + 2, why="held 2 s")
    assert exiting.flat(START + 2, "position gone").stage == Closed(closed_ns=START + 2, why="position gone")


def test_the_result_is_what_its_fills_say():
    done = (
        trade()
        .executed(fill(Side.SELL, "1", "100"), OrderRole.ENTRY)
        .executed(fill(Side.SELL, "1", "102"), OrderRole.ENTRY)
        .executed(fill(Side.BUY, "1.5", "99"), OrderRole.EXIT)
        .executed(fill(Side.BUY, "0.5", "103"), OrderRole.STOP)
        .flat(START + SECOND)
    )
    result = done.result(START + 2 * SECOND)
    assert result is not None
    assert result.ts_event == START + SECOND
    assert result.qty == 2
    assert result.entry_price == 101
    assert result.exit_price == 100
    assert result.gross_pnl == 2
    assert result.fees == 2
    assert result.return_bps == 0.0
    assert result.side is Side.SELL


def test_a_fee_in_another_coin_is_kept_by_coin_and_counts_at_the_rate_that_the_venue_named():
    mnt = {"fee_coin": "MNT", "fee_rate": Decimal("0.001")}
    done = (
        trade()
        .executed(fill(Side.SELL, "1", "100", "7", **mnt), OrderRole.ENTRY)
        .executed(fill(Side.SELL, "1", "100", "0.25"), OrderRole.ENTRY)
        .executed(fill(Side.BUY, "2", "99", "3", **mnt), OrderRole.EXIT)
        .flat(START)
    )
    result = done.result(START)
    assert result is not None
    assert result.gross_pnl == 2
    assert result.fees == Decimal("0.25")  # 10 MNT are not 10 USDT
    assert result.fees_elsewhere == (("MNT", Decimal(10)),)
    assert result.fees_converted == Decimal("0.298")
    assert result.net_pnl == Decimal("1.452")
    assert result.return_bps == pytest.approx(float(Decimal("1.452") / 200 * 10_000))


def test_funding_while_it_is_held_belongs_to_the_result():
    done = (
        trade()
        .executed(fill(Side.SELL, "1", "100", "0"), OrderRole.ENTRY)
        .funded(Decimal("0.3"))
        .funded(Decimal("-0.1"))
        .executed(fill(Side.BUY, "1", "99", "0"), OrderRole.EXIT)
        .flat(START)
    )
    result = done.result(START)
    assert result is not None
    assert (result.gross_pnl, result.funding, result.net_pnl) == (1, Decimal("-0.2"), Decimal("0.8"))
    assert result.return_bps == pytest.approx(80.0)


def test_a_trade_that_ended_with_fills_unexplained_says_that_its_result_is_not_known():
    whole = trade().executed(fill(Side.SELL, "1", "100"), OrderRole.ENTRY).flat(START, "position gone").result(START)
    assert whole is not None
    assert not whole.is_complete


def test_a_trade_without_a_fill_has_no_result_and_one_without_an_exit_no_exit_price():
    assert trade().flat(START).result(START) is None
    held = trade().executed(fill(Side.SELL, "1", "100"), OrderRole.ENTRY)
    result = held.result(START + 5)
    assert result is not None
    assert result.exit_price == 0
    assert result.ts_event == START + 5


def test_an_order_is_added_once_and_only_exits_are_numbered():
    grown = trade().with_order("ex-1", is_exit=True).with_order("v7", is_exit=False).with_order("ex-1", is_exit=True)
    assert grown.order_ids == ("en-1", "ex-1", "v7")
    assert grown.exits == 1
    assert grown.entry_id == "en-1"
    assert grown.is_live
    assert not grown.flat(START).is_live
