"""An order in the venue: its state and the items that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from services.venue.answers import Item
from services.venue.bracket import FULL, NO_BRACKET, PARTIAL, Bracket
from services.venue.closing import Closing
from services.venue.order_states import OPEN, Event, Status, next_status
from services.venue.trailing import Trail
from undertow.domain.money import MONEY_STEP
from undertow.matching.scale import Scale, from_units

NO_REASON: Final = "EC_NoError"
NO_CANCEL: Final = "UNKNOWN"
CONDITIONAL: Final = "Stop"
"""Stop order type of a conditional order of the account's own."""
FULL_STOPS: Final = frozenset({"StopLoss", "TakeProfit", "TrailingStop"})
PARTIAL_STOPS: Final = frozenset({"PartialStopLoss", "PartialTakeProfit"})
SYSTEM_STOPS: Final = FULL_STOPS | PARTIAL_STOPS
"""Stop order types of the orders that the venue makes to protect a position."""


def plain(number: Decimal) -> str:
    """Give a number as text without exponent or trailing zeros."""
    return format(number.normalize(), "f") if number else "0"


def price_or(price: Decimal, nothing: str) -> str:
    """Give a price as it was written, `nothing` for 0."""
    return str(price) if price else nothing


def money(units: int) -> str:
    """Give money units as text."""
    return plain(from_units(units))


def average(value: int, lots: int, scale: Scale) -> str:
    """Give an average price, to 1e-8; empty when nothing was filled."""
    if not lots:
        return ""
    return plain((from_units(value) / scale.qty(lots)).quantize(MONEY_STEP, ROUND_HALF_EVEN))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the best opposite price a market order may fill: in ticks ("TickSize") or per cent ("Percent")."""

    kind: str
    amount: Decimal

    def distance(self, best: Decimal, tick_size: Decimal) -> Decimal:
        """Give it as a price distance from the best opposite price."""
        return self.amount * tick_size if self.kind == "TickSize" else best * self.amount / 100


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """One order: `index` as positionIdx, `side` 0 buy, 1 sell; ticks, lots, money units of 1e-8; trigger prices as Decimal, 0 = none.

    Attributes:
        bracket: what it brings along for the position; `is_bracket_set` once a full one has become the position's;
            `unprotected` lots that it opened since its bracket was last attached.
        reckoned_tick: the price by which margin is held, where `tick` says none: of a market order on its way.
        trail: of a trailing stop.
        partner: of a target or stop, the other one that was set with it and goes with it.
    """

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
    reckoned_tick: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    status: Status = Status.CREATED
    filled: int = 0
    filled_value: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    closing: Closing | None = None
    reject_reason: str = NO_REASON
    cancel_type: str = NO_CANCEL
    create_type: str = "CreateByUser"
    stop_order_type: str = ""
    trigger: Decimal = Decimal(0)
    trigger_by: str = ""
    trigger_direction: int = 0
    bracket: Bracket = NO_BRACKET
    is_bracket_set: bool = False
    unprotected: int = 0
    trail: Trail | None = None
    partner: Order | None = field(default=None, repr=False)
    parent_link_id: str = ""
    tolerance: Tolerance | None = None
    last_price: Decimal = Decimal(0)
    settle_coin: str = "USDT"
    smp_type: str = "None"

    @property
    def leaves(self) -> int:
        """Lots not filled."""
        return self.lots - self.filled

    @property
    def is_open(self) -> bool:
        """True while it may still fill."""
        return self.status in OPEN

    @property
    def waits(self) -> bool:
        """True while it waits for its trigger, or is on its way to do so."""
        return bool(self.trigger) and self.status in (Status.CREATED, Status.UNTRIGGERED)

    @property
    def trigger_price(self) -> Decimal:
        """Price at which it is let loose as things stand: an active trailing stop's level."""
        return (self.trail.level if self.trail else self.trigger) or self.trigger

    def move(self, event: Event) -> None:
        """Go where the table says."""
        self.status = next_status(self.status, event)

    def stream_item(self) -> Item:
        """Give it as the order topic shows it."""
        item = self._item()
        item["category"] = "linear"
        item["tpslMode"] = item["tpslMode"] or "UNKNOWN"
        item["closedPnl"] = money(self.closing.pnl) if self.closing else "0"
        item["feeCurrency"] = ""
        item["rpiTakerAccess"] = False
        item["rpiMatchedQty"] = "0"
        if self.tolerance:
            item["slippageToleranceType"] = self.tolerance.kind
            item["slippageTolerance"] = plain(self.tolerance.amount)
        return item

    def rest_item(self) -> Item:
        """Give it as order/realtime and order/history show it."""
        return self._item()

    def _item(self) -> Item:
        scale = self.scale
        leaves = self.leaves if self.is_open else 0
        target, stop = self.bracket.target, self.bracket.stop
        return {
            "orderId": self.order_id,
            "orderLinkId": self.link_id,
            "parentOrderLinkId": self.parent_link_id,
            "blockTradeId": "",
            "symbol": self.symbol,
            "price": price_or(scale.price(self.tick), "0"),
            "qty": str(scale.qty(self.lots)),
            "side": ("Buy", "Sell")[self.side],
            "isLeverage": "",
            "positionIdx": self.index,
            "orderStatus": self.status.value,
            "createType": self.create_type,
            "cancelType": self.cancel_type,
            "rejectReason": self.reject_reason,
            "avgPrice": average(self.filled_value, self.filled, scale),
            "leavesQty": plain(scale.qty(leaves)),
            "leavesValue": money(scale.value(self.tick, leaves)),
            "cumExecQty": plain(scale.qty(self.filled)),
            "cumExecValue": money(self.filled_value),
            "cumExecFee": money(self.fees.get(self.settle_coin, 0)),
            "cumFeeDetail": {coin: money(fee) for coin, fee in self.fees.items()},
            "timeInForce": self.time_in_force,
            "orderType": self.order_type,
            "stopOrderType": self.stop_order_type,
            "orderIv": "",
            "triggerPrice": price_or(self.trigger_price, ""),
            "takeProfit": price_or(target.trigger, ""),
            "stopLoss": price_or(stop.trigger, ""),
            "tpTriggerBy": target.by,
            "slTriggerBy": stop.by,
            "triggerDirection": self.trigger_direction,
            "triggerBy": self.trigger_by,
            "lastPriceOnCreated": price_or(self.last_price, ""),
            "reduceOnly": self.reduce_only,
            "closeOnTrigger": self.close_on_trigger,
            "smpType": self.smp_type,
            "smpGroup": 0,
            "smpOrderId": "",
            "tpslMode": self._mode(),
            "tpLimitPrice": price_or(scale.price(target.tick), ""),
            "slLimitPrice": price_or(scale.price(stop.tick), ""),
            "placeType": "",
            "createdTime": str(self.created_ms),
            "updatedTime": str(self.updated_ms),
        }

    def _mode(self) -> str:
        if self.bracket:
            return self.bracket.mode
        return FULL if self.stop_order_type in FULL_STOPS else PARTIAL if self.stop_order_type in PARTIAL_STOPS else ""
