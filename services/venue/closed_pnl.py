"""The page of closed profit and loss: one row for each order that closed something, the latest close first.

What the protocol page does not say (our inference): the keys are those of the exchange's own page; `closedPnl` is the order topic's; a
row's time is that of its last closing fill; its leverage is the one that the position had then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from services.venue.accounts import Account
from services.venue.answers import Item
from services.venue.closing import Closing
from services.venue.market import SIDE_NAMES, Market
from services.venue.orders import Order, average, money, plain, price_or
from services.venue.paging import WEEK_MS, page, span
from services.venue.queries import find_market


def closed_pnl(account: Account, markets: Mapping[str, Market], params: Mapping[str, str], now_ms: int) -> Item:
    """Give what orders closed, latest first.

    Raises:
        Refusal: 10001.
    """
    start, end = span(params, now_ms, WEEK_MS)
    symbol = params.get("symbol", "")
    if symbol:
        find_market(markets, symbol)

    def rows() -> Iterator[tuple[int, Item]]:
        for order in reversed(account.closers.values()):
            if order.closing and start <= order.closing.at_ms <= end and symbol in {"", order.symbol}:
                yield order.closing.sequence, _row(order, order.closing)

    return {"category": "linear", **page(rows(), params, most=100, default=50)}


def _row(order: Order, closing: Closing) -> Item:
    scale = order.scale
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "side": SIDE_NAMES[order.side],
        "qty": plain(scale.qty(order.lots)),
        "orderPrice": price_or(scale.price(order.tick), "0"),
        "orderType": order.order_type,
        "execType": closing.kind,
        "closedSize": plain(scale.qty(closing.lots)),
        "cumEntryValue": money(closing.entry_value),
        "avgEntryPrice": average(closing.entry_value, closing.lots, scale),
        "cumExitValue": money(closing.exit_value),
        "avgExitPrice": average(closing.exit_value, closing.lots, scale),
        "closedPnl": money(closing.pnl),
        "fillCount": str(closing.fills),
        "leverage": plain(Decimal(closing.leverage) / 100),
        "openFee": money(closing.opening_fee),
        "closeFee": money(closing.closing_fee),
        "createdTime": str(order.created_ms),
        "updatedTime": str(closing.at_ms),
    }
