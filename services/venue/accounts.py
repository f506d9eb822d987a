"""An account: wallet, holdings, orders, executions and the transaction log, with cross margin over all its positions.

Where the protocol page does not say (our inference): open orders hold value / leverage plus the taker fee of opening and closing, only for
the part that would increase the position, reduce-only and untriggered orders hold nothing; account totals count one USDT as one USD.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import numpy as np

from services.venue.answers import AccountSpec, Item
from services.venue.market import Market
from services.venue.orders import UNTRIGGERED, Order, average, money, plain
from undertow.matching import money as kernel
from undertow.matching.ladder import Ints
from undertow.matching.scale import UNITS, from_units, to_units

HISTORY: Final = 20_000
"""Closed orders, executions and log rows an account remembers of each."""
_DEFAULT_LEVERAGE: Final = 10 * 100
_BREAK_EVEN_RATE: Final = Decimal("0.00055")
_RATE_STEP: Final = Decimal("0.0001")
_PRICE_STEP: Final = Decimal("0.00000001")


@dataclass(slots=True)
class Holding:
    """A position in one market: the kernel's five numbers, leverage in 1/100, its stops and its times."""

    market: Market
    numbers: Ints = field(default_factory=lambda: np.zeros(5, np.int64))
    leverage: int = _DEFAULT_LEVERAGE
    stop: Order | None = None
    target: Order | None = None
    created_ms: int = 0
    updated_ms: int = 0
    opened_ms: int = 0
    session_base: int = 0
    open_fees: int = 0
    sequence: int = -1

    @property
    def lots(self) -> int:
        """Signed lots."""
        return int(self.numbers[kernel.LOTS])

    @property
    def cost(self) -> int:
        """Signed entry value."""
        return int(self.numbers[kernel.COST])

    @property
    def result(self) -> int:
        """Realised − fees + funding over its life."""
        return int(self.numbers[kernel.REALISED] - self.numbers[kernel.FEES] + self.numbers[kernel.FUNDING])

    @property
    def unrealised(self) -> int:
        """Result if closed at the mark."""
        return int(kernel.unrealised(self.numbers, self.market.lot_value))

    @property
    def value(self) -> int:
        """Value at the mark."""
        return abs(self.lots) * self.market.lot_value

    def maintenance(self, taker_rate: int) -> int:
        """Maintenance margin."""
        return int(kernel.maintenance(self.value, self.market.tiers, taker_rate)) if self.lots else 0

    def initial(self, taker_rate: int) -> int:
        """Initial margin."""
        return int(kernel.initial(self.value, self.leverage, taker_rate)) if self.lots else 0


class Account:
    """One uid's money, positions, orders and memory; money in units of 1e-8."""

    def __init__(self, spec: AccountSpec, now_ms: int) -> None:
        self.uid = spec.uid
        self.coin = "USDT"
        self.maker_rate, self.taker_rate = to_units(spec.maker_rate), to_units(spec.taker_rate)
        self.wallet = 0
        self.holdings: dict[str, Holding] = {}
        self.orders: dict[str, Order] = {}
        self.links: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.executions: deque[Item] = deque(maxlen=HISTORY)
        self.log: deque[Item] = deque(maxlen=HISTORY)
        self.sequence = 0
        self.reprices_limits = True
        self.opened_ms = now_ms
        self.forgotten: set[str] = set()

    def holding(self, market: Market) -> Holding:
        """Give the holding in a market, flat at first."""
        if market.symbol not in self.holdings:
            self.holdings[market.symbol] = Holding(market)
        return self.holdings[market.symbol]

    def next_number(self) -> int:
        """Count this account's orders and executions."""
        self.sequence += 1
        return self.sequence

    def remember(self, order: Order) -> None:
        """Take an order in; forget the oldest closed one beyond `HISTORY`."""
        self.orders[order.order_id] = order
        if order.link_id:
            self.links[order.link_id] = order
        if len(self.orders) > HISTORY:
            oldest = next((o for o in self.orders.values() if o.order_id not in self.open), None)
            if oldest is not None:
                del self.orders[oldest.order_id]
                self.links.pop(oldest.link_id, None)

    def forget(self, order: Order) -> None:
        """Undo `remember` for an order that was refused after all."""
        self.open.pop(order.order_id, None)
        self.orders.pop(order.order_id, None)
        self.links.pop(order.link_id, None)

    def find(self, order_id: str, link_id: str) -> Order | None:
        """Find an order; the venue's id wins."""
        return self.orders.get(order_id) if order_id else self.links.get(link_id)

    @property
    def unrealised(self) -> int:
        """Over all positions."""
        return sum(h.unrealised for h in self.holdings.values() if h.lots)

    @property
    def balance(self) -> int:
        """Margin balance: wallet and unrealised."""
        return self.wallet + self.unrealised

    @property
    def maintenance(self) -> int:
        """Over all positions."""
        return sum(h.maintenance(self.taker_rate) for h in self.holdings.values())

    @property
    def position_margin(self) -> int:
        """Initial margin of the positions."""
        return sum(h.initial(self.taker_rate) for h in self.holdings.values())

    def order_margin(self, extra: Order | None = None, price_tick: int = 0) -> int:
        """Initial margin of the open orders, and of one more at a price."""
        buckets: dict[tuple[str, int], list[int]] = {}
        for order in self.open.values():
            if not order.reduce_only and order.status != UNTRIGGERED:
                bucket = buckets.setdefault((order.symbol, order.side), [0, 0])
                bucket[0] += order.leaves
                bucket[1] += order.scale.value(order.tick, order.leaves)
        if extra is not None:
            bucket = buckets.setdefault((extra.symbol, extra.side), [0, 0])
            bucket[0] += extra.lots
            bucket[1] += extra.scale.value(price_tick, extra.lots)
        total = 0
        for (symbol, side), (lots, value) in buckets.items():
            holding = self.holdings[symbol]
            held = holding.lots if side else -holding.lots  # what this side would close
            grows = max(0, lots - max(0, held))
            exposed = value * grows // lots if lots else 0
            if exposed:
                total += int(kernel.initial(exposed, holding.leverage, 2 * self.taker_rate))
        return total

    @property
    def available(self) -> int:
        """What new risk may use."""
        return self.balance - self.position_margin - self.order_margin()

    def wallet_item(self) -> Item:
        """Give it as account/wallet-balance and the wallet topic show it."""
        unrealised, balance = self.unrealised, self.balance
        positions, orders, maintenance = self.position_margin, self.order_margin(), self.maintenance
        initial = positions + orders
        cumulative = sum(h.result for h in self.holdings.values())
        rates = (_rate(initial, balance), _rate(maintenance, balance))
        return {
            "accountType": "UNIFIED",
            "accountIMRate": rates[0],
            "accountMMRate": rates[1],
            "totalEquity": money(balance),
            "totalWalletBalance": money(self.wallet),
            "totalMarginBalance": money(balance),
            "totalAvailableBalance": money(max(0, balance - initial)),
            "totalPerpUPL": money(unrealised),
            "totalInitialMargin": money(initial),
            "totalMaintenanceMargin": money(maintenance),
            "accountIMRateByMp": rates[0],
            "accountMMRateByMp": rates[1],
            "totalInitialMarginByMp": money(initial),
            "totalMaintenanceMarginByMp": money(maintenance),
            "accountLTV": "0",
            "coin": [
                {
                    "coin": self.coin,
                    "equity": money(balance),
                    "usdValue": money(balance),
                    "walletBalance": money(self.wallet),
                    "locked": "0",
                    "spotHedgingQty": "0",
                    "borrowAmount": "0",
                    "accruedInterest": "0",
                    "totalOrderIM": money(orders),
                    "totalPositionIM": money(positions),
                    "totalPositionMM": money(maintenance),
                    "unrealisedPnl": money(unrealised),
                    "cumRealisedPnl": money(cumulative),
                    "bonus": "0",
                    "marginCollateral": True,
                    "collateralSwitch": True,
                    "colRes": "0",
                    "spotBorrow": "0",
                    "availableToWithdraw": "",
                    "availableToBorrow": "",
                }
            ],
        }

    def rest_position(self, holding: Holding) -> Item:
        """Give a position as position/list shows it."""
        item = self._position(holding, "")
        item["avgPrice"] = item.pop("entryPrice")
        return item | dict.fromkeys(("delta", "gamma", "vega", "theta"), "")

    def stream_position(self, holding: Holding) -> Item:
        """Give a position as the position topic shows it."""
        return {"category": "linear", **self._position(holding, "0")}

    def liquidation_price(self, holding: Holding) -> Decimal | None:
        """Give the mark at which the whole account is liquidated, other marks unchanged; None at or beyond the price bounds.

        long: (Q·E − W − D + O) / (Q·(1 − r − t)); short: (Q·E + W + D − O) / (Q·(1 + r + t)); W wallet and the others' unrealised.
        """
        if not holding.lots:
            return None
        tier = holding.market.tiers[kernel.tier_of(holding.value, holding.market.tiers)]
        own = holding.maintenance(self.taker_rate)
        spare = self.balance - holding.unrealised + int(tier[3]) - (self.maintenance - own)
        rate = Decimal(int(tier[2]) + self.taker_rate) / UNITS
        quantity = holding.market.scale.qty(abs(holding.lots))
        if holding.lots > 0:
            price = from_units(holding.cost - spare) / (quantity * (1 - rate))
        else:
            price = from_units(-holding.cost + spare) / (quantity * (1 + rate))
        return price if 0 < price < holding.market.max_price else None

    def _position(self, holding: Holding, nothing: str) -> Item:
        market, lots, scale = holding.market, holding.lots, holding.market.scale
        row = int(kernel.tier_of(holding.value, market.tiers))
        initial, maintenance = holding.initial(self.taker_rate), holding.maintenance(self.taker_rate)
        liquidation = self.liquidation_price(holding)
        session = holding.result - holding.session_base
        return {
            "positionIdx": 0,
            "riskId": market.tier_ids[row],
            "riskLimitValue": money(int(market.tiers[row, 0])),
            "symbol": market.symbol,
            "side": "" if not lots else "Buy" if lots > 0 else "Sell",
            "size": plain(scale.qty(abs(lots))),
            "entryPrice": average(abs(holding.cost), abs(lots), scale) or "0",
            "positionValue": money(abs(holding.cost)),
            "autoAddMargin": 0,
            "positionStatus": "Normal",
            "leverage": plain(Decimal(holding.leverage) / 100),
            "breakEvenPrice": _break_even(holding, session, from_units(self.taker_rate)),
            "markPrice": str(market.mark),
            "liqPrice": "" if liquidation is None else plain(liquidation.quantize(scale.tick_size, ROUND_HALF_EVEN)),
            "positionIM": money(initial),
            "positionIMByMp": money(initial),
            "positionMM": money(maintenance),
            "positionMMByMp": money(maintenance),
            "takeProfit": str(holding.target.trigger) if holding.target else nothing,
            "stopLoss": str(holding.stop.trigger) if holding.stop else nothing,
            "trailingStop": "0",
            "sessionAvgPrice": nothing,
            "unrealisedPnl": money(holding.unrealised),
            "curRealisedPnl": money(session),
            "cumRealisedPnl": money(holding.result),
            "adlRankIndicator": 2 if lots else 0,
            "createdTime": str(holding.created_ms),
            "updatedTime": str(holding.updated_ms),
            "openTime": holding.opened_ms,
            "seq": holding.sequence,
            "isReduceOnly": False,
            "mmrSysUpdatedTime": "",
            "leverageSysUpdatedTime": "",
            "tpslMode": "Full",
            "bustPrice": "",
            "positionBalance": "0",
            "tradeMode": 0,
        }


def _rate(part: int, whole: int) -> str:
    if not part:
        return "0"
    if whole <= 0:
        return "1"
    return plain((Decimal(part) / whole).quantize(_RATE_STEP))


def _break_even(holding: Holding, session: int, taker_rate: Decimal) -> str:
    if not holding.lots:
        return ""
    quantity = holding.market.scale.qty(holding.lots)
    divisor = quantity - abs(quantity) * max(taker_rate, _BREAK_EVEN_RATE)
    return plain((from_units(holding.cost - session) / divisor).quantize(_PRICE_STEP))
