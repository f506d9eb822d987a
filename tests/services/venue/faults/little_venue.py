"""A vocabulary for the faults' tests, and faults from plain JSON."""

from __future__ import annotations

from typing import Any

from services.venue.faults.core import Faults
from services.venue.faults.fault import Frame, Request
from services.venue.faults.reach import Vocabulary
from services.venue.faults.specs import read_specs

MS = 1_000_000
NOW_NS = 1_786_310_820_000_000_000
OWNERS = {"paper-router": "100001", "paper-reader": "100001", "other": "200001"}
VOCABULARY = Vocabulary(
    endpoints={
        "rest": (
            "order/create",
            "order/cancel",
            "order/realtime",
            "position/list",
            "account/set-margin-mode",
            "market/time",
        ),
        "trade": ("order.create", "order.cancel", "auth", "connect"),
        "private": ("auth", "connect"),
        "public": ("subscribe", "connect"),
    },
    topics={
        "public": {
            "orderbook.200.BTCUSDT": ("snapshot", "delta"),
            "orderbook.50.BTCUSDT": ("snapshot", "delta"),
            "orderbook.1.BTCUSDT": ("snapshot",),
            "publicTrade.BTCUSDT": ("snapshot",),
            "priceLimit.BTCUSDT": ("event",),
            "subscribe": ("reply",),
        },
        "private": {"order": ("event",), "wallet": ("event",), "auth": ("reply",)},
        "trade": {"order.create": ("reply",), "auth": ("reply",)},
    },
    owner_of=OWNERS.get,
    has_uid=set(OWNERS.values()).__contains__,
)
CREATE = Request("rest", "order/create", "paper-router", "100001", "127.0.0.1")
BOOK = Frame("public", "orderbook.200.BTCUSDT", "delta")
EVENT = Frame("private", "order", "event", "paper-router", "100001")


def faults(*sent: dict[str, Any], seed: int = 0) -> Faults:
    made = Faults(seed)
    if sent:
        made.add(read_specs(list(sent), VOCABULARY), NOW_NS)
    return made
