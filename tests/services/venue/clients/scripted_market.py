"""A market that does what it is told, one command a frame: a book around a price, a mark at it, trades and liquidations on demand."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.markets.ports import MarketFrame

MS = 1_000_000
STEP_MS = 20
DEPTH = 200
TICKS = {"BTCUSDT": Decimal("0.10"), "ETHUSDT": Decimal("0.01")}
PRICES = {"BTCUSDT": Decimal("65000.00"), "ETHUSDT": Decimal("3000.00")}
LEVELS = 20
SIZE = "50.000"


class ScriptedMarket:
    """Two symbols that stand still until somebody says otherwise; `tell` may be called from another thread."""

    label = "scripted"
    symbols: tuple[str, ...] = tuple(TICKS)
    book_depth = DEPTH
    instruments = instruments_for(TICKS)
    risk_tiers = risk_tiers_for(TICKS)
    kline_intervals = ()

    def __init__(self, origin_ns: int) -> None:
        self.origin_ns = origin_ns
        self._commands: deque[dict[str, Any]] = deque()
        self._levels: dict[str, tuple[list[str], list[str]]] = {}
        self._prices = dict(PRICES)
        self._updates = 0

    def tell(self, **command: Any) -> None:
        self._commands.append(command)

    def frames(self) -> Iterator[MarketFrame]:
        now_ms = self.origin_ns // MS
        for symbol in TICKS:
            yield self._frame(now_ms, self._book(symbol, now_ms))
            yield self._frame(now_ms, self._ticker(symbol, now_ms, "snapshot", self._whole_ticker(symbol, now_ms)))
        while True:
            now_ms += STEP_MS
            command = self._commands.popleft() if self._commands else {}
            for body in self._obey(now_ms, **command):
                yield self._frame(now_ms, body)

    def _obey(self, now_ms: int, symbol: str = "BTCUSDT", **command: Any) -> Iterator[dict[str, Any]]:
        if "price" in command:
            self._prices[symbol] = Decimal(command["price"])
            yield self._book(symbol, now_ms)
            price = str(self._prices[symbol])
            yield self._ticker(symbol, now_ms, "delta", {"lastPrice": price, "markPrice": price, "indexPrice": price})
        if "funding_in_ms" in command:
            stamp = str(now_ms + command["funding_in_ms"])
            yield self._ticker(symbol, now_ms, "delta", {"fundingRate": command["rate"], "nextFundingTime": stamp})
        if "trade" in command:
            side, price, size = command["trade"]
            self._updates += 1
            one = {"T": now_ms, "s": symbol, "S": side, "v": size, "p": price, "L": "ZeroPlusTick"}
            row = {**one, "i": f"scripted-{self._updates}", "BT": False, "RPI": False, "seq": self._updates}
            yield {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": now_ms, "data": [row]}
        if "liquidation" in command:
            side, price, size = command["liquidation"]
            row = {"T": now_ms, "s": symbol, "S": side, "v": size, "p": price}
            yield {"topic": f"allLiquidation.{symbol}", "type": "snapshot", "ts": now_ms, "data": [row]}
        if not command:  # a sign of life, so that whoever waits for the next frame gets one
            yield self._ticker("ETHUSDT", now_ms, "delta", {"openInterest": str(now_ms % 100_000)})

    def _book(self, symbol: str, now_ms: int) -> dict[str, Any]:
        tick, price = TICKS[symbol], self._prices[symbol]
        bids = [str(price - tick * n) for n in range(LEVELS)]
        asks = [str(price + tick * n) for n in range(1, LEVELS + 1)]
        kind = "delta" if symbol in self._levels else "snapshot"
        old_bids, old_asks = self._levels.get(symbol, ([], []))
        self._levels[symbol] = bids, asks
        self._updates += 1
        data = {
            "s": symbol,
            "b": [[p, "0"] for p in old_bids if p not in bids] + [[p, SIZE] for p in bids if p not in old_bids],
            "a": [[p, "0"] for p in old_asks if p not in asks] + [[p, SIZE] for p in asks if p not in old_asks],
            "u": self._updates,
            "seq": self._updates,
        }
        return {"topic": f"orderbook.{DEPTH}.{symbol}", "type": kind, "ts": now_ms, "data": data, "cts": now_ms}

    def _whole_ticker(self, symbol: str, now_ms: int) -> dict[str, str]:
        price, tick = self._prices[symbol], TICKS[symbol]
        return {
            **dict.fromkeys(("lastPrice", "markPrice", "indexPrice", "prevPrice24h", "prevPrice1h"), str(price)),
            **dict.fromkeys(("highPrice24h", "lowPrice24h", "bid1Price"), str(price)),
            "tickDirection": "ZeroPlusTick",
            "price24hPcnt": "0",
            "ask1Price": str(price + tick),
            **dict.fromkeys(("bid1Size", "ask1Size"), SIZE),
            "openInterest": "100.000",
            "openInterestValue": str(100 * price),
            "singleOpenInterest": "50.000",
            "singleOpenInterestValue": str(50 * price),
            "turnover24h": "6500000",
            "volume24h": "100.000",
            "fundingRate": "0.0001",
            "nextFundingTime": str(now_ms + 8 * 3_600_000),
            "fundingIntervalHour": "8",
            "fundingCap": "0.005",
        }

    def _ticker(self, symbol: str, now_ms: int, kind: str, fields: dict[str, str]) -> dict[str, Any]:
        self._updates += 1
        data = {"symbol": symbol, **fields}
        return {"topic": f"tickers.{symbol}", "type": kind, "data": data, "cs": self._updates, "ts": now_ms}

    def _frame(self, now_ms: int, body: dict[str, Any]) -> MarketFrame:
        return MarketFrame(now_ms * MS, json.dumps(body, separators=(",", ":")).encode())
