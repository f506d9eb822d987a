"""From the venue's JSON to our types: pure functions, and the two that judge errors.

"Nothing" is spelt `""`, `"0"`, `null` or a missing key; `_decimal` and `_ns` take them all for zero. Unknown keys are ignored, unknown
enum values are errors that name themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderStatus, OrderType, Side, TimeInForce
from undertow.exchange.errors import (
    AccessError,
    AlreadySoError,
    BadAnswerError,
    BannedError,
    ClockSkewError,
    OrderGoneError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
    VenueError,
)
from undertow.exchange.models import (
    AccountInfo,
    KeyInfo,
    LedgerEntry,
    OrderRequest,
    Touch,
    VenueExecution,
    VenueOrder,
    VenuePosition,
    Wallet,
)

Json = Mapping[str, Any]
T = TypeVar("T")
_NS_PER_MS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000
_LATEST_MS: Final = 9_000_000_000_000
_ZERO: Final = Decimal(0)

_STATUS: Final = {
    "Created": OrderStatus.SUBMITTED,
    "New": OrderStatus.NEW,
    "Untriggered": OrderStatus.NEW,
    "Triggered": OrderStatus.NEW,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Deactivated": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
}

_UNKNOWN_OUTCOME: Final = frozenset({429, 10000, 10014, 10016, 10019, 110072, 110079, 170141})
DUPLICATE_IDS: Final = frozenset({110072, 170141})
"""The venue has an order of this id already."""
NOTHING_TO_REDUCE: Final = 110017
RATE_LIMITS: Final = frozenset({10006, 10403, 10429, 20003, 170222})
_BUSY: Final = frozenset({110005, 110066, 110103})
_BANNED: Final = frozenset({403, 10018})
_BUG: Final = frozenset({10017})
_CLOCK: Final = frozenset({-1, 10002})
_ACCESS: Final = frozenset(
    {10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 10028, 10029, 10032, 33004, 110123, 110125}
)
_GONE: Final = frozenset({110001, 110008, 110010, 170142, 170213, 40004})
_ALREADY_SO: Final = frozenset({110025, 110026, 110027, 110043, 34036, 34040})


def error_for(code: int, message: str, now_ns: int, retry_at_ms: int = 0) -> VenueError:
    """Give the error of a `retCode` other than 0 (§2.6 of the protocol).

    Args:
        code: the venue's number.
        message: its `retMsg`.
        now_ns: market time.
        retry_at_ms: `X-Bapi-Limit-Reset-Timestamp`, where there is one.
    """
    if code in RATE_LIMITS:
        return RateLimitedError(
            code, message, max(retry_at_ms * _NS_PER_MS, now_ns) if retry_at_ms else now_ns + _SECOND_NS
        )
    for codes, kind in _KINDS:
        if code in codes:
            return kind(code, message)
    return OrderRefusedError(code, message)


_KINDS: Final[tuple[tuple[frozenset[int], type[VenueError]], ...]] = (
    (_UNKNOWN_OUTCOME, OutcomeUnknownError),
    (_BUSY, VenueBusyError),
    (_BANNED, BannedError),
    (_BUG, BadAnswerError),
    (_CLOCK, ClockSkewError),
    (_ACCESS, AccessError),
    (_GONE, OrderGoneError),
    (_ALREADY_SO, AlreadySoError),
)


def is_retryable(error: VenueError) -> bool:
    """Answer whether an idempotent request may simply be sent again later."""
    return isinstance(error, VenueBusyError | RateLimitedError | ClockSkewError | OutcomeUnknownError)


def order_body(request: OrderRequest) -> dict[str, Any]:
    """Give the fields of `order/create` (§4.1); the stop is triggered by mark price and closes the full size.

    A quantity of 0 with both flags closes the whole position.
    """
    body: dict[str, Any] = {
        "category": "linear",
        "symbol": request.symbol,
        "side": request.side.value,
        "orderType": request.order_type.value,
        "qty": "0" if request.closes_all else plain(request.qty),
        "timeInForce": request.time_in_force.value,
        "positionIdx": 0,
        "orderLinkId": request.order_id,
        "reduceOnly": request.reduce_only,
    }
    if request.order_type is OrderType.LIMIT:
        body["price"] = plain(request.price)
    if request.closes_all:
        body["closeOnTrigger"] = True
    if request.stop_loss:
        body |= {"stopLoss": plain(request.stop_loss), "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
    return body


def plain(value: Decimal) -> str:
    """Write a decimal without an exponent."""
    return format(value, "f")


def instrument(item: Json) -> Instrument:
    """Read an item of `instruments-info`."""
    price, lot, risk = item["priceFilter"], item["lotSizeFilter"], item.get("riskParameters") or {}
    return Instrument(
        symbol=item["symbol"],
        base_coin=item["baseCoin"],
        quote_coin=item["quoteCoin"],
        status=item["status"],
        tick_size=_decimal(price["tickSize"]),
        min_price=_decimal(price["minPrice"]),
        max_price=_decimal(price["maxPrice"]),
        qty_step=_decimal(lot["qtyStep"]),
        min_qty=_decimal(lot["minOrderQty"]),
        max_limit_qty=_decimal(lot["maxOrderQty"]),
        max_market_qty=_decimal(lot["maxMktOrderQty"]),
        min_notional=_decimal(lot.get("minNotionalValue")),
        max_leverage=_decimal(item["leverageFilter"]["maxLeverage"]),
        funding_interval_minutes=int(item["fundingInterval"]),
        price_limit_ratio_x=_decimal(risk.get("priceLimitRatioX")),
        price_limit_ratio_y=_decimal(risk.get("priceLimitRatioY")),
    )


def order(item: Json) -> VenueOrder:
    """Read an order of `order/realtime`, `order/history` or the order topic."""
    return VenueOrder(
        order_id=item.get("orderLinkId") or "",
        venue_order_id=item["orderId"],
        symbol=item["symbol"],
        side=Side(item["side"]),
        order_type=OrderType(item["orderType"]),
        time_in_force=_time_in_force(item.get("timeInForce") or "GTC"),
        price=_decimal(item.get("price")),
        qty=_decimal(item["qty"]),
        filled_qty=_decimal(item.get("cumExecQty")),
        average_price=_decimal(item.get("avgPrice")),
        status=_STATUS[item["orderStatus"]],
        is_conditional=item["orderStatus"] == "Untriggered",
        trigger_price=_decimal(item.get("triggerPrice")),
        trigger_by=_word(item.get("triggerBy")),
        stop_order_type=_word(item.get("stopOrderType")),
        reduce_only=bool(item.get("reduceOnly")),
        reject_reason="" if item.get("rejectReason") in (None, "EC_NoError") else str(item["rejectReason"]),
        cancel_type=_word(item.get("cancelType")),
        create_type=_word(item.get("createType")),
        created_ns=_ns(item.get("createdTime")),
        updated_ns=_ns(item.get("updatedTime")),
    )


def touch(item: Json) -> Touch:
    """Read the best prices of an item of `market/tickers`; both must be there."""
    found = Touch(_decimal(item["bid1Price"]), _decimal(item["ask1Price"]))
    if not 0 < found.bid < found.ask:
        raise ValueError(f"the best prices are {found.bid} and {found.ask}")
    return found


def mark_price(item: Json) -> Decimal:
    """Read the mark price of an item of `market/tickers`; it must be there."""
    found = _decimal(item["markPrice"])
    if found <= 0:
        raise ValueError(f"the mark price is {found}")
    return found


def execution(item: Json) -> VenueExecution:
    """Read a row of `execution/list` or the execution topic."""
    return VenueExecution(
        exec_id=item["execId"],
        order_id=item.get("orderLinkId") or "",
        venue_order_id=item.get("orderId") or "",
        symbol=item["symbol"],
        side=Side(item["side"]),
        exec_type=item["execType"],
        price=_decimal(item["execPrice"]),
        qty=_decimal(item["execQty"]),
        fee=_decimal(item.get("execFee")),
        fee_coin=item.get("feeCurrency") or "USDT",
        is_maker=bool(item.get("isMaker")),
        executed_ns=_ns(item["execTime"]),
        fee_rate=_decimal(item.get("feeRate")),
    )


def position(item: Json) -> VenuePosition:
    """Read a position; REST says `avgPrice`, the topic `entryPrice`; a flat one has the side ""."""
    size = _decimal(item["size"])
    return VenuePosition(
        symbol=item["symbol"],
        position_idx=int(item.get("positionIdx") or 0),
        qty=-size if item["side"] == Side.SELL.value else size,
        entry_price=_decimal(item.get("entryPrice") or item.get("avgPrice")),
        mark_price=_decimal(item.get("markPrice")),
        liquidation_price=_decimal(item.get("liqPrice")),
        unrealised=_decimal(item.get("unrealisedPnl")),
        stop_loss=_decimal(item.get("stopLoss")),
        leverage=_decimal(item.get("leverage")),
        updated_ns=_ns(item.get("updatedTime")),
    )


def wallet(account: Json, coin: str) -> Wallet:
    """Read the row of one coin; zero where the venue omits the coin. `available` is in coin units, for a USD-pegged coin."""
    row: Json = next((each for each in account.get("coin", ()) if each["coin"] == coin), {})
    balance, unrealised = _decimal(row.get("walletBalance")), _decimal(row.get("unrealisedPnl"))
    available = account.get("totalAvailableBalance")
    return Wallet(
        coin=coin,
        equity=_decimal(row["equity"]) if row.get("equity") else balance + unrealised,
        wallet=balance,
        available=_decimal(available)
        if available
        else balance
        - _decimal(row.get("totalPositionIM"))
        - _decimal(row.get("totalOrderIM"))
        - _decimal(row.get("locked")),
        unrealised=unrealised,
    )


def ledger_entry(item: Json) -> LedgerEntry:
    """Read a row of `transaction-log`."""
    return LedgerEntry(
        entry_id=item["id"],
        kind=item["type"],
        symbol=item.get("symbol") or "",
        coin=item["currency"],
        change=_decimal(item["change"]),
        cash_flow=_decimal(item.get("cashFlow")),
        funding=_decimal(item.get("funding")),
        fee=_decimal(item.get("fee")),
        balance=_decimal(item.get("cashBalance")),
        booked_ns=_ns(item["transactionTime"]),
        exec_id=item.get("tradeId") or "",
    )


def account_info(item: Json) -> AccountInfo:
    """Read `account/info`."""
    return AccountInfo(margin_mode=item["marginMode"])


def key_info(item: Json) -> KeyInfo:
    """Read `user/query-api`."""
    permissions: Mapping[str, list[str]] = item.get("permissions") or {}
    contract = permissions.get("ContractTrade") or []
    trade = {"Order", "Position"} <= set(contract) or "DerivativesTrade" in (permissions.get("Derivatives") or [])
    return KeyInfo(
        read_only=int(item["readOnly"]) == 1,
        can_trade=trade and int(item["readOnly"]) == 0,
        can_withdraw="Withdraw" in (permissions.get("Wallet") or []),
        addresses=tuple(item.get("ips") or ()),
        expires_ns=_iso_ns(item.get("expiredAt")),
    )


def read(what: Callable[[Any], T], item: Any, path: str) -> T:
    """Read an item of an answer.

    Raises:
        BadAnswerError: a field is missing, of the wrong type, or has an unknown value; names it.
    """
    try:
        return what(item)
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadAnswerError(0, f"{path}: {type(error).__name__} {error} in {str(item)[:200]}") from None


def _decimal(value: Any) -> Decimal:
    if value is None or value == "":
        return _ZERO
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return number


def whole(value: Any) -> int:
    """Read a header that ought to be a whole number; 0 for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else 0


def moment_ns(value: Any) -> int:
    """Read a time in milliseconds.

    Raises:
        ValueError: it is none, or none that fits in 64 bits as nanoseconds.
    """
    at_ms = int(value)
    if not 0 <= at_ms <= _LATEST_MS:
        raise ValueError(f"{value!r} is not a time")
    return at_ms * _NS_PER_MS


def _ns(value: Any) -> int:
    return int(value) * _NS_PER_MS if value not in (None, "") else 0


def _iso_ns(value: str | None) -> int:
    if not value:
        return 0
    when = datetime.fromisoformat(value)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()) * _SECOND_NS


def _word(value: Any) -> str:
    return "" if value in (None, "UNKNOWN", "") else str(value)


def _time_in_force(value: str) -> TimeInForce:
    return TimeInForce.GTC if value == "RPI" else TimeInForce(value)
