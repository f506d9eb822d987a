"""One generated symbol: its price, its book and its tape, as frames in the order in which the venue would send them.

The book is the touch at any tick and, behind it, levels on a lattice of absolute prices; 200 levels a side. Between two
book frames the tape shows the trades that made the move: a forced move trades through every level it passes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from undertow.markets.generated_wire import (
    Contract,
    book_frame,
    identity_prefix,
    kline_frame,
    liquidations_frame,
    ticker_frame,
    trade_json,
    trades_frame,
)
from undertow.markets.ports import MarketFrame

DEPTH: Final = 200
FUNDING_MS: Final = 8 * 3600 * 1000
MINUTE_MS: Final = 60_000
BATCH_MS: Final = 500  # the venue tells liquidations so often
TICKER_MS: Final = 300
KLINE_MS: Final = 1_000


class Walk(Protocol):
    """A price that moves in small steps.

    Attributes:
        price: mid in ticks, not rounded.
        now_s: seconds from the start.
        activity: factor on the rate of ordinary trades.
    """

    price: float
    now_s: float
    activity: float

    def step(self, now: float) -> float:
        """Move on to `now`; give the signed part of the move (bp) that forced trades made."""
        ...


class Manner(Protocol):
    """How one symbol behaves: what its price, book and tape are drawn from.

    Attributes:
        contract: the symbol.
        trades_per_s: frames of ordinary trades, where activity is 1.
        refreshes: levels behind the touch that get a new size, per side and book frame.
        most_prints: trades of one forced move.
    """

    contract: Contract
    trades_per_s: float
    refreshes: int
    most_prints: int

    @property
    def walk(self) -> Walk:
        """The price."""
        ...

    def open(self) -> None:
        """Draw what is drawn once."""
        ...

    def spread(self, forced: float) -> int:
        """Give ticks from bid to ask after a step whose forced move was `forced` bp."""
        ...

    def lots(self, rank: int) -> int:
        """Draw the size of a level, 0 for the best one of its side."""
        ...

    def prints(self) -> int:
        """Draw the number of fills of an ordinary trade."""
        ...

    def trade_lots(self, shown: float, forced: float) -> int:
        """Draw the size of a trade at a level that shows so much."""
        ...

    def liquidations(self, forced: float) -> Iterator[tuple[str, int]]:
        """Draw who was liquidated in the last step: side of the position, lots."""
        ...


class GeneratedSymbol:
    """State of one symbol; `frames` drives it forever.

    Args:
        manner: how it behaves.
        rng: of the manner's draws too.
        seed: names the trades.
        origin_ms: market time of the first symbol's first frame.
        frame_rate: order book frames per second.
        ordinal: of the symbol among all; they do not speak in the same millisecond.
    """

    def __init__(
        self, manner: Manner, rng: random.Random, *, seed: int, origin_ms: int, frame_rate: float, ordinal: int
    ) -> None:
        contract = manner.contract
        self.contract = contract
        self.manner = manner
        self.rng = rng
        self.walk = manner.walk
        self.step_ms = max(1, round(1000 / frame_rate))
        self.origin_ms = origin_ms + 7 * ordinal
        self.prefix = identity_prefix(seed, contract.symbol)
        self.bid = contract.start_ticks
        self.ask = self.bid + 1
        self.bid_lots: dict[int, int] = {}
        self.ask_lots: dict[int, int] = {}
        self.update_id = 15_000_000 + self.rng.randrange(1_000_000)
        self.sequence = 753_843_900_397 + self.rng.randrange(1_000_000_000)
        self.trade_count = 0
        self.last_ticks = self.bid
        self.last_direction = "ZeroPlusTick"
        self.pending: list[tuple[int, str, int, int]] = []
        manner.open()
        self.open_interest = contract.open_interest
        self.mark = float(self.bid)
        self.shown: dict[str, str] = {}
        self.candle_start_ms = 0
        self.candle = (self.bid, self.bid, self.bid, self.bid)
        self.candle_lots = 0
        self.candle_turnover = 0.0

    def frames(self) -> Iterator[MarketFrame]:
        """Yield snapshots first, then one step after the other, forever."""
        now = self.origin_ms
        yield self._at(now, self._snapshot(now))
        yield from self._ticker(now + 1, "snapshot")
        self.candle_start_ms = now // MINUTE_MS * MINUTE_MS
        next_ticker, next_kline, next_batch = now + TICKER_MS, now + KLINE_MS, now + BATCH_MS
        while True:
            now += self.step_ms
            forced = self.walk.step((now - self.origin_ms) / 1000.0)
            bid, ask = self._touch(forced)
            trades = self._trades(now, forced, bid, ask)
            if trades:
                yield self._at(now - 1, trades_frame(self.contract, now - 1, trades))
            yield self._at(now, self._delta(now, bid, ask))
            self._liquidate(now, forced)
            if now >= next_batch:
                next_batch += BATCH_MS
                if self.pending:
                    yield self._at(now + 1, liquidations_frame(self.contract, now + 1, self.pending))
                    self.pending = []
            if now >= next_ticker:
                next_ticker += TICKER_MS
                yield from self._ticker(now + 2, "delta")
            if now >= next_kline:
                next_kline += KLINE_MS
                yield from self._klines(now + 3)

    @staticmethod
    def _at(ms: int, raw: bytes) -> MarketFrame:
        return MarketFrame(ms * 1_000_000, raw)

    def _touch(self, forced: float) -> tuple[int, int]:
        spread = self.manner.spread(forced)
        bid = max(1, math.floor(self.walk.price - (spread - 1) / 2))
        return bid, bid + spread

    def _snapshot(self, ts_ms: int) -> bytes:
        lots = self.manner.lots
        self.bid_lots = {tick: lots(rank) for rank, tick in enumerate(self._wanted_bids(self.bid))}
        self.ask_lots = {tick: lots(rank) for rank, tick in enumerate(self._wanted_asks(self.ask))}
        return book_frame(
            self.contract,
            "snapshot",
            ts_ms,
            self.bid_lots.items(),
            self.ask_lots.items(),
            self.update_id,
            self.sequence,
        )

    def _wanted_bids(self, bid: int) -> list[int]:
        step = self.contract.lattice_ticks
        first = (bid - 1) // step * step
        return [bid, *range(first, first - step * (DEPTH - 1), -step)]

    def _wanted_asks(self, ask: int) -> list[int]:
        step = self.contract.lattice_ticks
        first = (ask // step + 1) * step
        return [ask, *range(first, first + step * (DEPTH - 1), step)]

    def _delta(self, ts_ms: int, bid: int, ask: int) -> bytes:
        bids = self._side_changes(self.bid_lots, self._wanted_bids, self.bid, bid)
        asks = self._side_changes(self.ask_lots, self._wanted_asks, self.ask, ask)
        self.bid, self.ask = bid, ask
        self.update_id += 1
        self.sequence += self.rng.randrange(1, 5000)
        return book_frame(
            self.contract,
            "delta",
            ts_ms,
            sorted(bids.items(), reverse=True),
            sorted(asks.items()),
            self.update_id,
            self.sequence,
        )

    def _side_changes(
        self, lots: dict[int, int], wanted_of: Callable[[int], list[int]], old: int, new: int
    ) -> dict[int, int]:
        changes: dict[int, int] = {}
        draw = self.manner.lots
        wanted = wanted_of(new)
        if old != new:
            keep = set(wanted)
            for tick in [tick for tick in lots if tick not in keep]:
                del lots[tick]
                changes[tick] = 0
            for rank, tick in enumerate(wanted):
                if tick not in lots:
                    lots[tick] = changes[tick] = draw(rank)
        lots[new] = changes[new] = draw(0)
        random_ = self.rng.random
        for _ in range(self.manner.refreshes):
            rank = int(random_() ** 2 * 60)
            lots[wanted[rank]] = changes[wanted[rank]] = draw(rank)
        return changes

    def _trades(self, now: int, forced: float, bid: int, ask: int) -> list[str]:
        moved = bid - self.bid
        random_ = self.rng.random
        if forced:
            sells = forced < 0
        elif random_() < self.manner.trades_per_s * self.walk.activity * self.step_ms / 1000.0:
            sells = random_() < (0.5 if not moved else 0.8 if moved < 0 else 0.2)
        else:
            return []
        if sells:
            passed = sorted((tick for tick in self.bid_lots if tick >= bid), reverse=True)
            prices = passed or [self.bid]
            if prices[-1] > bid:
                prices.append(bid)
        else:
            passed = sorted(tick for tick in self.ask_lots if tick <= ask)
            prices = passed or [self.ask]
            if prices[-1] < ask:
                prices.append(ask)
        if not forced and not passed:
            prices = prices[:1]
        if not forced and len(prices) == 1:
            prices = prices * self.manner.prints()
        if len(prices) > self.manner.most_prints:
            prices = [*prices[:: math.ceil(len(prices) / self.manner.most_prints)], prices[-1]]
        side = "Sell" if sells else "Buy"
        book = self.bid_lots if sells else self.ask_lots
        out = []
        self.sequence += self.rng.randrange(1, 5000)
        for ticks in prices:
            lots = self.manner.trade_lots(book.get(ticks, self.contract.typical_lots), forced)
            out.append(self._trade(now - 2, side, ticks, lots))
        return out

    def _trade(self, t_ms: int, side: str, ticks: int, lots: int) -> str:
        contract = self.contract
        if ticks != self.last_ticks:
            self.last_direction = "PlusTick" if ticks > self.last_ticks else "MinusTick"
        elif not self.last_direction.startswith("Zero"):
            self.last_direction = "Zero" + self.last_direction
        self.last_ticks = ticks
        self.trade_count += 1
        opened, high, low, _ = self.candle
        self.candle = (opened, max(high, ticks), min(low, ticks), ticks)
        self.candle_lots += lots
        self.candle_turnover += lots * contract.lot * ticks * contract.tick
        return trade_json(
            contract,
            t_ms,
            side,
            ticks,
            lots,
            self.last_direction,
            f"{self.prefix}{self.trade_count:012x}",
            self.sequence,
        )

    def _liquidate(self, now: int, forced: float) -> None:
        for side, lots in self.manner.liquidations(forced):
            self._liquidation(now, side, lots)

    def _liquidation(self, now: int, side: str, lots: int) -> None:
        bankruptcy = self.walk.price * (0.995 if side == "Buy" else 1.005)
        self.pending.append((now - self.rng.randrange(self.step_ms), side, lots, max(1, round(bankruptcy))))
        self.pending.sort()
        self.open_interest = max(self.open_interest - lots * self.contract.lot, self.contract.open_interest * 0.5)

    def _ticker(self, ts_ms: int, kind: str) -> Iterator[MarketFrame]:
        contract = self.contract
        mid = (self.bid + self.ask) / 2
        self.mark += 0.5 * (mid - self.mark)
        self.open_interest += (contract.open_interest - self.open_interest) * 0.002
        index = self.mark * (1.0 - contract.funding_rate / 3)
        interest = self.open_interest
        scale, tick = contract.price_scale, contract.tick
        next_funding = (ts_ms // FUNDING_MS + 1) * FUNDING_MS
        fields = {
            "tickDirection": self.last_direction,
            "lastPrice": contract.price(self.last_ticks),
            "markPrice": f"{self.mark * tick:.{scale}f}",
            "indexPrice": f"{index * tick:.{scale}f}",
            "openInterest": f"{interest:.{contract.size_scale}f}",
            "openInterestValue": f"{interest * self.mark * tick:.2f}",
            "singleOpenInterest": f"{interest / 2:.{contract.size_scale}f}",
            "singleOpenInterestValue": f"{interest * self.mark * tick / 2:.2f}",
            "nextFundingTime": str(next_funding),
            "fundingRate": f"{contract.funding_rate:.8f}",
            "bid1Price": contract.price(self.bid),
            "bid1Size": contract.size(self.bid_lots[self.bid]),
            "ask1Price": contract.price(self.ask),
            "ask1Size": contract.size(self.ask_lots[self.ask]),
        }
        if kind == "snapshot":
            opening = contract.price(contract.start_ticks)
            fields |= {
                "price24hPcnt": "0",
                "prevPrice24h": opening,
                "highPrice24h": opening,
                "lowPrice24h": opening,
                "prevPrice1h": opening,
                "turnover24h": f"{contract.open_interest * contract.start_ticks * tick / 4:.4f}",
                "volume24h": f"{contract.open_interest / 4:.4f}",
                "fundingIntervalHour": "8",
                "fundingCap": "0.005",
                "preOpenPrice": "",
                "preQty": "",
                "curPreListingPhase": "",
            }
        changed = {key: value for key, value in fields.items() if self.shown.get(key) != value}
        if changed:
            self.shown |= changed
            yield self._at(ts_ms, ticker_frame(contract, kind, ts_ms, changed, self.sequence))

    def _klines(self, ts_ms: int) -> Iterator[MarketFrame]:
        if ts_ms >= self.candle_start_ms + MINUTE_MS:
            yield self._at(ts_ms, self._kline(ts_ms, confirm=True))
            self.candle_start_ms += MINUTE_MS
            close = self.candle[3]
            self.candle = (close, close, close, close)
            self.candle_lots, self.candle_turnover = 0, 0.0
        yield self._at(ts_ms, self._kline(ts_ms, confirm=False))

    def _kline(self, ts_ms: int, *, confirm: bool) -> bytes:
        return kline_frame(
            self.contract,
            ts_ms,
            self.candle_start_ms,
            self.candle,
            self.candle_lots,
            self.candle_turnover,
            confirm=confirm,
        )
