"""One symbol as the venue sees it: filters, risk tiers, displayed book, merged ticker, marks and the funding stamp.

Where the protocol page does not say: without risk tiers one tier holds, initial margin 1 / maximum leverage, maintenance half of that, no
upper bound; a ticker without a funding time means that no funding is due. Until the first mark price positions are worth what was last
traded, or, before anything was, what they cost; nothing is liquidated and no funding is paid by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import numpy as np

from services.venue.answers import Item
from services.venue.premium_window import PremiumWindow
from services.venue.price_limits import price_limits
from undertow.domain.time import NS_PER_MS
from undertow.exchange.bybit.frames import BookFrame, TickerFrame, TradeData
from undertow.matching.ladder import BUY, SELL, Ints
from undertow.matching.matcher import Fill, Matcher
from undertow.matching.money import tier_of
from undertow.matching.scale import LARGEST_VALUE, UNITS, Scale, to_units

_MEMORY: Final = 65_536
_NS: Final = 1_000_000_000
SIDES: Final = {"Buy": BUY, "Sell": SELL}
SIDE_NAMES: Final = ("Buy", "Sell")


class _Memo(dict[str, int]):
    """Decimal text to grid integer, remembered: a book repeats its prices and sizes."""

    def __init__(self, convert: Any) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str) -> int:
        if len(self) >= _MEMORY:
            self.clear()
        number: int = self._convert(Decimal(text))
        self[text] = number
        return number


class Market:
    """One symbol's state; prices as Decimal, book in ticks and lots."""

    def __init__(self, instrument: Item, tiers: Sequence[Item], *, depth: int, model: int) -> None:
        price, lot, leverage = instrument["priceFilter"], instrument["lotSizeFilter"], instrument["leverageFilter"]
        risk = instrument.get("riskParameters") or {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"}
        self.symbol: str = instrument["symbol"]
        self.status: str = instrument["status"]
        self.base_coin: str = instrument["baseCoin"]
        self.settle_coin: str = instrument["settleCoin"]
        self.can_hedge = instrument["contractType"] == "LinearPerpetual" and self.settle_coin == "USDT"
        self.min_price, self.max_price = Decimal(price["minPrice"]), Decimal(price["maxPrice"])
        self.max_limit_qty, self.max_market_qty = Decimal(lot["maxOrderQty"]), Decimal(lot["maxMktOrderQty"])
        self.min_qty, self.min_notional = Decimal(lot["minOrderQty"]), Decimal(lot["minNotionalValue"])
        self.min_leverage, self.max_leverage = Decimal(leverage["minLeverage"]), Decimal(leverage["maxLeverage"])
        self.leverage_step = Decimal(leverage["leverageStep"])
        self.funding_interval_ns = int(instrument["fundingInterval"]) * 60 * _NS
        self.ratio_x, self.ratio_y = Decimal(risk["priceLimitRatioX"]), Decimal(risk["priceLimitRatioY"])
        self.scale = Scale.load(
            symbol=self.symbol,
            tick_size=Decimal(price["tickSize"]),
            qty_step=Decimal(lot["qtyStep"]),
            max_price=self.max_price,
            max_qty=max(self.max_limit_qty, self.max_market_qty),
        )
        self.tiers, self.tier_leverages, self.tier_ids = _tiers(tiers, self.max_leverage)
        self.matcher = Matcher(depth=depth, model=model)
        self._ticks, self._lots = _Memo(self.scale.ticks), _Memo(self.scale.lots)
        self.funding_rate = 0  # in 1e-8
        self.last = Decimal(0)
        self.mark = Decimal(0)
        self.index = Decimal(0)
        self.lot_value = 0  # at the mark, before it at the last price; 0 before either
        self.funding_due_ns = 0
        self._premium = PremiumWindow()

    def on_book(self, frame: BookFrame) -> list[Fill]:
        """Apply a book frame; give the kernel's fills.

        Raises:
            OffGridError: a price or size off the instrument's grid.
        """
        ticks, lots, data = self._ticks, self._lots, frame.data
        flat: list[int] = []
        for price, size in data.bids:
            flat += (BUY, ticks[price], lots[size])
        for price, size in data.asks:
            flat += (SELL, ticks[price], lots[size])
        return self.matcher.on_book(flat, snapshot=frame.snapshot)

    def on_trade(self, trade: TradeData) -> list[Fill]:
        """Apply one public trade; give the kernel's fills.

        Raises:
            OffGridError: a price or size off the instrument's grid.
        """
        tick = self._ticks[trade.price]
        self.last = self.scale.price(tick)
        self._value_unmarked()
        return self.matcher.on_trade(SIDES[trade.side], tick, self._lots[trade.size])

    def on_ticker(self, frame: TickerFrame, now_ns: int) -> bool:
        """Merge a ticker, what is absent is unchanged; True when the mark price changed."""
        fields = frame.data
        before = self.lot_value if self.mark else 0
        if fields.last_price:
            self.last = Decimal(fields.last_price)
            self._value_unmarked()
        if fields.index_price:
            self.index = Decimal(fields.index_price)
        if fields.funding_rate:
            self.funding_rate = to_units(Decimal(fields.funding_rate))
        if fields.next_funding_ms:
            due = int(fields.next_funding_ms) * NS_PER_MS
            if due > now_ns:  # a ticker may still name the stamp that has just passed
                self.funding_due_ns = due
        if not fields.mark_price:
            return False
        self.mark = Decimal(fields.mark_price)
        self.lot_value = self.scale.lot_value(self.mark)
        self._watch_premium(frame.ts_ms * NS_PER_MS)  # its own time, so that the limits are a function of the frames
        return self.lot_value != before

    def funding_settled(self) -> None:
        """Go to the next stamp, until the ticker says otherwise."""
        self.funding_due_ns += self.funding_interval_ns

    def price_of(self, kind: str) -> Decimal:
        """Give the last, mark or index price by its name in requests; 0 before it is known."""
        return {"LastPrice": self.last, "MarkPrice": self.mark, "IndexPrice": self.index}[kind]

    def best(self, side: int) -> Decimal | None:
        """Give the best displayed price of a side."""
        tick = self.matcher.best(side)
        return None if tick is None else self.scale.price(tick)

    def limit_ticks(self, now_ns: int) -> tuple[int, int] | None:
        """Give the highest price of a buy and the lowest of a sell at a moment, by side; None before the first mark."""
        if not self.mark:
            return None
        premium, x, y = self._premium.average(now_ns), self.ratio_x, self.ratio_y
        highest, lowest = price_limits(self.mark, self.index or self.mark, premium, ratio_x=x, ratio_y=y)
        return self._within(BUY, highest), self._within(SELL, lowest)

    def protective_tick(self, side: int, now_ns: int) -> int | None:
        """Give the price behind which a market order does not fill; None when there is nothing to take."""
        best = self.best(1 - side)
        if best is None:
            return None
        limits = self.limit_ticks(now_ns)
        if limits is not None:
            return limits[side]
        return self._within(side, best * (1 + self.ratio_x if side == BUY else 1 - self.ratio_x))

    def tolerant_tick(self, side: int, distance: Decimal) -> int | None:
        """Give the price so far behind the best opposite one; None when there is nothing to take."""
        best = self.best(1 - side)
        return None if best is None else self._within(side, best + distance if side == BUY else best - distance)

    def mean_tick(self, side: int, lots: int, limit: int, *, rests: bool) -> int:
        """Give the mean price of so many lots taken from the displayed book up to a limit, rounded against the taker; 0 for nothing.

        Args:
            side: of the taker.
            lots: wanted.
            limit: the last price that is taken.
            rests: whether what is not taken counts, at the limit.
        """
        taken = value = 0
        for tick, displayed in self.matcher.levels(1 - side, self.matcher.depth):
            if taken == lots or (tick > limit if side == BUY else tick < limit):
                break
            part = min(displayed, lots - taken)
            taken, value = taken + part, value + part * tick
        if rests:
            taken, value = lots, value + (lots - taken) * limit
        if not taken:
            return 0
        return -(-value // taken) if side == BUY else value // taken

    def _within(self, side: int, limit: Decimal) -> int:
        return int((limit / self.scale.tick_size).to_integral_value(ROUND_FLOOR if side == BUY else ROUND_CEILING))

    def _value_unmarked(self) -> None:
        if not self.mark:
            self.lot_value = self.scale.lot_value(self.last)

    def _watch_premium(self, at_ns: int) -> None:
        if self._premium.wants(at_ns):
            bid, ask = self.best(BUY), self.best(SELL)
            if bid is not None and ask is not None:
                self._premium.saw(at_ns, (bid + ask) / 2 - self.mark)

    def tier_row(self, value: int) -> int:
        """Give the row of the risk tier that a position of a value falls in."""
        return int(tier_of(value, self.tiers))


def _tiers(items: Sequence[Item], max_leverage: Decimal) -> tuple[Ints, list[Decimal], list[int]]:
    if not items:
        initial = to_units((1 / max_leverage).quantize(Decimal("0.00000001")))
        return np.array([[LARGEST_VALUE, initial, initial // 2, 0]], np.int64), [max_leverage], [1]
    ordered = sorted(items, key=lambda item: Decimal(item["riskLimitValue"]))
    rows = []
    for item in ordered:
        # the venue's samples give per cent or fractions: initial margin times leverage is near 100 or near 1
        factor = 100 if Decimal(item["initialMargin"]) * Decimal(item["maxLeverage"]) > 10 else 1  # noqa: PLR2004
        rows.append(
            [
                min(LARGEST_VALUE, int(Decimal(item["riskLimitValue"]) * UNITS)),
                int(Decimal(item["initialMargin"]) * UNITS) // factor,
                int(Decimal(item["maintenanceMargin"]) * UNITS) // factor,
                int(Decimal(item["mmDeduction"] or "0") * UNITS),
            ]
        )
    return np.array(rows, np.int64), [Decimal(i["maxLeverage"]) for i in ordered], [int(i["id"]) for i in ordered]
