"""What fills, funding and transfers do to the money, and how the accounts hear of it. Private events, in order.

For one fill: execution, then order (with the stops it changed), position, wallet.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from services.venue.account_items import stream_position, wallet_item
from services.venue.accounts import Account
from services.venue.answers import Item, PrivateEvent, PrivateTopic
from services.venue.holdings import Holding
from services.venue.orders import Order, money, plain
from services.venue.rows import Event, execution_row, log_row, of_execution
from undertow.matching import money as kernel
from undertow.matching.scale import from_units

NAMESPACE: Final = UUID("6f1d1a52-5a3b-5c0e-9f0e-6d0f6c1b7a11")
"""Of all ids that the venue makes."""
_MS: Final = 1_000_000


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
        """Tell an account its balance."""
        self._emit(account, "wallet", [wallet_item(account)])

    def transfer(self, account: Account, units: int, now_ms: int) -> None:
        """Book money that came in (or, negative, went out)."""
        account.wallet += units
        row = self._log_row(account, now_ms, "TRANSFER_IN" if units >= 0 else "TRANSFER_OUT")
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
        fee = int(kernel.share_up(value, rate))
        before, result_before = holding.lots, holding.result
        closed = min(lots, holding.closable(order.side))
        realised = int(kernel.book_fill(holding.numbers, order.side, lots, value, fee))
        account.wallet += realised - fee
        order.filled += lots
        order.filled_value += value
        order.fee += fee
        order.updated_ms = now_ns // _MS
        closing_fee = fee * closed // lots
        if closed:
            opening_fee = holding.open_fees * closed // abs(before)
            holding.open_fees -= opening_fee
            order.closed_pnl += realised - opening_fee - closing_fee
        holding.open_fees += fee - closing_fee
        if holding.lots and lots > closed and closed == abs(before):
            holding.opened_ms = now_ns // _MS
            holding.created_ms = holding.created_ms or now_ns // _MS
            holding.session_base = result_before + realised - closing_fee
        event = Event(
            kind=kind,
            price=scale.price(tick),
            lots=lots,
            value=value,
            fee=fee,
            rate=rate,
            closed=closed,
            is_maker=is_maker,
            realised=realised,
        )
        item = self._execution(account, holding, order, event, now_ns)
        self._log(account, holding, item, "TRADE", cash_flow=realised, funding=0, fee=fee)
        return item

    def funding(self, account: Account, holding: Holding, paper: Order, now_ns: int) -> None:
        """Book funding on what an account holds, and say so; `paper` is the order that the execution names."""
        market, rate = holding.market, holding.market.funding_rate
        received = int(kernel.book_funding(holding.numbers, market.lot_value, rate))
        account.wallet += received
        event = Event(
            kind="Funding",
            price=from_units(market.lot_value) / market.scale.qty(1),
            lots=paper.lots,
            value=holding.value,
            fee=-received,
            rate=rate,
        )
        item = self._execution(account, holding, paper, event, now_ns)
        self._log(account, holding, item, "SETTLEMENT", cash_flow=0, funding=received, fee=0)
        self.publish(account, holding, [item], [], wallet=True)

    def _execution(self, account: Account, holding: Holding, order: Order, event: Event, now_ns: int) -> Item:
        self._sequence += 1
        holding.sequence, holding.updated_ms = self._sequence, now_ns // _MS
        exec_id = str(uuid5(NAMESPACE, f"{account.uid}/execution/{account.next_number()}"))
        return execution_row(event, order, holding.market, exec_id=exec_id, sequence=self._sequence)

    def _log(
        self, account: Account, holding: Holding, item: Item, kind: str, *, cash_flow: int, funding: int, fee: int
    ) -> None:
        row = self._log_row(account, int(item["execTime"]), kind)
        row |= of_execution(item, plain(holding.market.scale.qty(holding.lots)))
        row |= {
            "cashFlow": money(cash_flow),
            "funding": money(funding),
            "fee": money(fee),
            "change": money(cash_flow + funding - fee),
        }
        account.log.append(row)
        account.executions.append(item)

    @staticmethod
    def _log_row(account: Account, now_ms: int, kind: str) -> Item:
        row_id = f"{account.uid}_{account.coin}_{account.next_number()}"
        return log_row(row_id, account.coin, now_ms, kind, account.wallet)

    def _emit(self, account: Account, topic: PrivateTopic, data: list[Item]) -> None:
        self._events.append(PrivateEvent(account.uid, topic, data))
