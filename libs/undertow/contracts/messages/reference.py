"""Slow facts: instruments, open interest, funding, sentiment, risk tiers, and the venue's own condition."""

from __future__ import annotations

from decimal import Decimal

from undertow.contracts.messages.base import Message


class InstrumentChanged(Message, frozen=True, kw_only=True, tag="instrument"):
    """The filters of a contract, at start and at every change; fields as `undertow.domain.instrument.Instrument`."""

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


class OpenInterest(Message, frozen=True, kw_only=True, tag="open_interest"):
    """Open interest of both sides, base coin, at `ts_event`."""

    symbol: str
    open_interest: Decimal


class Funding(Message, frozen=True, kw_only=True, tag="funding"):
    """A funding rate as settled at `ts_event`; a fraction, positive when longs pay."""

    symbol: str
    rate: Decimal


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
    """Whether the venue works; `maintenance` has the venue's title of it, or is empty."""

    operational: bool
    maintenance: str
    begin_ns: int = 0
    end_ns: int = 0


class ClockOffset(Message, frozen=True, kw_only=True, tag="clock_offset"):
    """Venue clock minus ours, market ns, with half the round trip as its uncertainty."""

    offset_ns: int
    uncertainty_ns: int
