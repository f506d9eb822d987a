"""What fills, funding and transfers do to the money, and how the accounts hear of it. Private events, in order.

For one fill: execution, then order (with the stops it changed), position, wallet. A fee in another coin is a log row of its own, and is no
part of a position's or an order's result, which count the settle coin alone (our inference).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from services.venue.account_items import stream_position, wallet_item
from services.venue.accounts import Account
from services.venue.answers import Item, PrivateEvent, PrivateTopic
from services.venue.closing import Closing
from services.venue.holdings import Holding
from services.venue.orders import Order, money, plain
from services.venue.rows import Event, execution_row, log_row, of_execution
from undertow.domain.time import NS_PER_MS
from undertow.matching import money as kernel
from undertow.matching.ladder import SELL
from undertow.matching.scale import from_units

NAMESPACE: Final = UUID("6f1d1a52-5a3b-5c0e-9f0e-6d0f6c1b7a11")
"""Of all ids that the venue makes."""
_LOG_KINDS: Final = {"Trade": "TRADE", "BustTrade": "LIQUIDATION", "AdlTrade": "ADL"}
"""Kinds of log rows by kind of execution; the protocol page names none but the change of money (our inference)."""


class Books:
    """The venue's journal: executions, transaction logs and the private events not yet given out."""

    def __init__(self) -> None:
        self._events: list[PrivateEvent] = []
        self._sequence = 0

    def drain(self) -> list[PrivateEvent]:
        """Give what happened since the last call."""
        events, self._events = self._events, []
        return events

    def publish(
        self, account: Account, holding: Holding, executions: list[Item], orders: list[Order], *, wallet: bool
    ) -> None:
        """Tell an account what changed around one position."""
        if executions:
            self._emit(account, "execution", executions)
        if orders:
            self._emit(account, "order", [order.stream_item() for order in orders])
        self._emit(account, "position", [stream_position(account, holding)])
        if wallet:
            self.publish_wallet(account)

    def publish_wallet(self, account: Account) -> None:
        """Tell an account its balance in the coins that moved."""
        item = wallet_item(account)
        item["coin"] = [coin for coin in item["coin"] if coin["coin"] in account.moved]
        account.moved.clear()
        self._emit(account, "wallet", [item])

    def transfer(self, account: Account, units: int, now_ms: int, coin: str = "") -> None:
        """Book money that came in (or, negative, went out), of the settle coin unless another is named."""
        if account.purse is not None and coin == account.purse.coin:
            account.purse.units += units
        else:
            account.wallet += units
        account.moved.add(coin or account.coin)
        row = self._log_row(account, now_ms, "TRANSFER_IN" if units >= 0 else "TRANSFER_OUT", coin or account.coin)
        account.log.append(row | {"cashFlow": money(units), "change": money(units)})

    def fill(
        self,
        account: Account,
        holding: Holding,
        order: Order,
        tick: int,
        lots: int,
        now_ns: int,
        *,
        is_maker: bool,
        kind: str = "Trade",
    ) -> Item:
        """Book one fill of an order; give the execution."""
        scale = holding.market.scale
        rate = account.maker_rate if is_maker else account.taker_rate
        value = scale.value(tick, lots)
        coin, paid = account.charge(int(kernel.share_up(value, rate)))
        fee = paid if coin == account.coin else 0
        before, result_before = holding.lots, holding.result
        closed = min(lots, holding.closable(order.side))
        realised = int(kernel.book_fill(holding.numbers, order.side, lots, value, fee))
        if closed:
            holding.extra -= int(kernel.portion_even(holding.extra, closed, abs(before)))
        account.wallet += realised - fee
        account.moved.add(account.coin)
        account.settle_margins(holding)
        order.filled += lots
        order.unprotected += lots - closed
        order.filled_value += value
        order.fees[coin] = order.fees.get(coin, 0) + paid
        order.updated_ms = now_ns // NS_PER_MS
        closing_fee = fee * closed // lots
        if closed:
            opening_fee = holding.open_fees * closed // abs(before)
            holding.open_fees -= opening_fee
            order.closing = order.closing or Closing()
            order.closing.add(
                lots=closed,
                exit_value=scale.value(tick, closed),
                gain=realised,
                is_long=order.side == SELL,
                opening_fee=opening_fee,
                closing_fee=closing_fee,
            )
            order.closing.leverage, order.closing.kind = holding.leverage, kind
            order.closing.at_ms = now_ns // NS_PER_MS
            account.closes(order)
        holding.open_fees += fee - closing_fee
        if holding.lots and lots > closed and closed == abs(before):
            holding.opened_ms = now_ns // NS_PER_MS
            holding.created_ms = holding.created_ms or now_ns // NS_PER_MS
            holding.session_base = result_before + realised - closing_fee
        event = Event(
            kind=kind,
            price=scale.price(tick),
            lots=lots,
            value=value,
            fee=paid,
            coin=coin,
            rate=rate,
            closed=closed,
            is_maker=is_maker,
            realised=realised,
        )
        item = self._execution(account, holding, order, event, now_ns)
        if order.closing and closed:
            order.closing.sequence = item["seq"]
        self._log(account, holding, item, _LOG_KINDS[kind], cash_flow=realised, fee=fee)
        if coin != account.coin:
            self._log(account, holding, item, _LOG_KINDS[kind], fee=paid, coin=coin)
        account.executions.append(item)
        return item

    def funding(self, account: Account, holding: Holding, paper: Order, now_ns: int) -> None:
        """Book funding on what an account holds, and say so; `paper` is the order that the execution names."""
        market, rate = holding.market, holding.market.funding_rate
        received = int(kernel.book_funding(holding.numbers, market.lot_value, rate))
        account.wallet += received
        account.moved.add(account.coin)
        account.settle_margins(holding)
        event = Event(
            kind="Funding",
            price=from_units(market.lot_value) / market.scale.qty(1),
            lots=paper.lots,
            value=holding.value,
            fee=-received,
            coin=account.coin,
            rate=rate,
        )
        item = self._execution(account, holding, paper, event, now_ns)
        self._log(account, holding, item, "SETTLEMENT", funding=received)
        account.executions.append(item)
        self.publish(account, holding, [item], [], wallet=True)

    def _execution(self, account: Account, holding: Holding, order: Order, event: Event, now_ns: int) -> Item:
        self._sequence += 1
        holding.sequence, holding.updated_ms = self._sequence, now_ns // NS_PER_MS
        exec_id = str(uuid5(NAMESPACE, f"{account.uid}/execution/{account.next_number()}"))
        return execution_row(event, order, holding.market, exec_id=exec_id, sequence=self._sequence)

    def _log(
        self,
        account: Account,
        holding: Holding,
        item: Item,
        kind: str,
        *,
        cash_flow: int = 0,
        funding: int = 0,
        fee: int = 0,
        coin: str = "",
    ) -> None:
        row = self._log_row(account, int(item["execTime"]), kind, coin or account.coin)
        row |= of_execution(item, plain(holding.market.scale.qty(holding.lots)))
        row |= {
            "cashFlow": money(cash_flow),
            "funding": money(funding),
            "fee": money(fee),
            "change": money(cash_flow + funding - fee),
        }
        account.log.append(row)

    @staticmethod
    def _log_row(account: Account, now_ms: int, kind: str, coin: str) -> Item:
        row_id = f"{account.uid}_{coin}_{account.next_number()}"
        balance = account.wallet if account.purse is None or coin != account.purse.coin else account.purse.units
        return log_row(row_id, coin, now_ms, kind, balance)

    def _emit(self, account: Account, topic: PrivateTopic, data: list[Item]) -> None:
        self._events.append(PrivateEvent(account.uid, topic, data))
