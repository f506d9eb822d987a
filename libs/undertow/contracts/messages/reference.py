"""Slow facts: instruments, open interest, funding, sentiment, risk tiers, and the venue's own condition."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from undertow.contracts.messages.base import Message

UNLISTED: Final = "Unlisted"
"""The `status` of a contract that the venue no longer names under any of its own (`PreLaunch`, `Trading`, `Delivering`, `Closed`)."""


class InstrumentChanged(Message, frozen=True, kw_only=True, tag="instrument"):
    """The filters of a contract, when first seen and at every change; fields as `undertow.domain.instrument.Instrument`.

    Attributes:
        changed: names of the fields that are not as in the message before; none in the first.
    """

    symbol: str
    base_coin: str
    quote_coin: str
    status: str
    tick_size: Decimal
    min_price: Decimal
    max_price: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal
    min_notional: Decimal
    max_leverage: Decimal
    funding_interval_minutes: int
    price_limit_ratio_x: Decimal
    price_limit_ratio_y: Decimal
    changed: tuple[str, ...] = ()


class OpenInterest(Message, frozen=True, kw_only=True, tag="open_interest"):
    """Open interest of both sides, base coin, at `ts_event`."""

    symbol: str
    open_interest: Decimal


class Funding(Message, frozen=True, kw_only=True, tag="funding"):
    """A funding rate as settled at `ts_event`; a fraction, positive when longs pay."""

    symbol: str
    rate: Decimal


class NextFunding(Message, frozen=True, kw_only=True, tag="next_funding"):
    """The funding that is due next, as the venue expects it at `ts_event`.

    Attributes:
        rate: the running estimate, a fraction, positive when longs pay.
        due_ns: when it is settled.
        interval_minutes: from there to the one after it.
        cap: the rate goes no further either way; 0 where the venue does not say.
    """

    symbol: str
    rate: Decimal
    due_ns: int
    interval_minutes: int
    cap: Decimal


class DayTicker(Message, frozen=True, kw_only=True, tag="day_ticker"):
    """Prices now and the last 24 hours.

    Attributes:
        change: of the price in 24 hours, a fraction.
        volume: base coin in 24 hours.
        turnover: quote coin in 24 hours.
        open_interest: of both sides, base coin.
    """

    symbol: str
    last_price: Decimal
    mark_price: Decimal
    index_price: Decimal
    change: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    turnover: Decimal
    open_interest: Decimal


class LongShortRatio(Message, frozen=True, kw_only=True, tag="long_short_ratio"):
    """Share of accounts net long, a fraction."""

    symbol: str
    buy_ratio: Decimal


class RiskTier(Message, frozen=True, kw_only=True, tag="risk_tier"):
    """One tier of the risk limit table; rates are fractions, deduction in quote coin."""

    symbol: str
    tier: int
    limit_value: Decimal
    maintenance_rate: Decimal
    initial_rate: Decimal
    max_leverage: Decimal
    deduction: Decimal


class VenueStatus(Message, frozen=True, kw_only=True, tag="venue_status"):
    """Whether the venue works; `maintenance` has the venue's title of what goes on, or of what is announced while it still works.

    Attributes:
        begin_ns: when the maintenance begins; 0 for none.
        end_ns: when it ends; 0 where that is not known.
    """

    operational: bool
    maintenance: str
    begin_ns: int = 0
    end_ns: int = 0


class ClockOffset(Message, frozen=True, kw_only=True, tag="clock_offset"):
    """Venue clock minus ours, market ns; the truth is within the uncertainty, however the ways there and back differed.

    Attributes:
        readings: of `market/time` that it was estimated from.
    """

    offset_ns: int
    uncertainty_ns: int
    readings: int = 1
