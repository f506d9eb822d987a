"""The page of closed profit and loss: one row for each order that closed something, from the executions an account remembers.

What the protocol page does not say (our inference): a row's fees are those of the closed part, opening and closing; its leverage is the
one that the position has now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from services.venue.accounts import Account
from services.venue.answers import Item
from services.venue.orders import money, plain
from services.venue.queries import page, span
from undertow.domain.money import MONEY_STEP


@dataclass(slots=True)
class _Closing:
    """What the executions of one order closed."""

    last: Item
    size: Decimal = Decimal(0)
    exit_value: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    fills: int = 0

    def add(self, item: Item, coin: str) -> None:
        """Take one execution in; a fee in another coin than the position's is not part of its result."""
        closed, qty = Decimal(item["closedSize"]), Decimal(item["execQty"])
        self.last = item
        self.size += closed
        self.exit_value += Decimal(item["execValue"]) * closed / qty
        self.realised += Decimal(item["execPnl"])
        if item["feeCurrency"] == coin:
            self.fee += Decimal(item["execFee"]) * closed / qty
        self.fills += 1


def closed_pnl(account: Account, params: Mapping[str, str], now_ms: int) -> Item:
    """Give what orders closed, newest first.

    Raises:
        Refusal: 10001.
    """
    start, end = span(params, now_ms)
    symbol = params.get("symbol", "")
    rows = (
        _row(account, closing)
        for closing in reversed(_closings(account))
        if start <= int(closing.last["execTime"]) <= end and symbol in {"", closing.last["symbol"]}
    )
    return {"category": "linear", **page(rows, params, most=100, default=50)}


def _closings(account: Account) -> list[_Closing]:
    by_order: dict[str, _Closing] = {}
    for item in account.executions:
        if Decimal(item["closedSize"]) and item["orderId"] in account.orders:
            by_order.setdefault(item["orderId"], _Closing(item)).add(item, account.coin)
    return sorted(by_order.values(), key=lambda closing: closing.last["seq"])


def _row(account: Account, closing: _Closing) -> Item:
    last, order = closing.last, account.orders[closing.last["orderId"]]
    is_sale = last["side"] == "Sell"
    entry_value = closing.exit_value - closing.realised if is_sale else closing.exit_value + closing.realised
    holding = account.holdings[order.symbol, order.index]
    result = Decimal(money(order.closed_pnl))
    return {
        "symbol": last["symbol"],
        "orderId": last["orderId"],
        "side": last["side"],
        "qty": last["orderQty"],
        "orderPrice": last["orderPrice"],
        "orderType": last["orderType"],
        "execType": last["execType"],
        "closedSize": plain(closing.size),
        "cumEntryValue": _money(entry_value),
        "avgEntryPrice": _money(entry_value / closing.size),
        "cumExitValue": _money(closing.exit_value),
        "avgExitPrice": _money(closing.exit_value / closing.size),
        "closedPnl": plain(result),
        "fillCount": str(closing.fills),
        "leverage": plain(Decimal(holding.leverage) / 100),
        "openFee": _money(closing.realised - closing.fee - result),
        "closeFee": _money(closing.fee),
        "createdTime": str(order.created_ms),
        "updatedTime": last["execTime"],
    }


def _money(value: Decimal) -> str:
    return plain(value.quantize(MONEY_STEP, ROUND_HALF_EVEN))
