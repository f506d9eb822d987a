from __future__ import annotations

from services.order_router.rehearsal import rehearse
from tests.services.order_router.rig import BREAKER, INSTRUMENT, LIMITS, SIZING
from undertow.trading.effects import Decide, Journal, Send


def test_a_rehearsal_goes_all_the_way_to_an_order():
    kinds = [type(effect) for effect in rehearse(LIMITS, SIZING, BREAKER, INSTRUMENT)]
    assert {Journal, Send, Decide} <= set(kinds)
    assert kinds.index(Journal) < kinds.index(Send)
