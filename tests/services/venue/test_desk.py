"""Where signed requests arrive: limits, then the core, and what happened goes out."""

from __future__ import annotations

from dataclasses import replace

from services.venue.answers import PrivateEvent
from services.venue.clock import VenueClock
from services.venue.desk import Desk
from services.venue.keys import PAPER_KEYS
from services.venue.limits import EndpointLimits
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor, topics


def test_what_became_due_before_a_question_is_told_though_only_a_question_was_asked() -> None:
    key = replace(PAPER_KEYS[0], uid="u1")
    floor = Floor(order_latency_ns=5 * MS)
    told: list[PrivateEvent] = []
    desk = Desk(floor.core, VenueClock(ORIGIN_NS, 1.0), EndpointLimits({}), told.extend)
    order = {
        "category": "linear",
        "symbol": SYMBOL,
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.01",
        "price": "60000",
    }
    floor.core.post(key.uid, "/v5/order/create", order, ORIGIN_NS - 10 * MS)
    reply = desk.look(key, "/v5/order/realtime", {"category": "linear", "symbol": SYMBOL})
    assert [row["orderStatus"] for row in reply.answer.result["list"]] == ["New"]
    assert topics(told) == ["order", "position"]
