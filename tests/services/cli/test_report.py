from decimal import Decimal

import msgspec
import pytest

from services.cli.counters import CounterTotals
from services.cli.report import (
    Residuals,
    RunFacts,
    compose,
    decisions_hash,
    distribution,
    journeys,
    plain,
    residual_of_positions,
    write,
)
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.decision import Features
from undertow.contracts.messages.trading import OrderChanged
from undertow.contracts.streams import FEATURES, ORDERS
from undertow.domain.order import OrderRole, OrderStatus, OrderType, Side, TimeInForce

FIELDS = {
    *(
        "mode",
        "market",
        "seconds",
        "frames_received",
        "frames_injected",
        "book_gaps",
        "liquidations",
        "feature_vectors",
    ),
    *(
        "signals",
        "orders_submitted",
        "fills",
        "round_trips",
        "realised_pnl_usdt",
        "position_residual",
        "money_residual_usdt",
    ),
    *(
        "dead_letters",
        "stream_lag_max",
        "decisions_hash",
        "restarts",
        "latency_ms",
        "tick_to_order_ms",
        "rss_mb",
        "errors",
    ),
}


def order(number: int = 1, status: OrderStatus = OrderStatus.SUBMITTED, written: int = 9_000_000) -> OrderChanged:
    return OrderChanged(
        ts_event=1, ts_recv=1, order_id=f"e-{number}", venue_order_id="", trade_id="t", symbol="BTCUSDT", side=Side.BUY,
        role=OrderRole.ENTRY, order_type=OrderType.LIMIT, time_in_force=TimeInForce.POST_ONLY, price=Decimal("65000.1"),
        qty=Decimal("0.001"), filled_qty=Decimal(0), average_price=Decimal(0), status=status, reason="", reduce_only=False,
        stop_loss=Decimal(64000), written_wall_ns=written,
    )  # fmt: skip


def delivered(message: OrderChanged | Features, entry: str = "1-1", hops: tuple[int, ...] = ()) -> Delivery:
    topic = Topic(ORDERS) if isinstance(message, OrderChanged) else Topic(FEATURES, symbol=message.symbol)
    return Delivery(topic, entry, "p", 1, hops, message)


def vector(values: bytes = b"\0" * 8, ts_recv: int = 2) -> Features:
    return Features(
        ts_event=1, ts_recv=ts_recv, symbol="BTCUSDT", schema_hash="s", trigger="liquidation", trigger_side=Side.BUY,
        values=values, mid=Decimal(1), best_bid=Decimal(1), best_ask=Decimal(1),
    )  # fmt: skip


def test_the_report_has_every_field_that_design_fixes():
    report = compose(
        RunFacts(
            mode="paper", market="generated", bus="embedded Redis", seconds=1.0, counters=CounterTotals(),
            frames_injected=0, duplicate_orders=0, realised_pnl_usdt="0",
            residuals=Residuals("0", "0"), stream_lag_max=0,
        )
    )  # fmt: skip
    assert set(report) >= FIELDS


def test_a_journey_is_split_at_each_stamp_and_ends_when_the_bytes_are_written():
    hops, whole = journeys([delivered(order(), hops=(1_000_000, 2_000_000, 4_000_000, 7_000_000, 8_000_000))])
    assert hops == {"ingestor": [1.0], "feature_hub": [2.0], "model_server": [3.0], "order_router": [2.0]}
    assert whole == [8.0]


def test_an_order_that_was_not_written_has_no_journey():
    assert journeys([delivered(order(written=0), hops=(1, 2, 3, 4))])[1] == []


def test_the_distribution_of_one_value_is_that_value():
    assert distribution([2.5]) == {"p50": 2.5, "p99": 2.5, "n": 1}
    assert distribution([]) == {"p50": 0.0, "p99": 0.0, "n": 0}


def test_redelivery_and_receive_times_do_not_change_the_hash_of_decisions():
    once = decisions_hash([delivered(vector()), delivered(order())])
    again = decisions_hash([delivered(order()), delivered(vector(ts_recv=99), "2-1"), delivered(vector(), "3-1")])
    assert once == again


@pytest.mark.parametrize("changed", [delivered(order(2)), delivered(vector(b"\1" * 8))])
def test_another_decision_gives_another_hash(changed: Delivery):
    assert decisions_hash([delivered(vector()), delivered(order())]) != decisions_hash(
        [delivered(vector()), delivered(order()), changed]
    )


def test_a_position_that_only_one_side_knows_counts_in_full():
    assert residual_of_positions({"A": Decimal(1)}, {"A": Decimal(1), "B": Decimal("-0.5")}) == Decimal("0.5")


@pytest.mark.parametrize(
    ("value", "text"), [("0E-8", "0"), ("-0.00", "0"), ("1.50", "1.5"), ("100", "100"), ("-0.25", "-0.25")]
)
def test_a_residual_is_written_plainly(value: str, text: str):
    assert plain(Decimal(value)) == text


def test_the_report_is_written_whole(tmp_path):
    path = tmp_path / "var" / "run-report.json"
    write({"a": 1}, path)
    assert msgspec.json.decode(path.read_bytes()) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]
