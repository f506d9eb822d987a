"""A venue core on a small market, for the core's tests."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from services.venue.answers import AccountSpec, Answer, PrivateEvent
from services.venue.core import VenueCore
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.matching.ladder import BUY, SELL

SYMBOL = "BTCUSDT"
ORIGIN_NS = 1_786_310_820_000_000_000
MS = 1_000_000


class Floor:
    """BTCUSDT at 60,000.00 / 60,000.10, one account `u1` with 10,000 USDT; each step is a millisecond."""

    def __init__(self, *, balance: str = "10000", tiers: bool = True, marked: bool = True, **options: Any) -> None:
        symbols = (SYMBOL, "ETHUSDT")
        specs = [AccountSpec("u1", Decimal(balance)), AccountSpec("u2", Decimal(balance))]
        self.core = VenueCore(
            instruments_for(symbols), risk_tiers_for(symbols) if tiers else [], specs, opened_ns=ORIGIN_NS, **options
        )
        self.now_ns = ORIGIN_NS
        self.update_id = 0
        self.events: list[PrivateEvent] = []
        self.book(
            bids=[("60000.00", "2.000"), ("59999.90", "3.000")],
            asks=[("60000.10", "2.000"), ("60000.20", "3.000")],
            snapshot=True,
        )
        if marked:
            self.ticker(lastPrice="60000.00", markPrice="60000.00", indexPrice="60000.00", fundingRate="0.0001")

    def frame(self, topic: str, data: Any, kind: str = "delta") -> list[PrivateEvent]:
        self.now_ns += MS
        raw = msgspec.json.encode(
            {"topic": topic, "type": kind, "ts": self.now_ns // MS, "data": data, "cts": self.now_ns // MS}
        )
        events = self.core.on_frame(raw, self.now_ns)
        self.events += events
        return events

    def book(
        self,
        bids: Sequence[tuple[str, str]] = (),
        asks: Sequence[tuple[str, str]] = (),
        *,
        snapshot: bool = False,
        symbol: str = SYMBOL,
    ) -> list[PrivateEvent]:
        self.update_id += 1
        data = {"s": symbol, "b": list(bids), "a": list(asks), "u": self.update_id + 1, "seq": self.update_id * 10}
        return self.frame(f"orderbook.200.{symbol}", data, "snapshot" if snapshot else "delta")

    def trade(self, side: str, price: str, size: str, symbol: str = SYMBOL) -> list[PrivateEvent]:
        item = {"T": self.now_ns // MS, "s": symbol, "S": side, "v": size, "p": price, "i": str(self.now_ns)}
        return self.frame(f"publicTrade.{symbol}", [item], "snapshot")

    def ticker(self, symbol: str = SYMBOL, **fields: str) -> list[PrivateEvent]:
        return self.frame(f"tickers.{symbol}", {"symbol": symbol, **fields})

    def post(self, path: str, uid: str = "u1", **body: Any) -> Answer:
        self.now_ns += MS
        answer = self.core.post(uid, f"/v5/{path}", {"category": "linear", **body}, self.now_ns)
        self.events += answer.events
        return answer

    def get(self, path: str, uid: str = "u1", **params: str) -> Answer:
        answer = self.core.get(uid, f"/v5/{path}", {"category": "linear", **params}, self.now_ns)
        assert answer.events == []
        return answer

    def create(self, side: str = "Buy", qty: str = "0.010", price: str = "60000.00", **body: Any) -> Answer:
        order = {"symbol": SYMBOL, "side": side, "orderType": "Limit", "qty": qty, "price": price} | body
        if order["orderType"] == "Market":
            del order["price"]
        return self.post("order/create", **order)

    def market(self, side: str = "Buy", qty: str = "0.010", **body: Any) -> Answer:
        return self.create(side, qty, orderType="Market", **body)

    def position(self, symbol: str = SYMBOL, uid: str = "u1") -> dict[str, Any]:
        return self.get("position/list", uid, symbol=symbol).result["list"][0]

    def coin(self, uid: str = "u1") -> dict[str, Any]:
        return self.get("account/wallet-balance", uid, accountType="UNIFIED").result["list"][0]["coin"][0]

    def order(self, order_id: str) -> dict[str, Any]:
        for path in ("order/realtime", "order/history"):
            listed = self.get(path, orderId=order_id).result["list"]
            if listed:
                return listed[0]
        raise AssertionError(order_id)


def displayed(core: VenueCore, symbol: str, depth: int) -> tuple[list[tuple[Decimal, Decimal]], ...]:
    """Price and size of the best bids and asks that the core matches against."""
    market = core._markets[symbol]
    return tuple(
        [(market.scale.price(tick), market.scale.qty(lots)) for tick, lots in market.matcher.levels(side, depth)]
        for side in (BUY, SELL)
    )


def mark(core: VenueCore, symbol: str) -> Decimal:
    return core._markets[symbol].mark


def topics(events: Sequence[PrivateEvent]) -> list[str]:
    return [event.topic for event in events]


def items(events: Sequence[PrivateEvent], topic: str) -> list[dict[str, Any]]:
    return [item for event in events if event.topic == topic for item in event.data]
