"""Builders of market facts, a seeded random market, and the recorded tape as messages."""

from __future__ import annotations

import gzip
import json
import os
import random
from decimal import Decimal
from pathlib import Path

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.macro import MacroValue, NeighbourLiquidation
from undertow.contracts.messages.market import (
    Book,
    Gap,
    GapReason,
    Kline,
    Liquidation,
    Liquidations,
    Ticker,
    Trade,
    Trades,
)
from undertow.contracts.messages.reference import Funding, LongShortRatio, OpenInterest
from undertow.domain.order import Side

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
EXAMPLES = 25 if JIT else 2  # interpreted kernels are a thousand times slower
SYMBOL = "BTCUSDT"
SECOND = 1_000_000_000
T0 = 1_786_310_819_000_000_000 // SECOND * SECOND


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


def book(seconds: float, bids, asks, *, snapshot: bool = False, update_id: int = 1) -> Book:
    ts = at(seconds)
    return Book(
        ts_event=ts,
        ts_recv=ts,
        symbol=SYMBOL,
        snapshot=snapshot,
        bids=tuple((str(p), str(s)) for p, s in bids),
        asks=tuple((str(p), str(s)) for p, s in asks),
        update_id=update_id,
        sequence=update_id,
    )


def trades(seconds: float, *items) -> Trades:
    ts = at(seconds)
    return Trades(
        ts_event=ts,
        ts_recv=ts,
        symbol=SYMBOL,
        trades=tuple(Trade(ts, side, str(price), str(size), "t") for side, price, size in items),
    )


def liquidations(seconds: float, *items) -> Liquidations:
    ts = at(seconds)
    return Liquidations(
        ts_event=ts,
        ts_recv=ts,
        symbol=SYMBOL,
        liquidations=tuple(Liquidation(ts, side, str(price), str(size)) for side, price, size in items),
    )


def ticker(seconds: float, *, mark="", index="", interest="", funding="", next_funding_ns=0) -> Ticker:
    ts = at(seconds)
    return Ticker(
        ts_event=ts,
        ts_recv=ts,
        symbol=SYMBOL,
        last_price="",
        mark_price=mark,
        index_price=index,
        open_interest=interest,
        funding_rate=funding,
        next_funding_ns=next_funding_ns,
    )


def candle(seconds: float) -> Kline:
    return Kline(
        ts_event=at(seconds),
        ts_recv=at(seconds),
        symbol=SYMBOL,
        interval="1",
        start_ns=at(0),
        open="1",
        high="1",
        low="1",
        close="1",
        volume="1",
        turnover="1",
        confirmed=True,
    )


def gap(seconds: float) -> Gap:
    return Gap(ts_event=at(seconds), ts_recv=at(seconds), symbol=SYMBOL, reason=GapReason.DISCONNECTED, detail="")


def open_interest(seconds: float, value: str, *, known: float | None = None) -> OpenInterest:
    recv = at(seconds if known is None else known)
    return OpenInterest(ts_event=at(seconds), ts_recv=recv, symbol=SYMBOL, open_interest=Decimal(value))


def settled(seconds: float, rate: str) -> Funding:
    return Funding(ts_event=at(seconds), ts_recv=at(seconds), symbol=SYMBOL, rate=Decimal(rate))


def account_ratio(seconds: float, share: str) -> LongShortRatio:
    return LongShortRatio(ts_event=at(seconds), ts_recv=at(seconds), symbol=SYMBOL, buy_ratio=Decimal(share))


def value(
    slot: str, number: str, known: float, *, held: float | None = None, stale: float = 1e6, symbol: str = ""
) -> MacroValue:
    """A number of the outside world that held at `held` and was learned at `known`."""
    return MacroValue(
        ts_event=at(known if held is None else held),
        ts_recv=at(known),
        source="somebody",
        symbol=symbol,
        value=Decimal(number),
        unit="units",
        stale_after_ns=round(stale * SECOND),
        slot=slot,
    )


def neighbour(known: float, side: Side, price: str, size: str, *, venue: str = "binance") -> NeighbourLiquidation:
    """A liquidation elsewhere, 0.3 s before we learned it."""
    return NeighbourLiquidation(
        ts_event=at(known - 0.3),
        ts_recv=at(known),
        venue=venue,
        symbol=SYMBOL,
        position_side=side,
        price=Decimal(price),
        size=Decimal(size),
        feed="feed",
    )


def flat_book(seconds: float = 0.0, levels: int = 25) -> Book:
    """Bids 100.0, 99.9, … of 1, 2, …; asks 100.2, 100.3, … of 2, 3, …"""
    return book(
        seconds,
        [(f"{100 - k / 10:.1f}", k + 1) for k in range(levels)],
        [(f"{100.2 + k / 10:.1f}", k + 2) for k in range(levels)],
        snapshot=True,
    )


class RandomMarket:
    """A seeded walk of a 40-level book with trades, bursts of liquidations, tickers, reference facts, now and then a gap."""

    def __init__(self, seed: int, *, step_ms: int = 20, checkpoint_every: int = 100, gaps: bool = False) -> None:
        self.random = random.Random(seed)
        self.step_ms = step_ms
        self.checkpoint_every = checkpoint_every
        self.gaps = gaps
        self.levels = {
            Side.BUY: {10_000 - k: self.random.randint(1, 50) for k in range(40)},
            Side.SELL: {10_001 + k: self.random.randint(1, 50) for k in range(40)},
        }

    def text(self, side: Side) -> list[tuple[str, str]]:
        ordered = sorted(self.levels[side].items(), reverse=side is Side.BUY)
        return [(f"{tick / 10:.1f}", f"{lots / 10:.1f}") for tick, lots in ordered]

    def snapshot(self, seconds: float) -> Book:
        return book(seconds, self.text(Side.BUY), self.text(Side.SELL), snapshot=True)

    def delta(self, seconds: float) -> Book:
        changes: dict[Side, list[tuple[str, str]]] = {Side.BUY: [], Side.SELL: []}
        for _ in range(self.random.randint(1, 6)):
            side = self.random.choice((Side.BUY, Side.SELL))
            own, other = self.levels[side], self.levels[side.opposite]
            touch = max(other) if side is Side.SELL else min(other)
            best = touch + 1 if side is Side.SELL else touch - 1
            tick = best + side.sign * -1 * self.random.randint(0, 40)
            lots = 0 if self.random.random() < 0.3 and len(own) > 30 else self.random.randint(1, 50)
            if lots:
                own[tick] = lots
            elif own.pop(tick, None) is None:
                continue
            changes[side].append((f"{tick / 10:.1f}", f"{lots / 10:.1f}"))
        return book(seconds, changes[Side.BUY], changes[Side.SELL])

    def messages(self, count: int) -> list[Message]:
        pick = self.random
        found: list[Message] = [self.snapshot(0.0)]
        for n in range(1, count):
            seconds = n * self.step_ms / 1000
            kind = pick.random()
            side = pick.choice((Side.BUY, Side.SELL))
            price = f"{(max(self.levels[Side.BUY])) / 10:.1f}"
            if self.gaps and kind < 0.002:
                found += [gap(seconds), self.snapshot(seconds)]
            elif n % self.checkpoint_every == 0:
                found.append(self.snapshot(seconds))
            elif kind < 0.6:
                found.append(self.delta(seconds))
            elif kind < 0.8:
                found.append(trades(seconds, *[(side, price, pick.randint(1, 30) / 10)] * pick.randint(1, 4)))
            elif kind < 0.85:
                items = [(side, price, pick.randint(1, 60)) for _ in range(pick.randint(1, 3))]
                found.append(liquidations(seconds, *items))
            elif kind < 0.95:
                mark = f"{1000 + pick.random():.2f}"
                found.append(ticker(seconds, mark=mark, index="1000.1", interest=str(50_000 + pick.randint(0, 99))))
            elif kind < 0.97:
                found.append(open_interest(seconds - 300, "49000", known=seconds))
            elif kind < 0.98:
                found.append(account_ratio(seconds, f"{pick.random():.4f}"))
            else:
                found.append(settled(seconds, "0.0001"))
        return found


def outside_world(seed: int, seconds: float, count: int) -> list[Message]:
    """Seeded facts of the outside world by ascending time of their receipt: values of every slot, and bursts of the neighbour's."""
    pick = random.Random(seed)
    ranges = {
        "neighbour_funding": (-0.01, 0.01),
        "fear_and_greed": (0, 100),
        "dollar_index": (90, 130),
        "us_10_year_rate": (0, 6),
    }
    found: list[Message] = []
    for known in sorted(round(pick.uniform(-1.0, seconds), 3) for _ in range(count)):
        slot = pick.choice([*ranges, "", "", ""])
        if slot:
            symbol = SYMBOL if slot == "neighbour_funding" else ""
            number = f"{pick.uniform(*ranges[slot]):.4f}"
            held = known - pick.choice((0.0, 20.0))
            found.append(value(slot, number, known, held=held, stale=pick.choice((5.0, 21.0, 1e6)), symbol=symbol))
        else:
            side = pick.choice((Side.BUY, Side.SELL))
            found.append(neighbour(known, side, f"{pick.uniform(990, 1010):.1f}", f"{pick.uniform(1, 60):.3f}"))
    return found


def tape_messages(path: Path, symbol: str) -> list[Message]:
    """Read one symbol of a recorded Bybit tape."""
    found: list[Message] = []
    merged: dict[str, str] = {}
    with gzip.open(path, "rb") as lines:
        for line in lines:
            received, _, raw = line.partition(b" ")
            frame = json.loads(raw)
            topic, _, name = frame.get("topic", "").rpartition(".")
            if name != symbol:
                continue
            ts, recv, data = frame["ts"] * 1_000_000, int(received), frame["data"]
            if topic.startswith("orderbook"):
                found.append(
                    Book(
                        ts_event=ts,
                        ts_recv=recv,
                        symbol=symbol,
                        snapshot=frame["type"] == "snapshot",
                        bids=tuple((p, s) for p, s in data["b"]),
                        asks=tuple((p, s) for p, s in data["a"]),
                        update_id=data["u"],
                        sequence=data["seq"],
                    )
                )
            elif topic == "publicTrade":
                items = tuple(Trade(t["T"] * 1_000_000, Side(t["S"]), t["p"], t["v"], t["i"]) for t in data)
                found.append(Trades(ts_event=ts, ts_recv=recv, symbol=symbol, trades=items))
            elif topic == "tickers":
                merged.update(data)
                found.append(
                    Ticker(
                        ts_event=ts,
                        ts_recv=recv,
                        symbol=symbol,
                        last_price=merged.get("lastPrice", ""),
                        mark_price=merged.get("markPrice", ""),
                        index_price=merged.get("indexPrice", ""),
                        open_interest=merged.get("openInterest", ""),
                        funding_rate=merged.get("fundingRate", ""),
                        next_funding_ns=int(merged.get("nextFundingTime") or 0) * 1_000_000,
                    )
                )
    return found
