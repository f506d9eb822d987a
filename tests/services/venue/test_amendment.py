"""What an amendment does to an order's place in the queue, and to guards while it is on its way."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.venue.floor import MS, SYMBOL, Floor, items

PRICES = st.sampled_from(["60000.00", "59999.90"])
SHOWN = {"60000.00": 2000, "59999.90": 3000}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("amend"), PRICES, st.integers(10, 300)),
        st.tuples(st.just("trade"), st.integers(1, 900)),
    ),
    min_size=2,
    max_size=15,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_only_a_quantity_that_is_not_larger_at_the_same_price_keeps_its_place(
    steps: list[tuple[str, str, int]] | list[tuple[str, int]],
) -> None:
    floor = Floor(balance="1000000")
    order_id = floor.create(qty="0.200").result["orderId"]
    market, order = floor.core._markets[SYMBOL], floor.core._accounts["u1"].orders[order_id]
    for step in steps:
        if not order.is_open:
            return
        before = market.matcher.ahead(order.number)
        if step[0] == "trade":
            floor.trade("Sell", "60000.00", f"{Decimal(step[1]) / 1000}")
            continue
        was = floor.order(order_id)
        qty = f"{Decimal(step[2]) / 1000:.3f}"
        if floor.post("order/amend", symbol=SYMBOL, orderId=order_id, price=step[1], qty=qty).ret_code:
            continue
        keeps = step[1] == was["price"] and Decimal(qty) <= Decimal(was["qty"])
        assert market.matcher.ahead(order.number) == (before if keeps else SHOWN[step[1]])


def test_a_guard_amended_while_the_position_shrinks_is_cut_to_it() -> None:
    floor = Floor(order_latency_ns=5 * MS)
    floor.market(qty="0.05")
    floor.core.on_time(floor.now_ns + 5 * MS)
    floor.now_ns += 5 * MS
    guard = {"symbol": SYMBOL, "tpslMode": "Partial", "positionIdx": 0, "stopLoss": "59000", "slSize": "0.02"}
    assert floor.post("position/trading-stop", **guard).ret_code == 0
    floor.now_ns += 5 * MS
    stop = items(floor.core.on_time(floor.now_ns), "order")[0]["orderId"]
    floor.market("Sell", "0.03", reduceOnly=True)
    assert floor.post("order/amend", symbol=SYMBOL, orderId=stop, qty="0.05").ret_code == 0
    orders = items(floor.core.on_time(floor.now_ns + 9 * MS), "order")
    assert [(order["orderStatus"], order["qty"]) for order in orders] == [
        ("Filled", "0.030"),
        ("Untriggered", "0.020"),
    ]
