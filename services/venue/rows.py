"""How an execution and a line of the transaction log are spelt."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from services.venue.answers import Item
from services.venue.market import SIDE_NAMES, Market
from services.venue.orders import Order, money, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a position: a fill of `kind`, or funding, at a price; money in units of 1e-8, `rate` in 1e-8."""

    kind: str
    price: Decimal
    lots: int
    value: int
    fee: int
    rate: int
    closed: int = 0
    is_maker: bool = False
    realised: int = 0


def execution_row(event: Event, order: Order, market: Market, *, exec_id: str, sequence: int) -> Item:
    """Spell an event as the execution topic and execution/list show it."""
    scale = order.scale
    is_cash = event.kind == "Funding"
    return {
        "category": "linear",
        "symbol": order.symbol,
        "closedSize": plain(scale.qty(event.closed)),
        "execFee": money(event.fee),
        "execId": exec_id,
        "execPrice": plain(event.price) if is_cash else str(event.price),
        "execQty": plain(scale.qty(event.lots)),
        "execType": event.kind,
        "execValue": money(event.value),
        "feeRate": money(event.rate),
        "feeCurrency": market.settle_coin,
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": str(market.mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": "0" if is_cash else plain(scale.qty(order.leaves)),
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "orderPrice": "0" if is_cash else str(scale.price(order.tick)),
        "orderQty": "0" if is_cash else plain(scale.qty(order.lots)),
        "orderType": order.order_type,
        "stopOrderType": order.stop_order_type or "UNKNOWN",
        "side": SIDE_NAMES[order.side],
        "execTime": str(order.created_ms if is_cash else order.updated_ms),
        "isLeverage": "0",
        "isMaker": event.is_maker,
        "seq": sequence,
        "marketUnit": "",
        "execPnl": money(event.realised),
        "createType": "" if is_cash else order.create_type,
        "extraFees": "",
    }


def log_row(row_id: str, coin: str, now_ms: int, kind: str, balance: int) -> Item:
    """Spell a line of the transaction log that has nothing but a balance yet."""
    return {
        "id": row_id,
        "symbol": "",
        "category": "",
        "side": "None",
        "transactionTime": str(now_ms),
        "type": kind,
        "transSubType": "",
        "qty": "0",
        "size": "0",
        "currency": coin,
        "tradePrice": "0",
        "funding": "0",
        "fee": "0",
        "cashFlow": "0",
        "change": "0",
        "cashBalance": money(balance),
        "feeRate": "0",
        "bonusChange": "0",
        "tradeId": "",
        "orderId": "",
        "orderLinkId": "",
        "extraFees": "",
    }


def of_execution(item: Item, size: str) -> Item:
    """Give what a log line takes over from its execution; `size` is the position after it."""
    return {
        "symbol": item["symbol"],
        "category": "linear",
        "side": item["side"],
        "orderId": item["orderId"],
        "orderLinkId": item["orderLinkId"],
        "tradeId": item["execId"],
        "tradePrice": item["execPrice"],
        "qty": item["execQty"],
        "size": size,
        "feeRate": item["feeRate"],
    }
