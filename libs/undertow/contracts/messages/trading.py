"""What became of our orders, fills, trades and money."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from undertow.contracts.messages.base import Message
from undertow.domain.order import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from undertow.domain.state import TradingState


class OrderChanged(Message, frozen=True, kw_only=True, tag="order"):
    """An order after one transition: the whole order, not the difference.

    Attributes:
        order_id: our `orderLinkId`, or the venue's id for orders that are not ours.
        venue_order_id: empty until the venue has given one.
        trade_id: the trade (entry to flat) it belongs to.
        reason: why, when denied, rejected or cancelled; otherwise empty.
        stop_loss: trigger of the venue-side stop the entry carries, by mark price.
        written_wall_ns: wall clock when the request's bytes were handed to the socket; 0 when not (yet) sent.
    """

    order_id: str
    venue_order_id: str
    trade_id: str
    symbol: str
    side: Side
    role: OrderRole
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    qty: Decimal
    filled_qty: Decimal
    average_price: Decimal
    status: OrderStatus
    reason: str
    reduce_only: bool
    stop_loss: Decimal
    written_wall_ns: int = 0


class TradeClosed(Message, frozen=True, kw_only=True, tag="trade_closed"):
    """A round trip that ended flat; what the policy learns from.

    Attributes:
        gross_pnl: of the fills, quote coin, before fees.
        fees: paid in quote coin.
        return_bps: net result / entry notional · 1e4.
        funding: received while it was held, quote coin; negative when paid.
        fees_elsewhere: paid in other coins, by coin.
        fees_converted: what those are worth in quote coin: each fill's value · the fee rate that the venue named for it.
        is_complete: False where a fill was never explained, so that the result is not known.
    """

    trade_id: str
    signal_id: str
    symbol: str
    source: str
    side: Side
    delta_bps: float
    hold_ns: int
    model_hash: str
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    return_bps: float
    expected_bps: float
    funding: Decimal = Decimal(0)
    fees_elsewhere: tuple[tuple[str, Decimal], ...] = ()
    fees_converted: Decimal = Decimal(0)
    is_complete: bool = True

    @property
    def net_pnl(self) -> Decimal:
        """Give the result after fees in any coin and funding, quote coin."""
        return self.gross_pnl - self.fees - self.fees_converted + self.funding


OrderFact = OrderChanged | TradeClosed


class Execution(Message, frozen=True, kw_only=True, tag="execution"):
    """One fill or cash event as the venue booked it; unique by `exec_id`.

    Attributes:
        exec_type: the venue's word: Trade, Funding, BustTrade, AdlTrade, ...; only fills move the position.
        fee: positive when paid, in `fee_coin`; for Funding positive when paid.
    """

    exec_id: str
    order_id: str
    venue_order_id: str
    trade_id: str
    symbol: str
    side: Side
    exec_type: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_coin: str
    is_maker: bool


class PositionView(msgspec.Struct, frozen=True, array_like=True):
    """One position in the account view; `qty` signed, money in quote coin."""

    symbol: str
    qty: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealised: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    liquidation_price: Decimal
    stop_loss: Decimal


class Account(Message, frozen=True, kw_only=True, tag="account"):
    """The account as our books have it, compared with the venue's.

    Attributes:
        equity: wallet + unrealised, quote coin.
        available: what new orders may use, quote coin.
        drawdown: 1 − (equity − net transfers) / peak, a fraction.
        position_residual: Σ over symbols of |our qty − the venue's|, base coin, at the last comparison.
        money_residual: our wallet minus the venue's, quote coin, at the last comparison.
        reconciled_ns: when they were last compared, market ns; 0 = not yet.
        anomalies: what does not agree, in words.
    """

    equity: Decimal
    wallet: Decimal
    available: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal
    drawdown: Decimal
    positions: tuple[PositionView, ...]
    position_residual: Decimal
    money_residual: Decimal
    reconciled_ns: int
    state: TradingState
    anomalies: tuple[str, ...] = ()
