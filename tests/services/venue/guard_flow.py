"""Steps around one guarded position, for properties of guards and of the orders' life."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from services.venue.answers import Answer
from tests.services.venue.floor import SYMBOL, Floor


def guard(floor: Floor, mode: str = "Full", **fields: Any) -> Answer:
    return floor.post("position/trading-stop", symbol=SYMBOL, tpslMode=mode, positionIdx=0, **fields)


def waiting(floor: Floor) -> list[dict[str, Any]]:
    return floor.get("order/realtime", symbol=SYMBOL, orderFilter="StopOrder").result["list"]


SIZES = st.integers(1, 60).map(lambda lots: f"{Decimal(lots) / 1000:.3f}")
PARTS = st.integers(1, 40).map(lambda lots: f"{Decimal(lots) / 1000:.3f}")
MODES = st.sampled_from([{}, {"tpslMode": "Partial"}, {"tpslMode": "Full"}])
GUARD_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("market"), st.sampled_from(["Buy", "Sell"]), SIZES, MODES),
        st.tuples(st.just("rest"), st.sampled_from(["Buy", "Sell"]), SIZES, MODES),
        st.tuples(st.just("partial"), PARTS, st.booleans()),
        st.tuples(st.just("full"), st.sampled_from(["stopLoss", "takeProfit", "trailingStop"])),
        st.tuples(st.just("trade"), st.sampled_from(["59890", "59950", "60050", "60110"])),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
    ),
    min_size=5,
    max_size=30,
)


def brackets(side: str, mode: dict[str, str]) -> dict[str, str]:
    below, above = "59900", "60100"
    return (
        {**mode, "stopLoss": below, "takeProfit": above}
        if side == "Buy"
        else {
            **mode,
            "stopLoss": above,
            "takeProfit": below,
        }
    )


def play(floor: Floor, step: tuple[Any, ...]) -> None:
    long = floor.position()["side"] != "Sell"
    stop, target = ("59900", "60100") if long else ("60100", "59900")
    if step[0] == "market":
        floor.market(step[1], step[2], **brackets(step[1], step[3]))
    elif step[0] == "rest":
        price = "59960" if step[1] == "Buy" else "60040"
        floor.create(step[1], step[2], price, **brackets(step[1], step[3]))
    elif step[0] == "partial":
        sizes = {"tpSize": step[1], "slSize": step[1]}
        guard(floor, "Partial", stopLoss=stop, **({"takeProfit": target, **sizes} if step[2] else sizes))
    elif step[0] == "full":
        guard(floor, **{step[1]: {"stopLoss": stop, "takeProfit": target, "trailingStop": "120"}[step[1]]})
    elif step[0] == "trade":
        floor.trade("Sell" if step[1] < "6" else "Buy", step[1], "0.02")
    else:
        known = waiting(floor)
        if known:
            floor.post("order/cancel", symbol=SYMBOL, orderId=known[step[1] % len(known)]["orderId"])
