"""May this entry be sent? A list of small checks; the first refusal wins and says why, with its numbers.

The checks look at our own reservations (unknown, resting and filled orders) at the entry price or the mark, whichever is more, never at
what a late account message says of them, so accepted exposure stays under its limits however late `account` arrives. A value at its
limit passes; one beyond is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from undertow.contracts.messages.decision import Verdict
from undertow.domain.instrument import Instrument
from undertow.domain.order import OrderType, Side
from undertow.domain.state import TradingState
from undertow.trading.limits import Limits
from undertow.trading.sessions import is_open

_BPS: Final = Decimal(10_000)
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """An entry and all that the checks look at; money in quote coin, times in market ns.

    Attributes:
        signal_ns: when the vector behind the signal was received.
        event_ns: the venue's time of what set it off.
        valid_until_ns: the signal's own deadline.
        mark: the venue's mark price, by a way of its own; 0 when never heard.
        unsettled_exposure: notional of what may fill or has filled since `available` was known.
        correlated_exposure: notional that would lose together with the entry.
        liquidation_distance: of the held position nearest to its liquidation, a fraction of the mark; None: none is near.
        entries_in_cascade: within the last cascade's time, over all symbols; `entries_of_symbol` of this one.
        orders_last_second: orders sent during the second before `now_ns`.
        live_trade: id of the symbol's live trade, or "".
        blocked: why the router cannot take entries at all (not recovered, bus away, …), or "".
        paused: why entries are paused by command, or "".
        reducing: why the router itself is REDUCING, or "".
        permit: why the guardian's permit does not cover an entry, or "".
    """

    now_ns: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    mid: Decimal
    leverage: Decimal
    mark: Decimal
    mark_ns: int
    signal_ns: int
    event_ns: int
    valid_until_ns: int
    instrument: Instrument
    equity: Decimal
    available: Decimal
    account_ns: int
    drawdown: Decimal
    symbol_exposure: Decimal
    gross_exposure: Decimal
    correlated_exposure: Decimal
    unsettled_exposure: Decimal
    liquidation_distance: Decimal | None
    entries_in_cascade: int
    entries_of_symbol: int
    cooling_until_ns: int
    open_orders: int
    orders_last_second: int
    live_trade: str
    state: TradingState
    blocked: str = ""
    paused: str = ""
    reducing: str = ""
    permit: str = ""

    @property
    def notional(self) -> Decimal:
        """Of the entry, at its limit price or the mark, whichever is more."""
        return self.qty * max(self.price, self.mark)


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


def features_are_fresh(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse what was set off by something that the venue knew long ago: the feed is behind."""
    age = wish.now_ns - wish.event_ns
    if age <= limits.max_event_age_ns:
        return None
    most = limits.max_event_age_ns / 1e9
    return _beyond("features_are_fresh", "s since the venue knew", age / 1e9, most, Verdict.EXPIRED)


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
    why = f": {wish.reducing}" if wish.reducing else ""
    return _refuse("state_is_active", f"the state is {wish.state}{why}", {"state": wish.state}, Verdict.PAUSED)


def guardian_permits(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse without a valid permit for this boot."""
    return _refuse("guardian_permits", wish.permit, {}, Verdict.NO_PERMIT) if wish.permit else None


def session_is_open(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse outside the schedule, UTC."""
    if is_open(limits.sessions, wish.now_ns):
        return None
    moment = datetime.fromtimestamp(wish.now_ns // _SECOND, UTC)
    return _refuse("session_is_open", f"{moment:%a %H:%M} UTC is in no session", {"time": moment.isoformat()})


def losses_have_cooled(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse for a while after losses in a row."""
    left = (wish.cooling_until_ns - wish.now_ns) / 1e9
    if left <= 0:
        return None
    return _refuse("losses_have_cooled", f"{left:.1f} s left of the pause after losses in a row", {"left_s": left})


def cascade_has_room(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Entries of one cascade, over all symbols, with this one."""
    count, most = wish.entries_in_cascade + 1, limits.max_entries_per_cascade
    return None if count <= most else _beyond("cascade_has_room", "entries in one cascade", count, most)


def symbol_has_room(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Entries of one symbol in one cascade, with this one."""
    count, most = wish.entries_of_symbol + 1, limits.max_entries_per_symbol
    return None if count <= most else _beyond("symbol_has_room", f"entries in {wish.symbol}", count, most)


def mark_is_known(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse without a recent mark: notional and distance are reckoned at it."""
    if wish.mark <= 0:
        return _refuse("mark_is_known", f"no mark of {wish.symbol} yet", {"mark": wish.mark})
    age = wish.now_ns - wish.mark_ns
    if age <= limits.max_mark_age_ns:
        return None
    return _beyond("mark_is_known", "s since the mark was read", age / 1e9, limits.max_mark_age_ns / 1e9)


def book_agrees_with_mark(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse when the mid that the signal saw is far from the mark: the book is stale, or the market broken."""
    distance = abs(wish.mid - wish.mark) * _BPS
    if distance <= limits.max_mid_distance_bps * wish.mark:
        return None
    return _beyond("book_agrees_with_mark", "bps from mark to mid", distance / wish.mark, limits.max_mid_distance_bps)


def symbol_has_no_trade(wish: EntryWish, _: Limits) -> Refusal | None:
    """At most one live trade per symbol."""
    if not wish.live_trade:
        return None
    return _refuse("symbol_has_no_trade", f"{wish.symbol} has a live trade", {"trade_id": wish.live_trade})


def instrument_is_orderable(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse what the venue's filters would refuse."""
    reason = wish.instrument.why_not_orderable(OrderType.LIMIT, wish.price, wish.qty)
    return _refuse("instrument_is_orderable", reason, {"price": wish.price, "qty": wish.qty}) if reason else None


def price_is_near_mark(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Refuse a price far from the mark: a fat finger, or a broken book. The signal's own mid, from which it was made, proves nothing."""
    distance = abs(wish.price - wish.mark) * _BPS
    if distance <= limits.max_distance_bps * wish.mark:
        return None
    return _beyond("price_is_near_mark", "bps from mark", distance / wish.mark, limits.max_distance_bps)


def price_is_inside_band(wish: EntryWish, _: Limits) -> Refusal | None:
    """Refuse a price outside the venue's price band, taken around the mark; a ratio of 0 means the venue gives none."""
    ratio = wish.instrument.price_limit_ratio_x
    off = wish.side.sign * (wish.price - wish.mark)
    if not ratio or off <= ratio * wish.mark:
        return None
    return _beyond("price_is_inside_band", "of mark beyond it", off / wish.mark, ratio)


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


def hard_cap_holds(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Notional of all symbols with this entry, against the cap that no equity raises."""
    total, most = wish.gross_exposure + wish.notional, limits.hard_notional
    return (
        None if most is None or total <= most else _beyond("hard_cap_holds", "of notional under the cap", total, most)
    )


def correlated_exposure_fits(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Notional of what would lose together with this entry, and of it, against equity."""
    total, most = wish.correlated_exposure + wish.notional, wish.equity * limits.max_correlated_fraction
    return (
        None if total <= most else _beyond("correlated_exposure_fits", "of notional that moves together", total, most)
    )


def margin_suffices(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Initial margin of this entry and of all that the free margin may not know yet, against what is free."""
    needed = (wish.unsettled_exposure + wish.notional) / wish.leverage
    most = wish.available * limits.max_margin_fraction
    return None if needed <= most else _beyond("margin_suffices", "of margin", needed, most)


def equity_carries_margin(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Initial margin of everything with this entry, against equity: holds whatever is said of the free margin."""
    needed = (wish.gross_exposure + wish.notional) / wish.leverage
    most = wish.equity * limits.max_margin_fraction
    return None if needed <= most else _beyond("equity_carries_margin", "of margin of equity", needed, most)


def liquidation_is_far(wish: EntryWish, limits: Limits) -> Refusal | None:
    """Distance to liquidation with this entry, and of what is held.

    All positions of a cross account go against it at once by a fraction b of their price. It is liquidated when equity − b · gross
    reaches the maintenance margin, which is less than the initial one, gross / leverage. So b = equity / gross − 1 / leverage is on the
    safe side (our inference from the venue's rule; the venue's own price of each held position counts too).
    """
    buffer = wish.equity / (wish.gross_exposure + wish.notional) - 1 / wish.leverage
    if wish.liquidation_distance is not None:
        buffer = min(buffer, wish.liquidation_distance)
    if buffer >= limits.min_liquidation_buffer:
        return None
    least = limits.min_liquidation_buffer
    reason = f"{buffer:.6g} of the price to liquidation, at least {least:.6g}"
    return _refuse("liquidation_is_far", reason, {"value": buffer, "limit": least})


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
    features_are_fresh,
    router_is_able,
    entries_are_not_paused,
    state_is_active,
    guardian_permits,
    session_is_open,
    losses_have_cooled,
    symbol_has_no_trade,
    cascade_has_room,
    symbol_has_room,
    account_is_known,
    drawdown_is_bearable,
    mark_is_known,
    book_agrees_with_mark,
    instrument_is_orderable,
    price_is_near_mark,
    price_is_inside_band,
    symbol_exposure_fits,
    gross_exposure_fits,
    correlated_exposure_fits,
    hard_cap_holds,
    margin_suffices,
    equity_carries_margin,
    liquidation_is_far,
    open_orders_fit,
    order_rate_fits,
)
"""In this order; those that need no size come first."""

BEFORE_SIZING: Final = CHECKS[: CHECKS.index(instrument_is_orderable)]
AFTER_SIZING: Final = CHECKS[len(BEFORE_SIZING) :]


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


def _beyond(
    check: str, what: str, value: Decimal | float, most: Decimal | float, verdict: Verdict = Verdict.DENIED
) -> Refusal:
    return _refuse(check, f"{value:.6g} {what}, at most {most:.6g}", {"value": value, "limit": most}, verdict)
