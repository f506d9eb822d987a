"""A spot market derived from a perpetual: its middle is the perpetual's index price, everything else is drawn from a seed.

What it claims and what it does not: the index of a perpetual is made of spot prices, so the distance between the two markets is as the
perpetual's frames have it. Spread, depth, sizes and trades are invented, and so are the filters (by rule, from the perpetual's). Nothing
earned on it says anything about a real market.

Frames are spelt as on `/v5/public/spot`. The protocol page describes linear only; for spot tickers and instruments the venue's public
documentation of 2026 is followed from memory, which is our inference.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from undertow.markets.day import Day

SPOT_DEPTH: Final = 50
STEP_MS: Final = 100
"""The market moves at most so often."""
_LEVEL_USDT: Final = 15_000.0  # median notional of one level
_TRADE_USDT: Final = 400.0  # median notional of one trade
_TRADES_A_SECOND: Final = 1.5
_LONGEST_PAUSE_S: Final = 1.0  # for which trades are drawn at once
_LATTICE_BPS: Final = 0.4
_FIRST_TRADE_ID: Final = 2_290_000_000_000_000_000
_ENCODE: Final = msgspec.json.encode


def spot_label(seed: int) -> str:
    """Say what the market is."""
    return f"spot derived from the perpetuals' index prices (seed {seed})"


def spot_instrument(linear: Mapping[str, Any]) -> dict[str, Any]:
    """Derive a spot item of instruments-info from the perpetual's: same tick, a hundredth of its quantity step."""
    lots = linear["lotSizeFilter"]
    base = Decimal(lots["qtyStep"]) / 100
    return {
        "symbol": linear["symbol"],
        "baseCoin": linear["baseCoin"],
        "quoteCoin": linear["quoteCoin"],
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": format(base, "f"),
            "quotePrecision": "0.00000001",
            "minOrderQty": format(base, "f"),
            "maxOrderQty": lots["maxOrderQty"],
            "minOrderAmt": lots["minNotionalValue"],
            "maxOrderAmt": "2000000",
            "maxLimitOrderQty": lots["maxOrderQty"],
            "maxMarketOrderQty": lots["maxMktOrderQty"],
            "postOnlyMaxLimitOrderSize": lots["maxOrderQty"],
        },
        "priceFilter": {"tickSize": linear["priceFilter"]["tickSize"]},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
        "forbidUplWithdrawal": False,
    }


class DerivedSpot:
    """One symbol's spot market.

    Args:
        instrument: its item of instruments-info, as `spot_instrument` gives it.
        seed: same seed and same index prices at the same times, same frames, byte for byte.
    """

    def __init__(self, instrument: Mapping[str, Any], seed: int) -> None:
        self.symbol: str = instrument["symbol"]
        self._rng = random.Random(f"spot/{seed}/{self.symbol}")  # noqa: S311 - a simulation, no secret
        self._tick = Decimal(instrument["priceFilter"]["tickSize"])
        self._step = Decimal(instrument["lotSizeFilter"]["basePrecision"])
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})  # ticks → steps, of bids and asks
        self._touches: tuple[int, int] | None = None
        self._moved_ms = 0
        self._update_id = 0
        # where the count begins is a function of the name, so that it looks like a venue's and compares with nothing
        self._sequence = int.from_bytes(hashlib.sha256(self.symbol.encode()).digest()[:4])
        self._trades = _FIRST_TRADE_ID
        self._day = Day()
        self._last = Decimal(0)
        self._shown: dict[str, str] = {}

    def move(self, index: Decimal, at_ms: int) -> list[bytes]:
        """Follow the index; give the frames of this moment, none within `STEP_MS` of the last ones."""
        if at_ms - self._moved_ms < STEP_MS:
            return []
        pause_s = min(_LONGEST_PAUSE_S, (at_ms - self._moved_ms) / 1000)
        self._moved_ms = at_ms
        middle = index / self._tick
        bid = max(1, math.floor(middle - Decimal(repr(self._rng.random()))))
        touches = bid, bid + 1 + (self._rng.random() < 0.3)  # noqa: PLR2004 - how often the spread is two ticks
        traded = self._traded(self._touches, pause_s, at_ms) if self._touches else None
        self._touches = touches
        frames = (traded, self._booked(at_ms, touches), self._ticked(at_ms, index))
        return [frame for frame in frames if frame]

    def _booked(self, at_ms: int, touches: tuple[int, int]) -> bytes:
        is_first = not self._update_id
        self._update_id += 1
        self._sequence += 1 + self._rng.randrange(50)
        step = max(1, int(touches[0] * _LATTICE_BPS / 10_000))
        changes = [
            self._reshape(held, _ladder(touch, away, step))
            for held, touch, away in zip(self._sides, touches, (-1, 1), strict=True)
        ]
        bids, asks = ([[self._price(tick), self._size(steps)] for tick, steps in side] for side in changes)
        data = {"s": self.symbol, "b": bids, "a": asks, "u": self._update_id, "seq": self._sequence}
        kind = "snapshot" if is_first else "delta"
        head = {"topic": f"orderbook.{SPOT_DEPTH}.{self.symbol}", "ts": at_ms, "type": kind}
        return _ENCODE({**head, "data": data, "cts": at_ms - 1})

    def _reshape(self, held: dict[int, int], wanted: Sequence[int]) -> list[tuple[int, int]]:
        kept = set(wanted)
        gone = [tick for tick in held if tick not in kept]
        for tick in gone:
            del held[tick]
        fresh = [tick for tick in wanted if tick not in held]
        fresh += [wanted[0], wanted[self._rng.randrange(len(wanted))]]
        for tick in fresh:
            held[tick] = self._draw(_LEVEL_USDT, tick)
        return [(tick, 0) for tick in gone] + [(tick, held[tick]) for tick in dict.fromkeys(fresh)]

    def _traded(self, touches: tuple[int, int], pause_s: float, at_ms: int) -> bytes | None:
        count = sum(self._rng.random() < pause_s * _TRADES_A_SECOND / 3 for _ in range(3))
        if not count:
            return None
        self._sequence += 1
        data = []
        for _ in range(count):
            is_sale = self._rng.random() < 0.5  # noqa: PLR2004 - a fair coin
            tick = touches[0] if is_sale else touches[1]
            steps = self._draw(_TRADE_USDT, tick)
            self._trades += 1
            self._last, size = tick * self._tick, steps * self._step
            self._day.traded(at_ms, self._last, size)
            data.append(
                {
                    "i": str(self._trades),
                    "T": at_ms - 1,
                    "p": self._price(tick),
                    "v": self._size(steps),
                    "S": "Sell" if is_sale else "Buy",
                    "s": self.symbol,
                    "BT": False,
                    "RPI": False,
                    "seq": self._sequence,
                }
            )
        return _ENCODE({"topic": f"publicTrade.{self.symbol}", "ts": at_ms, "type": "snapshot", "data": data})

    def _ticked(self, at_ms: int, index: Decimal) -> bytes | None:
        last = self._last or index.quantize(self._tick)
        fields = {
            "symbol": self.symbol,
            "lastPrice": format(last, "f"),
            **self._day.fields(at_ms, last),
            "usdIndexPrice": format(index, "f"),
        }
        if fields == self._shown:
            return None
        self._shown = fields
        head = {"topic": f"tickers.{self.symbol}", "ts": at_ms, "type": "snapshot", "cs": self._sequence}
        return _ENCODE({**head, "data": fields})

    def _draw(self, median_usdt: float, tick: int) -> int:
        notional = median_usdt * math.exp(0.8 * self._rng.gauss(0.0, 1.0))
        return max(1, int(notional / (tick * float(self._tick) * float(self._step))))

    def _price(self, tick: int) -> str:
        return format(tick * self._tick, "f")

    def _size(self, steps: int) -> str:
        return format(steps * self._step, "f") if steps else "0"


def _ladder(touch: int, away: int, step: int) -> list[int]:
    first = touch // step * step + (step if away > 0 else 0 if touch % step else -step)
    ladder = [touch, *range(first, first + away * step * (SPOT_DEPTH - 1), away * step)]
    return [tick for tick in ladder if tick > 0]
