"""May this entry be sent? A list of small checks; the first refusal wins and says why, with its numbers.

The checks look at our own reservations (unknown, resting and filled orders), never at what a late account message says of them, so
accepted exposure stays under its limits however late `account` arrives. A value at its limit passes; one beyond is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from undertow.contracts.messages.decision import Verdict
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderType, Side
from undertow.domain.state import TradingState

_BPS: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may not be exceeded.

    Attributes:
        max_symbol_fraction: notional per symbol over equity.
        max_gross_fraction: notional over all symbols over equity.
        max_open_orders: orders that may rest, over all symbols.
        max_orders_per_second: orders sent in any one second.
        max_distance_bps: of the limit price from the signal's mid.
        max_signal_age_ns: from the vector's receipt to now.
        max_account_age_ns: of the newest word about equity.
        max_margin_fraction: share of the free margin that may be used.
        max_drawdown: fraction from the peak.
    """

    max_symbol_fraction: Decimal
    max_gross_fraction: Decimal
    max_open_orders: int
    max_orders_per_second: int
    max_distance_bps: Decimal
    max_signal_age_ns: int
    max_account_age_ns: int
    max_margin_fraction: Decimal
    max_drawdown: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """An entry and all that the checks look at; money in quote coin, times in market ns.

    Attributes:
        signal_ns: when the vector behind the signal was received.
        valid_until_ns: the signal's own deadline.
        orders_last_second: orders sent during the second before `now_ns`.
        live_trade: id of the symbol's live trade, or "".
        blocked: why the router cannot take entries at all (not recovered, bus away, …), or "".
        paused: why entries are paused by command, or "".
        permit: why the guardian's permit does not cover an entry, or "".
    """

    now_ns: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    mid: Decimal
    leverage: Decimal
    signal_ns: int
    valid_until_ns: int
    instrument: Instrument
    equity: Decimal
    available: Decimal
    account_ns: int
    drawdown: Decimal
    symbol_exposure: Decimal
    gross_exposure: Decimal
    unfilled_exposure: Decimal
    open_orders: int
    orders_last_second: int
    live_trade: str
    state: TradingState
    blocked: str = ""
    paused: str = ""
    permit: str = ""

    @property
    def notional(self) -> Decimal:
        """Of the entry, at its limit price."""
        return self.qty * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why not: the check's name, its words and its numbers."""

    check: str
    reason: str
    numbers: Mapping[str, str]
    verdict: Verdict = Verdict.DENIED


Check = Callable[[EntryWish, Limits], Refusal | None]


def signal_is_fresh(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse what is past its deadline or too old."""
    deadline = min(wish.valid_until_ns, wish.signal_ns + limits.max_signal_age_ns)
    if wish.now_ns <= deadline:
        return None
    late_ms = (wish.now_ns - deadline) / 1e6
    return _refuse("signal_is_fresh", f"{late_ms:.3f} ms past its deadline", {"late_ms": late_ms}, Verdict.EXPIRED)


def router_is_able(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse while the router does not know its own orders or cannot tell the fleet."""
    return _refuse("router_is_able", wish.blocked, {}) if wish.blocked else None


def entries_are_not_paused(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse while a command says so."""
    return _refuse("entries_are_not_paused", wish.paused, {}, Verdict.PAUSED) if wish.paused else None


def state_is_active(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse in REDUCING and HALTED."""
    if wish.state is TradingState.ACTIVE:
        return None
    return _refuse("state_is_active", f"the state is {wish.state}", {"state": wish.state}, Verdict.PAUSED)


def guardian_permits(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse without a valid permit for this boot."""
    return _refuse("guardian_permits", wish.permit, {}, Verdict.NO_PERMIT) if wish.permit else None


def symbol_has_no_trade(wish: EntryWish, _: Limits) -> Refusal | None:
    """At most one live trade per symbol."""
    if not wish.live_trade:
        return None
    return _refuse("symbol_has_no_trade", f"{wish.symbol} has a live trade", {"trade_id": wish.live_trade})


def instrument_is_orderable(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse what the venue's filters would refuse."""
    reason = wish.instrument.why_not_orderable(OrderType.LIMIT, wish.price, wish.qty)
    return _refuse("instrument_is_orderable", reason, {"price": wish.price, "qty": wish.qty}) if reason else None


def price_is_near_mid(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse a price far from the signal's mid: a fat finger, or a broken book."""
    distance = abs(wish.price - wish.mid) * _BPS
    if distance <= limits.max_distance_bps * wish.mid:
        return None
    return _beyond("price_is_near_mid", "bps from mid", distance / wish.mid, limits.max_distance_bps)


def price_is_inside_band(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse a price outside the venue's price band, taken around the mid; a ratio of 0 means the venue gives none."""
    ratio = wish.instrument.price_limit_ratio_x
    off = wish.side.sign * (wish.price - wish.mid)
    if not ratio or off <= ratio * wish.mid:
        return None
    return _beyond("price_is_inside_band", "of mid beyond it", off / wish.mid, ratio)


def account_is_known(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse without a recent word about equity."""
    age = wish.now_ns - wish.account_ns
    if wish.equity > 0 and age <= limits.max_account_age_ns:
        return None
    if wish.equity <= 0:
        return _refuse("account_is_known", f"equity is {wish.equity}", {"equity": wish.equity})
    return _beyond("account_is_known", "s since equity was known", age / 1e9, limits.max_account_age_ns / 1e9)


def drawdown_is_bearable(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse from the drawdown limit on."""
    if wish.drawdown <= limits.max_drawdown:
        return None
    return _beyond("drawdown_is_bearable", "drawdown", wish.drawdown, limits.max_drawdown)


def symbol_exposure_fits(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Notional of the symbol with this entry, against equity."""
    total, most = wish.symbol_exposure + wish.notional, wish.equity * limits.max_symbol_fraction
    return None if total <= most else _beyond("symbol_exposure_fits", f"of {wish.symbol} notional", total, most)


def gross_exposure_fits(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Notional of all symbols with this entry, against equity."""
    total, most = wish.gross_exposure + wish.notional, wish.equity * limits.max_gross_fraction
    return None if total <= most else _beyond("gross_exposure_fits", "of gross notional", total, most)


def margin_suffices(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Initial margin of this and all unfilled entries, against what is free."""
    needed = (wish.unfilled_exposure + wish.notional) / wish.leverage
    most = wish.available * limits.max_margin_fraction
    return None if needed <= most else _beyond("margin_suffices", "of margin", needed, most)


def open_orders_fit(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Count of orders that may rest, with this one."""
    count = wish.open_orders + 1
    return (
        None if count <= limits.max_open_orders else _beyond("open_orders_fit", "orders", count, limits.max_open_orders)
    )


def order_rate_fits(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Orders sent within one second, with this one."""
    count, most = wish.orders_last_second + 1, limits.max_orders_per_second
    return None if count <= most else _beyond("order_rate_fits", "orders in one second", count, most)


CHECKS: Final[tuple[Check, ...]] = (
    signal_is_fresh,
    router_is_able,
    entries_are_not_paused,
    state_is_active,
    guardian_permits,
    symbol_has_no_trade,
    account_is_known,
    drawdown_is_bearable,
    instrument_is_orderable,
    price_is_near_mid,
    price_is_inside_band,
    symbol_exposure_fits,
    gross_exposure_fits,
    margin_suffices,
    open_orders_fit,
    order_rate_fits,
)
"""In this order; those that need no size come first."""

BEFORE_SIZING: Final = CHECKS[:8]
AFTER_SIZING: Final = CHECKS[8:]


def first_refusal(wish: EntryWish, limits: Limits, checks: tuple[Check, ...] = CHECKS) -> Refusal | None:
    """Ask the checks in turn; None when all pass."""
    for check in checks:
        refusal = check(wish, limits)
        if refusal is not None:
            return refusal
    return None


def _refuse(check: str, reason: str, numbers: Mapping[str, object], verdict: Verdict = Verdict.DENIED) -> Refusal:
    return Refusal(
        check=check, reason=reason, numbers={name: str(value) for name, value in numbers.items()}, verdict=verdict
    )


def _beyond(check: str, what: str, value: Decimal | float, most: Decimal | float) -> Refusal:
    return _refuse(check, f"{value:.6g} {what}, at most {most:.6g}", {"value": value, "limit": most})
