"""The venue's view of orders, fills, positions and money, in our types; made by `parse`, read by everybody."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from undertow.domain.execution import MOVES_POSITION
from undertow.domain.order import OrderStatus, OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it will be sent. `stop_loss` 0 means none.

    Attributes:
        closes_all: of the whole position; `qty` is what we believe that to be, and is not sent.
    """

    order_id: str  # our orderLinkId
    symbol: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool
    stop_loss: Decimal = Decimal(0)
    closes_all: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """The best prices of a book."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue has it. `order_id` is the orderLinkId, or empty for orders the venue made.

    Attributes:
        trigger_by: the price that triggers a conditional order: MarkPrice, LastPrice or IndexPrice.
    """

    order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    qty: Decimal
    filled_qty: Decimal
    average_price: Decimal
    status: OrderStatus
    is_conditional: bool  # Untriggered: a stop waiting for its trigger
    trigger_price: Decimal
    stop_order_type: str
    reduce_only: bool
    reject_reason: str
    cancel_type: str
    create_type: str
    created_ns: int
    updated_ns: int
    trigger_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueExecution:
    """A fill or cash event; `fee` positive when paid; `moves_position` False for Funding.

    Attributes:
        fee_rate: of the fill's value in quote coin, whatever coin the fee was taken in; 0 where the venue did not say.
    """

    exec_id: str
    order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    exec_type: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_coin: str
    is_maker: bool
    executed_ns: int
    fee_rate: Decimal = Decimal(0)

    @property
    def moves_position(self) -> bool:
        """True for fills; Funding rows carry a qty but are cash only."""
        return self.exec_type in MOVES_POSITION


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """A position; `qty` signed, 0 when flat."""

    symbol: str
    position_idx: int
    qty: Decimal
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal
    unrealised: Decimal
    stop_loss: Decimal
    leverage: Decimal
    updated_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """The settle coin's row of the unified account, in that coin."""

    coin: str
    equity: Decimal
    wallet: Decimal
    available: Decimal
    unrealised: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A row of the transaction log; change = cash_flow + funding − fee."""

    entry_id: str
    kind: str  # TRADE, SETTLEMENT, TRANSFER_IN, ...
    symbol: str
    coin: str
    change: Decimal
    cash_flow: Decimal
    funding: Decimal
    fee: Decimal
    balance: Decimal
    booked_ns: int
    exec_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """What an account is set to."""

    margin_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """What a key may do."""

    read_only: bool
    can_trade: bool
    can_withdraw: bool
    addresses: tuple[str, ...]
    expires_ns: int
