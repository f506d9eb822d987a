"""The fleet's cores in one process: the same market and seed decide, byte for byte, the same."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from services.venue.keys import ACCOUNT_UID
from tests.fleet.in_process import InProcessFleet, market_of
from tests.fleet.shells import Latencies
from tests.fleet.virtual import MS
from tests.services.venue.floor import displayed
from tests.support import recorded
from undertow.contracts.messages.decision import Features, Signal
from undertow.contracts.messages.market import Gap
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.domain.order import OrderRole, OrderStatus, Side, TimeInForce

pytestmark = [pytest.mark.compiled, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]
RECORDED_FRAMES = 2_529
DECIDED = ("features", "signals", "orders", "executions")
SEEDS = {"recorded": 5, "generated": 7}
SECONDS = {"recorded": 50.0, "generated": 55.0}


def tape_of(market: str) -> Path | None:
    return recorded("bybit/linear-20260809.rawlines.gz") if market == "recorded" else None


def run(market: str, other_by: int = 0, **how: object) -> InProcessFleet:
    seed = SEEDS[market] + other_by
    fleet = InProcessFleet(market_of(tape_of(market), seed), how.pop("policy_seed", seed), **how)
    fleet.run(SECONDS[market])
    return fleet


@cache
def first_run(market: str) -> InProcessFleet:
    return run(market)


@pytest.fixture(params=["recorded", "generated"])
def market(request) -> str:
    return request.param


def test_the_same_market_and_seed_twice_give_the_same_bytes_on_every_stream(market):
    one, other = first_run(market), run(market)
    for stream in DECIDED:
        assert one.streams.of(stream), f"nothing was published on {stream}: equality would prove nothing"
        assert one.streams.of(stream) == other.streams.of(stream)
    assert one.streams.published == other.streams.published
    assert one.router.sent == other.router.sent
    assert one.router.journal == other.router.journal
    assert one.decisions_hash == other.decisions_hash


def test_patient_exits_rest_are_moved_and_leave_the_books_as_equal(monkeypatch):
    monkeypatch.setenv("UNDERTOW_ROUTER__EXIT_PASSIVE_MS", "2000")
    monkeypatch.setenv("UNDERTOW_ROUTER__EXIT_AGGRESSIVE_MS", "500")
    fleet = run("generated")
    fleet.flatten()
    fleet.run(5.0)
    exits = [order for order in fleet.streams.messages(OrderChanged) if order.role is OrderRole.EXIT]
    filled = {order.time_in_force for order in exits if order.status is OrderStatus.FILLED}
    assert TimeInForce.POST_ONLY in filled
    assert len({(order.order_id, order.price) for order in exits}) > len({order.order_id for order in exits})
    assert fleet.router.core.desk.live_trades() == ()
    assert not any(fleet.residuals().positions.values())
    assert fleet.residuals().wallet == 0


def test_another_seed_decides_otherwise(market):
    assert run(market, other_by=1).decisions_hash != first_run(market).decisions_hash


def test_another_seed_of_the_policy_alone_changes_signals_but_no_feature(market):
    one, other = first_run(market), run(market, policy_seed=99)
    assert one.streams.of("features") == other.streams.of("features")
    assert one.streams.of("signals") != other.streams.of("signals")
    assert one.decisions_hash != other.decisions_hash


def test_features_do_not_depend_on_how_long_anything_took(market):
    slow = Latencies(frame_ns=7 * MS, bus_ns=3 * MS, request_ns=11 * MS, private_ns=5 * MS)
    one, other = first_run(market), run(market, latencies=slow)
    seen = [[(f.ts_event, f.symbol, f.values) for f in each.streams.messages(Features)] for each in (one, other)]
    assert seen[0] == seen[1]
    received = [[f.ts_recv for f in each.streams.messages(Features)] for each in (one, other)]
    assert received[0] != received[1]


def test_the_hash_seed_of_the_interpreter_decides_nothing(market):
    tape = tape_of(market)
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    command = [sys.executable, "-m", "tests.fleet.in_process", "--seconds", str(SECONDS[market])]
    command += ["--seed", str(SEEDS[market]), *(("--tape", str(tape)) if tape else ())]
    process = subprocess.run(
        command,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
        | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    there, here = json.loads(process.stdout), first_run(market).summary()
    assert there["decisions_hash"] == here["decisions_hash"]
    assert there["streams_hash"] == here["streams_hash"]
    assert there == here


Side50 = list[tuple[Decimal, Decimal]]


def replayed(tape: Path) -> dict[str, tuple[Side50, Side50]]:
    """Replay a recording with plain dicts; give each symbol's final 50 bids and asks. Asserts that no book ever crosses."""
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    frames = 0
    with gzip.open(tape, "rt") as lines:
        for line in lines:
            frame = json.loads(line.partition(" ")[2])
            frames += "topic" in frame
            if not frame.get("topic", "").startswith("orderbook."):
                continue
            data = frame["data"]
            if frame["type"] == "snapshot":
                books[data["s"]] = {"b": {}, "a": {}}
            book = books[data["s"]]
            for side in ("b", "a"):
                for price, size in data[side]:
                    book[side][Decimal(price)] = Decimal(size)
                    if not Decimal(size):
                        del book[side][Decimal(price)]
            assert max(book["b"]) < min(book["a"])
    assert frames == RECORDED_FRAMES
    return {
        symbol: (sorted(book["b"].items(), reverse=True)[:50], sorted(book["a"].items())[:50])
        for symbol, book in books.items()
    }


def numbers(levels: Iterable[Sequence[str]]) -> Side50:
    return [(Decimal(price), Decimal(size)) for price, size in levels][:50]


def best_of(fleet: InProcessFleet, symbol: str) -> tuple[Decimal | None, Decimal | None]:
    """Best bid and ask that the venue matches against."""
    bids, asks = displayed(fleet.venue, symbol, 1)
    return (bids[0][0] if bids else None, asks[0][0] if asks else None)


def test_every_recorded_frame_goes_through_and_the_books_end_as_in_an_independent_replay():
    looks = dict.fromkeys(("BTCUSDT", "DOGEUSDT", "ETHUSDT", "SOLUSDT"), 0)
    resting: dict[str, tuple[Side, Decimal, Decimal | None, Decimal | None]] = {}

    def watch(fleet: InProcessFleet, symbol: str) -> None:
        ours = fleet.ingestor.best(symbol)
        if ours is not None:
            looks[symbol] += 1
            assert Decimal(ours[0]) < Decimal(ours[1])
        bid, ask = best_of(fleet, symbol)
        assert bid is None or ask is None or bid < ask
        if fleet.router.core.open_order_ids():
            asked = {"category": "linear", "symbol": symbol}
            answer = fleet.venue.get(ACCOUNT_UID, "/v5/order/realtime", asked, fleet.timeline.now_ns())
            for item in answer.result["list"]:
                if item["orderStatus"] == "New" and item["orderType"] == "Limit":
                    resting[item["orderLinkId"]] = (Side(item["side"]), Decimal(item["price"]), bid, ask)

    fleet = run("recorded", watch=watch)
    assert fleet.finished_ns is not None
    assert fleet.frames - fleet.frames_injected == RECORDED_FRAMES
    assert fleet.frames_injected > 0
    assert not fleet.streams.messages(Gap)
    assert all(count > 50 for count in looks.values()), looks
    final = replayed(tape_of("recorded"))
    for symbol, (bids, asks) in final.items():
        best = (bids[0][0], asks[0][0])
        assert (tuple(map(Decimal, fleet.ingestor.best(symbol))), best_of(fleet, symbol)) == (best, best)
        ours, shown = fleet.ingestor._feeds[symbol].book.levels(), displayed(fleet.venue, symbol, 50)
        assert (numbers(ours[0]), numbers(ours[1])) == (bids, asks)
        assert shown == (bids, asks)
    assert resting, "no order ever rested in the book"
    for side, price, bid, ask in resting.values():
        assert price < ask if side is Side.BUY else price > bid


def until(fleet: InProcessFleet, is_so: Callable[[], object], seconds: float) -> None:
    for _ in range(int(seconds * 20)):
        if is_so():
            return
        fleet.run(0.05)
    pytest.fail(f"not within {seconds} market seconds: {fleet.summary()}")


def test_flattened_in_the_middle_of_a_trade_our_books_are_the_venues_to_the_last_digit():
    fleet = run("generated")
    until(fleet, lambda: len(fleet.streams.messages(TradeClosed)) > 2 and fleet.router.core.held(), 300)
    sent_before = len(fleet.router.sent)
    fleet.flatten()
    until(fleet, lambda: not fleet.router.core.held() and not fleet.router.core.open_order_ids(), 5)
    fleet.run(10)
    exits = len(fleet.router.sent) - sent_before
    assert exits >= 1
    residuals = fleet.residuals()
    assert residuals.positions == {}
    assert (residuals.wallet, residuals.realised, residuals.fees, residuals.funding) == (0, 0, 0, 0)
    theirs = fleet.venue.ledger(ACCOUNT_UID)
    assert (theirs["positions"], theirs["open_orders"]) == ({}, 0)
    assert Decimal(theirs["fees"]) > 0
    own = fleet.position_manager.core
    assert own.is_reconciled
    assert (own.residuals.position, own.residuals.money) == (0, 0)
    assert fleet.router.anomalies == []
    assert fleet.guardian.phases == []


def test_every_order_is_sent_once_and_every_trade_ends_flat():
    fleet = first_run("generated")
    assert len(fleet.router.sent) == len(set(fleet.router.sent)) == fleet.venue.orders_accepted
    closed = fleet.streams.messages(TradeClosed)
    assert closed, fleet.summary()
    for trade in closed:
        fills = [
            e for e in fleet.streams.messages(Execution) if e.trade_id == trade.trade_id and e.exec_type == "Trade"
        ]
        assert sum(e.qty if e.side is Side.BUY else -e.qty for e in fills) == 0
    entries = [o for o in fleet.streams.messages(OrderChanged) if o.role is OrderRole.ENTRY]
    assert {o.status for o in entries} >= {OrderStatus.SUBMITTED, OrderStatus.NEW, OrderStatus.FILLED}
    wished = {signal.signal_id for signal in fleet.streams.messages(Signal)}
    assert {trade.signal_id for trade in closed} <= wished
