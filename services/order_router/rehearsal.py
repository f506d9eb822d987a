"""A signal that nobody sent, decided by a core that nobody asks: the first order of the day is then as quick as the others."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from services.order_router.core import RouterCore
from undertow.contracts.messages.decision import Signal
from undertow.contracts.messages.heartbeat import Permit
from undertow.domain.instrument import Instrument
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.exchange.models import Wallet
from undertow.trading.breaker import BreakerRules
from undertow.trading.effects import Effect
from undertow.trading.limits import Limits
from undertow.trading.sizing import SizingRules

NAME: Final = "rehearsal"
TICKS: Final = 100_000
PURSE: Final = Decimal(1_000_000)
SECOND: Final = 1_000_000_000


def rehearse(limits: Limits, sizing: SizingRules, breaker: BreakerRules, instrument: Instrument) -> list[Effect]:
    """Take one signal from permit to order in a core of its own; give the effects, which are for nobody to perform."""
    core = RouterCore(
        NAME, replace(limits, sessions=(), hard_notional=None), replace(sizing, hard_notional=None), breaker
    )
    core.on_instrument(instrument, 0)
    core.on_mark(instrument.symbol, instrument.tick_size * TICKS, 1, 1)
    core.on_feed_up(0)
    wallet = Wallet(coin=instrument.quote_coin, equity=PURSE, wallet=PURSE, available=PURSE, unrealised=Decimal(0))
    core.on_recovered([], [], [], wallet, 1)
    permit = Permit(
        state=TradingState.ACTIVE, reason="", boot_id=NAME, entries_permitted=True, valid_until_ns=2 * SECOND
    )
    core.on_permit(permit, 1)
    signal = Signal(
        ts_event=1,
        ts_recv=1,
        signal_id=NAME,
        symbol=instrument.symbol,
        source=NAME,
        side=Side.BUY,
        mid=instrument.tick_size * TICKS,
        delta_bps=4.0,
        hold_ns=SECOND,
        rest_ns=SECOND,
        valid_until_ns=SECOND,
        expected_bps=1.0,
        drawn_bps=1.0,
        fill_probability=0.5,
        size_hint=1.0,
        model_hash=NAME,
    )
    return core.on_signal(signal, 1)
