"""An order in the venue: its state and the items that show it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from services.venue.answers import Item
from undertow.domain.money import MONEY_STEP
from undertow.matching.scale import Scale, from_units

CREATED: Final = "Created"
"""Acknowledged, not yet in effect: nobody sees it."""
NEW: Final = "New"
PARTIALLY_FILLED: Final = "PartiallyFilled"
UNTRIGGERED: Final = "Untriggered"
TRIGGERED: Final = "Triggered"
FILLED: Final = "Filled"
CANCELLED: Final = "Cancelled"
DEACTIVATED: Final = "Deactivated"
OPEN: Final = frozenset({NEW, PARTIALLY_FILLED, UNTRIGGERED})
CLOSED: Final = frozenset({FILLED, CANCELLED, DEACTIVATED})

NO_REASON: Final = "EC_NoError"
NO_CANCEL: Final = "UNKNOWN"


def plain(number: Decimal) -> str:
    """Give a number as text without exponent or trailing zeros."""
    return format(number.normalize(), "f") if number else "0"


def money(units: int) -> str:
    """Give money units as text."""
    return plain(from_units(units))


def average(value: int, lots: int, scale: Scale) -> str:
    """Give an average price, to 1e-8; empty when nothing was filled."""
    if not lots:
        return ""
    return plain((from_units(value) / scale.qty(lots)).quantize(MONEY_STEP, ROUND_HALF_EVEN))


@dataclass(slots=True, kw_only=True)
class Order:
    """One order: `index` as positionIdx, `side` 0 buy, 1 sell; ticks, lots, money units of 1e-8; trigger prices as Decimal, 0 = none."""

    number: int
    order_id: str
    link_id: str
    uid: str
    symbol: str
    scale: Scale
    index: int
    side: int
    order_type: str
    time_in_force: str
    tick: int
    lots: int
    created_ms: int
    updated_ms: int
    reduce_only: bool = False
    close_on_trigger: bool = False
    status: str = CREATED
    filled: int = 0
    filled_value: int = 0
    fee: int = 0
    closed_pnl: int = 0
    reject_reason: str = NO_REASON
    cancel_type: str = NO_CANCEL
    create_type: str = "CreateByUser"
    stop_order_type: str = ""
    trigger: Decimal = Decimal(0)
    trigger_by: str = ""
    trigger_direction: int = 0
    take_profit: Decimal = Decimal(0)
    stop_loss: Decimal = Decimal(0)
    tp_trigger_by: str = ""
    sl_trigger_by: str = ""
    last_price: Decimal = Decimal(0)
    is_protection_set: bool = False
    fee_coin: str = "USDT"
    smp_type: str = "None"

    @property
    def leaves(self) -> int:
        """Lots not filled."""
        return self.lots - self.filled

    @property
    def is_open(self) -> bool:
        """True while it may still fill."""
        return self.status in OPEN

    def stream_item(self) -> Item:
        """Give it as the order topic shows it."""
        item = self._item()
        item["category"] = "linear"
        item["tpslMode"] = item["tpslMode"] or "UNKNOWN"
        item["closedPnl"] = money(self.closed_pnl)
        item["feeCurrency"] = ""
        item["rpiTakerAccess"] = False
        item["rpiMatchedQty"] = "0"
        return item

    def rest_item(self) -> Item:
        """Give it as order/realtime and order/history show it."""
        return self._item()

    def _item(self) -> Item:
        scale = self.scale
        leaves = self.leaves if self.is_open else 0
        protects = bool(self.take_profit or self.stop_loss or self.stop_order_type in {"StopLoss", "TakeProfit"})
        return {
            "orderId": self.order_id,
            "orderLinkId": self.link_id,
            "parentOrderLinkId": "",
            "blockTradeId": "",
            "symbol": self.symbol,
            "price": str(scale.price(self.tick)) if self.tick else "0",
            "qty": str(scale.qty(self.lots)),
            "side": ("Buy", "Sell")[self.side],
            "isLeverage": "",
            "positionIdx": self.index,
            "orderStatus": self.status,
            "createType": self.create_type,
            "cancelType": self.cancel_type,
            "rejectReason": self.reject_reason,
            "avgPrice": average(self.filled_value, self.filled, scale),
            "leavesQty": plain(scale.qty(leaves)),
            "leavesValue": money(scale.value(self.tick, leaves)),
            "cumExecQty": plain(scale.qty(self.filled)),
            "cumExecValue": money(self.filled_value),
            "cumExecFee": money(self.fee),
            "cumFeeDetail": {self.fee_coin: money(self.fee)} if self.filled else {},
            "timeInForce": self.time_in_force,
            "orderType": self.order_type,
            "stopOrderType": self.stop_order_type,
            "orderIv": "",
            "triggerPrice": _or_empty(self.trigger),
            "takeProfit": _or_empty(self.take_profit),
            "stopLoss": _or_empty(self.stop_loss),
            "tpTriggerBy": self.tp_trigger_by,
            "slTriggerBy": self.sl_trigger_by,
            "triggerDirection": self.trigger_direction,
            "triggerBy": self.trigger_by,
            "lastPriceOnCreated": str(self.last_price) if self.last_price else "",
            "reduceOnly": self.reduce_only,
            "closeOnTrigger": self.close_on_trigger,
            "smpType": self.smp_type,
            "smpGroup": 0,
            "smpOrderId": "",
            "tpslMode": "Full" if protects else "",
            "tpLimitPrice": "",
            "slLimitPrice": "",
            "placeType": "",
            "createdTime": str(self.created_ms),
            "updatedTime": str(self.updated_ms),
        }


def _or_empty(price: Decimal) -> str:
    return str(price) if price else ""
