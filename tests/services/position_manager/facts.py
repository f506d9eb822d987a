"""Facts that the position manager's tests share."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

from undertow.contracts.messages.trading import Execution, OrderChanged
from undertow.domain.order import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from undertow.exchange.models import LedgerEntry, VenueExecution, VenueOrder, VenuePosition, Wallet

D = Decimal
S = 1_000_000_000
T0 = 1_000 * S


def execution(exec_id="e1", side=Side.BUY, qty="1", price="100", fee="0.02", at=T0, **more):
    values = {
        "exec_id": exec_id,
        "order_id": "o1",
        "venue_order_id": "v1",
        "trade_id": "t1",
        "symbol": "BTCUSDT",
        "side": side,
        "exec_type": "Trade",
        "price": D(price),
        "qty": D(qty),
        "fee": D(fee),
        "fee_coin": "USDT",
        "is_maker": True,
    }
    return Execution(ts_event=at, ts_recv=at, **(values | more))


def venue_execution(message):
    return VenueExecution(
        exec_id=message.exec_id,
        order_id=message.order_id,
        venue_order_id=message.venue_order_id,
        symbol=message.symbol,
        side=message.side,
        exec_type=message.exec_type,
        price=message.price,
        qty=message.qty,
        fee=message.fee,
        fee_coin=message.fee_coin,
        is_maker=message.is_maker,
        executed_ns=message.ts_event,
    )


def order(order_id="o1", status=OrderStatus.NEW):
    return OrderChanged(
        ts_event=T0,
        ts_recv=T0,
        order_id=order_id,
        venue_order_id="v1",
        trade_id="t1",
        symbol="BTCUSDT",
        side=Side.BUY,
        role=OrderRole.ENTRY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.POST_ONLY,
        price=D(100),
        qty=D(1),
        filled_qty=D(0),
        average_price=D(0),
        status=status,
        reason="",
        reduce_only=False,
        stop_loss=D(90),
    )


def resting(order_id="o1", *, is_conditional=False, created_ns=T0):
    return VenueOrder(
        order_id=order_id,
        venue_order_id="v1",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.POST_ONLY,
        price=D(100),
        qty=D(1),
        filled_qty=D(0),
        average_price=D(0),
        status=OrderStatus.NEW,
        is_conditional=is_conditional,
        trigger_price=D(0),
        stop_order_type="",
        reduce_only=False,
        reject_reason="",
        cancel_type="",
        create_type="",
        created_ns=created_ns,
        updated_ns=created_ns,
    )


def position(qty="1", entry="100", mark="100", symbol="BTCUSDT"):
    return VenuePosition(
        symbol=symbol,
        position_idx=0,
        qty=D(qty),
        entry_price=D(entry),
        mark_price=D(mark),
        liquidation_price=D(0),
        unrealised=D(0),
        stop_loss=D(90),
        leverage=D(1),
        updated_ns=T0,
    )


def wallet(amount="10000", available=None):
    return Wallet(coin="USDT", equity=D(amount), wallet=D(amount), available=D(available or amount), unrealised=D(0))


def row(entry_id, kind, change, at=T0):
    return LedgerEntry(
        entry_id=entry_id,
        kind=kind,
        symbol="",
        coin="USDT",
        change=D(change),
        cash_flow=D(change),
        funding=D(0),
        fee=D(0),
        balance=D(0),
        booked_ns=at,
        exec_id="",
    )


async def stopped(task):
    """Cancel it and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
