"""A vocabulary for the faults' tests, and faults from plain JSON."""

from __future__ import annotations

from typing import Any

from services.venue.faults.core import Faults
from services.venue.faults.fault import Frame, Request
from services.venue.faults.specs import Vocabulary, read_specs

MS = 1_000_000
NOW_NS = 1_786_310_820_000_000_000
VOCABULARY = Vocabulary(
    endpoints={
        "rest": ("order/create", "order/cancel", "order/realtime", "position/list", "market/time"),
        "trade": ("order.create", "order.cancel", "auth", "connect"),
        "private": ("auth", "connect"),
        "public": ("connect",),
    },
    topics={"public": ("orderbook", "publicTrade"), "private": ("order", "wallet"), "trade": ("order", "auth")},
    has_key={"paper-router", "paper-reader"}.__contains__,
    has_uid={"100001"}.__contains__,
)
CREATE = Request("rest", "order/create", "paper-router", "100001", "127.0.0.1")
BOOK = Frame("public", "orderbook.200.BTCUSDT", "delta")
EVENT = Frame("private", "order", "event", "paper-router", "100001")


def faults(*sent: dict[str, Any], seed: int = 0) -> Faults:
    made = Faults(seed)
    if sent:
        made.add(read_specs(list(sent), VOCABULARY), NOW_NS)
    return made
