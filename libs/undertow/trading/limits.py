"""What may not be exceeded, and which of it a person may change while the fleet runs, and how far.

A change is a command: validated here (by admin before it is told, by the router before it holds), journalled and audited. The hard cap
in LIVE is not among them: only a person who edits the settings raises it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from undertow.domain.time import NS_PER_MS
from undertow.trading.sessions import Session
from undertow.trading.sizing import SizingRules

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may not be exceeded; fractions are of equity, notional at the entry price or the mark, whichever is more.

    Attributes:
        max_symbol_fraction: notional per symbol.
        max_gross_fraction: notional over all symbols.
        max_correlated_fraction: notional of what moves together with the entry.
        hard_notional: notional over all symbols, quote coin, independent of equity; None: no such cap.
        max_open_orders: orders that may rest, over all symbols.
        max_orders_per_second: orders sent in any one second.
        max_distance_bps: of the limit price from the mark.
        max_mid_distance_bps: of the signal's mid from the mark: further apart, the book is stale or broken.
        max_signal_age_ns: from the vector's receipt to now.
        max_event_age_ns: from the venue's own time of what set the signal off to now.
        max_mark_age_ns: of the mark.
        max_account_age_ns: of the newest word about equity.
        account_lag_ns: fills up to so long before the last comparison with the venue may not be in the free margin.
        max_margin_fraction: share of the free margin that may be used, and of equity.
        min_liquidation_buffer: distance to liquidation, a fraction of the price.
        max_drawdown: fraction from the peak.
        warn_drawdown: fraction from which on a person is warned.
        reduces_at_warning: True: entries stop there too.
        max_losses_in_row: so many pause the entries for `loss_pause_ns`.
        cascade_ns: how long a cascade is.
        max_entries_per_cascade: over all symbols.
        max_entries_per_symbol: of one symbol in a cascade.
        sessions: when entries may be made; none: always.
    """

    max_symbol_fraction: Decimal
    max_gross_fraction: Decimal
    max_correlated_fraction: Decimal
    hard_notional: Decimal | None
    max_open_orders: int
    max_orders_per_second: int
    max_distance_bps: Decimal
    max_mid_distance_bps: Decimal
    max_signal_age_ns: int
    max_event_age_ns: int
    max_mark_age_ns: int
    max_account_age_ns: int
    account_lag_ns: int
    max_margin_fraction: Decimal
    min_liquidation_buffer: Decimal
    max_drawdown: Decimal
    warn_drawdown: Decimal
    reduces_at_warning: bool
    max_losses_in_row: int
    loss_pause_ns: int
    cascade_ns: int
    max_entries_per_cascade: int
    max_entries_per_symbol: int
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that can be changed: its fields, its range, both ends included, and what its number counts.

    Attributes:
        limit: field of `Limits`, or "".
        sizing: field of `SizingRules`, or "".
        scale: of one unit in the field's own; 0: a decimal, not a count.
    """

    limit: str
    sizing: str
    least: Decimal
    most: Decimal
    unit: str
    scale: int = 0


def _bound(limit: str, sizing: str, least: str, most: str, unit: str, scale: int = 0) -> Bound:
    return Bound(limit, sizing, Decimal(least), Decimal(most), unit, scale)


CHANGEABLE: Final[Mapping[str, Bound]] = {
    "per_trade": _bound("", "risk_per_trade", "0.000001", "0.05", "fraction of equity"),
    "symbol_fraction": _bound("max_symbol_fraction", "symbol_fraction", "0.0001", "0.10", "fraction of equity"),
    "gross_fraction": _bound("max_gross_fraction", "gross_fraction", "0.0001", "5", "fraction of equity"),
    "correlated_fraction": _bound(
        "max_correlated_fraction", "correlated_fraction", "0.0001", "5", "fraction of equity"
    ),
    "margin_fraction": _bound("max_margin_fraction", "margin_fraction", "0.0001", "1", "fraction of the free margin"),
    "min_liquidation_buffer": _bound("min_liquidation_buffer", "", "0.05", "10", "fraction of the price"),
    "max_drawdown": _bound("max_drawdown", "", "0.001", "0.5", "fraction of the peak"),
    "warn_drawdown": _bound("warn_drawdown", "", "0.001", "0.5", "fraction of the peak"),
    "max_distance_bps": _bound("max_distance_bps", "", "1", "2000", "basis points"),
    "max_mid_distance_bps": _bound("max_mid_distance_bps", "", "1", "2000", "basis points"),
    "max_open_orders": _bound("max_open_orders", "", "1", "500", "orders", 1),
    "max_orders_per_second": _bound("max_orders_per_second", "", "1", "1000", "orders", 1),
    "max_signal_age_ms": _bound("max_signal_age_ns", "", "1", "60000", "milliseconds", NS_PER_MS),
    "max_losses_in_row": _bound("max_losses_in_row", "", "1", "1000", "trades", 1),
    "loss_pause_s": _bound("loss_pause_ns", "", "1", "86400", "seconds", _SECOND),
    "max_entries_per_cascade": _bound("max_entries_per_cascade", "", "1", "10000", "entries", 1),
    "max_entries_per_symbol": _bound("max_entries_per_symbol", "", "1", "10000", "entries", 1),
}
"""By the name of the setting; the settings keep to the same ranges."""


class LimitError(ValueError):
    """A limit that cannot be changed so; says the rule and the range."""


def read_limit(name: str, text: str) -> Decimal:
    """Read a new value.

    Raises:
        LimitError: no such limit, no number, or outside its range.
    """
    bound = CHANGEABLE.get(name)
    if bound is None:
        raise LimitError(f"{name!r} is no limit that can be changed; there are {', '.join(CHANGEABLE)}")
    words = f"{name} is a number from {bound.least} to {bound.most} ({bound.unit})"
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise LimitError(f"{text!r} is no number; {words}") from None
    if not value.is_finite() or not bound.least <= value <= bound.most:
        raise LimitError(f"{text} is outside its range; {words}")
    if bound.scale and value != int(value):
        raise LimitError(f"{text} is no whole number; {words}")
    return value


def value_of(limits: Limits, sizing: SizingRules, name: str) -> Decimal:
    """Give a limit as it is, in the unit of its setting."""
    bound = CHANGEABLE[name]
    value = getattr(limits, bound.limit) if bound.limit else getattr(sizing, bound.sizing)
    return Decimal(value) / bound.scale if bound.scale else Decimal(value)


def with_limit(limits: Limits, sizing: SizingRules, name: str, text: str) -> tuple[Limits, SizingRules]:
    """Change one limit.

    Raises:
        LimitError: not so.
    """
    value, bound = read_limit(name, text), CHANGEABLE[name]
    if bound.limit:
        field: dict[str, Any] = {bound.limit: int(value) * bound.scale if bound.scale else value}
        limits = replace(limits, **field)
    if bound.sizing:
        sizing = replace(sizing, **{bound.sizing: value})
    if limits.max_symbol_fraction > limits.max_gross_fraction:
        raise LimitError(
            f"symbol_fraction {limits.max_symbol_fraction} would be above gross_fraction {limits.max_gross_fraction}"
        )
    if limits.warn_drawdown > limits.max_drawdown:
        raise LimitError(f"warn_drawdown {limits.warn_drawdown} would be above max_drawdown {limits.max_drawdown}")
    return limits, sizing
