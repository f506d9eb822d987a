from __future__ import annotations

from decimal import Decimal

import pytest

from tests.services.order_router.rig import LIMITS, SECOND, START
from undertow.contracts.messages.trading import TradeClosed
from undertow.domain.order import Side
from undertow.trading.caps import Caps


def closed(pnl: str, number: int = 0, *, is_complete: bool = True) -> TradeClosed:
    return TradeClosed(
        ts_event=START + number, ts_recv=START + number, trade_id="t", signal_id="s", symbol="BTCUSDT", source="m",
        side=Side.BUY, delta_bps=4.0, hold_ns=1, model_hash="m", qty=Decimal(1), entry_price=Decimal(1),
        exit_price=Decimal(1), gross_pnl=Decimal(pnl), fees=Decimal(0), return_bps=0.0, expected_bps=0.0,
        is_complete=is_complete,
    )  # fmt: skip


def test_losses_in_a_row_begin_a_pause_and_then_count_anew():
    caps = Caps()
    assert [caps.closed(closed("-1", number), LIMITS) for number in range(5)] == [False] * 4 + [True]
    assert caps.cooling_until_ns == START + 4 + LIMITS.loss_pause_ns
    assert caps.losses_in_row == 0


@pytest.mark.parametrize(
    ("pnl", "is_complete", "left"), [("0", True, 0), ("1", True, 0), ("-1", False, 4), ("1", False, 4)]
)
def test_what_is_no_loss_ends_the_row_and_what_is_not_known_does_nothing(pnl, is_complete, left):
    caps = Caps()
    for _ in range(4):
        caps.closed(closed("-1"), LIMITS)
    assert caps.closed(closed(pnl, is_complete=is_complete), LIMITS) is False
    assert caps.losses_in_row == left


def test_entries_are_counted_within_a_cascade_and_forgotten_after_it():
    caps = Caps()
    caps.entered("A", START)
    caps.entered("B", START + SECOND)
    assert caps.entries_since(START - 1) == (("A", START), ("B", START + SECOND))
    assert caps.entries_since(START) == (("B", START + SECOND),)


def test_what_is_carried_over_a_compaction_is_all_there_is():
    caps, other = Caps(), Caps()
    caps.entered("A", START)
    caps.closed(closed("-1"), LIMITS)
    other.closed(closed("-1"), LIMITS)
    other.restore(caps.carried(START + SECOND, LIMITS.cascade_ns))
    assert (other.losses_in_row, other.cooling_until_ns) == (1, 0)
    assert other.entries_since(0) == (("A", START),)
    assert caps.carried(START + 61 * SECOND, LIMITS.cascade_ns).entries == ()
